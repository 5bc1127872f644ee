//! How long deliveries may be unsettled: `x-consumer-timeout`.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::unacked::UnackedKey;
use crate::time::Moment;

/// The hand-outs of one queue that end by themselves.
#[derive(Debug, Default)]
pub(super) struct Leases {
    /// What the queue grants where a consumer says nothing.
    pub(super) usual: Option<Duration>,
    /// By their end, and among equals by the serial number of the hand-out.
    by_end: BTreeMap<(Moment, u64), UnackedKey>,
    /// The ends, by the serial number of the hand-out.
    ends: HashMap<u64, Moment>,
}

impl Leases {
    pub(super) fn new(usual: Option<Duration>) -> Self {
        Self { usual, ..Self::default() }
    }

    /// Lets a hand-out end then, whatever it was granted before.
    pub(super) fn grant(&mut self, key: UnackedKey, until: Moment) {
        self.end(key.serial());
        self.ends.insert(key.serial(), until);
        self.by_end.insert((until, key.serial()), key);
    }

    /// The hand-out with this serial number has ended. Says whether it would have by itself.
    pub(super) fn end(&mut self, serial: u64) -> bool {
        if self.ends.is_empty() {
            return false;
        }
        let Some(end) = self.ends.remove(&serial) else { return false };
        self.by_end.remove(&(end, serial)).is_some()
    }

    pub(super) fn has(&self, key: UnackedKey) -> bool {
        self.ends.contains_key(&key.serial())
    }

    /// The earliest one that is over.
    pub(super) fn over(&self, now: Moment) -> Option<UnackedKey> {
        let ((end, _), key) = self.by_end.first_key_value()?;
        (*end <= now).then_some(*key)
    }

    pub(super) fn first(&self) -> Option<Moment> {
        self.by_end.first_key_value().map(|((end, _), _)| *end)
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn check_invariants(&self, unacked: impl Fn(UnackedKey) -> bool) {
        assert_eq!(self.by_end.len(), self.ends.len(), "each is known by both");
        for ((end, serial), key) in &self.by_end {
            assert_eq!(self.ends.get(serial), Some(end), "both know the same end");
            assert!(unacked(*key), "what has a lease is handed out");
        }
    }
}
