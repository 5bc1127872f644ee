//! What is on a simulated disk at one time.

use std::collections::BTreeMap;

use crate::store::{
    engine::{EngineError, Key},
    proof::dice::Dice,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    pub(super) generations: BTreeMap<u64, BTreeMap<Key, Vec<u8>>>,
    /// The present one.
    pub(super) generation: u64,
    pub(super) noted: u64,
}

/// Something that has been done to an image and may not be durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Note(u64),
    Put(u64, Key, Vec<u8>),
    Remove(u64, Key),
}

/// What becomes of values that a power cut met on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tearing {
    /// They are there as a whole or not at all, as the trait says.
    Never,
    /// Some are too short or partly zero: only a disk that breaks its word does that.
    Sometimes,
}

impl Image {
    pub(super) fn new() -> Self {
        Self { generations: [(1, BTreeMap::new())].into(), generation: 1, noted: 0 }
    }

    pub(super) fn get(&self, generation: u64, key: Key) -> Option<Vec<u8>> {
        self.generations.get(&generation)?.get(&key).cloned()
    }

    pub(super) fn values(&self, generation: u64) -> Vec<(Key, Vec<u8>)> {
        let values = self.generations.get(&generation).into_iter().flatten();
        values.map(|(key, value)| (*key, value.clone())).collect()
    }

    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Note(group) => self.noted = *group,
            Change::Put(generation, key, value) => {
                if let Some(values) = self.values_mut(*generation) {
                    values.insert(*key, value.clone());
                }
            }
            Change::Remove(generation, key) => {
                if let Some(values) = self.values_mut(*generation) {
                    values.remove(key);
                }
            }
        }
    }

    /// What the next owner finds: left-overs go when a place is opened.
    pub(super) fn clear_left_overs(&mut self) {
        let present = self.generation;
        self.generations.retain(|generation, _| *generation == present);
    }

    /// A generation that is gone already may be changed by whoever still has it.
    fn values_mut(&mut self, generation: u64) -> Option<&mut BTreeMap<Key, Vec<u8>>> {
        self.generations.get_mut(&generation)
    }
}

impl Change {
    pub(super) fn is_note(&self) -> bool {
        matches!(self, Self::Note(_))
    }

    pub(super) fn is_of(&self, generation: u64) -> bool {
        match self {
            Self::Note(_) => false,
            Self::Put(of, ..) | Self::Remove(of, _) => *of == generation,
        }
    }

    /// The same with a value that is not whole.
    pub(super) fn torn(self, dice: &mut Dice) -> Self {
        let Self::Put(generation, key, mut value) = self else { return self };
        if value.is_empty() {
            return Self::Put(generation, key, value);
        }
        let from = dice.index(value.len());
        if dice.one_in(2) {
            value.truncate(from);
        } else {
            value[from..].fill(0);
        }
        Self::Put(generation, key, value)
    }
}

/// What a disk says to whoever used it before it crashed.
pub(super) fn crashed() -> EngineError {
    EngineError::Failed("the disk has crashed since".to_owned())
}
