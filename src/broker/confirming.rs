//! How a channel learns that what was published on it has become durable.

use std::{
    sync::{Arc, Weak},
    task::{Wake, Waker},
};

use super::{channel_state::ChannelState, context::Context};

/// A task that nobody runs: being woken, it has its channel tell what is decided.
struct Confirming {
    channel: Weak<ChannelState>,
    context: Weak<Context>,
}

/// Has the channel tell what is decided, now and whenever something has become durable, until
/// nothing is open. Runs other people's wakers, so no lock may be held.
pub(crate) fn tell_when_durable(context: &Arc<Context>, channel: &Arc<ChannelState>) {
    let confirming =
        Confirming { channel: Arc::downgrade(channel), context: Arc::downgrade(context) };
    context.durable.register(Waker::from(Arc::new(confirming)));
    // It may have been decided before anyone listened.
    channel.tell_decided();
}

impl Wake for Confirming {
    fn wake(self: Arc<Self>) {
        let (Some(channel), Some(context)) = (self.channel.upgrade(), self.context.upgrade())
        else {
            return;
        };
        if channel.tell_decided() {
            context.durable.register(Waker::from(self));
            channel.tell_decided();
        }
    }
}
