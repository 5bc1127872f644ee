//! One message in a queue, and the message as a queue holds it.

use std::time::Duration;

use crate::{Message, engine::ids::Seq, message::OUTLINE_BYTES};

/// In which header a quorum queue shows how often a message was received before and given back.
const DELIVERY_COUNT: &str = "x-delivery-count";

/// A message that waits in its queue. Small, since a backlog consists of these.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) stamp: Stamp,
    pub(crate) held: Held,
}

/// What a queue knows of a message, whoever has the message itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    /// Its place in the total order of the queue.
    pub(crate) seq: Seq,
    pub(crate) past: Past,
    /// What it counts for; of one whose body is on disk, how long that is.
    pub(super) bytes: u32,
}

/// What has become of a message before, in one word.
///
/// The lowest bit says whether it was handed out, seen or not; the next, of one that is handed out,
/// whether it comes back by itself; the third, whether a store has it; the fourth, whether nobody
/// but the store has its body; the others count how many times a consumer received it and gave it
/// back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Past(u32);

/// The message itself, or its outline.
///
/// Everything in the engine goes through this type, so that a message whose body is on disk changes
/// no rule.
#[derive(Clone, Debug)]
pub(crate) enum Held {
    /// In memory, shared by all queues that one publish reached.
    Resident(Message),
}

impl Entry {
    /// Whether only the store has its body.
    #[inline]
    pub(super) fn is_on_disk(&self) -> bool {
        self.stamp.past.is_on_disk()
    }

    /// How long its body is, wherever that is.
    pub(super) fn body_bytes(&self) -> u64 {
        if self.is_on_disk() { self.stamp.bytes.into() } else { self.held.body_bytes() }
    }

    /// Keeps the outline only, and hands out the message.
    pub(super) fn page_out(&mut self, outline: Held) -> Held {
        let body_bytes = u32::try_from(self.held.body_bytes()).unwrap_or(u32::MAX);
        self.stamp.bytes = body_bytes;
        self.stamp.past = self.stamp.past.on_disk();
        std::mem::replace(&mut self.held, outline)
    }

    /// Has the message again, and hands out the outline.
    pub(super) fn page_in(&mut self, held: Held) -> Held {
        self.stamp.bytes = held.bytes();
        self.stamp.past = self.stamp.past.in_memory();
        std::mem::replace(&mut self.held, held)
    }
}

impl Stamp {
    /// Of a message that comes into the queue.
    #[inline]
    pub(crate) fn fresh(seq: Seq, held: &Held) -> Self {
        Self { seq, past: Past::default(), bytes: held.bytes() }
    }

    /// Of no message.
    pub(super) const BLANK: Self = Self { seq: Seq(0), past: Past(0), bytes: 0 };

    /// What it counts for in somebody's hand, where it is never on disk only.
    #[inline]
    pub(super) fn bytes_in_hand(&self) -> u64 {
        debug_assert!(!self.past.is_on_disk(), "it was read before");
        self.bytes.into()
    }

    /// What it counts for.
    #[inline]
    pub(crate) fn bytes(&self) -> u64 {
        if self.past.is_on_disk() { OUTLINE_BYTES.into() } else { self.bytes.into() }
    }
}

impl Past {
    /// It was handed out, and nobody looked at it.
    #[must_use]
    pub(crate) fn unseen(self) -> Self {
        Self(self.0 | 1)
    }

    /// It was received, and given back.
    #[must_use]
    pub(crate) fn returned(self) -> Self {
        Self(self.0.checked_add(16).unwrap_or(self.0) | 1)
    }

    pub(crate) fn is_redelivered(self) -> bool {
        self.0 & 1 > 0
    }

    pub(crate) fn returns(self) -> u32 {
        self.0 >> 4
    }

    #[allow(dead_code, reason = "only a broker with a store does that")]
    /// As a store has it: given back so often, and handed out or not.
    pub(super) fn restored(returns: u32, is_redelivered: bool) -> Self {
        let returns = returns.min(u32::MAX >> 4);
        Self(returns << 4 | 4 | u32::from(is_redelivered))
    }

    /// It comes back by itself, if it is not settled for too long.
    #[must_use]
    pub(super) fn with_lease(self) -> Self {
        Self(self.0 | 2)
    }

    /// A store has it.
    #[must_use]
    pub(super) fn stored(self) -> Self {
        Self(self.0 | 4)
    }

    pub(super) fn is_stored(self) -> bool {
        self.0 & 4 > 0
    }

    /// Only the store has its body.
    #[must_use]
    pub(super) fn on_disk(self) -> Self {
        Self(self.0 | 8)
    }

    /// Its body is in memory again.
    #[must_use]
    pub(super) fn in_memory(self) -> Self {
        Self(self.0 & !8)
    }

    pub(super) fn is_on_disk(self) -> bool {
        self.0 & 8 > 0
    }

    pub(super) fn has_lease(self) -> bool {
        self.0 & 2 > 0
    }
}

impl Held {
    /// What the message counts for: body, properties and names.
    #[inline]
    pub(crate) fn bytes(&self) -> u32 {
        match self {
            Self::Resident(message) => message.bytes(),
        }
    }

    /// The bytes of its body alone.
    pub(crate) fn body_bytes(&self) -> u64 {
        match self {
            Self::Resident(message) => message.body().len() as u64,
        }
    }

    /// The priority that its publisher gave it; zero if none.
    pub(crate) fn priority(&self) -> u8 {
        match self {
            Self::Resident(message) => message.priority().unwrap_or_default(),
        }
    }

    /// Whether its publisher wants it to outlive the process.
    #[inline]
    pub(crate) fn is_persistent(&self) -> bool {
        match self {
            Self::Resident(message) => message.is_persistent(),
        }
    }

    /// Whether its publisher lets it wait for a time only.
    #[inline]
    pub(crate) fn expires(&self) -> bool {
        match self {
            Self::Resident(message) => message.expires(),
        }
    }

    /// How long its publisher lets it wait.
    #[inline]
    pub(crate) fn expiration(&self) -> Option<Duration> {
        match self {
            Self::Resident(message) => message.time_to_live(),
        }
    }

    pub(super) fn show_returns(&mut self, returns: u32) {
        match self {
            Self::Resident(message) => message.put_header(DELIVERY_COUNT, i64::from(returns)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_are_counted_beside_the_flag() {
        let fresh = Past::default();
        assert_eq!((fresh.is_redelivered(), fresh.returns()), (false, 0));
        let unseen = fresh.unseen();
        assert_eq!((unseen.is_redelivered(), unseen.returns()), (true, 0));
        let twice = fresh.returned().unseen().returned();
        assert_eq!((twice.is_redelivered(), twice.returns()), (true, 2));
        let most = Past(u32::MAX).returned();
        assert_eq!((most.is_redelivered(), most.returns()), (true, u32::MAX >> 4));
    }
}
