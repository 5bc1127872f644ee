//! The directory of a store that may be damaged: held, read, and never written.

use std::{
    fs::{self, File, TryLockError},
    io::{self, ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

use super::{
    Contents, LOCK, directory, generation_number, generation_path,
    header::{self, Header},
    hold, kept, redo, tree,
};
use crate::store::open_error::OpenError;

/// So much is copied at a time.
const PIECE_BYTES: usize = 256 * 1_024;

/// What can be told of such a directory.
#[derive(Debug)]
pub(crate) struct Wreck {
    folder: PathBuf,
    /// Locked, so no broker opens it meanwhile. A store that lacks even this has no owner.
    _lock: Option<File>,
    /// None if it is missing or damaged.
    header: Option<Header>,
    /// The numbers of the generations that there is anything of, the newest last.
    generations: Vec<u64>,
}

/// What becomes of the snapshots in a copy. Without them sled reads its log from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Snapshots {
    Kept,
    LeftOut,
}

/// What came of copying something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copied {
    Whole,
    /// The host cannot read all of it.
    Unreadable,
}

impl Wreck {
    pub(crate) fn hold(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.to_path_buf();
        match fs::metadata(folder) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(OpenError::NotADirectory { path }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(OpenError::Missing { path });
            }
            Err(error) => return Err(OpenError::reading(folder, &error)),
        }
        let lock = lock(folder)?;
        let header = match Header::read(folder) {
            Ok(header) => header,
            Err(error @ (OpenError::Newer { .. } | OpenError::Unreadable { .. })) => {
                return Err(error);
            }
            Err(_) => None,
        };
        let names = directory::names(folder).map_err(|error| OpenError::reading(folder, &error))?;
        let mut generations: Vec<u64> = names
            .iter()
            .filter(|name| folder.join(name).join(tree::DATA).is_file())
            .filter_map(|name| generation_number(name))
            .collect();
        generations.sort_unstable();
        if generations.is_empty() {
            return Err(match Contents::of(folder) {
                Ok(Contents::Absent | Contents::Nothing) => OpenError::Missing { path },
                Ok(Contents::Store) => OpenError::damaged(folder, "no file with values is left"),
                Err(error) => error,
            });
        }
        Ok(Self { folder: path, _lock: lock, header, generations })
    }

    /// The newest group that was noted as durable, if that can be read.
    pub(crate) fn noted(&self) -> Option<u64> {
        self.header.as_ref().map(Header::noted)
    }

    /// The generations of which one is the present one, the likeliest first.
    pub(crate) fn candidates(&self) -> Vec<u64> {
        let is_there = |number: &u64| self.generations.contains(number);
        match &self.header {
            Some(header) => Some(header.generation()).into_iter().filter(is_there).collect(),
            None => self.generations.iter().rev().copied().collect(),
        }
    }

    /// The files that values are in.
    pub(crate) fn data(&self) -> Vec<PathBuf> {
        let folders = self.generations.iter().map(|number| generation_path(&self.folder, *number));
        let files = folders.flat_map(|folder| files_with_values(&folder));
        files.chain(kept::find(&self.folder)).collect()
    }

    /// Makes a store of one generation where nothing is, of data that was kept if there is any.
    pub(crate) fn copy(
        &self,
        generation: u64,
        noted: u64,
        snapshots: Snapshots,
        to: &Path,
    ) -> Result<Copied, OpenError> {
        let from = generation_path(&self.folder, generation);
        let into = generation_path(to, generation);
        directory::create(&into.join(tree::BLOBS))
            .map_err(|error| OpenError::writing(&into, &error))?;
        let Ok(names) = directory::names(&from) else { return Ok(Copied::Unreadable) };
        let is_copied = |name: &&String| match name.strip_prefix(tree::SNAPSHOT) {
            Some(_) => snapshots == Snapshots::Kept && tree::is_expected(name),
            None => tree::CONFIGURATION == *name || has_values(name),
        };
        for name in names.iter().filter(is_copied) {
            let kept = kept::find(&self.folder).filter(|_| name == tree::DATA);
            let source = kept.unwrap_or_else(|| from.join(name));
            if copy_file(&source, &into.join(name))? == Copied::Unreadable {
                return Ok(Copied::Unreadable);
            }
        }
        Header::write(to, generation, noted)
            .map_err(|error| OpenError::writing(&header::path(to), &error))?;
        Ok(Copied::Whole)
    }
}

fn files_with_values(folder: &Path) -> Vec<PathBuf> {
    let names = directory::names(folder).unwrap_or_default();
    names.iter().filter(|name| has_values(name)).map(|name| folder.join(name)).collect()
}

fn has_values(name: &str) -> bool {
    name == tree::DATA || redo::number(name).is_some()
}

/// Locks what is there. Nothing is made.
fn lock(folder: &Path) -> Result<Option<File>, OpenError> {
    let path = folder.join(LOCK);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OpenError::reading(&path, &error)),
    };
    match hold(&file) {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { path: folder.to_path_buf() }),
        Err(TryLockError::Error(error)) => Err(OpenError::reading(&path, &error)),
    }
}

fn copy_file(from: &Path, to: &Path) -> Result<Copied, OpenError> {
    let Ok(mut source) = File::open(from) else { return Ok(Copied::Unreadable) };
    let writing = |error: io::Error| OpenError::writing(to, &error);
    let mut target = File::create(to).map_err(writing)?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match source.read(&mut piece) {
            Ok(0) => return Ok(Copied::Whole),
            Ok(read) => {
                target.write_all(piece.get(..read).unwrap_or_default()).map_err(writing)?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Ok(Copied::Unreadable),
        }
    }
}
