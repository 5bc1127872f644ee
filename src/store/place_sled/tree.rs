//! A database of sled's whose panics are errors.
//!
//! On damaged files sled panics more often than not, and a panic may come when it is dropped, too.
//! What it says goes to the panic hook as always, and into the error.

use std::{
    any::Any,
    collections::{HashMap, hash_map::Entry},
    fmt, fs,
    io::ErrorKind,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use sled::{Db, Mode};

use crate::{
    store::engine::{Each, EngineError, Key},
    sync::{Mutex, Rank},
};

/// What it keeps of its pages in memory.
pub(super) const CACHE_BYTES: u64 = 64 * 1_024 * 1_024;

/// How often each value is asked for that is only passed by. sled looks at what a part of its cache
/// holds, of which there are 256, when pages of that part have been asked for 64 times; so all that
/// is read once would stay in memory. A page has some eight values.
const TOUCHES: u32 = 8;

/// How often a database is opened that somebody still holds. A former one may be held for a moment
/// by a reader, or by a thread of sled's that finishes what it was about.
const TRIES: u32 = 500;

/// How long it takes until the next try.
const PAUSE: Duration = Duration::from_millis(10);

/// The file that keeps all values, as long as none is larger than it should be.
pub(super) const DATA: &str = "db";

/// Where sled puts values that are too large, and never syncs them.
pub(super) const BLOBS: &str = "blobs";

/// What a database was made with.
pub(super) const CONFIGURATION: &str = "conf";

/// What the names of its snapshots begin with: it writes one each time it is opened.
pub(super) const SNAPSHOT: &str = "snap.";

/// What the name of a snapshot ends with that was not finished. It would be taken for the newest.
pub(super) const UNFINISHED: &str = ".generating";

/// What sled fills before it begins elsewhere. Each costs a sync of its own, see
/// [`super::generation`].
pub(super) const SEGMENT_BYTES: usize = 2 * 1_024 * 1_024;

/// So many values are spread at least. What fewer cost when a page is split is less than that.
pub(super) const SPREAD_MIN: usize = 4;

/// For so many values places are made at a time: with each ten of them half a page of others may be
/// rewritten, and all of that has to stay below a segment.
pub(super) const SPREAD_MAX: usize = 32;

/// So many spacers fill a page however full it was, and the next one to its half.
const SPACERS_BEHIND: u8 = 16;

const KEY_BYTES: usize = 12;
const SPACER_BYTES: usize = KEY_BYTES + 1;

pub(super) type Bytes = Vec<u8>;

/// An open database.
///
/// # Spacers
///
/// sled rewrites a page when it has been changed ten times, and both halves when one of more than
/// sixteen values is split; so each of many values would be written four to six times. Hence keys
/// get their places in pages first, while they have empty values: each of many that come at once
/// with a *spacer* behind it, a key of its own. A page gets no more than eight changes then while
/// its values come and go, four of each, and is not merged with others meanwhile: the spacers of a
/// group are taken out when its last value has gone. To whoever asks, what is empty is not there.
/// Spacers of former owners stay until the generation is written anew.
pub(super) struct Tree {
    /// Nothing only while it is dropped.
    db: Option<Db>,
    /// Where it is, for errors.
    folder: PathBuf,
    spacing: Mutex<Spacing>,
}

/// The groups that have spacers.
#[derive(Debug, Default)]
struct Spacing {
    /// How many values each has left.
    left: HashMap<u64, u32>,
    /// Those that have none.
    empty: Vec<u64>,
}

impl Tree {
    /// Opens the database of a directory, or makes one.
    pub(super) fn open(folder: &Path) -> Result<Self, EngineError> {
        let mut tries = 0;
        loop {
            // A configuration that met an error once keeps it, hence a new one each time.
            let config = sled::Config::new()
                .path(folder)
                .cache_capacity(CACHE_BYTES)
                .flush_every_ms(None)
                .segment_size(SEGMENT_BYTES)
                .mode(Mode::HighThroughput);
            let opened = guarded(|| config.open()).map_err(EngineError::Damaged)?;
            match opened {
                Ok(db) => {
                    let spacing = Mutex::new(Rank::Place, Spacing::default());
                    return Ok(Self { db: Some(db), folder: folder.to_path_buf(), spacing });
                }
                Err(error) if tries < TRIES && is_held(&error) => {
                    tries += 1;
                    thread::park_timeout(PAUSE);
                }
                Err(error) => return Err(engine_error(&error)),
            }
        }
    }

    /// Makes places for some values that are about to be inserted, in the order of their keys.
    /// There may be others behind them, of which a page's half is rewritten whenever one is split.
    pub(super) fn spread(&self, keys: &[Key]) -> Result<(), EngineError> {
        debug_assert!(keys.len() <= SPREAD_MAX, "{} places", keys.len());
        {
            let left = &mut self.spacing.lock().left;
            for key in keys {
                *left.entry(key.group).or_default() += 1;
            }
        }
        let mut places = keys.iter();
        self.change(|db| {
            places.try_for_each(|key| {
                db.insert(bytes_of(*key), &[])?;
                db.insert(spacer(*key, 0), &[]).map(drop)
            })
        })
    }

    /// Ends places that were made, the last of which this is.
    pub(super) fn end_places(&self, last: Key) -> Result<(), EngineError> {
        let mut behind = (1..=SPACERS_BEHIND).map(|number| spacer(last, number));
        self.change(|db| behind.try_for_each(|spacer| db.insert(spacer, &[]).map(drop)))
    }

    /// The group that the last of its keys is of; zero if there is none.
    pub(super) fn newest_group(&self) -> Result<u64, EngineError> {
        let last = self.look(|db| db.last())?;
        let group = last.as_ref().and_then(|(key, _)| key.first_chunk());
        Ok(group.map_or(0, |group| u64::from_be_bytes(*group)))
    }

    /// Takes out the spacers of one group that has gone, and says whether there was one.
    pub(super) fn sweep(&self) -> Result<bool, EngineError> {
        let Some(group) = self.spacing.lock().empty.pop() else { return Ok(false) };
        let [first, next] = [group, group + 1].map(|group| bytes_of(Key { group, part: 0 }));
        let keys = self.look(|db| db.range(first..next).keys().collect::<Result<Vec<_>, _>>())?;
        let mut spacers = keys.iter().filter(|key| key.len() == SPACER_BYTES);
        self.change(|db| spacers.try_for_each(|spacer| db.remove(spacer).map(drop)))?;
        Ok(true)
    }

    pub(super) fn insert(&self, key: Key, value: &[u8]) -> Result<(), EngineError> {
        self.change(|db| db.insert(bytes_of(key), value).map(drop))
    }

    pub(super) fn remove(&self, key: Key) -> Result<(), EngineError> {
        self.change(|db| db.remove(bytes_of(key)).map(drop))?;
        let Spacing { left, empty } = &mut *self.spacing.lock();
        if let Entry::Occupied(mut group) = left.entry(key.group) {
            *group.get_mut() -= 1;
            if *group.get() == 0 {
                group.remove();
                empty.push(key.group);
            }
        }
        Ok(())
    }

    pub(super) fn flush(&self) -> Result<(), EngineError> {
        self.change(|db| db.flush().map(drop))
    }

    pub(super) fn get(&self, key: Key) -> Result<Option<Bytes>, EngineError> {
        let value = self.look(|db| db.get(bytes_of(key)))?;
        Ok(value.filter(|value| !value.is_empty()).map(|value| value.to_vec()))
    }

    /// Shows every value in the order of keys, until told to stop.
    pub(super) fn scan(&self, each: Each<'_>) -> Result<(), EngineError> {
        let mut values = self.look(|db| Ok(db.iter()))?;
        // Only sled's part runs guarded: a panic of who looks is its own.
        while let Some((key, value)) = self.look(|_| values.next().transpose())? {
            if value.is_empty() {
                continue;
            }
            let key = key_of(&key).map_err(|error| placed(error, &self.folder))?;
            each(key, &value)?;
            self.look(|db| (0..TOUCHES).try_for_each(|_| db.get(bytes_of(key)).map(drop)))?;
        }
        Ok(())
    }

    /// How far its log has got that is with the host. It moves whenever a segment is full, too.
    pub(super) fn written(&self) -> i64 {
        self.db.as_ref().map_or(-1, |db| db.context.pagecache.log.stable_offset())
    }

    fn change(&self, act: impl FnOnce(&Db) -> sled::Result<()>) -> Result<(), EngineError> {
        let changed = guarded(|| self.db.as_ref().map_or(Ok(()), act));
        let changed = match changed {
            Ok(done) => done.map_err(|error| engine_error(&error)),
            Err(text) => Err(EngineError::Failed(text)),
        };
        changed.map_err(|error| placed(error, &self.folder))
    }

    fn look<T>(&self, act: impl FnOnce(&Db) -> sled::Result<T>) -> Result<T, EngineError> {
        let Some(db) = &self.db else { return Err(EngineError::Failed("it is closed".into())) };
        let seen = match guarded(|| act(db)) {
            Ok(done) => done.map_err(|error| engine_error(&error)),
            Err(text) => Err(EngineError::Damaged(text)),
        };
        seen.map_err(|error| placed(error, &self.folder))
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let db = self.db.take();
        // It writes what was not written, which nobody relies on.
        let _ = guarded(|| drop(db));
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").finish_non_exhaustive()
    }
}

/// Whether a file in the directory of a database may be there.
pub(super) fn is_expected(name: &str) -> bool {
    let is_snapshot = |rest: &str| {
        let number = rest.strip_suffix(UNFINISHED).unwrap_or(rest);
        !number.is_empty() && number.chars().all(|digit| digit.is_ascii_hexdigit())
    };
    [DATA, BLOBS, CONFIGURATION].contains(&name)
        || name.strip_prefix(SNAPSHOT).is_some_and(is_snapshot)
}

/// Removes the snapshots that were not finished.
pub(super) fn remove_unfinished(folder: &Path, names: &[String]) -> std::io::Result<()> {
    names
        .iter()
        .filter(|name| name.ends_with(UNFINISHED))
        .try_for_each(|name| fs::remove_file(folder.join(name)))
}

/// Runs something of sled's; an error is what it panicked with.
fn guarded<T>(act: impl FnOnce() -> T) -> Result<T, String> {
    panic::catch_unwind(AssertUnwindSafe(act)).map_err(|payload| text(&*payload))
}

fn text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    format!("sled panicked: {}", text.unwrap_or_else(|| "it did not say why".to_owned()))
}

