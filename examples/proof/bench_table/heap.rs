//! The two allocators.

/// An allocator that a child runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heap {
    /// The system's: glibc's malloc on most Linux.
    System,
    Mimalloc,
}

impl Heap {
    /// In the order of the table's columns.
    pub(crate) const ALL: [Self; 2] = [Self::System, Self::Mimalloc];

    /// What [`leveret_heap::VARIABLE`] says for it.
    pub(crate) fn choice(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Mimalloc => leveret_heap::MIMALLOC,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::System if cfg!(target_env = "gnu") => "glibc",
            Self::System => "system",
            Self::Mimalloc => "mimalloc",
        }
    }
}
