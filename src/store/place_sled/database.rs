//! The database of a generation: sled's, in a directory of its own.
//!
//! What sled 0.34 calls flushed is written and not durable. So a sync flushes, and then asks the
//! host to keep the data: on a descriptor that was opened at the start and is kept, so that the
//! host reports on it whatever went wrong with the file since.
//!
//! sled overwrites parts of its log when all that was there has been written elsewhere. Written is
//! not durable for that, either: with a power cut in the middle of many changes, what was durable
//! before might be gone in both places. Overwriting takes at least one full segment more than the
//! writing elsewhere. So whenever a segment has been filled, all is synced before going on.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use super::{
    Ownership, directory, redo,
    tree::{self, Tree},
};
use crate::{
    store::{
        engine::{Each, EngineError, Key, VALUE_BYTES_MAX},
        open_error::OpenError,
        sabotage,
    },
    sync::{Rank, RwLock},
};

/// Of so many groups that have gone what is left in pages goes with some changes, at most.
const SWEPT_MAX: usize = 64;

/// A value that is put, or one that is taken out.
pub(super) type Change = (Key, Option<Vec<u8>>);

#[derive(Debug)]
pub(super) struct Database {
    folder: PathBuf,
    /// The bytes of what stands beside the data: it changes only when a database is opened.
    bytes_beside: u64,
    data: File,
    /// The lock is held for taking the database out, and while it is closed and opened again.
    state: RwLock<State>,
    /// Up to where the log is durable. Only the thread that changes something looks at it.
    durable: AtomicI64,
    /// Whether the directory goes when nobody uses it any more.
    is_doomed: AtomicBool,
    ownership: Arc<Ownership>,
}

#[derive(Debug)]
struct State {
    condition: Condition,
    loss: Loss,
}

#[derive(Debug)]
enum Condition {
    Working(Arc<Tree>),
    /// There was no space. The database refuses all changes until it is opened again; there is none
    /// if that did not work.
    Full(Option<Arc<Tree>>),
    /// For good.
    Failed(String, Option<Arc<Tree>>),
}

/// Whether changes have been lost, and who changes things knows it. A reader may find out first,
/// and have the database opened again; it works then, and the next change must not seem to follow
/// those before it. After that, changes go on when there is room for opening the database again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// Nothing has been lost.
    None,
    Unnoticed,
    /// Who changes things has been told.
    Told,
}

impl Database {
    /// Makes an empty one, durable as a directory.
    pub(super) fn create(folder: &Path, ownership: &Arc<Ownership>) -> Result<Self, OpenError> {
        let created = directory::remove(folder).and_then(|()| directory::create(folder));
        created.map_err(|error| OpenError::writing(folder, &error))?;
        let opened = Self::start(folder, ownership);
        if opened.is_err() {
            // What is left of it goes when the place is opened.
            let _ = directory::remove(folder);
        }
        opened
    }

    /// Refuses files that are not what they should be, without changing anything.
    pub(super) fn check(folder: &Path) -> Result<(), OpenError> {
        expected_names(folder).map(drop)
    }

    /// Opens one that was made before.
    pub(super) fn open(folder: &Path, ownership: &Arc<Ownership>) -> Result<Self, OpenError> {
        let names = expected_names(folder)?;
        tree::remove_unfinished(folder, &names)
            .map_err(|error| OpenError::writing(folder, &error))?;
        Self::start(folder, ownership)
    }

    /// Makes some changes, a thousand at most, in the order of their keys. They can be read at
    /// once, and after a crash each may be there or not, until all are [kept](Self::keep).
    pub(super) fn apply(&self, changes: &[Change]) -> Result<(), EngineError> {
        // Each is one change, so that what it fills is seen.
        for _ in 0..SWEPT_MAX {
            let mut was_one = false;
            self.change(|tree| tree.sweep().map(|swept| was_one = swept))?;
            if !was_one {
                break;
            }
        }
        let put: Vec<Key> =
            changes.iter().filter(|(_, value)| value.is_some()).map(|(key, _)| *key).collect();
        if let Some(last) = put.last().filter(|_| put.len() >= tree::SPREAD_MIN) {
            for some in put.chunks(tree::SPREAD_MAX) {
                self.change(|tree| tree.spread(some))?;
            }
            self.change(|tree| tree.end_places(*last))?;
        }
        for (key, value) in changes {
            match value {
                Some(value) => {
                    debug_assert!(
                        (1..=VALUE_BYTES_MAX).contains(&value.len()),
                        "a value of {} bytes",
                        value.len()
                    );
                    self.change(|tree| tree.insert(*key, value))?;
                }
                None => self.change(|tree| tree.remove(*key))?,
            }
        }
        Ok(())
    }

