//! One settlement in a thousand is dropped.

use std::process;

use crate::sync::atomic::{AtomicU64, Ordering};

const TIMES: u64 = 1_000;

/// How many settlements there were.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// Which one is dropped depends on the process, so that a short one may lose one, too.
pub(in crate::store) fn takes_in_settlement() -> bool {
    let count = COUNT.fetch_add(1, Ordering::Relaxed) + u64::from(process::id());
    !count.is_multiple_of(TIMES)
}
