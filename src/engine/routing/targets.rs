//! A list of targets, each with the number of bindings that lead to it.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::routes::{Routes, Target};

/// The targets of bindings that always match together, such as those with the same key.
///
/// Several bindings may join the same pair, since their arguments tell them apart although only
/// headers exchanges look at these; so bindings are counted per target. The order is arbitrary.
#[derive(Debug)]
pub(super) struct Targets<T> {
    bound: Vec<Bound<T>>,
    /// By slot: the index in `bound`. Invariant: it is there if `bound` is longer than
    /// [`SEARCHED_MAX`], and then says where each target is.
    #[expect(clippy::box_collection, reason = "most lists are short, and nodes are many")]
    places: Option<Box<HashMap<usize, usize, RandomState>>>,
}

#[derive(Debug)]
struct Bound<T> {
    target: T,
    /// Invariant: at least one.
    bindings: usize,
}

/// How many targets are searched one by one: about as long as looking up a hash takes.
const SEARCHED_MAX: usize = 16;

impl<T> Default for Targets<T> {
    fn default() -> Self {
        Self { bound: Vec::new(), places: None }
    }
}

impl<T: Target> Targets<T> {
    /// Counts one more binding to the target.
    pub(super) fn add(&mut self, target: T) {
        if let Some(index) = self.position(target.slot()) {
            self.at(index).bindings += 1;
            return;
        }
        if let Some(places) = &mut self.places {
            places.insert(target.slot(), self.bound.len());
        }
        self.bound.push(Bound { target, bindings: 1 });
        if self.places.is_none() && self.bound.len() > SEARCHED_MAX {
            let slots = self.bound.iter().map(|bound| bound.target.slot());
            self.places = Some(Box::new(slots.zip(0..).collect()));
        }
    }

    /// Counts one binding to the target less.
    pub(super) fn remove(&mut self, target: &T) {
        let index = self.position(target.slot());
        debug_assert!(index.is_some(), "what is unbound was bound");
        let Some(index) = index else { return };
        let bound = self.at(index);
        bound.bindings -= 1;
        if bound.bindings == 0 {
            self.remove_at(index);
        }
    }

    pub(super) fn push_all(&self, routes: &mut Routes<T>) {
        for bound in &self.bound {
            routes.push(&bound.target);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bound.is_empty()
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn check_invariants(&self) {
        assert!(
            self.places.is_some() || self.bound.len() <= SEARCHED_MAX,
            "a long list has places"
        );
        assert!(self.bound.iter().all(|bound| bound.bindings > 0), "a target has bindings");
        if let Some(places) = &self.places {
            let placed = |(index, bound): (usize, &Bound<T>)| {
                places.get(&bound.target.slot()) == Some(&index)
            };
            assert!(self.bound.iter().enumerate().all(placed), "a target is at its place");
            assert_eq!(places.len(), self.bound.len(), "no place is left behind");
        }
        let roomy = self.bound.capacity() > ROOM_KEPT;
        assert!(!roomy || self.bound.capacity() <= 4 * self.bound.len(), "room is given back");
    }

    fn remove_at(&mut self, index: usize) {
        let gone = self.bound.swap_remove(index);
        if let Some(places) = &mut self.places {
            places.remove(&gone.target.slot());
            if let Some(moved) = self.bound.get(index) {
                places.insert(moved.target.slot(), index);
            }
            if self.bound.len() <= SEARCHED_MAX / 2 {
                self.places = None;
            }
        }
        if self.bound.capacity() > ROOM_KEPT && self.bound.capacity() > 4 * self.bound.len() {
            self.bound.shrink_to(2 * self.bound.len());
            if let Some(places) = &mut self.places {
                places.shrink_to(2 * self.bound.len());
            }
        }
    }

    fn position(&self, slot: usize) -> Option<usize> {
        match &self.places {
            Some(places) => places.get(&slot).copied(),
            None => self.bound.iter().position(|bound| bound.target.slot() == slot),
        }
    }

    fn at(&mut self, index: usize) -> &mut Bound<T> {
        self.bound.get_mut(index).expect("a position lies in the list")
    }
}

/// Room for so many targets is not worth giving back.
const ROOM_KEPT: usize = 8;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

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
                let found: BTreeMap<_, _> =
                    targets.bound.iter().map(|bound| (bound.target, bound.bindings)).collect();
                prop_assert_eq!(&found, &model);
            }
        }
    }

    #[test]
    fn a_long_list_gives_its_room_back() {
        let mut targets = Targets::default();
        (0..1_000_usize).for_each(|slot| targets.add(slot));
        targets.check_invariants();
        (0..1_000_usize).for_each(|slot| {
            targets.remove(&slot);
            targets.check_invariants();
        });
        assert!(targets.is_empty());
        assert!(targets.bound.capacity() <= ROOM_KEPT && targets.places.is_none());
    }
}
