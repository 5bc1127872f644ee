//! A place that loses what it may lose, and fails when it is told to.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    store::engine::{Engine, EngineError, Key, Place},
    sync::{Mutex, Rank},
};

/// A place whose clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct FaultyPlace(Arc<Mutex<World>>);

#[derive(Debug)]
struct World {
    present: Image,
    begun: Option<Image>,
    /// The last one that was replaced.
    former: Image,
    /// The number of the present generation.
    generation: u64,
    noted: u64,
    /// The note that survives a power cut.
    noted_before: u64,
    /// How many more operations work; then all fail, as if the process had ended.
    operations_left: Option<u64>,
    /// What is said then.
    fault: EngineError,
    /// How many bytes have room.
    room: usize,
    panics: bool,
    pub(super) syncs: u64,
    pub(super) changes: u64,
}

/// One generation.
#[derive(Clone, Debug, Default)]
struct Image {
    number: u64,
    /// All that was ever put: it gives nothing back.
    log_bytes: u64,
    values: BTreeMap<Key, Vec<u8>>,
    /// What survives a power cut, what the end of the process does, and what came since.
    synced: BTreeMap<Key, Vec<u8>>,
    written: Vec<(Key, Option<Vec<u8>>)>,
    unwritten: Vec<(Key, Option<Vec<u8>>)>,
}

/// What happens to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crash {
    /// What was written stays; of the rest anything may.
    Kill,
    /// What was synced stays; of the rest anything may.
    Cut,
    /// What was synced stays, and the rest up to some operation.
    CutTail,
}

#[derive(Debug)]
struct FaultyEngine {
    world: Arc<Mutex<World>>,
    number: u64,
}

impl FaultyPlace {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(
            Rank::Intake,
            World {
                present: Image::default(),
                begun: None,
                former: Image::default(),
                generation: 0,
                noted: 0,
                noted_before: 0,
                operations_left: None,
                fault: EngineError::Full,
                room: usize::MAX,
                panics: false,
                syncs: 0,
                changes: 0,
            },
        )))
    }

    /// After so many operations all fail.
    pub(super) fn fail_after(&self, operations: u64, fault: EngineError) {
        let mut world = self.0.lock();
        (world.operations_left, world.fault) = (Some(operations), fault);
    }

    pub(super) fn repair(&self) {
        self.0.lock().operations_left = None;
    }

    pub(super) fn set_room(&self, room: usize) {
        self.0.lock().room = room;
    }

    pub(super) fn panic_next(&self) {
        self.0.lock().panics = true;
    }

    pub(super) fn syncs(&self) -> u64 {
        self.0.lock().syncs
    }

    pub(super) fn changes(&self) -> u64 {
        self.0.lock().changes
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.lock().present.values.values().map(Vec::len).sum()
    }

    pub(super) fn keys(&self) -> Vec<Key> {
        self.0.lock().present.values.keys().copied().collect()
    }

    pub(super) fn generation(&self) -> u64 {
        self.0.lock().generation
    }

    pub(super) fn has_begun(&self) -> bool {
        self.0.lock().begun.is_some()
    }

    /// What has been put into the generation that was begun.
    pub(super) fn begun_bytes(&self) -> u64 {
        self.0.lock().begun.as_ref().map_or(0, |begun| begun.log_bytes)
    }

    /// Changes a value, in what survives everything.
    pub(super) fn edit(&self, key: Key, edit: impl FnOnce(Option<Vec<u8>>) -> Option<Vec<u8>>) {
        let mut world = self.0.lock();
        let value = edit(world.present.values.remove(&key));
        if let Some(value) = value {
            world.present.values.insert(key, value);
        }
        world.present.synced = world.present.values.clone();
        world.present.written.clear();
        world.present.unwritten.clear();
    }

    pub(super) fn set_noted(&self, noted: u64) {
        self.0.lock().noted = noted;
    }

    /// The process ends, and perhaps the machine. What may be lost is decided by chance.
    pub(super) fn crash(&self, crash: Crash, mut chance: impl FnMut(u64) -> u64) {
        let mut world = self.0.lock();
        world.begun = None;
        world.operations_left = None;
        if crash != Crash::Kill && chance(2) == 0 {
            world.noted = world.noted_before;
        }
        let image = &mut world.present;
        let mut values = image.synced.clone();
        let unsure = match crash {
            Crash::Kill => {
                replay(&mut values, image.written.drain(..));
                std::mem::take(&mut image.unwritten)
            }
            Crash::Cut => {
                let mut unsure = std::mem::take(&mut image.written);
                unsure.append(&mut image.unwritten);
                unsure
            }
            Crash::CutTail => {
                let mut unsure = std::mem::take(&mut image.written);
                unsure.append(&mut image.unwritten);
                unsure.truncate(chance(unsure.len() as u64 + 1) as usize);
                replay(&mut values, unsure.drain(..));
                unsure
            }
        };
        replay(&mut values, unsure.into_iter().filter(|_| chance(2) == 0));
        image.synced = values.clone();
        image.values = values;
        image.written.clear();
        image.unwritten.clear();
    }
}

