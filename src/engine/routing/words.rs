//! Numbers for the words of topic patterns, so that the trie compares numbers and not texts.

use std::{collections::HashMap, hash::Hash, num::NonZeroU32};

use foldhash::fast::RandomState;

use crate::Name;

use super::key_words::{KeyWord, ShortWord};

/// The number of a word that occurs in some pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct WordId(NonZeroU32);

/// The words in use.
#[derive(Debug, Default)]
pub(super) struct Words {
    short: HashMap<ShortWord, Word, RandomState>,
    long: HashMap<Name, Word, RandomState>,
    /// Numbers given back. Invariant: all were given out, and no known word has one of them.
    free: Vec<WordId>,
    /// The last number given out for the first time.
    last: u32,
}

#[derive(Debug)]
struct Word {
    id: WordId,
    /// How many edges of the trie bear the word. Invariant: at least one.
    uses: u32,
}

impl Words {
    /// Counts one more use of a word, which gets a number if it has none yet.
    pub(super) fn acquire(&mut self, text: &str) -> WordId {
        let word = match KeyWord::of(text) {
            KeyWord::Long(text) => self.long.get_mut(text),
            KeyWord::Short(word) => self.short.get_mut(&word),
        };
        if let Some(word) = word {
            // Each use is an edge to a node, of which there are fewer numbers.
            word.uses += 1;
            return word.id;
        }
        let id = self.free.pop().unwrap_or_else(|| {
            self.last += 1;
            WordId(NonZeroU32::new(self.last).expect("one above another number is not zero"))
        });
        let word = Word { id, uses: 1 };
        match KeyWord::of(text) {
            KeyWord::Long(text) => drop(self.long.insert(Name::from(text), word)),
            KeyWord::Short(short) => drop(self.short.insert(short, word)),
        }
        id
    }

    /// Counts one use of a word less, and forgets it with the last one.
    pub(super) fn release(&mut self, text: &str) {
        let forgotten = match KeyWord::of(text) {
            KeyWord::Long(text) => release(&mut self.long, text),
            KeyWord::Short(word) => release(&mut self.short, &word),
        };
        self.free.extend(forgotten);
        if self.long.is_empty() && self.short.is_empty() {
            *self = Self::default();
        }
    }

    #[expect(clippy::inline_always, reason = "words in registers cost half of those in memory")]
    #[inline(always)]
    pub(super) fn get(&self, word: KeyWord<'_>) -> Option<WordId> {
        let word = match word {
            KeyWord::Long(text) => self.long.get(text),
            KeyWord::Short(word) => self.short.get(&word),
        };
        word.map(|word| word.id)
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn check_invariants(&self, edges: impl Iterator<Item = WordId>) {
        let mut uses = HashMap::<WordId, u32>::new();
        edges.for_each(|id| *uses.entry(id).or_default() += 1);
        let known = self.long.values().chain(self.short.values());
        let known: HashMap<_, _> = known.map(|word| (word.id, word.uses)).collect();
        assert_eq!(known, uses, "a word is used as often as edges bear it");
        let words = self.long.len() + self.short.len();
        assert_eq!(known.len(), words, "each word has a number of its own");
        assert_eq!(known.len() + self.free.len(), self.last as usize, "no number is lost");
        assert!(self.free.iter().all(|id| !known.contains_key(id)), "a free number is unused");
    }
}

/// Counts one use of a word less; its number comes back with the last one.
fn release<K, Q>(known: &mut HashMap<K, Word, RandomState>, key: &Q) -> Option<WordId>
where
    K: Hash + Eq + std::borrow::Borrow<Q>,
    Q: Hash + Eq + ?Sized,
{
    let word = known.get_mut(key).expect("a word on an edge is known");
    word.uses -= 1;
    if word.uses > 0 {
        return None;
    }
    let forgotten = known.remove(key);
    if known.capacity() > 8 * known.len() {
        known.shrink_to(2 * known.len());
    }
    forgotten.map(|word| word.id)
}
