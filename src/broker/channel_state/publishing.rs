//! Publishing on a channel: what it numbers, confirms, refuses and returns, and the places for
//! that among its events.

use std::sync::Arc;

use super::{ChannelState, Mode, Resumed};
use crate::{
    Name, ReplyCode,
    broker::{
        event::{DeliveryTag, Event, Returned},
        room::EventRoom,
        tx::Mandatory,
    },
    engine::queue::Held,
};

/// How a publish goes on, which the mode of the channel says.
#[derive(Debug)]
pub(crate) enum Begun {
    /// At once. Places for the events that it may cause are kept, if there are any.
    Now { is_confirmed: bool, room: Option<EventRoom> },
    /// At the commit.
    Tx,
}

impl ChannelState {
    /// Runs something with the mode of the channel, under its lock.
    pub(crate) fn with_mode<R>(&self, act: impl FnOnce(&mut Mode) -> R) -> R {
        act(&mut self.state.lock().mode)
    }

    /// Begins a publish: keeps places for what it may cause, a confirm and a return.
    /// `None` if there are fewer.
    pub(crate) fn begin_publish(self: &Arc<Self>, mandatory: Mandatory) -> Option<Begun> {
        let (is_confirmed, events) = {
            let mut state = self.state.lock();
            let is_confirmed = match &state.mode {
                Mode::Plain => false,
                Mode::Confirm(_) => true,
                Mode::Tx(_) => return Some(Begun::Tx),
            };
            let events = usize::from(is_confirmed) + usize::from(mandatory == Mandatory::Yes);
            if !state.outbox.keep(events) {
                return None;
            }
            (is_confirmed, events)
        };
        let room = (events > 0).then(|| EventRoom::kept(self, events));
        Some(Begun::Now { is_confirmed, room })
    }

    /// Whether a reply could be put into the outbox now.
    pub(crate) fn has_event_room(&self) -> bool {
        let state = self.state.lock();
        !state.life.is_open() || state.outbox.has_room()
    }

    /// Keeps places for events, and says how many are kept; `None` if there are fewer. A channel
    /// that is closed gets none of these events.
    pub(crate) fn keep_places(&self, events: usize) -> Option<usize> {
        let mut state = self.state.lock();
        if !state.life.is_open() {
            return Some(0);
        }
        state.outbox.keep(events).then_some(events)
    }

    /// Gives kept places back.
    pub(crate) fn give_places_back(&self, events: usize) -> Resumed {
        self.free(|outbox| outbox.give_back(events)).1
    }

    /// Confirms a publish, in confirm mode, and says its number. A confirm that follows another
    /// one joins it, so that confirms nobody takes do not pile up.
    pub(crate) fn confirm(&self) -> Option<DeliveryTag> {
        let number = {
            let mut state = self.state.lock();
            let Mode::Confirm(next) = &mut state.mode else { return None };
            let number = *next;
            *next += 1;
            state.outbox.confirm(DeliveryTag(number));
            DeliveryTag(number)
        };
        self.wake();
        Some(number)
    }

    /// Refuses a publish for want of room, in confirm mode, and says its number.
    pub(crate) fn refuse(&self) -> Option<DeliveryTag> {
        let number = {
            let mut state = self.state.lock();
            let Mode::Confirm(next) = &mut state.mode else { return None };
            let delivery_tag = DeliveryTag(*next);
            *next += 1;
            state.outbox.push(Event::Nack { delivery_tag, multiple: false });
            delivery_tag
        };
        self.wake();
        Some(number)
    }

    /// Returns a mandatory message that reached no queue.
    pub(crate) fn send_back(&self, held: &Held) {
        let Held::Resident(message) = held;
        let returned = Returned {
            reply_code: ReplyCode::NO_ROUTE,
            reply_text: Name::from(ReplyCode::NO_ROUTE.name()),
            exchange: message.address().exchange.clone(),
            routing_key: message.address().routing_key.clone(),
            message: message.clone(),
        };
        {
            let mut state = self.state.lock();
            state.outbox.push(Event::Return(Box::new(returned)));
        }
        self.wake();
    }

    /// Notes that a publish found no room; `false` if that is noted already.
    pub(crate) fn starts_waiting_for_room(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().waits_for_room, true)
    }

    /// There is room again, which is told once.
    pub(crate) fn unblock(&self) {
        {
            let mut state = self.state.lock();
            let is_awaited = std::mem::take(&mut state.waits_for_room);
            if is_awaited && state.life.is_open() {
                state.outbox.push(Event::Unblocked);
            }
        }
        self.wake();
    }
}
