//! How messages die, and what is left of them.

use super::entry::{Held, Stamp};
use crate::engine::ids::Seq;

/// Why a message dies. One that has a place to go after its death is a *dead letter*.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    /// It came back more often than its queue allows.
    DeliveryLimit,
    Expired,
    /// The queue had no room, by its length or its bytes.
    MaxLen,
    Rejected,
}

impl Reason {
    /// What AMQP calls it in the header `x-death`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::DeliveryLimit => "delivery_limit",
            Self::Expired => "expired",
            Self::MaxLen => "maxlen",
            Self::Rejected => "rejected",
        }
    }
}

/// A message on its way to the dead-letter exchange of its queue.
#[derive(Debug)]
pub(crate) struct Dead {
    pub(crate) held: Held,
    pub(crate) reason: Reason,
    /// What whoever rejected it says about that.
    pub(crate) cause: Option<Box<str>>,
    /// As what its queue counts it until it has arrived; `None` if it was never in the queue.
    pub(super) stamp: Option<Stamp>,
}

impl Dead {
    /// Its number in the queue, if it was in there.
    pub(crate) fn seq(&self) -> Option<Seq> {
        self.stamp.map(|stamp| stamp.seq)
    }
}

/// A dead letter has left its queue: what has become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Burial {
    /// The exchange has it, and all queues that it goes to.
    Routed,
    /// There is no such exchange.
    NoExchange,
}

/// What is in between its queue and its targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moving {
    pub(super) messages: u64,
    pub(super) bytes: u64,
}