    /// Makes all that has been changed durable. After there was no space all of that is gone.
    pub(super) fn keep(&self) -> Result<(), EngineError> {
        let tree = self.unharmed()?;
        self.keep_in(&tree)
    }

    pub(super) fn get(&self, key: Key) -> Result<Option<Vec<u8>>, EngineError> {
        self.read(|tree| tree.get(key))
    }

    /// Shows every value, in the order of keys, until told to stop.
    pub(super) fn scan(&self, each: Each<'_>) -> Result<(), EngineError> {
        let tree = self.state.read().readable()?;
        tree.ok_or(EngineError::Full)?.scan(each)
    }

    /// The newest group that it may have something of; zero if it is empty.
    pub(super) fn newest_group(&self) -> Result<u64, EngineError> {
        self.read(Tree::newest_group)
    }

    /// Whether it works, with all changes in it, and there has been plenty of space.
    pub(super) fn is_at_ease(&self) -> bool {
        self.ownership.reserve.is_held() && matches!(self.state.read().unharmed(), Ok(Some(_)))
    }

    /// That there was no space has been told to nobody yet: it is what the next change finds.
    pub(super) fn defer_notice(&self) {
        self.state.write().loss = Loss::Unnoticed;
    }

    /// Looks now and then whether there is plenty of space again.
    pub(super) fn renew_reserve(&self) {
        self.ownership.reserve.renew();
    }

    /// The bytes of its files.
    pub(super) fn size(&self) -> Result<u64, EngineError> {
        let metadata = self.data.metadata().map_err(|error| self.host(&error))?;
        Ok(metadata.len() + self.bytes_beside)
    }

    /// Its directory goes when nobody uses it any more.
    pub(super) fn doom(&self) {
        self.is_doomed.store(true, Ordering::Release);
    }

    fn start(folder: &Path, ownership: &Arc<Ownership>) -> Result<Self, OpenError> {
        let data_path = folder.join(tree::DATA);
        let early = File::options().read(true).write(true).open(&data_path).ok();
        if let Some(data) = &early {
            // What a process left with the host before it was killed: sled's recovery builds on it,
            // and a power cut must not take it then.
            data.sync_data().map_err(|error| OpenError::writing(&data_path, &error))?;
        }
        let opened = match Tree::open(folder) {
            Err(EngineError::Full) => {
                ownership.reserve.release();
                Tree::open(folder)
            }
            opened => opened,
        };
        let opened = opened.map_err(|error| open_error(folder, error))?;
        let begun = || {
            let data = match early {
                Some(data) => data,
                None => File::options().read(true).write(true).open(&data_path)?,
            };
            sync_files(folder, &data)?;
            Ok((data, bytes_beside(folder)?))
        };
        let (data, bytes_beside) =
            begun().map_err(|error: io::Error| OpenError::writing(folder, &error))?;
        let durable = AtomicI64::new(opened.written());
        let loss = if ownership.reserve.take_room() { Loss::None } else { Loss::Told };
        let state = State { condition: Condition::Working(Arc::new(opened)), loss };
        Ok(Self {
            folder: folder.to_path_buf(),
            bytes_beside,
            data,
            durable,
            state: RwLock::new(Rank::Place, state),
            is_doomed: AtomicBool::new(false),
            ownership: Arc::clone(ownership),
        })
    }

    /// The database for a change. After there was no space it is opened again, and what was not
    /// written is gone from it.
    fn changing(&self) -> Result<Arc<Tree>, EngineError> {
        if let Some(tree) = self.state.read().unharmed()? {
            return Ok(tree);
        }
        let mut state = self.state.write();
        if state.loss == Loss::Unnoticed {
            state.loss = Loss::Told;
            return Err(EngineError::Full);
        }
        let tree = self.revived(&mut state)?;
        if !self.ownership.reserve.take_room() {
            return Err(EngineError::Full);
        }
        state.loss = Loss::None;
        Ok(tree)
    }

