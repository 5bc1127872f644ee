//! The delivery tags of a channel, and what is outstanding under them.
//!
//! Tags count from 1 and are never used twice. Outstanding ones are kept in a ring in ascending
//! order; settling in the middle leaves a hole, and holes are swept when they outnumber the rest,
//! so an old unsettled delivery does not make the ring grow with every later one.

use std::collections::VecDeque;

/// Below this length holes are not worth sweeping.
const SWEPT_FROM: usize = 32;

/// A tag that is not outstanding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnknownTag(pub(crate) u64);

/// The outstanding deliveries of a channel; `K` is whatever settles one.
#[derive(Debug)]
pub(crate) struct Tags<K> {
    next: u64,
    /// Invariant: tags ascend strictly, and the front is no hole.
    window: VecDeque<(u64, Option<K>)>,
    /// Invariant: how many of the window are no holes.
    outstanding: usize,
}

impl<K> Tags<K> {
    pub(crate) fn new() -> Self {
        Self { next: 1, window: VecDeque::new(), outstanding: 0 }
    }

    /// The tag that the next delivery gets.
    pub(crate) fn peek(&self) -> u64 {
        self.next
    }

    /// Uses up a tag for a delivery that nobody has to settle.
    pub(crate) fn skip(&mut self) -> u64 {
        let tag = self.next;
        self.next += 1;
        tag
    }

    /// Gives a delivery its tag.
    pub(crate) fn push(&mut self, key: K) -> u64 {
        let tag = self.skip();
        self.window.push_back((tag, Some(key)));
        self.outstanding += 1;
        tag
    }

    /// Takes one delivery out.
    pub(crate) fn take(&mut self, tag: u64) -> Result<K, UnknownTag> {
        let key = self
            .position(tag)
            .and_then(|at| self.window.get_mut(at))
            .and_then(|(_, key)| key.take())
            .ok_or(UnknownTag(tag))?;
        self.outstanding -= 1;
        self.sweep();
        Ok(key)
    }

    /// Takes out a delivery and all before it, oldest first. The tag itself must be outstanding,
    /// whatever there is before it; zero means all there are, and is never an error.
    pub(crate) fn take_through(&mut self, tag: u64) -> Result<Vec<(u64, K)>, UnknownTag> {
        if tag == 0 {
            return Ok(self.take_all());
        }
        let last = self
            .position(tag)
            .filter(|at| matches!(self.window.get(*at), Some((_, Some(_)))))
            .ok_or(UnknownTag(tag))?;
        let taken: Vec<_> = present(self.window.drain(..=last)).collect();
        self.outstanding -= taken.len();
        self.sweep();
        Ok(taken)
    }

    /// Takes out everything, oldest first.
    pub(crate) fn take_all(&mut self) -> Vec<(u64, K)> {
        self.outstanding = 0;
        present(self.window.drain(..)).collect()
    }

    /// Puts deliveries back that were taken out, as a rolled back transaction does.
    pub(crate) fn restore(&mut self, taken: impl IntoIterator<Item = (u64, K)>) {
        for (tag, key) in taken {
            debug_assert!(tag < self.next, "only what was taken comes back");
            self.outstanding += 1;
            match self.window.binary_search_by_key(&tag, |(tag, _)| *tag) {
                Ok(at) => {
                    if let Some((_, hole)) = self.window.get_mut(at) {
                        *hole = Some(key);
                    }
                }
                Err(at) => self.window.insert(at, (tag, Some(key))),
            }
        }
    }

    /// What is outstanding under a tag.
    pub(crate) fn get(&self, tag: u64) -> Option<&K> {
        self.window.get(self.position(tag)?)?.1.as_ref()
    }

    /// How many are outstanding.
    pub(crate) fn len(&self) -> usize {
        self.outstanding
    }

