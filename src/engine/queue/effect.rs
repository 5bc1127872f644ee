//! What a queue asks the shell to do.
//!
//! A queue's methods append to an [`Effects`] that the caller owns and reuses. What is handed over
//! is with its [recipient](super::Recipient) already, in the order of the queue. Everything else
//! waits until the caller has let go of the queue: those to be woken, other queues, the topology,
//! and the destructors of bodies, which are the user's code.

use super::{consumers::ConsumerId, death::Dead, entry::Held};
use crate::engine::ids::Seq;

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
    /// It has got another place.
    Renumbered(Seq, Seq),
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
    /// Consumers who got a message and have somebody to be told, once for each message.
    pub(crate) alerts: Vec<ConsumerId>,
    pub(crate) outward: Vec<Outward>,
    /// Messages that have left the queue for good, to be dropped by the caller.
    pub(crate) freed: Vec<Held>,
    /// Messages that are to go where the queue's dead letters go, in the order of their deaths.
    pub(crate) dead: Vec<Dead>,
    pub(crate) staged: Vec<Staged>,
    staging: Staging,
}

impl Effects {
    pub(crate) fn new(staging: Staging) -> Self {
        Self { staging, ..Self::default() }
    }

    /// Whether the caller has nothing to do, but perhaps for what only queues with options have.
    /// (What is staged is for the store.)
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        self.alerts.is_empty() && self.outward.is_empty() && self.freed.is_empty()
    }

    /// Notes what a store would have to write.
    pub(super) fn stage(&mut self, staged: Staged) {
        match self.staging {
            Staging::Off => {}
            Staging::On => self.staged.push(staged),
        }
    }
}
