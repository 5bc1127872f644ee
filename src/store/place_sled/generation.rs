//! One generation: a database, and a log of what is not settled in it yet.
//!
//! Whoever changes something adds to the log, and that is all that a commit waits for. What is
//! settled in the database stays in the log until the database has made it durable, so a database
//! that loses changes for want of space loses nothing: the same is settled once more. What is held
//! back for a full disk is neither spent on the log nor on settling before whoever changes
//! something has been told that there is no space.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    vec,
};

use super::{
    Ownership, Sizes,
    database::{Change, Database, open_error},
    redo::{First, Found, RedoLog},
};
use crate::{
    store::{
        engine::{Each, Engine, EngineError, Key, VALUE_BYTES_MAX},
        open_error::OpenError,
    },
    sync::{Mutex, Rank},
};

/// So many changes, or bytes, are settled at a time.
const SLICE_CHANGES: usize = 1_000;
const SLICE_BYTES: usize = 512 * 1_024;

/// The log goes first, since the directory of a generation may go with its database.
#[derive(Debug)]
pub(super) struct Generation {
    redo: RedoLog,
    database: Database,
    /// The newest group that the database may have something of.
    newest_settled: AtomicU64,
    /// What is being settled. Only the thread that changes something looks at it.
    settling: Mutex<Option<Settling>>,
}

/// The oldest segment of the log on its way into the database.
#[derive(Debug)]
struct Settling {
    segment: First,
    keys: Vec<Key>,
    rest: vec::IntoIter<Key>,
}

impl Generation {
    /// Makes an empty one, durable as a directory.
    pub(super) fn create(
        folder: &Path,
        sizes: Sizes,
        ownership: &Arc<Ownership>,
    ) -> Result<Self, OpenError> {
        let database = Database::create(folder, ownership)?;
        Ok(Self::new(RedoLog::new(folder, sizes), database, 0))
    }

    /// Refuses files that are not what they should be, without changing anything.
    pub(super) fn check(folder: &Path) -> Result<(), OpenError> {
        Database::check(folder)
    }

    /// Opens one that was made before.
    pub(super) fn open(
        folder: &Path,
        sizes: Sizes,
        ownership: &Arc<Ownership>,
    ) -> Result<Self, OpenError> {
        let database = Database::open(folder, ownership)?;
        let newest = database.newest_group().map_err(|error| open_error(folder, error))?;
        Ok(Self::new(RedoLog::open(folder, sizes, newest)?, database, newest))
    }

    /// Its directory goes when nobody uses it any more.
    pub(super) fn doom(&self) {
        self.database.doom();
    }

    fn new(redo: RedoLog, database: Database, newest: u64) -> Self {
        let settling = Mutex::new(Rank::Place, None);
        Self { redo, database, newest_settled: AtomicU64::new(newest), settling }
    }

    /// Sees that a change can be added to the log.
    fn make_room(&self, bytes: usize) -> Result<(), EngineError> {
        if self.redo.begin_change(bytes)? {
            return Ok(());
        }
        self.go_on().map_err(|error| self.redo.fail(error))
    }

    /// Goes on in another segment of the log. What is held back for the time when there is no space
    /// is not spent on making one.
    fn go_on(&self) -> Result<(), EngineError> {
        if !self.redo.has_spare() && (self.redo.is_new() || self.database.is_at_ease()) {
            self.redo.provide()?;
        }
        if !self.redo.has_spare() && !self.settle_oldest()? {
            return Err(EngineError::Full);
        }
        self.redo.go_on()
    }

    /// Settles the oldest segment, and says whether there was one.
    fn settle_oldest(&self) -> Result<bool, EngineError> {
        let Some(mut settling) = self.begin_settling() else { return Ok(false) };
        while self.settle_slice(&mut settling)? {}
        Ok(true)
    }

