//! How far something has got.

/// The place of a group in the order in which a store was told of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Position(pub(crate) u64);

impl Position {
    /// Of nothing, which is durable as it is.
    pub(crate) const NONE: Self = Self(0);

    pub(super) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// What outlives what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// What is durable survives the end of the process.
    Process,
    /// It survives a power cut, too.
    Power,
}

/// What can be expected of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Working,
    /// There is no space. What was told waits in memory until there is some again.
    Full,
    /// For good: what is not durable by now never will be.
    Failed,
}