fn replay(
    values: &mut BTreeMap<Key, Vec<u8>>,
    changes: impl Iterator<Item = (Key, Option<Vec<u8>>)>,
) {
    for (key, value) in changes {
        match value {
            Some(value) => values.insert(key, value),
            None => values.remove(&key),
        };
    }
}

impl World {
    fn operate(&mut self) -> Result<(), EngineError> {
        assert!(!self.panics, "it was told to");
        match &mut self.operations_left {
            Some(0) => Err(self.fault.clone()),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn image(&mut self, number: u64) -> &mut Image {
        match &mut self.begun {
            Some(begun) if begun.number == number => begun,
            _ if self.present.number == number => &mut self.present,
            _ => &mut self.former,
        }
    }
}

impl Place for FaultyPlace {
    fn engine(&self) -> Arc<dyn Engine> {
        let number = self.0.lock().present.number;
        Arc::new(FaultyEngine { world: Arc::clone(&self.0), number })
    }

    fn noted(&self) -> u64 {
        self.0.lock().noted
    }

    fn note(&self, group: u64) -> Result<(), EngineError> {
        let mut world = self.0.lock();
        world.operate()?;
        world.noted_before = world.noted;
        world.noted = group;
        Ok(())
    }

    fn begin_generation(&self) -> Result<Arc<dyn Engine>, EngineError> {
        let mut world = self.0.lock();
        world.operate()?;
        let number = world.generation + 1;
        world.begun = Some(Image { number, ..Image::default() });
        Ok(Arc::new(FaultyEngine { world: Arc::clone(&self.0), number }))
    }

    fn switch_generation(&self) -> Result<(), EngineError> {
        let mut world = self.0.lock();
        world.operate()?;
        world.generation += 1;
        let begun = world.begun.take().expect("one was begun");
        world.former = std::mem::replace(&mut world.present, begun);
        Ok(())
    }
}

impl Engine for FaultyEngine {
    fn put(&self, key: Key, value: &[u8]) -> Result<(), EngineError> {
        let mut world = self.world.lock();
        world.operate()?;
        world.changes += 1;
        let room = world.room;
        let image = world.image(self.number);
        let used: usize = image.values.values().map(Vec::len).sum();
        let former = image.values.get(&key).map_or(0, Vec::len);
        if used - former + value.len() > room {
            return Err(EngineError::Full);
        }
        image.log_bytes += value.len() as u64;
        image.values.insert(key, value.to_vec());
        image.unwritten.push((key, Some(value.to_vec())));
        Ok(())
    }

    fn remove(&self, key: Key) -> Result<(), EngineError> {
        let mut world = self.world.lock();
        world.operate()?;
        world.changes += 1;
        let image = world.image(self.number);
        image.values.remove(&key);
        image.unwritten.push((key, None));
        Ok(())
    }

    fn get(&self, key: Key) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(self.world.lock().image(self.number).values.get(&key).cloned())
    }

    fn scan(
        &self,
        each: &mut dyn FnMut(Key, &[u8]) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let values = self.world.lock().image(self.number).values.clone();
        values.iter().try_for_each(|(key, value)| each(*key, value))
    }

    fn write(&self) -> Result<(), EngineError> {
        let mut world = self.world.lock();
        world.operate()?;
        let image = world.image(self.number);
        image.written.append(&mut image.unwritten);
        Ok(())
    }

    fn sync(&self) -> Result<(), EngineError> {
        let mut world = self.world.lock();
        world.operate()?;
        world.syncs += 1;
        let image = world.image(self.number);
        image.synced = image.values.clone();
        image.written.clear();
        image.unwritten.clear();
        Ok(())
    }

    fn size(&self) -> Result<u64, EngineError> {
        let mut world = self.world.lock();
        Ok(world.image(self.number).log_bytes)
    }
}
