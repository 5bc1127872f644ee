//! Direct reply-to: replies that no queue is declared for.
//!
//! A channel that consumes from the pseudo queue, or a `call` that waits, gets an address. A
//! message published to the default exchange under that address goes straight to whoever waits, or
//! nowhere if nobody does any more. It counts as unroutable either way.

use std::sync::{Arc, Weak};

use super::{
    call::Call, channel_state::ChannelState, publish_error::PublishReason, room::EventRoom,
};
use crate::{Name, engine::queue::Held};

/// The pseudo queue from which a channel consumes its replies. A request with this `reply_to` goes
/// out with the address of the channel in its place.
pub(crate) const PSEUDO_QUEUE: &str = "amq.rabbitmq.reply-to";

/// How addresses begin.
pub(crate) const ADDRESS_PREFIX: &str = "amq.rabbitmq.reply-to.";

/// Who waits for replies at one address.
#[derive(Debug)]
pub(crate) enum ReplySlot {
    Call(Arc<Call>),
    Channel(Weak<ChannelState>, Name),
}

/// Those who wait for one message as a reply.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    /// Invariant: no two are the same.
    slots: Vec<Arc<ReplySlot>>,
    /// Kept until the replies are there.
    rooms: Vec<EventRoom>,
}

/// Whether a routing key is the address of a reply rather than the name of a queue.
pub(crate) fn is_address(key: &str) -> bool {
    key.starts_with(ADDRESS_PREFIX)
}

impl ReplySlot {
    /// Keeps room for so many replies, if that takes any: a call takes the first, and what is sent
    /// to a channel that is gone is dropped.
    ///
    /// # Errors
    ///
    /// `Full`, so that the publisher is told and no reply is dropped.
    pub(crate) fn keep_room(&self, replies: usize) -> Result<Option<EventRoom>, PublishReason> {
        let Self::Channel(channel, _) = self else { return Ok(None) };
        let Some(channel) = channel.upgrade() else { return Ok(None) };
        EventRoom::keep(&channel, replies).map(Some).ok_or(PublishReason::NO_EVENTS)
    }

    /// Whether a reply could be taken now.
    pub(crate) fn has_room(&self) -> bool {
        match self {
            Self::Call(_) => true,
            Self::Channel(channel, _) => {
                channel.upgrade().is_none_or(|channel| channel.has_event_room())
            }
        }
    }

    /// Hands a reply to whoever waits for it.
    pub(crate) fn deliver(&self, reply: &Held) {
        match self {
            Self::Call(call) => call.complete(reply),
            Self::Channel(channel, tag) => {
                if let Some(channel) = channel.upgrade() {
                    channel.deliver_reply(tag, reply);
                }
            }
        }
    }
}

impl Replies {
    /// Adds one, unless it is there.
    pub(crate) fn add(&mut self, slot: Arc<ReplySlot>) {
        if !self.slots.iter().any(|known| Arc::ptr_eq(known, &slot)) {
            self.slots.push(slot);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Has each keep room for so many replies, instead of what it has kept.
    pub(crate) fn keep_room(&mut self, replies: usize) -> Result<(), PublishReason> {
        self.rooms.clear();
        for slot in &self.slots {
            self.rooms.extend(slot.keep_room(replies)?);
        }
        Ok(())
    }

    /// Hands a reply to each.
    pub(crate) fn deliver(&self, reply: &Held) {
        self.slots.iter().for_each(|slot| slot.deliver(reply));
    }

    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.rooms.clear();
    }
}
