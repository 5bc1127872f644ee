//! How much is run.

use std::time::Duration;

/// What the rounds of one concern may take in a quick run. There are some twenty concerns, each
/// measured with two allocators, and a minute for all of them.
const QUICK_ROUNDS_MAX: Duration = Duration::from_millis(900);

/// How much is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// As the targets ask for it.
    Full,
    /// Enough to see that everything works and where it stands.
    Quick,
}

impl Scale {
    /// After how long no further round is begun. The first one always is.
    pub(crate) fn time_max(self) -> Duration {
        match self {
            Self::Full => Duration::MAX,
            Self::Quick => QUICK_ROUNDS_MAX,
        }
    }

    /// Rounds of each comparison. The targets ask for seven at least; an odd number has a middle.
    pub(crate) fn rounds(self) -> usize {
        match self {
            Self::Full => 9,
            Self::Quick => 3,
        }
    }

    /// The share of a full round's messages. Bursts and batches still go into it without a rest.
    pub(crate) fn share(self, messages: u64) -> u64 {
        match self {
            Self::Full => messages,
            Self::Quick => messages / 5,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Quick => "quick",
        }
    }
}
