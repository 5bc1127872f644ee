//! The numbers that the engine speaks in.

/// The place of a message in its queue. Invariant: never used twice in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Seq(pub(crate) u64);
