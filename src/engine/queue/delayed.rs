//! Messages that were given back and are to be tried again later.
//!
//! They are neither ready nor unacked, so nobody waits behind them, and they keep the sequence
//! number by which they return to their place. A message that ends before it would return is filed
//! under its end.

use std::collections::BTreeMap;

use super::entry::{Entry, Held};
use crate::{engine::ids::Seq, time::Moment};

/// The delayed messages of one queue, by the moment at which something is to happen to them.
#[derive(Debug, Default)]
pub(crate) struct Delayed {
    by_moment: BTreeMap<(Moment, Seq), Entry>,
}

impl Delayed {
    pub(super) fn add(&mut self, until: Moment, entry: Entry) {
        let former = self.by_moment.insert((until, entry.stamp.seq), entry);
        debug_assert!(former.is_none(), "a message is in the queue once");
    }

    /// Takes the earliest whose time has come.
    pub(super) fn pop_due(&mut self, now: Moment) -> Option<Entry> {
        let first = self.by_moment.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    pub(super) fn first(&self) -> Option<Moment> {
        self.by_moment.first_key_value().map(|((until, _), _)| *until)
    }

    pub(super) fn len(&self) -> usize {
        self.by_moment.len()
    }

    /// All messages, in no particular order.
    pub(super) fn into_messages(self) -> impl Iterator<Item = Held> {
        self.by_moment.into_values().map(|entry| entry.held)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.by_moment.values()
    }
}
