//! A place in memory: for tests, and for brokers that are to behave as if they had a store.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::engine::{Engine, EngineError, Key, Place};
use crate::sync::{Mutex, Rank, RwLock};

/// A place whose clones are the same one, so that what was written can be opened again.
#[derive(Clone, Debug)]
pub(crate) struct MemoryPlace(Arc<Generations>);

#[derive(Debug)]
struct Generations {
    present: Mutex<Arc<MemoryEngine>>,
    begun: Mutex<Option<Arc<MemoryEngine>>>,
    noted: AtomicU64,
}

/// Values in memory.
#[derive(Debug)]
pub(crate) struct MemoryEngine(RwLock<BTreeMap<Key, Box<[u8]>>>);

impl MemoryPlace {
    pub(crate) fn new() -> Self {
        let present = Mutex::new(Rank::Intake, Arc::new(MemoryEngine::new()));
        let begun = Mutex::new(Rank::Intake, None);
        Self(Arc::new(Generations { present, begun, noted: AtomicU64::new(0) }))
    }
}

impl MemoryEngine {
    fn new() -> Self {
        Self(RwLock::new(Rank::Intake, BTreeMap::new()))
    }
}

impl Place for MemoryPlace {
    fn engine(&self) -> Arc<dyn Engine> {
        let present = self.0.present.lock();
        Arc::clone(&present) as Arc<dyn Engine>
    }

    fn noted(&self) -> u64 {
        self.0.noted.load(Ordering::Relaxed)
    }

    fn note(&self, group: u64) -> Result<(), EngineError> {
        self.0.noted.store(group, Ordering::Relaxed);
        Ok(())
    }

    fn begin_generation(&self) -> Result<Arc<dyn Engine>, EngineError> {
        let engine = Arc::new(MemoryEngine::new());
        *self.0.begun.lock() = Some(Arc::clone(&engine));
        Ok(engine)
    }

    fn switch_generation(&self) -> Result<(), EngineError> {
        let begun = self.0.begun.lock().take();
        let none = || EngineError::Failed("no generation was begun".to_owned());
        *self.0.present.lock() = begun.ok_or_else(none)?;
        Ok(())
    }
}

impl Engine for MemoryEngine {
    fn put(&self, key: Key, value: &[u8]) -> Result<(), EngineError> {
        self.0.write().insert(key, value.into());
        Ok(())
    }

    fn remove(&self, key: Key) -> Result<(), EngineError> {
        self.0.write().remove(&key);
        Ok(())
    }

    fn get(&self, key: Key) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(self.0.read().get(&key).map(|value| value.to_vec()))
    }

    fn scan(
        &self,
        each: &mut dyn FnMut(Key, &[u8]) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        self.0.read().iter().try_for_each(|(key, value)| each(*key, value))
    }

    fn write(&self) -> Result<(), EngineError> {
        Ok(())
    }

    fn sync(&self) -> Result<(), EngineError> {
        Ok(())
    }

    fn size(&self) -> Result<u64, EngineError> {
        Ok(self.0.read().values().map(|value| value.len() as u64).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_there_until_another_generation_takes_its_place() {
        let place = MemoryPlace::new();
        let key = Key { group: 1, part: 0 };
        place.engine().put(key, b"one").unwrap();
        place.note(1).unwrap();
        let (same, former) = (place.clone(), place.engine());
        assert_eq!((same.noted(), same.engine().get(key)), (1, Ok(Some(b"one".to_vec()))));
        assert!(place.switch_generation().is_err());
        place.begin_generation().unwrap().put(key, b"two").unwrap();
        assert_eq!(place.engine().size(), Ok(3));
        place.switch_generation().unwrap();
        assert_eq!(same.engine().get(key), Ok(Some(b"two".to_vec())));
        assert_eq!(former.get(key), Ok(Some(b"one".to_vec())), "whoever uses it keeps it");
    }
}