    /// The database with all changes in it.
    fn unharmed(&self) -> Result<Arc<Tree>, EngineError> {
        if let Some(tree) = self.state.read().unharmed()? {
            return Ok(tree);
        }
        self.state.write().loss = Loss::Told;
        Err(EngineError::Full)
    }

    /// Reads, whatever changes may be refused.
    fn read<T>(&self, read: impl Fn(&Tree) -> Result<T, EngineError>) -> Result<T, EngineError> {
        let tree = self.state.read().readable()?;
        if let Some(tree) = tree {
            match read(&tree) {
                // Pages that have changed since cannot be read any more.
                Err(EngineError::Full) => {}
                done => return done,
            }
        }
        let mut state = self.state.write();
        if state.loss == Loss::None {
            state.latch(EngineError::Full);
            state.loss = Loss::Unnoticed;
        }
        let tree = self.revived(&mut state)?;
        drop(state);
        read(&tree)
    }

    /// The database, opened again if there was no space and there is some now. It happens under the
    /// lock, since who reads meanwhile has to wait for it in any case.
    fn revived(&self, state: &mut State) -> Result<Arc<Tree>, EngineError> {
        let former = match &mut state.condition {
            Condition::Working(tree) => return Ok(Arc::clone(tree)),
            Condition::Failed(reason, _) => return Err(EngineError::Failed(reason.clone())),
            Condition::Full(former) => former,
        };
        self.ownership.reserve.release();
        drop(former.take());
        match self.open_again() {
            Ok(tree) => {
                let tree = Arc::new(tree);
                self.durable.store(tree.written(), Ordering::Relaxed);
                state.condition = Condition::Working(Arc::clone(&tree));
                Ok(tree)
            }
            Err(error) => Err(state.latch(error)),
        }
    }

    fn open_again(&self) -> Result<Tree, EngineError> {
        let path = self.folder.join(tree::DATA);
        // If the host has lost something of the file, nobody knows what.
        self.data.sync_data().map_err(|error| lost(&path, &error))?;
        let names = directory::names(&self.folder).map_err(|error| self.host(&error))?;
        tree::remove_unfinished(&self.folder, &names).map_err(|error| self.host(&error))?;
        let tree = Tree::open(&self.folder)?;
        sync_files(&self.folder, &self.data).map_err(|error| lost(&path, &error))?;
        Ok(tree)
    }

    /// Keeps in mind why a change was not made, and that those before it may be gone.
    fn latched(&self, error: EngineError) -> EngineError {
        let mut state = self.state.write();
        state.loss = Loss::Told;
        state.latch(error)
    }

    fn change(
        &self,
        act: impl FnOnce(&Tree) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let tree = self.changing()?;
        act(&tree).map_err(|error| self.latched(error))?;
        let filled = tree.written() - self.durable.load(Ordering::Relaxed);
        if filled == 0 {
            return Ok(());
        }
        debug_assert!(
            u64::try_from(filled).is_ok_and(|filled| filled < 2 * tree::SEGMENT_BYTES as u64),
            "a change has filled two segments"
        );
        self.keep_in(&tree)
    }

    fn keep_in(&self, tree: &Tree) -> Result<(), EngineError> {
        self.flush(tree)?;
        let written = tree.written();
        sabotage::sync_data(&self.data)
            .map_err(|error| self.latched(lost(&self.folder.join(tree::DATA), &error)))?;
        self.durable.store(written, Ordering::Relaxed);
        Ok(())
    }

    fn flush(&self, tree: &Tree) -> Result<(), EngineError> {
        tree.flush().map_err(|error| self.latched(error))?;
        let first = directory::first(&self.folder.join(tree::BLOBS));
        match first.map_err(|error| self.latched(self.host(&error)))? {
            None => Ok(()),
            Some(blob) => {
                let reason = format!("sled made a file that nobody syncs: {}", blob.display());
                Err(self.latched(EngineError::Failed(reason)))
            }
        }
    }

    fn host(&self, error: &io::Error) -> EngineError {
        host_error(&self.folder, error)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let closed = Condition::Failed("it is closed".to_owned(), None);
        drop(std::mem::replace(&mut self.state.write().condition, closed));
        if self.is_doomed.load(Ordering::Acquire) {
            // What is left of it goes when the place is opened.
            let _ = directory::remove(&self.folder);
            self.ownership.reserve.take();
        }
    }
}

