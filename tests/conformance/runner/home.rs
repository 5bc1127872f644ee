//! Where a broker is kept that a scenario restarts.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use leveret::{Broker, ManualClock};

/// A folder of its own, which goes with it.
#[derive(Debug)]
pub(crate) struct Home(PathBuf);

impl Home {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("leveret-conformance-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    /// Opens the broker that is kept here.
    #[cfg(feature = "persist")]
    pub(crate) fn open(&self, clock: &ManualClock) -> Result<Broker, String> {
        let builder = Broker::builder().manual_clock(clock).store(&self.0);
        builder.open().map_err(|error| error.to_string())
    }

    /// Nothing can be kept.
    #[cfg(not(feature = "persist"))]
    #[expect(clippy::unused_self, reason = "it is the same call with a store")]
    pub(crate) fn open(&self, _: &ManualClock) -> Result<Broker, String> {
        Err("a restart needs the feature `persist`".to_owned())
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // There may be none.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
