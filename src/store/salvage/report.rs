//! What was salvaged.

/// What [`Broker::salvage`](crate::Broker::salvage) has found, and what it knows to be lost.
///
/// # Examples
///
/// ```
/// let report = leveret::SalvageReport::default();
/// assert_eq!((report.messages, report.records_lost), (0, 0));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SalvageReport {
    /// Whether all was there as the last commit says. Otherwise values were gathered from the
    /// files: more may be lost than is known, and messages may be back that were settled long ago.
    pub is_whole: bool,
    /// Virtual hosts beside the default one.
    pub vhosts: u64,
    /// Durable exchanges, those not counted that are always there.
    pub exchanges: u64,
    /// Durable queues.
    pub queues: u64,
    /// Bindings between durable ends.
    pub bindings: u64,
    /// Messages, counted once per queue. All have the redelivered flag.
    pub messages: u64,
    /// Queues and virtual hosts among the above that were made anew without arguments, for what was
    /// in them: their declaration is lost. They are called `leveret.salvaged.` and a number.
    pub made: u64,
    /// Bindings that were left out since one of their ends is lost.
    pub bindings_lost: u64,
    /// Messages that were left out since a later queue has the name of theirs.
    pub orphaned: u64,
    /// Values (pieces of at most 24 KiB that the store writes) that are there and not as they were
    /// written.
    pub values_unreadable: u64,
    /// Values that are not there: so many at least, as the newest commit says that can be read.
    pub values_missing: u64,
    /// Commits that such values belong to, of those that are not missing.
    pub commits_incomplete: u64,
    /// Records, messages for the most part, that were seen and cannot be read. What was in values
    /// that are missing is not counted: nobody knows.
    pub records_lost: u64,
    /// What is wrong, in words: the first [`DETAILS_MAX`](Self::DETAILS_MAX) things.
    pub details: Vec<String>,
}

impl SalvageReport {
    /// So many things are told in words.
    pub const DETAILS_MAX: usize = 100;

    pub(super) fn tell(&mut self, detail: impl FnOnce() -> String) {
        if self.details.len() < Self::DETAILS_MAX {
            self.details.push(detail());
        }
    }
}
