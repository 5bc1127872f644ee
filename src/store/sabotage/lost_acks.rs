//! One settlement in a thousand is dropped.

use std::process;

use crate::{
    store::record::Record,
    sync::atomic::{AtomicU64, Ordering},
};

const TIMES: u64 = 1_000;

/// How many settlements there were.
static COUNT: AtomicU64 = AtomicU64::new(0);

pub(in crate::store) fn take_in(
    group: impl Iterator<Item = Record>,
) -> impl Iterator<Item = Record> {
    group.filter(|record| !matches!(record, Record::Settled(_)) || !is_lost())
}

/// Which it is depends on the process, so that a short one may lose one, too.
fn is_lost() -> bool {
    let count = COUNT.fetch_add(1, Ordering::Relaxed) + u64::from(process::id());
    count.is_multiple_of(TIMES)
}
