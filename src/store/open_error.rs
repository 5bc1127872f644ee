//! Why a place cannot be opened.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use thiserror::Error;

/// Why a place cannot be opened. Nothing was created or changed, unless the host failed on the way
/// or there is damage: then there is a copy of it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum OpenError {
    /// Something in it is not as it was written.
    #[error("the store's {} is damaged: {reason}", path.display())]
    Damaged { path: PathBuf, reason: String },
    /// There is something that no store has written.
    #[error("the directory {} is no store: it contains {name}", path.display())]
    Foreign { path: PathBuf, name: String },
    /// There is too little space for opening it.
    #[error("there is no space left for the store at {}", path.display())]
    Full { path: PathBuf },
    /// The host failed.
    #[error("the store at {} cannot be opened: {reason}", path.display())]
    Io { path: PathBuf, reason: String },
    /// Somebody has it open, in this process or another one.
    #[error("the store at {} is open elsewhere", path.display())]
    Locked { path: PathBuf },
    #[error("there is no store at {}", path.display())]
    Missing { path: PathBuf },
    /// A later version of this crate has written it.
    #[error("the store at {} has format {version}, and up to {known} is known", path.display())]
    Newer { path: PathBuf, version: u32, known: u32 },
    #[error("{} is no directory", path.display())]
    NotADirectory { path: PathBuf },
    /// It is to become a store, and cannot.
    #[error("{} cannot become a store: {reason}", path.display())]
    Occupied { path: PathBuf, reason: String },
    /// It may be read and not written.
    #[error("{} cannot be written: {reason}", path.display())]
    ReadOnly { path: PathBuf, reason: String },
    #[error("{} cannot be read: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
}

impl OpenError {
    /// What it means that something could not be read.
    pub(crate) fn reading(path: &Path, error: &io::Error) -> Self {
        let (path, reason) = (path.to_path_buf(), error.to_string());
        match error.kind() {
            ErrorKind::NotADirectory => Self::NotADirectory { path },
            ErrorKind::PermissionDenied => Self::Unreadable { path, reason },
            _ => Self::Io { path, reason },
        }
    }

    /// What it means that something could not be created or changed.
    pub(crate) fn writing(path: &Path, error: &io::Error) -> Self {
        let (path, reason) = (path.to_path_buf(), error.to_string());
        match error.kind() {
            ErrorKind::NotADirectory => Self::NotADirectory { path },
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                Self::ReadOnly { path, reason }
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full { path },
            _ => Self::Io { path, reason },
        }
    }

    pub(crate) fn occupied(path: &Path, reason: impl Into<String>) -> Self {
        Self::Occupied { path: path.to_path_buf(), reason: reason.into() }
    }

    pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_path_buf(), reason: reason.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_says_is_sorted() {
        let path = Path::new("store");
        let denied = io::Error::from(ErrorKind::PermissionDenied);
        let unreadable = OpenError::reading(path, &denied);
        assert!(matches!(unreadable, OpenError::Unreadable { .. }), "{unreadable}");
        for kind in [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem] {
            let error = OpenError::writing(path, &kind.into());
            assert!(matches!(error, OpenError::ReadOnly { .. }), "{error}");
        }
        for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
            let error = OpenError::writing(path, &kind.into());
            assert!(matches!(error, OpenError::Full { .. }), "{error}");
        }
        let interrupted = OpenError::writing(path, &ErrorKind::TimedOut.into());
        assert!(matches!(interrupted, OpenError::Io { .. }), "{interrupted}");
    }
}