    /// Goes on with the oldest segment, or begins to settle it.
    fn begin_settling(&self) -> Option<Settling> {
        let segment = self.redo.oldest()?;
        let begun = self.settling.lock().take();
        if let Some(settling) = begun.filter(|settling| settling.segment == segment) {
            return Some(settling);
        }
        let keys = self.redo.keys_in(segment);
        let newest = keys.last().map_or(0, |key| key.group);
        self.newest_settled.fetch_max(newest, Ordering::Relaxed);
        Some(Settling { segment, rest: keys.clone().into_iter(), keys })
    }

    /// Settles a little of a segment, and says whether there is more.
    fn settle_slice(&self, settling: &mut Settling) -> Result<bool, EngineError> {
        let mut changes: Vec<Change> = Vec::new();
        let mut bytes = 0;
        while changes.len() < SLICE_CHANGES
            && bytes < SLICE_BYTES
            && let Some(key) = settling.rest.next()
        {
            match self.redo.find_in(settling.segment, key)? {
                // Something has become of it since.
                Found::Nothing => {}
                Found::Gone => changes.push((key, None)),
                Found::Value(value) => {
                    bytes += value.len();
                    changes.push((key, Some(value)));
                }
            }
        }
        self.database.apply(&changes)?;
        if settling.rest.len() > 0 {
            return Ok(true);
        }
        self.database.keep()?;
        self.redo.forget(settling.segment, &settling.keys);
        Ok(false)
    }
}

impl Engine for Generation {
    fn make_way(&self, bytes: usize) {
        self.redo.make_way(bytes);
    }

    fn put(&self, key: Key, value: &[u8]) -> Result<(), EngineError> {
        debug_assert!(
            (1..=VALUE_BYTES_MAX).contains(&value.len()),
            "a value of {} bytes",
            value.len()
        );
        self.make_room(value.len())?;
        self.redo.put(key, value);
        Ok(())
    }

    fn remove(&self, key: Key) -> Result<(), EngineError> {
        self.make_room(0)?;
        self.redo.remove(key, key.group <= self.newest_settled.load(Ordering::Relaxed));
        Ok(())
    }

    fn get(&self, key: Key) -> Result<Option<Vec<u8>>, EngineError> {
        match self.redo.find(key)? {
            Found::Nothing => self.database.get(key),
            Found::Gone => Ok(None),
            Found::Value(value) => Ok(Some(value)),
        }
    }

    fn scan(&self, each: Each<'_>) -> Result<(), EngineError> {
        let mut newer = self.redo.keys().into_iter().peekable();
        self.database.scan(&mut |key, value| {
            while let Some(first) = newer.next_if(|newer| *newer < key) {
                self.show(first, each)?;
            }
            match newer.next_if_eq(&key) {
                Some(key) => self.show(key, each),
                None => each(key, value),
            }
        })?;
        newer.try_for_each(|key| self.show(key, each))
    }

    fn write(&self) -> Result<(), EngineError> {
        self.redo.append()?;
        self.database.renew_reserve();
        Ok(())
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.redo.sync()
    }

    fn tidy(&self) -> Result<bool, EngineError> {
        // Without space it waits until the log needs some.
        if !self.redo.is_long() || !self.database.is_at_ease() {
            return Ok(false);
        }
        let Some(mut settling) = self.begin_settling() else { return Ok(false) };
        match self.settle_slice(&mut settling) {
            Ok(true) => {
                *self.settling.lock() = Some(settling);
                Ok(true)
            }
            Ok(false) => Ok(self.redo.is_long()),
            // The log may have space enough. If it has not, that is told before what is held back
            // is used.
            Err(EngineError::Full) => {
                self.database.defer_notice();
                Ok(false)
            }
            Err(error) => Err(self.redo.fail(error)),
        }
    }

    fn size(&self) -> Result<u64, EngineError> {
        Ok(self.database.size()? + self.redo.size())
    }
}

impl Generation {
    /// Shows what is there under a key, if anything is.
    fn show(&self, key: Key, each: Each<'_>) -> Result<(), EngineError> {
        match self.get(key)? {
            Some(value) => each(key, &value),
            None => Ok(()),
        }
    }
}
