//! A folder for a store, and what a crash would leave of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use leveret::{Broker, ManualClock};

/// How long a disk may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A folder of its own, which goes with it.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("leveret-durable-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn open(&self) -> Broker {
        Broker::open(&self.0).expect("it opens")
    }

    pub(crate) fn open_at(&self, clock: &ManualClock) -> Broker {
        Broker::builder().manual_clock(clock).store(&self.0).open().expect("it opens")
    }

    /// What would be here if the process were killed now.
    pub(crate) fn crashed(&self) -> Self {
        let copy = Self::new();
        copy_all(&self.0, &copy.0);
        copy
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // There may be none.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("it is created");
    for entry in fs::read_dir(from).expect("it is there") {
        let entry = entry.expect("it is read");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_all(&from, &to);
        } else {
            fs::copy(from, to).expect("it is copied");
        }
    }
}
