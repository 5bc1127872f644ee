//! Where a queue hands messages to: the mailbox of a consumer, or the outbox of a channel.

use std::sync::{Arc, Weak};

use super::{
    cell::QueueCell,
    channel_state::ChannelState,
    mailbox::{Parcel, Ring, Tray},
};
use crate::{
    Name,
    broker::consumer::EndReason,
    engine::queue::{AckMode, Attention, HandOver, Handed, Held, Received, Recipient, UnackedKey},
};

/// The near end of one consumer.
#[derive(Debug)]
pub(crate) enum Outlet {
    Channel(ChannelOutlet),
    Mailbox(Tray),
}

/// A consumer of a channel.
#[derive(Clone, Debug)]
pub(crate) struct ChannelOutlet {
    pub(crate) channel: Arc<ChannelState>,
    pub(crate) tag: Name,
    /// The queue, to be resumed when the channel has credit again.
    pub(crate) cell: Weak<QueueCell>,
}

/// Someone to wake once no lock is held.
#[derive(Debug)]
pub(crate) enum Wake {
    Channel(Arc<ChannelState>),
    Mailbox(Ring),
}

impl Outlet {
    /// Whom to wake after a message has come, if anybody waits.
    pub(crate) fn wake(&mut self) -> Option<Wake> {
        match self {
            Self::Channel(outlet) => Some(Wake::Channel(Arc::clone(&outlet.channel))),
            Self::Mailbox(tray) => tray.ring().map(Wake::Mailbox),
        }
    }

    /// The tray of a consumer of the handle tier.
    pub(crate) fn tray(&mut self) -> Option<&mut Tray> {
        match self {
            Self::Mailbox(tray) => Some(tray),
            Self::Channel(_) => None,
        }
    }

    /// The tag.
    pub(crate) fn tag(&self) -> &Name {
        match self {
            Self::Channel(outlet) => &outlet.tag,
            Self::Mailbox(tray) => &tray.tag,
        }
    }

    /// The tag of a consumer of a channel; others are told of their end before all of these.
    pub(crate) fn channel_tag(&self) -> Option<&Name> {
        match self {
            Self::Channel(outlet) => Some(&outlet.tag),
            Self::Mailbox(_) => None,
        }
    }

    /// Notes why its queue takes it off. Called under the lock of the queue.
    pub(crate) fn note_end(&self, reason: EndReason) {
        if let Self::Mailbox(tray) = self {
            tray.mailbox.end(reason);
        }
    }

    /// Tells the consumer that its queue has ended it. No lock may be held.
    pub(crate) fn end(self) {
        match self {
            Self::Mailbox(tray) => tray.close(),
            Self::Channel(outlet) => outlet.channel.cancelled_by_broker(&outlet.tag),
        }
    }
}

impl Recipient for Outlet {
    #[inline]
    fn try_take(&self, mode: AckMode) -> bool {
        match self {
            Self::Mailbox(_) => true,
            Self::Channel(outlet) => outlet.channel.try_take(mode, &outlet.cell),
        }
    }

    fn take_unseen(&mut self) -> Vec<(UnackedKey, Held)> {
        match self {
            Self::Mailbox(tray) => tray.take_all(),
            Self::Channel(_) => Vec::new(),
        }
    }

    #[inline]
    fn receive(&mut self, HandOver { key, message, .. }: HandOver) -> Received {
        match self {
            Self::Mailbox(tray) => {
                let key = key.expect("consumers of the handle tier settle what they receive");
                let displaced = tray.put(Parcel { message, key }).map(Parcel::into_parts);
                Received { attention: tray.attention(), displaced }
            }
            Self::Channel(outlet) => {
                outlet.deliver(key, &message);
                Received { attention: Attention::Somebody, displaced: None }
            }
        }
    }
}

impl ChannelOutlet {
    fn deliver(&self, key: Option<UnackedKey>, message: &Handed) {
        let outstanding = key.map(|key| {
            let cell = self.cell.upgrade().expect("a queue that hands out is alive");
            (cell, key)
        });
        self.channel.deliver(&self.tag, message, outstanding);
    }
}

impl Wake {
    /// Runs other people's wakers, so no lock may be held.
    pub(crate) fn wake(self) {
        match self {
            Self::Channel(channel) => channel.wake(),
            Self::Mailbox(ring) => ring.ring(),
        }
    }
}
