//! A list of targets, each with the number of bindings that lead to it.

use std::{collections::HashMap, slice};

use foldhash::fast::RandomState;

use super::routes::{Reached, Target};

/// The targets of bindings that always match together, such as those with the same key.
///
/// Several bindings may join the same pair, since their arguments tell them apart although only
/// headers exchanges look at these; so bindings are counted per target. The order is arbitrary.
#[derive(Debug, Default)]
pub(super) enum Targets<T> {
    #[default]
    Empty,
    /// A list, if it is not the usual one target with one binding.
    List(Box<List<T>>),
    /// One target with one binding, without a way to a list.
    Single(T),
}

/// Invariant: not empty, and more than one target with one binding.
#[derive(Debug)]
pub(super) struct List<T> {
    targets: Vec<T>,
    /// How many bindings each target has. Invariant: at least one, and as many as `targets`.
    bindings: Vec<usize>,
    /// By slot: the index in `targets`. Invariant: it is there if `targets` is longer than
    /// [`SEARCHED_MAX`], and then says where each target is.
    #[expect(clippy::box_collection, reason = "the list is one cache line with it")]
    places: Option<Box<HashMap<usize, usize, RandomState>>>,
    /// All slots are below.
    slots: usize,
}

/// How many targets are searched one by one: about as long as looking up a hash takes.
const SEARCHED_MAX: usize = 16;

/// Room for so many targets is not worth giving back.
const ROOM_KEPT: usize = 8;

impl<T: Target> Targets<T> {
    /// Counts one more binding to the target.
    pub(super) fn add(&mut self, target: T) {
        match self {
            Self::Empty => *self = Self::Single(target),
            Self::List(list) => list.add(target),
            Self::Single(first) => {
                let mut list = Box::new(List::new(*first));
                list.add(target);
                *self = Self::List(list);
            }
        }
    }

    /// Counts one binding to the target less.
    pub(super) fn remove(&mut self, target: &T) {
        match self {
            Self::List(list) => {
                list.remove(*target);
                if let Some(single) = list.single() {
                    *self = Self::Single(single);
                }
            }
            Self::Single(bound) if bound.slot() == target.slot() => *self = Self::Empty,
            Self::Empty | Self::Single(_) => debug_assert!(false, "what is unbound was bound"),
        }
    }

    #[inline]
    pub(super) fn push_all(&self, reached: &mut Reached<T>) {
        match self {
            Self::Empty => {}
            Self::List(list) => reached.push_all(&list.targets, list.slots),
            Self::Single(target) => {
                reached.push(*target);
            }
        }
    }

