//! The messages that wait, in the order of their sequence numbers.
//!
//! Fresh messages only ever join at the end, so they live in a ring. A requeued message returns to
//! its original place: it lives in an ordered map beside the ring, and taking the head compares
//! the two fronts. A queue where nothing is requeued never touches the map.
//!
//! Invariant: the ring ascends strictly, and no sequence number is in both parts.

use std::collections::BTreeMap;

use super::{
    entry::{Entry, Held},
    ring::Ring,
};
use crate::engine::ids::Seq;

/// What is waiting on one level, oldest first.
#[derive(Debug, Default)]
pub(super) struct Line {
    fresh: Ring<Entry>,
    returned: BTreeMap<Seq, Entry>,
}

impl Line {
    /// Adds a message that was never handed out. Its sequence number is the highest so far.
    #[inline]
    pub(super) fn push(&mut self, entry: Entry) {
        debug_assert!(
            self.fresh.back().is_none_or(|last| last.stamp.seq < entry.stamp.seq),
            "fresh ascends"
        );
        self.fresh.push_back(entry);
    }

    /// Puts a message back to its original place.
    pub(super) fn put_back(&mut self, entry: Entry) {
        let former = self.returned.insert(entry.stamp.seq, entry);
        debug_assert!(former.is_none(), "a sequence number is in the queue once");
    }

    /// Takes the oldest message.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        if !self.returned.is_empty() && self.returned_is_older() {
            return self.returned.pop_first().map(|(_, entry)| entry);
        }
        self.fresh.pop_front()
    }

    /// The oldest message.
    #[inline]
    pub(super) fn front(&self) -> Option<&Entry> {
        if !self.returned.is_empty() && self.returned_is_older() {
            return self.returned.first_key_value().map(|(_, entry)| entry);
        }
        self.fresh.front()
    }

    /// Takes a message out from wherever it is; only one that was [put back](Self::put_back) is
    /// found.
    pub(super) fn remove(&mut self, seq: Seq) -> Option<Entry> {
        self.returned.remove(&seq)
    }

    /// The message of this number.
    pub(super) fn get_mut(&mut self, seq: Seq) -> Option<&mut Entry> {
        match self.returned.get_mut(&seq) {
            Some(entry) => Some(entry),
            None => self.fresh.find_mut(|entry| entry.stamp.seq.cmp(&seq)),
        }
    }

    /// Every entry, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        let mut returned = self.returned.values().peekable();
        let mut fresh = self.fresh.iter().peekable();
        std::iter::from_fn(move || match (returned.peek(), fresh.peek()) {
            (Some(back), Some(new)) if new.stamp.seq < back.stamp.seq => fresh.next(),
            (Some(_), _) => returned.next(),
            (None, _) => fresh.next(),
        })
    }

    /// All messages, in no particular order.
    pub(super) fn into_messages(self) -> impl Iterator<Item = Held> {
        self.returned.into_values().chain(self.fresh).map(|entry| entry.held)
    }

    pub(super) fn len(&self) -> usize {
        self.fresh.len() + self.returned.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.returned.is_empty()
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn check_invariants(&self) {
        assert!(
            self.fresh.iter().is_sorted_by(|a, b| a.stamp.seq < b.stamp.seq),
            "the ring ascends"
        );
        for (seq, entry) in &self.returned {
            assert_eq!(*seq, entry.stamp.seq, "a returned entry is filed under its own number");
            let twice = self.fresh.iter().any(|entry| entry.stamp.seq == *seq);
            assert!(!twice, "{seq:?} is in both parts");
        }
        self.fresh.check_invariants();
    }

    #[cold]
    fn returned_is_older(&self) -> bool {
        match (self.returned.first_key_value(), self.fresh.front()) {
            (Some((seq, _)), Some(fresh)) => *seq < fresh.stamp.seq,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }
}
