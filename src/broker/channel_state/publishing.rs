//! Publishing on a channel: what it numbers, confirms, refuses and returns, and the places for
//! that among its events.

use std::sync::Arc;

use super::{super::context::Context, ChannelState, Mode, Resumed};
use crate::{
    Name, ReplyCode,
    broker::{
        confirming,
        event::{DeliveryTag, Event, Returned},
        journal::Position,
        outbox::Outbox,
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

/// What a publish is to be told, when those before it have been.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unconfirmed {
    number: u64,
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug)]
enum Verdict {
    /// An ack, once this is durable.
    Taken(Position),
    Refused,
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

    /// Confirms a publish, in confirm mode, once it is durable, and says its number.
    pub(crate) fn confirm(
        self: &Arc<Self>,
        position: Position,
        room: &mut EventRoom,
    ) -> Option<DeliveryTag> {
        self.decide(Verdict::Taken(position), room)
    }

    /// Refuses a publish for want of room, in confirm mode, and says its number.
    pub(crate) fn refuse(self: &Arc<Self>, room: &mut EventRoom) -> Option<DeliveryTag> {
        self.decide(Verdict::Refused, room)
    }

    /// Numbers a publish and tells what has become of it, if that is known and all before it have
    /// been told; later otherwise.
    fn decide(self: &Arc<Self>, verdict: Verdict, room: &mut EventRoom) -> Option<DeliveryTag> {
        let (number, is_first_open) = {
            let mut state = self.state.lock();
            let Mode::Confirm(next) = &mut state.mode else { return None };
            let number = *next;
            *next += 1;
            let is_first = state.unconfirmed.is_empty();
            let told = if is_first { verdict.told(&self.context) } else { None };
            if let Some(told) = told {
                told.put(number, &mut state.outbox);
            } else {
                room.leave_one();
                state.unconfirmed.push_back(Unconfirmed { number, verdict });
            }
            (number, is_first && told.is_none())
        };
        if is_first_open {
            confirming::tell_when_durable(&self.context, self);
        } else {
            self.wake();
        }
        Some(DeliveryTag(number))
    }

    /// Tells what has been decided meanwhile. Says whether something is still open.
    pub(crate) fn tell_decided(&self) -> bool {
        let (is_open, resumed) = {
            let mut state = self.state.lock();
            let mut decided = Vec::new();
            while let Some(Unconfirmed { number, verdict }) = state.unconfirmed.front()
                && let Some(told) = verdict.told(&self.context)
            {
                decided.push((*number, told));
                state.unconfirmed.pop_front();
            }
            let ((), resumed) = self.free_in(&mut state, |outbox| {
                outbox.give_back(decided.len());
                for (number, told) in decided {
                    told.put(number, outbox);
                }
            });
            (!state.unconfirmed.is_empty(), resumed)
        };
        self.wake();
        super::resume(resumed);
        is_open
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

/// What a publish is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Ack,
    Nack,
}

impl Verdict {
    /// What is to be told, if that is known.
    fn told(self, context: &Context) -> Option<Told> {
        match self {
            Self::Refused => Some(Told::Nack),
            Self::Taken(position) => match context.poll_durable(position)? {
                Ok(()) => Some(Told::Ack),
                Err(_) => Some(Told::Nack),
            },
        }
    }
}

impl Told {
    fn put(self, number: u64, outbox: &mut Outbox) {
        let delivery_tag = DeliveryTag(number);
        match self {
            Self::Ack => outbox.confirm(delivery_tag),
            Self::Nack => outbox.push(Event::Nack { delivery_tag, multiple: false }),
        }
    }
}
