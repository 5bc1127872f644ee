//! How much is borne before something is tidied, and how much of that is done at a time.

/// Bounds of the writer; tests have others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Economy {
    /// A commit takes no further group once it has so many bytes, so that none takes long.
    pub(super) commit_bytes_max: u64,
    /// While nothing is told, commits are written only to let go of more than so many bytes.
    pub(super) garbage_bytes_max: u64,
    /// Items are written anew when all takes more than four times what is needed, and so much more.
    pub(super) waste_bytes_min: u64,
    /// Generations are when they take more than twice what is in them, and so much more.
    pub(super) size_bytes_min: u64,
    /// So much of a generation is copied at a time, and so much changed between two looks at its
    /// size.
    pub(super) slice_bytes: u64,
}

impl Default for Economy {
    fn default() -> Self {
        Self {
            commit_bytes_max: 4 * 1_024 * 1_024,
            garbage_bytes_max: 64 * 1_024,
            waste_bytes_min: 1_024 * 1_024,
            size_bytes_min: 24 * 1_024 * 1_024,
            slice_bytes: 1_024 * 1_024,
        }
    }
}
