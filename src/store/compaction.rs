//! Giving space back: engines that only grow are written anew, a little at a time.
//!
//! When what is kept takes much more than what is in it, a new generation is begun. The values are
//! copied in slices between commits, and what is committed meanwhile is put into both. In the end
//! the new one is synced and takes the place of the old one. If it comes to nothing, for want of
//! space perhaps, the old one is as good as before.

use std::{mem, sync::Arc, vec};

use super::{
    economy::Economy,
    engine::{Engine, EngineError, Key, Place},
    writer::{Desk, Shared},
};
use crate::sync::atomic::Ordering;

/// A generation may take so many times what is in it, and some more.
const SIZE_TIMES_MAX: u64 = 2;

/// The state of it.
#[derive(Debug)]
pub(super) struct Compaction {
    economy: Economy,
    under_way: Option<Copying>,
    switched: Option<Arc<dyn Engine>>,
    /// How much was written or taken out since the size was last looked at; nothing, if it never
    /// was.
    changed: Option<u64>,
    /// It is not done again before the generation has grown to this: after a failure, and because
    /// one that is new may take no less.
    size_min: u64,
    /// What was in the present generation when its copying began. If much of that has gone, another
    /// may take less.
    copied_bytes: u64,
}

#[derive(Debug)]
struct Copying {
    engine: Arc<dyn Engine>,
    keys: vec::IntoIter<Key>,
    /// What went wrong with the new generation.
    error: Option<EngineError>,
}

impl Compaction {
    pub(super) fn new(economy: Economy) -> Self {
        Self {
            economy,
            under_way: None,
            switched: None,
            changed: None,
            size_min: 0,
            copied_bytes: 0,
        }
    }

    /// Puts a value of a commit into the new generation, too.
    pub(super) fn put(&mut self, key: Key, value: &[u8]) {
        self.change(|engine| engine.put(key, value));
    }

    pub(super) fn remove(&mut self, key: Key) {
        self.change(|engine| engine.remove(key));
    }

    pub(super) fn note_changed(&mut self, bytes: u64) {
        self.changed = self.changed.map(|changed| changed + bytes);
    }

    /// The new generation, once after each time that it has become the present one.
    pub(super) fn switched(&mut self) -> Option<Arc<dyn Engine>> {
        self.switched.take()
    }

    /// Goes on by one slice, and says whether there is more to do. It fails only if it is unknown
    /// which generation is the present one.
    pub(super) fn advance(
        &mut self,
        place: &dyn Place,
        engine: &dyn Engine,
        shared: &Shared,
    ) -> Result<bool, EngineError> {
        let Some(mut copying) = self.under_way.take() else {
            return Ok(self.begin_if_due(place, engine, shared));
        };
        match copying.slice(self.economy.slice_bytes, engine, shared) {
            Ok(true) => self.under_way = Some(copying),
            Ok(false) => {
                place.switch_generation()?;
                let engine = place.engine();
                let home = |desk: &mut Desk| {
                    let home = desk.home.as_mut()?;
                    Some(mem::replace(&mut home.engine, Arc::clone(&engine)))
                };
                let former = home(&mut shared.desk.lock());
                drop(former);
                let size = engine.size().unwrap_or_default();
                self.size_min = size + self.economy.slice_bytes;
                (self.changed, self.switched) = (None, Some(engine));
            }
            Err(_) => {
                self.size_min = 2 * shared.disk_bytes.load(Ordering::Relaxed);
                self.copied_bytes = 0;
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn begin_if_due(&mut self, place: &dyn Place, engine: &dyn Engine, shared: &Shared) -> bool {
        if self.changed.is_some_and(|changed| changed < self.economy.slice_bytes) {
            return false;
        }
        self.changed = Some(0);
        let Ok(size) = engine.size() else { return false };
        shared.disk_bytes.store(size, Ordering::Relaxed);
        let mut keys: Vec<Key> = {
            let ledger = &shared.desk.lock().ledger;
            let bytes = ledger.bytes();
            let has_gone = bytes + self.economy.slice_bytes < self.copied_bytes;
            if size <= SIZE_TIMES_MAX * bytes + self.economy.size_bytes_min
                || size < self.size_min && !has_gone
            {
                return false;
            }
            self.copied_bytes = bytes;
            ledger.keys().collect()
        };
        keys.sort_unstable();
        let Ok(engine) = place.begin_generation() else {
            (self.size_min, self.copied_bytes) = (2 * size, 0);
            return false;
        };
        self.under_way = Some(Copying { engine, keys: keys.into_iter(), error: None });
        true
    }

    fn change(&mut self, change: impl FnOnce(&dyn Engine) -> Result<(), EngineError>) {
        if let Some(Copying { engine, error: error @ None, .. }) = &mut self.under_way {
            *error = change(&**engine).err();
        }
    }
}

impl Copying {
    /// Copies a little, and says whether there is more.
    fn slice(
        &mut self,
        bytes: u64,
        from: &dyn Engine,
        shared: &Shared,
    ) -> Result<bool, EngineError> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let mut copied = 0;
        while copied < bytes
            && let Some(key) = self.keys.next()
        {
            match from.get(key)? {
                Some(value) => {
                    copied += value.len() as u64;
                    self.engine.put(key, &value)?;
                }
                // It has gone meanwhile.
                None if !shared.desk.lock().ledger.has_value(key) => {}
                None => {
                    let Key { group, part } = key;
                    let text = format!("value {part} of commit {group} is missing");
                    return Err(EngineError::Damaged(text));
                }
            }
        }
        self.engine.sync()?;
        Ok(self.keys.len() > 0)
    }
}