impl State {
    /// The database, if it works and nothing was lost.
    fn unharmed(&self) -> Result<Option<Arc<Tree>>, EngineError> {
        match &self.condition {
            Condition::Working(tree) if self.loss == Loss::None => Ok(Some(Arc::clone(tree))),
            Condition::Working(_) | Condition::Full(_) => Ok(None),
            Condition::Failed(reason, _) => Err(EngineError::Failed(reason.clone())),
        }
    }

    /// The database, if there is one.
    fn readable(&self) -> Result<Option<Arc<Tree>>, EngineError> {
        match &self.condition {
            Condition::Working(tree)
            | Condition::Full(Some(tree))
            | Condition::Failed(_, Some(tree)) => Ok(Some(Arc::clone(tree))),
            Condition::Full(None) => Ok(None),
            Condition::Failed(reason, None) => Err(EngineError::Failed(reason.clone())),
        }
    }

    /// Refuses changes from now on, until there is space or for good.
    fn latch(&mut self, error: EngineError) -> EngineError {
        let tree = match &mut self.condition {
            Condition::Working(tree) => Some(Arc::clone(tree)),
            Condition::Full(tree) => tree.take(),
            Condition::Failed(reason, _) => return EngineError::Failed(reason.clone()),
        };
        match error {
            EngineError::Full => {
                self.condition = Condition::Full(tree);
                EngineError::Full
            }
            EngineError::Damaged(reason) | EngineError::Failed(reason) => {
                self.condition = Condition::Failed(reason.clone(), tree);
                EngineError::Failed(reason)
            }
        }
    }
}

/// What a failed sync means. Never that there is no space, whatever the host says: what it did not
/// keep it has forgotten, and a later sync would say nothing of it.
fn lost(path: &Path, error: &io::Error) -> EngineError {
    EngineError::Failed(format!("{} could not be synced: {error}", path.display()))
}

/// Makes all that a database consists of survive a power cut.
fn sync_files(folder: &Path, data: &File) -> io::Result<()> {
    data.sync_all()?;
    directory::sync_file(&folder.join(tree::CONFIGURATION))?;
    directory::sync(&folder.join(tree::BLOBS))?;
    directory::sync(folder)?;
    directory::sync(directory::parent(folder))
}

fn bytes_beside(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for name in directory::names(folder)? {
        let is_beside = name == tree::CONFIGURATION || name.starts_with(tree::SNAPSHOT);
        if is_beside {
            bytes += folder.join(name).metadata()?.len();
        }
    }
    Ok(bytes)
}

/// The files of a database, if they are just those that there have to be.
fn expected_names(folder: &Path) -> Result<Vec<String>, OpenError> {
    let names = directory::names(folder).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => OpenError::damaged(folder, "it is missing"),
        _ => OpenError::reading(folder, &error),
    })?;
    // sled would make them anew, and know nothing of what was in them.
    for needed in [tree::CONFIGURATION, tree::DATA, tree::BLOBS] {
        if !names.iter().any(|name| name == needed) {
            return Err(OpenError::damaged(&folder.join(needed), "it is missing"));
        }
    }
    let is_foreign = |name: &&String| !tree::is_expected(name) && redo::number(name).is_none();
    if let Some(foreign) = names.iter().find(is_foreign) {
        return Err(OpenError::damaged(&folder.join(foreign), "nobody has written this"));
    }
    let blobs = folder.join(tree::BLOBS);
    let blob = directory::first(&blobs).map_err(|error| OpenError::reading(&blobs, &error))?;
    match blob {
        None => Ok(names),
        Some(blob) => Err(OpenError::damaged(&blob, "nobody has synced this")),
    }
}

pub(super) fn host_error(path: &Path, error: &io::Error) -> EngineError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => EngineError::Full,
        _ => EngineError::Failed(format!("{}: {error}", path.display())),
    }
}

pub(super) fn open_error(folder: &Path, error: EngineError) -> OpenError {
    let path = folder.to_path_buf();
    match error {
        EngineError::Full => OpenError::Full { path },
        EngineError::Damaged(reason) => OpenError::Damaged { path, reason },
        EngineError::Failed(reason) => OpenError::Io { path, reason },
    }
}