    /// The targets, each once.
    pub(super) fn as_slice(&self) -> &[T] {
        match self {
            Self::Empty => &[],
            Self::List(list) => &list.targets,
            Self::Single(target) => slice::from_ref(target),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn check_invariants(&self) {
        if let Self::List(list) = self {
            list.check_invariants();
        }
    }
}

impl<T: Target> List<T> {
    fn new(first: T) -> Self {
        Self { targets: vec![first], bindings: vec![1], places: None, slots: first.slot() + 1 }
    }

    fn add(&mut self, target: T) {
        if let Some(index) = self.position(target) {
            *self.bindings_at(index) += 1;
            return;
        }
        if let Some(places) = &mut self.places {
            places.insert(target.slot(), self.targets.len());
        }
        self.targets.push(target);
        self.bindings.push(1);
        self.slots = self.slots.max(target.slot() + 1);
        if self.places.is_none() && self.targets.len() > SEARCHED_MAX {
            let slots = self.targets.iter().map(|target| target.slot());
            self.places = Some(Box::new(slots.zip(0..).collect()));
        }
    }

    fn remove(&mut self, target: T) {
        let index = self.position(target);
        debug_assert!(index.is_some(), "what is unbound was bound");
        let Some(index) = index else { return };
        let bindings = self.bindings_at(index);
        *bindings -= 1;
        if *bindings == 0 {
            self.remove_at(index);
        }
    }

    /// What is left, if it needs no list.
    fn single(&self) -> Option<T> {
        match (&*self.targets, &*self.bindings) {
            ([single], [1]) => Some(*single),
            _ => None,
        }
    }

    fn remove_at(&mut self, index: usize) {
        let gone = self.targets.swap_remove(index);
        self.bindings.swap_remove(index);
        let length = self.targets.len();
        if let Some(places) = &mut self.places {
            places.remove(&gone.slot());
            if let Some(moved) = self.targets.get(index) {
                places.insert(moved.slot(), index);
            }
            if length <= SEARCHED_MAX / 2 {
                self.places = None;
            }
        }
        if self.targets.capacity() > ROOM_KEPT && self.targets.capacity() > 4 * length {
            self.targets.shrink_to(2 * length);
            self.bindings.shrink_to(2 * length);
            if let Some(places) = &mut self.places {
                places.shrink_to(2 * length);
            }
        }
    }

    fn position(&self, target: T) -> Option<usize> {
        let slot = target.slot();
        match &self.places {
            Some(places) => places.get(&slot).copied(),
            None => self.targets.iter().position(|target| target.slot() == slot),
        }
    }

    fn bindings_at(&mut self, index: usize) -> &mut usize {
        self.bindings.get_mut(index).expect("a position lies in the list")
    }

    #[cfg(any(test, fuzzing))]
    fn check_invariants(&self) {
        assert!(!self.targets.is_empty(), "no list is empty");
        assert_ne!(self.bindings, [1], "one target with one binding has no list");
        assert_eq!(self.targets.len(), self.bindings.len(), "bindings are counted per target");
        let is_long = self.targets.len() > SEARCHED_MAX;
        assert!(self.places.is_some() || !is_long, "a long list has places");
        assert!(self.targets.iter().all(|target| target.slot() < self.slots), "a slot is below");
        assert!(self.bindings.iter().all(|&bindings| bindings > 0), "a target has bindings");
        if let Some(places) = &self.places {
            let placed = |(index, target): (usize, &T)| places.get(&target.slot()) == Some(&index);
            assert!(self.targets.iter().enumerate().all(placed), "a target is at its place");
            assert_eq!(places.len(), self.targets.len(), "no place is left behind");
        }
        let roomy = self.targets.capacity() > ROOM_KEPT;
        let is_kept = self.targets.capacity() <= 4 * self.targets.len();
        assert!(!roomy || is_kept, "room is given back");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn counted(targets: &Targets<usize>) -> BTreeMap<usize, usize> {
        match targets {
            Targets::Empty => BTreeMap::new(),
            Targets::List(list) => {
                list.targets.iter().copied().zip(list.bindings.iter().copied()).collect()
            }
            Targets::Single(target) => BTreeMap::from([(*target, 1)]),
        }
    }

    proptest! {
        #[test]
        fn counts_agree_with_a_map(
            steps in prop::collection::vec((0_usize..40, any::<bool>()), 0..400)
        ) {
            let (mut targets, mut model) = (Targets::default(), BTreeMap::<usize, usize>::new());
            for (slot, adds) in steps {
                let count = model.entry(slot).or_default();
                if adds {
                    *count += 1;
                    targets.add(slot);
                } else if *count > 0 {
                    *count -= 1;
                    targets.remove(&slot);
                }
                targets.check_invariants();
                model.retain(|_, count| *count > 0);
                prop_assert_eq!(&counted(&targets), &model);
            }
        }
    }

    #[test]
    fn a_long_list_gives_its_room_back() {
        let mut targets = Targets::default();
        (0..1_000_usize).for_each(|slot| targets.add(slot));
        targets.check_invariants();
        (0..990_usize).for_each(|slot| {
            targets.remove(&slot);
            targets.check_invariants();
        });
        let Targets::List(list) = &targets else { panic!("ten are left") };
        assert!(list.places.is_some(), "it has not become short yet");
        (990..998).for_each(|slot| targets.remove(&slot));
        let Targets::List(list) = &targets else { panic!("two are left") };
        let rooms = [list.targets.capacity(), list.bindings.capacity()];
        assert!(rooms.into_iter().all(|room| room <= ROOM_KEPT) && list.places.is_none());
        targets.remove(&998);
        assert!(matches!(targets, Targets::Single(999)));
        targets.remove(&999);
        assert!(targets.is_empty());
    }
}
