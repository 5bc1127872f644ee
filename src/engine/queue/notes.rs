//! What a queue knows of single messages when time matters: when they end, when they came.
//!
//! It stands beside the messages, so that those of a queue without such options are no larger.
//!
//! A message expires at the head of the queue, so the head is all that is ever looked at; with
//! `x-exact-expiry` one in the middle expires too, and what is ready is sorted by its end as well.

use std::collections::{BTreeMap, HashMap};

use crate::{engine::ids::Seq, time::Moment};

/// The notes of one queue, by message.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Of everything that the queue has, ready or not.
    of: HashMap<Seq, Note>,
    /// What is ready and ends, by its end, with its level. Invariant: empty unless `is_exact`.
    by_end: BTreeMap<(Moment, Seq), u8>,
    is_exact: bool,
}

/// What is known of one message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Note {
    /// When it expires, if it does.
    pub(super) ends: Option<Moment>,
    pub(super) came: Moment,
}

impl Notes {
    pub(super) fn new(is_exact: bool) -> Self {
        Self { is_exact, ..Self::default() }
    }

    pub(super) fn is_exact(&self) -> bool {
        self.is_exact
    }

    pub(super) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    pub(super) fn add(&mut self, seq: Seq, note: Note) {
        self.of.insert(seq, note);
    }

    /// The message has left the queue.
    pub(super) fn forget(&mut self, seq: Seq) -> Option<Note> {
        if self.of.is_empty() { None } else { self.of.remove(&seq) }
    }

    pub(super) fn came(&self, seq: Seq) -> Option<Moment> {
        self.of.get(&seq).map(|note| note.came)
    }

    /// When a message expires.
    pub(super) fn end_of(&self, seq: Seq) -> Option<Moment> {
        if self.of.is_empty() {
            return None;
        }
        self.of.get(&seq)?.ends
    }

    /// Whether the time of a message is over.
    pub(super) fn is_over(&self, seq: Seq, now: Moment) -> bool {
        self.end_of(seq).is_some_and(|end| end <= now)
    }

    /// A message has become ready.
    pub(super) fn enter(&mut self, seq: Seq, level: u8) {
        if self.is_exact
            && let Some(end) = self.end_of(seq)
        {
            self.by_end.insert((end, seq), level);
        }
    }

    /// A message is ready no more.
    pub(super) fn leave(&mut self, seq: Seq) {
        if self.is_exact
            && let Some(end) = self.end_of(seq)
        {
            self.by_end.remove(&(end, seq));
        }
    }

    /// The end of the message that ends first, of those sorted by it.
    pub(super) fn first_end(&self) -> Option<Moment> {
        self.by_end.first_key_value().map(|((end, _), _)| *end)
    }

    /// The message that ends first, and its level, if it has ended.
    pub(super) fn first_over(&self, now: Moment) -> Option<(Seq, u8)> {
        let ((end, seq), level) = self.by_end.first_key_value()?;
        (*end <= now).then_some((*seq, *level))
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn check_invariants(&self, ready: &[(Seq, u8)], held: usize) {
        assert!(self.of.len() <= held, "a note is of a message that is there");
        let ending: BTreeMap<_, _> = ready
            .iter()
            .filter_map(|(seq, level)| Some(((self.end_of(*seq)?, *seq), *level)))
            .collect();
        if self.is_exact {
            assert_eq!(self.by_end, ending, "what is ready is sorted by its end");
        } else {
            assert!(self.by_end.is_empty(), "nothing is sorted that need not be");
        }
    }
}
