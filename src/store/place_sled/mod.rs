//! A directory with a store in it, kept by sled 0.34 behind a log of its own.
//!
//! ```text
//! leveret         what this is, the number of the present generation, the newest durable group
//! lock            held by who has the store open
//! room, reserve   space for the time when there is none
//! kept            data that was damaged, as it was before sled saw it
//! gen-<n>/        a generation: the present one, one that is begun beside it
//!   redo-<n>      segments of the log that a commit is written to
//!   db, conf ...  the database of sled's where it goes from there
//! ```
//!
//! The directory changes its meaning only by the renaming of one file, the header. A generation
//! that the header does not name is left over, and goes when the place is opened.

mod database;
mod directory;
mod generation;
mod header;
mod kept;
mod log;
mod redo;
mod reserve;
mod site;
#[cfg(test)]
mod tests;
mod tree;
mod wreck;

use std::{
    fs::{self, File, TryLockError},
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use self::{database::host_error, generation::Generation, header::Header, reserve::Reserve};
pub(crate) use self::{
    redo::Sizes,
    site::Site,
    wreck::{Copied, Snapshots, Wreck},
};
use super::{
    engine::{Engine, EngineError, Place},
    open_error::OpenError,
};
use crate::sync::{Mutex, Rank};

const LOCK: &str = "lock";

/// How often a lock is tried again that somebody holds, and how long it takes until then.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// What the names of generations begin with; a number follows.
const GENERATION: &str = "gen-";

/// Where some hosts put what they have found after a crash, in the root of each file system.
const FOUND: &str = "lost+found";

/// What is done for the case that the database is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Care {
    KeepTorn,
    None,
}

/// A store's directory.
#[derive(Debug)]
pub(crate) struct SledPlace {
    folder: PathBuf,
    sizes: Sizes,
    present: Mutex<Present>,
    ownership: Arc<Ownership>,
}

#[derive(Debug)]
struct Present {
    header: Arc<Header>,
    generation: Arc<Generation>,
    begun: Option<Begun>,
    /// The number of the generation that was begun last. None is used twice.
    newest: u64,
}

#[derive(Clone, Debug)]
struct Begun {
    number: u64,
    generation: Arc<Generation>,
}

/// What the owner of a directory has. It goes with the last generation that somebody uses.
#[derive(Debug)]
struct Ownership {
    /// Locked. The host lets go of the lock when the process ends, too.
    _lock: File,
    reserve: Reserve,
}

impl SledPlace {
    /// Opens the store in a directory.
    pub(crate) fn open(folder: &Path) -> Result<Self, OpenError> {
        match Contents::of(folder)? {
            Contents::Absent | Contents::Nothing => {
                Err(OpenError::Missing { path: folder.to_path_buf() })
            }
            Contents::Store => Self::own(folder, Sizes::default(), Care::KeepTorn),
        }
    }

    /// The same for a copy, of which there is no need to keep anything.
    pub(crate) fn open_copy(folder: &Path) -> Result<Self, OpenError> {
        Self::own(folder, Sizes::default(), Care::None)
    }

    /// Opens the store in a directory, and makes one where there is nothing.
    pub(crate) fn open_or_create(folder: &Path) -> Result<Self, OpenError> {
        Self::open_or_create_with(folder, Sizes::default())
    }

    /// The same with a log of a certain size.
    pub(crate) fn open_or_create_with(folder: &Path, sizes: Sizes) -> Result<Self, OpenError> {
        match Contents::of(folder)? {
            Contents::Absent => {
                directory::create(folder).map_err(|error| OpenError::writing(folder, &error))?;
            }
            Contents::Nothing | Contents::Store => {}
        }
        Self::own(folder, sizes, Care::KeepTorn)
    }

    fn own(folder: &Path, sizes: Sizes, care: Care) -> Result<Self, OpenError> {
        let lock = lock(folder)?;
        // Looked at again: who had it open before may have changed it since.
        Contents::of(folder)?;
        let header = match Header::read(folder)? {
            Some(header) => header.reopen(folder)?,
            // From now on what is in the directory is known for a store, however far it gets.
            None => new_header(folder, 0, 0)?,
        };
        let number = header.generation();
        let path = generation_path(folder, number.max(1));
        if number > 0 {
            Generation::check(&path)?;
        }
        remove_left_overs(folder, number).map_err(|error| OpenError::writing(folder, &error))?;
        let ownership = Arc::new(Ownership { _lock: lock, reserve: Reserve::new(folder) });
        let (header, generation) = if number > 0 {
            if care == Care::KeepTorn {
                kept::keep(folder, &path.join(tree::DATA));
            }
            let opened = match Generation::open(&path, sizes, &ownership) {
                // What was kept takes the space.
                Err(OpenError::Full { .. }) if kept::forget(folder) => {
                    Generation::open(&path, sizes, &ownership)
                }
                opened => opened,
            };
            (header, opened?)
        } else {
            let generation = Generation::create(&path, sizes, &ownership)?;
            (new_header(folder, 1, 0)?, generation)
        };
        ownership.reserve.take();
        let present = Present {
            newest: header.generation(),
            header: Arc::new(header),
            generation: Arc::new(generation),
            begun: None,
        };
        let present = Mutex::new(Rank::Place, present);
        Ok(Self { folder: folder.to_path_buf(), sizes, present, ownership })
    }
}

