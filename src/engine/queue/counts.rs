//! The conservation law of a queue: every message is somewhere, or gone for exactly one reason.

/// What has happened to the messages of one queue since it was declared.
///
/// Invariant: `enqueued` equals what is ready and unacked plus the sum of all causes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) enqueued: u64,
    pub(crate) acked: u64,
    pub(crate) auto_acked: u64,
    pub(crate) rejected: u64,
    /// Gave way at a declared limit.
    pub(crate) dropped: u64,
    pub(crate) purged: u64,
    pub(crate) deleted: u64,
}

impl Counts {
    /// How many messages are gone, for whatever cause.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn gone(&self) -> u64 {
        let Self { enqueued: _, acked, auto_acked, rejected, dropped, purged, deleted } = *self;
        acked + auto_acked + rejected + dropped + purged + deleted
    }
}
