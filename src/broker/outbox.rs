//! The events of one channel, in the order in which they arose.

use std::{collections::VecDeque, sync::Arc};

use super::{
    connection_state::Signal,
    event::{Delivered, DeliveryTag, Event},
};

/// What a channel was sent and has not taken.
#[derive(Debug)]
pub(crate) struct Outbox {
    events: VecDeque<Stamped>,
    /// At this many nothing is pushed to the channel. What tells of an end, or of room, still goes
    /// in.
    events_max: usize,
    /// Places for events that methods under way may cause.
    kept: usize,
    /// Numbers the events of all channels of a connection.
    signal: Arc<Signal>,
}

#[derive(Debug)]
struct Stamped {
    /// When it arose, among all events of the connection.
    stamp: u64,
    event: Event,
}

impl Outbox {
    pub(crate) fn new(signal: Arc<Signal>, events_max: usize) -> Self {
        Self { events: VecDeque::new(), events_max, kept: 0, signal }
    }

    pub(crate) fn push(&mut self, event: Event) {
        self.events.push_back(Stamped { stamp: self.signal.next_stamp(), event });
    }

    pub(crate) fn deliver(&mut self, delivered: Delivered) {
        self.push(Event::Deliver(Box::new(delivered)));
    }

    /// Confirms a publish. A confirm that follows another one joins it, so that confirms nobody
    /// takes do not pile up.
    pub(crate) fn confirm(&mut self, number: DeliveryTag) {
        match self.events.back_mut().map(|stamped| &mut stamped.event) {
            Some(Event::Ack { delivery_tag, multiple }) => {
                *delivery_tag = number;
                *multiple = true;
            }
            Some(_) | None => self.push(Event::Ack { delivery_tag: number, multiple: false }),
        }
    }

    /// Takes the oldest event.
    pub(crate) fn take(&mut self) -> Option<Event> {
        self.events.pop_front().map(|stamped| stamped.event)
    }

    /// Takes all deliveries and leaves the rest.
    pub(crate) fn take_deliveries(&mut self) -> Vec<Delivered> {
        let mut deliveries = Vec::new();
        for Stamped { stamp, event } in std::mem::take(&mut self.events) {
            match event {
                Event::Deliver(delivered) => deliveries.push(*delivered),
                event => self.events.push_back(Stamped { stamp, event }),
            }
        }
        deliveries
    }

    /// Takes back the deliveries whose tag is wanted back, oldest first.
    pub(crate) fn retract(&mut self, mut is_wanted: impl FnMut(u64) -> bool) -> Vec<Delivered> {
        let mut retracted = Vec::new();
        for Stamped { stamp, event } in std::mem::take(&mut self.events) {
            match event {
                Event::Deliver(delivered) if is_wanted(delivered.delivery_tag.0) => {
                    retracted.push(*delivered);
                }
                event => self.events.push_back(Stamped { stamp, event }),
            }
        }
        retracted
    }

    /// Whether anything more may be pushed to the channel.
    pub(crate) fn has_room(&self) -> bool {
        self.events.len() + self.kept < self.events_max
    }

    /// Keeps places for events that are under way, if there are so many.
    pub(crate) fn keep(&mut self, events: usize) -> bool {
        let untaken = self.events.len() + self.kept;
        let fits = events == 0 || untaken.saturating_add(events) <= self.events_max;
        self.kept += if fits { events } else { 0 };
        fits
    }

    /// Gives kept places back, whether the events have come or will not.
    pub(crate) fn give_back(&mut self, events: usize) {
        self.kept -= events;
    }

    /// When the oldest event arose.
    pub(crate) fn oldest_stamp(&self) -> Option<u64> {
        self.events.front().map(|stamped| stamped.stamp)
    }
}