impl Place for SledPlace {
    fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.present.lock().generation) as Arc<dyn Engine>
    }

    fn noted(&self) -> u64 {
        self.present.lock().header.noted()
    }

    fn note(&self, group: u64) -> Result<(), EngineError> {
        let header = Arc::clone(&self.present.lock().header);
        header.note(group).map_err(|error| host_error(&header::path(&self.folder), &error))
    }

    fn accept(&self) {
        kept::forget(&self.folder);
    }

    fn begin_generation(&self) -> Result<Arc<dyn Engine>, EngineError> {
        let (former, number) = {
            let mut present = self.present.lock();
            present.newest += 1;
            (present.begun.take(), present.newest)
        };
        if let Some(former) = former {
            former.generation.doom();
        }
        let path = generation_path(&self.folder, number);
        let generation = Generation::create(&path, self.sizes, &self.ownership);
        let generation = Arc::new(generation.map_err(engine_error)?);
        let begun = Begun { number, generation: Arc::clone(&generation) };
        self.present.lock().begun = Some(begun);
        Ok(generation)
    }

    fn switch_generation(&self) -> Result<(), EngineError> {
        let (begun, noted) = {
            let present = self.present.lock();
            (present.begun.clone(), present.header.noted())
        };
        let Some(begun) = begun else {
            return Err(EngineError::Failed("no generation was begun".to_owned()));
        };
        let header = Header::write(&self.folder, begun.number, noted)
            .map_err(|error| host_error(&header::path(&self.folder), &error))?;
        let former = {
            let mut present = self.present.lock();
            present.header = Arc::new(header);
            present.begun = None;
            std::mem::replace(&mut present.generation, begun.generation)
        };
        former.doom();
        Ok(())
    }
}

impl Drop for SledPlace {
    fn drop(&mut self) {
        if let Some(begun) = &self.present.get_mut().begun {
            begun.generation.doom();
        }
    }
}

/// What is found where a store is to be.
enum Contents {
    Absent,
    /// No store, and nothing of anyone else's.
    Nothing,
    Store,
}

impl Contents {
    /// Looks without changing anything.
    fn of(folder: &Path) -> Result<Self, OpenError> {
        match fs::metadata(folder) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(OpenError::NotADirectory { path: folder.to_path_buf() }),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::Absent),
            Err(error) => return Err(OpenError::reading(folder, &error)),
        }
        let names = directory::names(folder).map_err(|error| OpenError::reading(folder, &error))?;
        let header = Header::read(folder)?;
        let foreign = names.iter().find(|name| match &header {
            Some(_) => !is_of_a_store(name),
            // As a crash leaves it before there is a header.
            None => ![LOCK, header::NAME_NEW, FOUND].contains(&name.as_str()),
        });
        if let Some(name) = foreign {
            return Err(OpenError::Foreign { path: folder.to_path_buf(), name: name.clone() });
        }
        Ok(header.map_or(Self::Nothing, |_| Self::Store))
    }
}

fn is_of_a_store(name: &str) -> bool {
    [header::NAME, header::NAME_NEW, LOCK, FOUND].contains(&name)
        || reserve::NAMES.contains(&name)
        || kept::NAMES.contains(&name)
        || generation_number(name).is_some()
}

fn generation_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{GENERATION}{number}"))
}

fn generation_number(name: &str) -> Option<u64> {
    name.strip_prefix(GENERATION)?.parse().ok()
}

fn lock(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join(LOCK);
    let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(|error| OpenError::writing(&path, &error))?;
    match hold(&file) {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { path: folder.to_path_buf() }),
        Err(TryLockError::Error(error)) => Err(OpenError::writing(&path, &error)),
    }
}

/// Locks a file. Somebody may hold it for a moment who is no owner: a program that is just being
/// started has all that its parent has.
fn hold(file: &File) -> Result<(), TryLockError> {
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => thread::park_timeout(LOCK_PAUSE),
            done => return done,
        }
    }
    file.try_lock()
}

fn new_header(folder: &Path, generation: u64, noted: u64) -> Result<Header, OpenError> {
    Header::write(folder, generation, noted)
        .map_err(|error| OpenError::writing(&header::path(folder), &error))
}

/// Removes what was begun and not finished, and former generations.
fn remove_left_overs(folder: &Path, present: u64) -> std::io::Result<()> {
    for name in directory::names(folder)? {
        match generation_number(&name) {
            Some(number) if number != present => directory::remove(&folder.join(name))?,
            None if name == header::NAME_NEW => fs::remove_file(folder.join(name))?,
            _ => {}
        }
    }
    Ok(())
}

fn engine_error(error: OpenError) -> EngineError {
    match error {
        OpenError::Full { .. } => EngineError::Full,
        other => EngineError::Failed(other.to_string()),
    }
}