fn engine_error(error: &sled::Error) -> EngineError {
    match error {
        sled::Error::Io(host)
            if matches!(host.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) =>
        {
            EngineError::Full
        }
        sled::Error::Corruption { at, .. } => match at {
            Some(at) => EngineError::Damaged(format!("sled read something else at {at}")),
            None => EngineError::Damaged("sled read something else than it wrote".to_owned()),
        },
        // It does not know its own files.
        sled::Error::Unsupported(text) => EngineError::Damaged(text.clone()),
        other => EngineError::Failed(other.to_string()),
    }
}

/// The same error with where it happened.
fn placed(error: EngineError, folder: &Path) -> EngineError {
    let place = folder.display();
    match error {
        EngineError::Full => EngineError::Full,
        EngineError::Damaged(reason) => EngineError::Damaged(format!("{place}: {reason}")),
        EngineError::Failed(reason) => EngineError::Failed(format!("{place}: {reason}")),
    }
}

/// Whether somebody else has the database open, which sled tells in words only.
fn is_held(error: &sled::Error) -> bool {
    let sled::Error::Io(host) = error else { return false };
    host.kind() == ErrorKind::WouldBlock || host.to_string().contains("could not acquire lock")
}

fn bytes_of(key: Key) -> [u8; KEY_BYTES] {
    let mut bytes = [0; KEY_BYTES];
    let (group, part) = bytes.split_at_mut(8);
    group.copy_from_slice(&key.group.to_be_bytes());
    part.copy_from_slice(&key.part.to_be_bytes());
    bytes
}

/// A key that sorts behind another one, and before the next.
fn spacer(key: Key, number: u8) -> [u8; SPACER_BYTES] {
    let mut bytes = [number; SPACER_BYTES];
    bytes[..KEY_BYTES].copy_from_slice(&bytes_of(key));
    bytes
}

fn key_of(bytes: &[u8]) -> Result<Key, EngineError> {
    let parts = bytes.split_first_chunk::<8>();
    let key = parts.and_then(|(group, part)| {
        let part = u32::from_be_bytes(part.try_into().ok()?);
        Some(Key { group: u64::from_be_bytes(*group), part })
    });
    key.ok_or_else(|| EngineError::Damaged(format!("a key has {} bytes", bytes.len())))
}
