//! A ring in pieces: a queue's line of messages, however long.
//!
//! A ring of one piece is copied as a whole when it grows, which takes a tenth of a second for ten
//! million messages, and is given back only as a whole. Here a long line consists of many pieces;
//! each is made when it is needed and given back when it has run empty.
//!
//! Invariant: no piece but the spare one is empty, and all but the last are full or were.

use std::{cmp::Ordering, collections::VecDeque};

/// How many items a piece holds.
const PIECE: usize = 512;

/// A line that grows at its end and shrinks at its front.
#[derive(Debug)]
pub(super) struct Ring<T> {
    pieces: VecDeque<VecDeque<T>>,
    /// One piece that has run empty, for the next that is needed.
    spare: Option<VecDeque<T>>,
    len: usize,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self { pieces: VecDeque::new(), spare: None, len: 0 }
    }
}

impl<T> Ring<T> {
    #[inline]
    pub(super) fn push_back(&mut self, item: T) {
        self.len += 1;
        match self.pieces.back_mut() {
            Some(last) if last.len() < PIECE => last.push_back(item),
            Some(_) | None => self.push_piece(item),
        }
    }

    #[inline]
    pub(super) fn pop_front(&mut self) -> Option<T> {
        let first = self.pieces.front_mut()?;
        let item = first.pop_front();
        debug_assert!(item.is_some(), "no piece is empty");
        if first.is_empty() {
            self.spare = self.pieces.pop_front();
            self.shrink();
        }
        self.len -= 1;
        item
    }

    #[inline]
    pub(super) fn front(&self) -> Option<&T> {
        self.pieces.front()?.front()
    }

    pub(super) fn back(&self) -> Option<&T> {
        self.pieces.back()?.back()
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The item that compares as equal, of items that ascend.
    pub(super) fn find_mut(&mut self, compare: impl Fn(&T) -> Ordering) -> Option<&mut T> {
        // The first piece that ends no earlier than the item is the one that has it.
        let is_before =
            |piece: &VecDeque<T>| piece.back().is_some_and(|last| compare(last).is_lt());
        let index = self.pieces.partition_point(is_before);
        let piece = self.pieces.get_mut(index)?;
        let found = piece.binary_search_by(compare).ok()?;
        piece.get_mut(found)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pieces.iter().flatten()
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn check_invariants(&self) {
        assert!(self.pieces.iter().all(|piece| !piece.is_empty()), "no piece is empty");
        assert!(self.pieces.iter().all(|piece| piece.len() <= PIECE), "no piece is too long");
        assert!(self.spare.as_ref().is_none_or(VecDeque::is_empty), "the spare one is");
        assert_eq!(self.pieces.iter().map(VecDeque::len).sum::<usize>(), self.len);
        let room = self.pieces.capacity();
        assert!(room <= 8 || room <= 4 * (self.pieces.len() + 1), "room is given back");
    }

    #[cold]
    fn push_piece(&mut self, item: T) {
        // The first grows with its items, since most lines are short; whoever needs a second one
        // needs all of it.
        let room = if self.pieces.is_empty() { 0 } else { PIECE };
        let mut piece = self.spare.take().unwrap_or_else(|| VecDeque::with_capacity(room));
        piece.push_back(item);
        self.pieces.push_back(piece);
    }

    /// Gives room for pieces back that there are no more.
    fn shrink(&mut self) {
        if self.pieces.capacity() > 8 && self.pieces.capacity() > 4 * (self.pieces.len() + 1) {
            self.pieces.shrink_to(2 * self.pieces.len());
        }
    }
}

impl<T> IntoIterator for Ring<T> {
    type Item = T;
    type IntoIter = std::iter::Flatten<std::collections::vec_deque::IntoIter<VecDeque<T>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.pieces.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_deque(runs in prop::collection::vec((0_usize..1_500, 0_usize..1_500), 0..12)) {
            let (mut ring, mut model) = (Ring::default(), VecDeque::new());
            let mut next = 0;
            for (pushed, popped) in runs {
                for _ in 0..pushed {
                    ring.push_back(next);
                    model.push_back(next);
                    next += 1;
                }
                ring.check_invariants();
                for _ in 0..popped {
                    prop_assert_eq!(ring.pop_front(), model.pop_front());
                }
                ring.check_invariants();
                prop_assert_eq!((ring.len(), ring.is_empty()), (model.len(), model.is_empty()));
                prop_assert_eq!((ring.front(), ring.back()), (model.front(), model.back()));
                prop_assert!(ring.iter().eq(&model));
            }
            prop_assert!(ring.into_iter().eq(model));
        }
    }

    #[test]
    fn a_long_line_gives_its_room_back_as_it_shrinks() {
        let mut ring = Ring::default();
        (0..100 * PIECE).for_each(|item| ring.push_back(item));
        for _ in 0..99 * PIECE {
            ring.pop_front();
        }
        ring.check_invariants();
        assert_eq!((ring.pieces.len(), ring.spare.is_some()), (1, true));
    }

    #[test]
    fn a_line_that_comes_and_goes_allocates_once() {
        let mut ring = Ring::default();
        ring.push_back(0);
        ring.pop_front();
        let spare = ring.spare.as_ref().map(VecDeque::capacity);
        ring.push_back(1);
        assert!(ring.spare.is_none());
        assert_eq!(ring.pieces.front().map(VecDeque::capacity), spare);
    }
}
