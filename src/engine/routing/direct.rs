//! Direct exchanges: a binding matches the messages whose routing key equals its key.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::Name;

use super::{
    routes::{Routes, Target},
    targets::Targets,
};

/// The bindings of a direct exchange, by key.
#[derive(Debug)]
pub(crate) struct DirectRouter<T> {
    /// Invariant: no list is empty.
    keys: HashMap<Name, Targets<T>, RandomState>,
}

impl<T: Target> DirectRouter<T> {
    pub(super) fn new() -> Self {
        Self { keys: HashMap::default() }
    }

    pub(super) fn bind(&mut self, key: &Name, target: T) {
        self.keys.entry(key.clone()).or_default().add(target);
    }

    pub(super) fn unbind(&mut self, key: &str, target: &T) {
        let targets = self.keys.get_mut(key);
        debug_assert!(targets.is_some(), "what is unbound was bound");
        let Some(targets) = targets else { return };
        targets.remove(target);
        if targets.is_empty() {
            self.keys.remove(key);
            if self.keys.capacity() > 8 * self.keys.len() {
                self.keys.shrink_to(2 * self.keys.len());
            }
        }
    }

    pub(super) fn route(&self, key: &str, routes: &mut Routes<T>) {
        if let Some(targets) = self.keys.get(key) {
            targets.push_all(&mut routes.reached);
        }
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn check_invariants(&self) {
        for targets in self.keys.values() {
            assert!(!targets.is_empty(), "a key without targets is forgotten");
            targets.check_invariants();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgotten_keys_give_their_room_back() {
        let mut router = DirectRouter::new();
        let keys: Vec<Name> = (0..1_000).map(|key| Name::from(key.to_string())).collect();
        for key in &keys {
            router.bind(key, 0_usize);
        }
        for key in &keys {
            router.unbind(key, &0);
        }
        router.check_invariants();
        assert!(router.is_empty());
        assert_eq!(router.keys.capacity(), 0);
    }
}
