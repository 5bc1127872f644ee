//! A place in memory that can be killed, lose its power and fail, for tests.
//!
//! A [`Disk`] outlives the places that are opened on it. It keeps what can be read apart from what
//! is durable, and in between the list of changes that are not: whatever a trait leaves open,
//! chance decides when it comes to it, from a seed.

mod disk;
mod fault;
mod image;
#[cfg(test)]
mod tests;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

pub(crate) use self::{
    disk::Disk,
    fault::{Fault, Lasting},
    image::Tearing,
};
use self::{disk::State, image::Change};
use super::engine::{Each, Engine, EngineError, Key, Place};

/// A place on a [`Disk`], until that crashes.
#[derive(Debug)]
pub(crate) struct SimulatedPlace {
    disk: Disk,
    /// How many crashes there had been when it was opened.
    life: u64,
}

#[derive(Debug)]
struct SimulatedEngine {
    disk: Disk,
    life: u64,
    generation: u64,
    /// Whether there was no space for a change, and none was made since.
    is_full: AtomicBool,
}

impl SimulatedPlace {
    fn engine_of(&self, generation: u64) -> Arc<dyn Engine> {
        let is_full = AtomicBool::new(false);
        self.disk.state().enter(generation);
        Arc::new(SimulatedEngine { disk: self.disk.clone(), life: self.life, generation, is_full })
    }
}

impl Place for SimulatedPlace {
    fn engine(&self) -> Arc<dyn Engine> {
        let present = self.disk.state().present().generation;
        self.engine_of(present)
    }

    fn noted(&self) -> u64 {
        self.disk.state().present().noted
    }

    fn note(&self, group: u64) -> Result<(), EngineError> {
        let mut state = self.disk.state();
        state.begin(self.life)?;
        state.change(Change::Note(group));
        Ok(())
    }

    fn begin_generation(&self) -> Result<Arc<dyn Engine>, EngineError> {
        let mut state = self.disk.state();
        state.begin(self.life)?;
        let generation = state.begin_generation();
        drop(state);
        Ok(self.engine_of(generation))
    }

    fn switch_generation(&self) -> Result<(), EngineError> {
        let mut state = self.disk.state();
        let begun = state.begun();
        let Some(generation) = begun else {
            return Err(EngineError::Failed("no generation was begun".to_owned()));
        };
        let begun = state.begin(self.life);
        // It is one blow, but whether it fell is not known of one that has failed.
        if begun.is_ok() || state.is_switched_though_failed(self.life) {
            state.switch(generation);
        }
        begun
    }
}

impl Engine for SimulatedEngine {
    fn put(&self, key: Key, value: &[u8]) -> Result<(), EngineError> {
        self.change(Change::Put(self.generation, key, value.to_vec()))
    }

    fn remove(&self, key: Key) -> Result<(), EngineError> {
        self.change(Change::Remove(self.generation, key))
    }

    fn get(&self, key: Key) -> Result<Option<Vec<u8>>, EngineError> {
        let mut state = self.disk.state();
        state.begin(self.life)?;
        Ok(state.present().get(self.generation, key))
    }

    fn scan(&self, each: Each<'_>) -> Result<(), EngineError> {
        let values = {
            let mut state = self.disk.state();
            state.begin(self.life)?;
            state.present().values(self.generation)
        };
        values.iter().try_for_each(|(key, value)| each(*key, value))
    }

    fn write(&self) -> Result<(), EngineError> {
        let half = |state: &mut State| state.half_write(self.life, self.generation);
        self.keep(|state| state.write(self.generation), half)
    }

    fn sync(&self) -> Result<(), EngineError> {
        let half = |state: &mut State| state.half_sync(self.life, self.generation);
        self.keep(|state| state.sync(self.generation), half)
    }

    fn size(&self) -> Result<u64, EngineError> {
        let state = self.disk.state();
        Ok(state.size(self.generation))
    }
}

impl SimulatedEngine {
    fn change(&self, change: Change) -> Result<(), EngineError> {
        let mut state = self.disk.state();
        let begun = state.begin(self.life);
        match &begun {
            Ok(()) => {
                if self.is_full.swap(false, Ordering::Relaxed) {
                    // As an engine does that has to be opened again.
                    state.forget_unwritten(self.generation);
                }
                state.change(change);
            }
            Err(EngineError::Full) => self.is_full.store(true, Ordering::Relaxed),
            Err(_) => {}
        }
        begun
    }

    fn keep(
        &self,
        whole: impl FnOnce(&mut State),
        half: impl FnOnce(&mut State),
    ) -> Result<(), EngineError> {
        if self.is_full.load(Ordering::Relaxed) {
            return Err(EngineError::Full);
        }
        let mut state = self.disk.state();
        let begun = state.begin(self.life);
        match &begun {
            Ok(()) => whole(&mut state),
            // What is with the host has its space.
            Err(EngineError::Full) if state.is_written(self.life, self.generation) => {
                whole(&mut state);
                return Ok(());
            }
            Err(EngineError::Full) => {
                self.is_full.store(true, Ordering::Relaxed);
                // What is with the host is not lost for lack of space; else it would not be that.
                state.half_write(self.life, self.generation);
            }
            Err(_) => half(&mut state),
        }
        begun
    }
}

impl Drop for SimulatedEngine {
    fn drop(&mut self) {
        self.disk.state().leave(self.generation);
    }
}
