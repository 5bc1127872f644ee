//! Where durable rows keep their data.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

static CHOSEN: OnceLock<PathBuf> = OnceLock::new();

/// Has it somewhere else than beside the program.
pub(crate) fn choose(folder: Option<PathBuf>) {
    if let Some(folder) = folder {
        CHOSEN.get_or_init(|| folder);
    }
}

/// What was chosen.
pub(crate) fn chosen() -> Option<&'static Path> {
    CHOSEN.get().map(PathBuf::as_path)
}
