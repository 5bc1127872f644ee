//! Numbers for the words of topic patterns, so that the trie compares numbers and not texts.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::Name;

/// The number of a word that occurs in some pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct WordId(u32);

/// The words in use.
#[derive(Debug, Default)]
pub(super) struct Words {
    known: HashMap<Name, Word, RandomState>,
    /// Numbers given back. Invariant: all are below `next`, and no known word has one of them.
    free: Vec<WordId>,
    /// The first number never given out.
    next: u32,
}

#[derive(Debug)]
struct Word {
    id: WordId,
    /// How many edges of the trie bear the word. Invariant: at least one.
    uses: usize,
}

impl Words {
    /// Counts one more use of a word, which gets a number if it has none yet.
    pub(super) fn acquire(&mut self, text: &str) -> WordId {
        if let Some(word) = self.known.get_mut(text) {
            word.uses += 1;
            return word.id;
        }
        let id = self.free.pop().unwrap_or_else(|| {
            self.next += 1;
            WordId(self.next - 1)
        });
        self.known.insert(Name::from(text), Word { id, uses: 1 });
        id
    }

    /// Counts one use of a word less, and forgets it with the last one.
    pub(super) fn release(&mut self, text: &str) {
        let word = self.known.get_mut(text).expect("a word on an edge is known");
        word.uses -= 1;
        if word.uses > 0 {
            return;
        }
        self.free.push(word.id);
        self.known.remove(text);
        if self.known.is_empty() {
            *self = Self::default();
        } else if self.known.capacity() > 8 * self.known.len() {
            self.known.shrink_to(2 * self.known.len());
        }
    }

    pub(super) fn get(&self, text: &str) -> Option<WordId> {
        self.known.get(text).map(|word| word.id)
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn check_invariants(&self, edges: impl Iterator<Item = WordId>) {
        let mut uses = HashMap::<WordId, usize>::new();
        edges.for_each(|id| *uses.entry(id).or_default() += 1);
        let known: HashMap<_, _> = self.known.values().map(|word| (word.id, word.uses)).collect();
        assert_eq!(known, uses, "a word is used as often as edges bear it");
        assert_eq!(known.len(), self.known.len(), "each word has a number of its own");
        assert_eq!(known.len() + self.free.len(), self.next as usize, "no number is lost");
        assert!(self.free.iter().all(|id| !known.contains_key(id)), "a free number is unused");
    }
}
