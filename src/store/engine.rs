//! What the store writes to: small values under keys, in one generation of one place.
//!
//! An engine knows nothing of messages. Another one is added by implementing these two traits and
//! passing the suite in `store/conformance`; neither the store nor the broker changes.

use std::{fmt, sync::Arc};

/// Values are at most this long. For sled this is a promise that none goes to a file of its own,
/// which it would never sync: pages below a quarter of its segments of 2 MiB stay in its log. A
/// page holds sixteen values, one more until it is split, and up to three more when its neighbour
/// is merged into it.
pub(crate) const VALUE_BYTES_MAX: usize = 24 * 1_024;

/// What a value is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    /// The group that wrote it.
    pub(crate) group: u64,
    /// Which of the values of that group it is.
    pub(crate) part: u32,
}

/// Who looks at values, one by one, until it says that it has seen enough.
pub(crate) type Each<'a> = &'a mut dyn FnMut(Key, &[u8]) -> Result<(), EngineError>;

/// One generation of values.
///
/// All methods may be called by several threads at a time, but only one changes anything.
pub(crate) trait Engine: fmt::Debug + Send + Sync {
    /// So many bytes are about to be put, and then written at once. Nothing comes of it but that
    /// this may take less time.
    fn make_way(&self, _bytes: usize) {}

    /// Puts a value that is not empty. It can be read at once, and survives nothing until it is
    /// written or synced. After a crash before that, it is there as a whole or not at all.
    fn put(&self, key: Key, value: &[u8]) -> Result<(), EngineError>;

    /// Takes a value out; none is no error. After a crash before it is written or synced, the value
    /// may be there or not.
    fn remove(&self, key: Key) -> Result<(), EngineError>;

    fn get(&self, key: Key) -> Result<Option<Vec<u8>>, EngineError>;

    /// Shows every value, in the order of keys, until told to stop.
    fn scan(&self, each: Each<'_>) -> Result<(), EngineError>;

    /// From when it returns, all that was changed before it was called survives the end of the
    /// process, and needs no more space to survive a power cut.
    fn write(&self) -> Result<(), EngineError>;

    /// From when it returns, all that was changed before it was called survives a power cut. After
    /// a failure nothing is known of it, and nothing will be by trying again, unless there was no
    /// space for what had not been written. Where all has been, another thread may call it than the
    /// one that changes something, which meanwhile only reads, tidies, and goes on with another
    /// generation.
    fn sync(&self) -> Result<(), EngineError>;

    /// Does a little of what it has put off, and says whether there is more. Nobody waits for it,
    /// and nothing comes of it but that later changes take less time.
    fn tidy(&self) -> Result<bool, EngineError> {
        Ok(false)
    }

    /// The bytes that it takes where it is kept.
    fn size(&self) -> Result<u64, EngineError>;
}

/// Where engines live: for sled a directory. Whoever has one open is its only owner. What is there
/// when it is opened survives a power cut, also if its former owner has only written it: the next
/// one builds on it.
pub(crate) trait Place: fmt::Debug + Send + Sync {
    /// The present generation.
    fn engine(&self) -> Arc<dyn Engine>;

    /// The newest group that was noted; zero if none was.
    fn noted(&self) -> u64;

    /// Notes that a group is durable. The note itself survives the end of the process; after a
    /// power cut there may be an older one.
    fn note(&self, group: u64) -> Result<(), EngineError>;

    /// All was found that there should be when it was opened.
    fn accept(&self) {}

    /// An empty generation beside the present one, in place of any that was begun before.
    fn begin_generation(&self) -> Result<Arc<dyn Engine>, EngineError>;

    /// Makes the generation that was begun the present one, for good and at one blow; it has been
    /// synced. The former one goes when nobody uses it any more, also if the process ends before.
    fn switch_generation(&self) -> Result<(), EngineError>;
}

/// Why an engine did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EngineError {
    /// There is no space left. What was changed since the last write or sync may be gone by now,
    /// and has to be changed again as a whole. It is worth trying: the next change finds out
    /// whether there is space again. Until one was made, writing and syncing are refused likewise.
    Full,
    /// Something is not as it was written; where and how.
    Damaged(String),
    /// The host failed, or the engine did; what it says.
    Failed(String),
}