    /// What is outstanding, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &K> {
        self.window.iter().filter_map(|(_, key)| key.as_ref())
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn check_invariants(&self) {
        assert!(self.window.iter().is_sorted_by(|a, b| a.0 < b.0), "tags ascend");
        assert!(self.window.iter().all(|(tag, _)| *tag < self.next), "tags were given out");
        assert!(self.window.front().is_none_or(|(_, key)| key.is_some()), "no hole in front");
        let outstanding = self.window.iter().filter(|(_, key)| key.is_some()).count();
        assert_eq!(outstanding, self.outstanding);
        assert!(self.window.len() <= (2 * self.outstanding + 1).max(SWEPT_FROM), "holes are swept");
    }

    fn position(&self, tag: u64) -> Option<usize> {
        self.window.binary_search_by_key(&tag, |(tag, _)| *tag).ok()
    }

    fn sweep(&mut self) {
        while let Some((_, None)) = self.window.front() {
            self.window.pop_front();
        }
        if self.window.len() > SWEPT_FROM && self.window.len() > 2 * self.outstanding {
            self.window.retain(|(_, key)| key.is_some());
        }
    }
}

fn present<K>(drained: impl Iterator<Item = (u64, Option<K>)>) -> impl Iterator<Item = (u64, K)> {
    drained.filter_map(|(tag, key)| Some((tag, key?)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tags_count_from_one_and_skips_use_them_up() {
        let mut tags = Tags::new();
        assert_eq!((tags.push('a'), tags.skip(), tags.push('c')), (1, 2, 3));
        assert_eq!(tags.take(2), Err(UnknownTag(2)));
        assert_eq!(tags.take_through(3), Ok(vec![(1, 'a'), (3, 'c')]));
    }

    #[test]
    fn multiple_needs_its_own_tag_to_be_outstanding() {
        let mut tags = Tags::new();
        for key in ['a', 'b', 'c'] {
            tags.push(key);
        }
        assert_eq!(tags.take(2), Ok('b'));
        assert_eq!(tags.take_through(2), Err(UnknownTag(2)), "although 1 is outstanding");
        assert_eq!(tags.take_through(9), Err(UnknownTag(9)));
        assert_eq!(tags.take_through(0), Ok(vec![(1, 'a'), (3, 'c')]));
        assert_eq!(tags.take_through(0), Ok(vec![]), "zero is never an error");
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push,
        Skip,
        Take(u64),
        TakeThrough(u64),
        TakeAndRestore(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let tag = 0..80_u64;
        prop_oneof![
            4 => Just(Step::Push),
            1 => Just(Step::Skip),
            3 => tag.clone().prop_map(Step::Take),
            1 => tag.clone().prop_map(Step::TakeThrough),
            1 => tag.prop_map(Step::TakeAndRestore),
        ]
    }

    proptest! {
        #[test]
        fn behaves_like_an_ordered_map(steps in prop::collection::vec(step(), 0..200)) {
            let mut tags = Tags::new();
            let mut model = BTreeMap::new();
            let mut next = 1;
            for step in steps {
                match step {
                    Step::Push => {
                        prop_assert_eq!(tags.push(next * 10), next);
                        model.insert(next, next * 10);
                        next += 1;
                    }
                    Step::Skip => {
                        prop_assert_eq!(tags.skip(), next);
                        next += 1;
                    }
                    Step::Take(tag) => {
                        let expected = model.remove(&tag).ok_or(UnknownTag(tag));
                        prop_assert_eq!(tags.take(tag), expected);
                    }
                    Step::TakeThrough(tag) => {
                        let taken = through(&mut model, tag);
                        prop_assert_eq!(tags.take_through(tag), taken);
                    }
                    Step::TakeAndRestore(tag) => {
                        if let Ok(taken) = tags.take_through(tag) {
                            tags.restore(taken);
                        }
                    }
                }
                prop_assert!(tags.iter().eq(model.values()));
                prop_assert_eq!(tags.peek(), next);
                tags.check_invariants();
            }
        }
    }

    fn through(model: &mut BTreeMap<u64, u64>, tag: u64) -> Result<Vec<(u64, u64)>, UnknownTag> {
        if tag == 0 {
            return Ok(std::mem::take(model).into_iter().collect());
        }
        if !model.contains_key(&tag) {
            return Err(UnknownTag(tag));
        }
        let later = model.split_off(&(tag + 1));
        Ok(std::mem::replace(model, later).into_iter().collect())
    }
}
