//! The conservation law of a queue: every message is somewhere, or gone for exactly one reason.

use super::death::Reason;

/// What has happened to the messages of one queue since it was declared.
///
/// Invariant: `enqueued` equals what is in the queue, in whatever state, plus the sum of all
/// causes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) enqueued: u64,
    pub(crate) acked: u64,
    pub(crate) auto_acked: u64,
    /// Rejected with nowhere to go.
    pub(crate) rejected: u64,
    /// Went to where dead letters go.
    pub(crate) dead_lettered: u64,
    /// Expired with nowhere to go.
    pub(crate) expired: u64,
    /// Gave way at a declared limit with nowhere to go.
    pub(crate) dropped: u64,
    /// Came back too often, with nowhere to go.
    pub(crate) exhausted: u64,
    pub(crate) purged: u64,
    pub(crate) deleted: u64,
    /// How often a declared limit kept a message out. These never were in the queue.
    pub(crate) refused: u64,
    /// How often a message was handed out.
    pub(crate) delivered: u64,
    /// How often one came back.
    pub(crate) returned: u64,
    /// How often one was handed out that was settled by that.
    pub(super) handed_settled: u64,
}

impl Counts {
    /// The count of messages that died for this reason and had nowhere to go.
    pub(super) fn without_burial(&mut self, reason: Reason) -> &mut u64 {
        match reason {
            Reason::DeliveryLimit => &mut self.exhausted,
            Reason::Expired => &mut self.expired,
            Reason::MaxLen => &mut self.dropped,
            Reason::Rejected => &mut self.rejected,
        }
    }

    /// How many messages are gone, for whatever cause.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn gone(&self) -> u64 {
        let Self {
            enqueued: _,
            acked,
            auto_acked,
            rejected,
            dead_lettered,
            expired,
            dropped,
            exhausted,
            purged,
            deleted,
            refused: _,
            delivered: _,
            returned: _,
            handed_settled: _,
        } = *self;
        acked
            + auto_acked
            + rejected
            + dead_lettered
            + expired
            + dropped
            + exhausted
            + purged
            + deleted
    }
}
