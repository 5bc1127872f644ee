//! Room that is promised before anything happens: bytes of memory, places among the events of a
//! channel.
//!
//! Whoever promises to do all of something or nothing takes the room for all of it first, does it,
//! and gives the room back when what was done takes its own. So in between both count, and nobody
//! else can get in.

use std::sync::Arc;

use super::{
    channel_state::{self, ChannelState},
    context::Context,
};

/// Bytes that are drawn from the memory of a broker for a message that is in no queue yet.
#[derive(Debug)]
pub(crate) struct ByteRoom {
    context: Arc<Context>,
    bytes: u64,
}

/// Places among the untaken events of a channel.
#[derive(Debug)]
pub(crate) struct EventRoom {
    channel: Arc<ChannelState>,
    events: usize,
}

impl ByteRoom {
    /// Draws so many bytes; `None` if they do not fit, after all that has been acked. No lock may
    /// be held.
    pub(crate) fn draw(context: &Arc<Context>, bytes: u64) -> Option<Self> {
        let budget = &context.budget;
        let fits = budget.try_draw(bytes) || {
            context.backlog.tell();
            budget.try_draw(bytes)
        };
        fits.then(|| Self { context: Arc::clone(context), bytes })
    }
}

/// Runs other people's wakers, so no lock may be held.
impl Drop for ByteRoom {
    fn drop(&mut self) {
        self.context.budget.give_back(self.bytes);
        self.context.room.made();
    }
}

impl EventRoom {
    /// Keeps so many places; `None` if there are fewer.
    pub(crate) fn keep(channel: &Arc<ChannelState>, events: usize) -> Option<Self> {
        channel.keep_places(events).map(|kept| Self::kept(channel, kept))
    }

    /// Leaves one of the places to an event that comes later.
    pub(crate) fn leave_one(&mut self) {
        self.events -= 1;
    }

    /// Of places that have been kept just now.
    pub(crate) fn kept(channel: &Arc<ChannelState>, events: usize) -> Self {
        Self { channel: Arc::clone(channel), events }
    }
}

/// Lets queues go on and runs other people's wakers, so no lock may be held.
impl Drop for EventRoom {
    fn drop(&mut self) {
        if self.events > 0 {
            channel_state::resume(self.channel.give_places_back(self.events));
        }
    }
}
