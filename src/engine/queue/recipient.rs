//! Where a queue hands messages to.
//!
//! A recipient takes its messages while the queue is locked, so that they arrive in the order of
//! the queue. It may not run other people's code there: whom it has to wake, it says.

use super::{
    consumers::{AckMode, ConsumerId, Custody},
    entry::{Entry, Held, Past, Stamp},
    unacked::UnackedKey,
};
use crate::engine::ids::Seq;

/// The far end of one consumer, with credit that it may share with others and that a queue cannot
/// see: the prefetch window of a channel, the room in its outbox.
pub(crate) trait Recipient {
    /// Takes credit for one delivery. A refusal parks the consumer until it is
    /// [resumed](super::QueueCore::resume).
    fn try_take(&self, mode: AckMode) -> bool;

    /// Takes a message, for which credit was taken.
    fn receive(&mut self, hand_over: HandOver) -> Received;

    /// Gives up what it has got and nobody has seen, oldest first.
    fn take_unseen(&mut self) -> Vec<(UnackedKey, Held)> {
        Vec::new()
    }
}

/// A message for a consumer.
#[derive(Debug)]
pub(crate) struct HandOver {
    #[cfg_attr(
        not(any(test, fuzzing)),
        expect(dead_code, reason = "recipients know who they are")
    )]
    pub(crate) consumer: ConsumerId,
    /// How to settle it; `None` if the delivery itself did.
    pub(crate) key: Option<UnackedKey>,
    pub(crate) message: Handed,
}

/// A message as the one who receives it sees it.
#[derive(Debug)]
pub(crate) struct Handed {
    pub(crate) held: Held,
    /// Its place in the queue.
    seq: Seq,
    past: Past,
    /// What it counts for.
    bytes: u32,
}

/// What a message does to its recipient.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) attention: Attention,
    /// An older message that had to make room: it gives way for good.
    pub(crate) displaced: Option<(UnackedKey, Held)>,
}

/// Whether somebody is to be told of a message once the queue is let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attention {
    Nobody,
    Somebody,
}

impl Handed {
    /// Takes a message out of the queue, and says what stays there of it.
    #[inline]
    pub(super) fn out_of(entry: Entry, custody: Custody) -> (Self, Stamp, Option<Held>) {
        let Entry { stamp, held } = entry;
        let kept = match custody {
            Custody::Holder => None,
            Custody::Queue => Some(held.clone()),
        };
        (Self { held, seq: stamp.seq, past: stamp.past, bytes: stamp.bytes }, stamp, kept)
    }

    /// What a store is told of it, if it has it.
    #[inline]
    pub(crate) fn stored_seq(&self) -> Option<Seq> {
        self.past.is_stored().then_some(self.seq)
    }

    /// What it counts for.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.into()
    }

    /// Whether the delivery ends by itself, if it is not settled for too long.
    pub(crate) fn has_lease(&self) -> bool {
        self.past.has_lease()
    }

    /// Notes that the delivery ends by itself.
    pub(super) fn note_lease(&mut self) {
        self.past = self.past.with_lease();
    }

    /// Shows in a header how often it was received before and given back.
    pub(super) fn show_returns(&mut self) {
        self.held.show_returns(self.past.returns());
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
