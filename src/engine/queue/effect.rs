//! What a queue asks the shell to do.
//!
//! A queue's methods append to an [`Effects`] that the caller owns and reuses. What is handed over
//! is with its [recipient](super::Recipient) already, in the order of the queue. Everything else
//! waits until the caller has let go of the queue: those to be woken, other queues, the topology,
//! and the destructors of bodies, which are the user's code.

use super::{
    consumers::ConsumerId,
    death::{Dead, Reason},
    entry::{Held, Stamp},
};
use crate::{engine::ids::Seq, time::Moment};

/// What has to be done after the queue is let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outward {
    /// What is first in line is on disk, and somebody has credit for it.
    WantsBodies,
    /// The last consumer of an auto-delete queue has gone: delete the queue unless there is a new
    /// one by then.
    Abandoned,
}

/// What a store has to write, in the order in which it happened in the queue. Of messages that are
/// not persistent it is told nothing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Staged<M = Held> {
    /// It has come in.
    Added(Kept, M),
    /// It has come back, or died and not arrived.
    Amended(Kept),
    /// It has got another place.
    Renumbered(Seq, Seq),
    Settled(Seq),
}

/// What a queue knows of a message, as far as it outlives the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) seq: Seq,
    /// How many times a consumer received it and gave it back.
    pub(crate) returns: u32,
    /// Whether it was handed out, seen or not.
    pub(crate) is_redelivered: bool,
    /// When it expires.
    pub(crate) ends: Option<Moment>,
    /// Until when it is delayed.
    pub(crate) until: Option<Moment>,
    /// What it has died of, if it is on its way to where its queue's dead letters go.
    pub(crate) death: Option<Reason>,
}

/// Whether anyone wants to know what to write. A queue of which somebody does has options, for
/// which [`begin_options`](super::QueueCore::begin_options) sees; one without pays nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Staging {
    /// No store: nothing is noted, and a publish pays one comparison.
    #[default]
    Off,
    /// Of persistent messages.
    #[allow(dead_code, reason = "a store turns it on")]
    Persistent,
    /// Of all messages.
    #[allow(dead_code, reason = "a store turns it on")]
    All,
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
    /// Where the bodies stay of messages that a store has.
    pub(crate) bodies: Bodies,
}

/// Where the bodies stay of messages that a store has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Bodies {
    #[default]
    InMemory,
    /// On disk only, until they are about to be handed out.
    OnDisk,
}

impl Staging {
    /// Whether anyone wants to know of such a message, persistent or not.
    #[inline]
    pub(crate) fn keeps(self, is_persistent: bool) -> bool {
        match self {
            Self::Off => false,
            Self::Persistent => is_persistent,
            Self::All => true,
        }
    }
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

    /// Whether a store is to have a message.
    #[inline]
    pub(super) fn keeps(&self, held: &Held) -> bool {
        self.staging != Staging::Off && self.staging.keeps(held.is_persistent())
    }

    /// Notes that a message is back.
    #[inline]
    pub(super) fn stage_return(
        &mut self,
        stamp: Stamp,
        ends: Option<Moment>,
        until: Option<Moment>,
    ) {
        if stamp.past.is_stored() {
            self.staged.push(Staged::Amended(Kept::new(stamp, ends, until)));
        }
    }

    /// Notes that a message has died of what was done to it. What time or room has done they will
    /// do again.
    pub(super) fn stage_death(&mut self, stamp: Stamp, reason: Reason) {
        let is_done = matches!(reason, Reason::Rejected | Reason::DeliveryLimit);
        if is_done && stamp.past.is_stored() {
            let kept = Kept { death: Some(reason), ..Kept::new(stamp, None, None) };
            self.staged.push(Staged::Amended(kept));
        }
    }

    /// Notes that a message is gone.
    #[inline]
    pub(super) fn stage_end(&mut self, stamp: Stamp) {
        if stamp.past.is_stored() {
            self.staged.push(Staged::Settled(stamp.seq));
        }
    }
}

impl Kept {
    pub(super) fn new(stamp: Stamp, ends: Option<Moment>, until: Option<Moment>) -> Self {
        let Stamp { seq, past, .. } = stamp;
        let (returns, is_redelivered) = (past.returns(), past.is_redelivered());
        Self { seq, returns, is_redelivered, ends, until, death: None }
    }
}
