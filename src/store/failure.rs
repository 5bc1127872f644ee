//! Why a store cannot be opened, and why what it was told is not durable.

use thiserror::Error;

use super::engine::{EngineError, Key};

/// Why a store was not opened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum StoreError {
    /// A value is not as it was written, or is missing.
    #[error("the store is damaged at value {} of commit {}: {reason}", .key.part, .key.group)]
    Damaged { key: Key, reason: String },
    /// The engine did not give what is in it.
    #[error("the store cannot be read: {}", text(.0))]
    Engine(EngineError),
    /// What is in it was written by a later version.
    #[error("the store has format {found}, and this version reads up to {known}")]
    Newer { found: u8, known: u8 },
    /// Its thread could not be started.
    #[error("the thread of the store cannot be started: {0}")]
    Thread(String),
}

/// Why something that a store was told is not durable.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum StoreFailure {
    /// The store was closed before.
    #[error("the store is closed")]
    Closed,
    /// The host failed, or the engine did. Nothing becomes durable any more.
    #[error("the store has failed: {0}")]
    Failed(String),
    /// There is no space left. A store that is closed does not wait for some.
    #[error("the store has no space left")]
    Full,
    /// The time that closing was given is up; the thread goes on writing.
    #[error("the store has not written everything in time")]
    Unfinished,
}

/// What an engine says, in words.
pub(super) fn text(error: &EngineError) -> &str {
    match error {
        EngineError::Full => "no space left",
        EngineError::Damaged(what) | EngineError::Failed(what) => what,
    }
}
