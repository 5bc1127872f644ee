//! How a channel learns that there is room again, after a publish on it found none.

use std::{
    sync::{Arc, Weak},
    task::{Wake, Waker},
};

use super::{channel_state::ChannelState, context::Context};

/// A task that nobody runs: being woken, it tells its channel.
struct Unblocking(Weak<ChannelState>);

/// Has the channel told, once, when memory comes back.
pub(crate) fn tell_when_there_is_room(context: &Context, channel: &Arc<ChannelState>) {
    if channel.starts_waiting_for_room() {
        let waker = Waker::from(Arc::new(Unblocking(Arc::downgrade(channel))));
        context.room.register(waker);
    }
}

impl Wake for Unblocking {
    fn wake(self: Arc<Self>) {
        if let Some(channel) = self.0.upgrade() {
            channel.unblock();
        }
    }
}
