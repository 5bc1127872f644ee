//! Fanout exchanges: every binding matches every message.

use super::{
    routes::{Routes, Target},
    targets::Targets,
};

/// The bindings of a fanout exchange, whose keys and arguments count for nothing.
#[derive(Debug)]
pub(crate) struct FanoutRouter<T> {
    targets: Targets<T>,
}

impl<T: Target> FanoutRouter<T> {
    pub(super) fn new() -> Self {
        Self { targets: Targets::default() }
    }

    pub(super) fn bind(&mut self, target: T) {
        self.targets.add(target);
    }

    pub(super) fn unbind(&mut self, target: &T) {
        self.targets.remove(target);
    }

    pub(super) fn route(&self, routes: &mut Routes<T>) {
        self.targets.push_all(&mut routes.reached);
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn check_invariants(&self) {
        self.targets.check_invariants();
    }
}
