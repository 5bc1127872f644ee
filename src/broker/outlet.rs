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
    engine::queue::{AckMode, Credit, HandOver},
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

/// What handing a message over leaves to do.
#[derive(Debug)]
pub(crate) struct Delivered {
    pub(crate) wake: Option<Wake>,
    /// An older message that had to make room.
    pub(crate) displaced: Option<Parcel>,
}

/// Someone to wake once no lock is held.
#[derive(Debug)]
pub(crate) enum Wake {
    Channel(Arc<ChannelState>),
    Mailbox(Ring),
}

impl Outlet {
    /// Hands a message over. Called under the lock of the queue.
    #[inline]
    pub(crate) fn deliver(&mut self, hand_over: HandOver, cell: &Arc<QueueCell>) -> Delivered {
        let HandOver { key, message, .. } = hand_over;
        match self {
            Self::Mailbox(tray) => {
                let key = key.expect("consumers of the handle tier settle what they receive");
                let displaced = tray.put(Parcel { message, key });
                Delivered { wake: tray.ring().map(Wake::Mailbox), displaced }
            }
            Self::Channel(outlet) => {
                let outstanding = key.map(|key| (Arc::clone(cell), key));
                outlet.channel.deliver(&outlet.tag, &message, outstanding);
                let wake = Some(Wake::Channel(Arc::clone(&outlet.channel)));
                Delivered { wake, displaced: None }
            }
        }
    }

    /// The tray of a consumer of the handle tier.
    pub(crate) fn tray(&mut self) -> Option<&mut Tray> {
        match self {
            Self::Mailbox(tray) => Some(tray),
            Self::Channel(_) => None,
        }
    }

    /// The tag, which only a consumer of a channel has.
    pub(crate) fn tag(&self) -> Option<&Name> {
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

impl Credit for Outlet {
    fn try_take(&self, mode: AckMode) -> bool {
        match self {
            Self::Mailbox(_) => true,
            Self::Channel(outlet) => outlet.channel.try_take(mode, &outlet.cell),
        }
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
