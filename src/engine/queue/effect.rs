//! What a queue asks the shell to do.
//!
//! A queue's methods append to an [`Effects`] that the caller owns and reuses. Hand-overs are
//! *leaf* effects: the caller carries them out before it lets go of the queue, so that deliveries
//! leave in the order of the queue. Everything else is *outward* and waits until it has let go:
//! other queues, the topology, and the destructors of bodies, which are the user's code.

use super::{
    consumers::{ConsumerId, Custody},
    entry::{Entry, Held, Past, Stamp},
    unacked::UnackedKey,
};
use crate::engine::ids::Seq;

/// A message for a consumer.
#[derive(Debug)]
pub(crate) struct HandOver {
    pub(crate) consumer: ConsumerId,
    /// How to settle it; `None` if the delivery itself did.
    pub(crate) key: Option<UnackedKey>,
    pub(crate) message: Handed,
}

/// A message as the one who receives it sees it.
#[derive(Debug)]
pub(crate) struct Handed {
    pub(crate) held: Held,
    past: Past,
}

impl Handed {
    /// Takes a message out of the queue, and says what stays there of it.
    pub(super) fn out_of(entry: Entry, custody: Custody) -> (Self, Stamp, Option<Held>) {
        let Entry { stamp, held } = entry;
        let kept = match custody {
            Custody::Holder => None,
            Custody::Queue => Some(held.clone()),
        };
        (Self { held, past: stamp.past }, stamp, kept)
    }

    /// Whether it was handed out before, seen or not.
    pub(crate) fn is_redelivered(&self) -> bool {
        self.past.is_redelivered()
    }

    /// How many times it was received before and given back.
    pub(crate) fn returns(&self) -> u32 {
        self.past.returns()
    }
}

/// What has to be done after the queue is let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outward {
    /// The last consumer of an auto-delete queue has gone: delete the queue unless there is a new
    /// one by then.
    Abandoned,
}

/// What a store has to write, in the order in which it happened in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Staged {
    Enqueued(Seq),
    Settled(Seq),
}

/// Whether anyone wants to know what to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Staging {
    /// No store: nothing is noted, and a publish pays one comparison.
    #[default]
    Off,
    #[cfg_attr(not(any(test, fuzzing)), expect(dead_code, reason = "a store turns it on"))]
    On,
}

/// The out-parameter of a queue's methods.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) hand_overs: Vec<HandOver>,
    pub(crate) outward: Vec<Outward>,
    /// Messages that have left the queue for good, to be dropped by the caller.
    pub(crate) freed: Vec<Held>,
    pub(crate) staged: Vec<Staged>,
    staging: Staging,
}

impl Effects {
    pub(crate) fn new(staging: Staging) -> Self {
        Self { staging, ..Self::default() }
    }

    /// Notes what a store would have to write.
    pub(super) fn stage(&mut self, staged: Staged) {
        match self.staging {
            Staging::Off => {}
            Staging::On => self.staged.push(staged),
        }
    }
}
