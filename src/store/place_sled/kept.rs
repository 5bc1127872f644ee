//! The data of a generation as it was before a database was opened that may be damaged.
//!
//! sled clears much of what it cannot make sense of, so when its log does not read to its end, a
//! copy is made first. It goes when all that should be there has been found, and stays for whoever
//! salvages otherwise. Without space there is none: opening is worth more than that.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::log::{self, Condition};

/// The names of the copy, when it is whole and before.
pub(super) const NAMES: [&str; 2] = [NAME, NAME_NEW];

const NAME: &str = "kept";

const NAME_NEW: &str = "kept.new";

/// Copies the data if it is torn, unless what was kept before was not made up for.
pub(super) fn keep(folder: &Path, data: &Path) {
    let (path, new) = (folder.join(NAME), folder.join(NAME_NEW));
    if path.exists() || log::examine(data).is_ok_and(|condition| condition == Condition::Sound) {
        return;
    }
    if fs::copy(data, &new).and_then(|_| fs::rename(&new, &path)).is_err() {
        // There is no space for it.
        let _ = fs::remove_file(&new);
    }
}

/// The copy, if there is one.
pub(super) fn find(folder: &Path) -> Option<PathBuf> {
    Some(folder.join(NAME)).filter(|path| path.is_file())
}

/// Removes it, and says whether there was one.
pub(super) fn forget(folder: &Path) -> bool {
    // Of one that was not finished nobody has a use.
    let _ = fs::remove_file(folder.join(NAME_NEW));
    fs::remove_file(folder.join(NAME)).is_ok()
}
