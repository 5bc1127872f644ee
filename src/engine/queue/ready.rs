//! The messages that wait: one line, or one for each priority.
//!
//! A queue without priorities has the lowest level only. A level above it is there while it holds
//! something, so empty ones cost nothing, however many a queue may have.

use std::collections::BTreeMap;

use super::{
    entry::{Entry, Held},
    line::Line,
};
use crate::engine::ids::Seq;

/// What is waiting, in the order in which it is to be handed out.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    lowest: Line,
    levels: Option<Box<Levels>>,
}

/// The levels above the lowest.
#[derive(Debug)]
struct Levels {
    /// Higher priorities count as this one.
    max: u8,
    /// Invariant: none of them is empty.
    above: BTreeMap<u8, Line>,
    /// Invariant: how much these hold together.
    len: usize,
}

impl Ready {
    /// With priorities up to this one; with zero there are none.
    pub(crate) fn new(priority_max: u8) -> Self {
        let levels = || Box::new(Levels { max: priority_max, above: BTreeMap::new(), len: 0 });
        Self { lowest: Line::default(), levels: (priority_max > 0).then(levels) }
    }

    /// On which level a message waits.
    pub(crate) fn level_of(&self, held: &Held) -> u8 {
        self.levels.as_ref().map_or(0, |levels| held.priority().min(levels.max))
    }

    /// Adds a message that was never handed out. Its sequence number is the highest so far.
    #[inline]
    pub(crate) fn push(&mut self, entry: Entry) {
        match self.line_of(&entry) {
            None => self.lowest.push(entry),
            Some(line) => line.push(entry),
        }
    }

    /// Puts a message to the place that its sequence number says.
    #[inline]
    pub(crate) fn put_back(&mut self, entry: Entry) {
        match self.line_of(&entry) {
            None => self.lowest.put_back(entry),
            Some(line) => line.put_back(entry),
        }
    }

    /// Takes the message that is to be handed out first.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        if let Some(levels) = &mut self.levels
            && let Some(entry) = levels.pop()
        {
            return Some(entry);
        }
        self.lowest.pop()
    }

    /// The message that is to be handed out first.
    #[inline]
    pub(crate) fn front(&self) -> Option<&Entry> {
        if self.levels.is_none() { self.lowest.front() } else { self.heads().next() }
    }

    /// Takes a message out from the middle of its level. Only one that was
    /// [put back](Self::put_back) is found.
    pub(crate) fn remove(&mut self, level: u8, seq: Seq) -> Option<Entry> {
        match &mut self.levels {
            Some(levels) if level > 0 => levels.remove(level, seq),
            Some(_) | None => self.lowest.remove(seq),
        }
    }

    /// The message of this number, which waits on this level.
    pub(super) fn get_mut(&mut self, level: u8, seq: Seq) -> Option<&mut Entry> {
        match &mut self.levels {
            Some(levels) if level > 0 => levels.above.get_mut(&level)?.get_mut(seq),
            Some(_) | None => self.lowest.get_mut(seq),
        }
    }

    /// The oldest message of each level that has any, highest first.
    pub(crate) fn heads(&self) -> impl Iterator<Item = &Entry> {
        self.lines().filter_map(Line::front)
    }

    /// Every entry, in the order in which they would be handed out.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.lines().flat_map(Line::iter)
    }

    /// All messages, in no particular order.
    pub(crate) fn into_messages(self) -> impl Iterator<Item = Held> {
        let above = self.levels.into_iter().flat_map(|levels| levels.above.into_values());
        above.chain([self.lowest]).flat_map(Line::into_messages)
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.lowest.len() + self.levels.as_ref().map_or(0, |levels| levels.len)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.lowest.is_empty() && self.levels.as_ref().is_none_or(|levels| levels.len == 0)
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn check_invariants(&self) {
        self.lines().for_each(Line::check_invariants);
        if let Some(levels) = &self.levels {
            let above = || levels.above.iter();
            assert!(above().all(|(_, line)| !line.is_empty()), "no level is empty");
            assert_eq!(above().map(|(_, line)| line.len()).sum::<usize>(), levels.len);
            for (level, line) in above() {
                let is_its = |entry: &Entry| self.level_of(&entry.held) == *level;
                assert!(line.iter().all(is_its), "a message waits on its own level");
            }
        }
    }

    /// Highest first.
    fn lines(&self) -> impl Iterator<Item = &Line> {
        let above = self.levels.iter().flat_map(|levels| levels.above.values().rev());
        above.chain([&self.lowest])
    }

    /// The line of a level above the lowest, for a message that is about to join it.
    #[inline]
    fn line_of(&mut self, entry: &Entry) -> Option<&mut Line> {
        let levels = self.levels.as_mut()?;
        let level = entry.held.priority().min(levels.max);
        if level == 0 {
            return None;
        }
        levels.len += 1;
        Some(levels.above.entry(level).or_default())
    }
}

impl Levels {
    fn pop(&mut self) -> Option<Entry> {
        let mut highest = self.above.last_entry()?;
        let entry = highest.get_mut().pop();
        if highest.get().is_empty() {
            highest.remove();
        }
        self.len -= usize::from(entry.is_some());
        entry
    }

    fn remove(&mut self, level: u8, seq: Seq) -> Option<Entry> {
        let line = self.above.get_mut(&level)?;
        let entry = line.remove(seq)?;
        if line.is_empty() {
            self.above.remove(&level);
        }
        self.len -= 1;
        Some(entry)
    }
}
