//! A directory that becomes a store at one blow.
//!
//! What is made lies in a directory of its own in it, `salvage`, which no store has: as long as it
//! is there, nobody takes the whole for a store. In the end the new store moves up, its header
//! last, and that directory goes.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use super::{FOUND, LOCK, directory, generation_number, header, lock};
use crate::store::open_error::OpenError;

/// Where everything is made.
const YARD: &str = "salvage";

/// A directory that is to become a store. What was made goes with it if it is not finished.
#[derive(Debug)]
pub(crate) struct Site {
    folder: PathBuf,
    origin: Origin,
    /// None once it is finished.
    lock: Option<File>,
}

/// What was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Nothing,
    Directory,
}

impl Site {
    /// Takes a directory that is empty or is made. What somebody left there who was killed goes.
    pub(crate) fn begin(folder: &Path) -> Result<Self, OpenError> {
        let origin = match fs::metadata(folder) {
            Ok(metadata) if metadata.is_dir() => Origin::Directory,
            Ok(_) => return Err(OpenError::NotADirectory { path: folder.to_path_buf() }),
            Err(error) if error.kind() == ErrorKind::NotFound => Origin::Nothing,
            Err(error) => return Err(OpenError::reading(folder, &error)),
        };
        match origin {
            Origin::Nothing => {
                directory::create(folder).map_err(|error| OpenError::writing(folder, &error))?;
            }
            Origin::Directory => check(folder)?,
        }
        let held = lock(folder)?;
        check(folder)?;
        let site = Self { folder: folder.to_path_buf(), origin, lock: Some(held) };
        site.clear()?;
        directory::create(&site.yard()).map_err(|error| OpenError::writing(folder, &error))?;
        Ok(site)
    }

    /// Where copies may be made.
    pub(crate) fn copy(&self) -> PathBuf {
        self.yard().join("copy")
    }

    /// Removes the copy, if there is one.
    pub(crate) fn drop_copy(&self) -> Result<(), OpenError> {
        let path = self.copy();
        directory::remove(&path).map_err(|error| OpenError::writing(&path, &error))
    }

    /// Where the store is to be made.
    pub(crate) fn store(&self) -> PathBuf {
        self.yard().join("store")
    }

    /// Makes it the store, which is closed by now.
    pub(crate) fn finish(mut self) -> Result<(), OpenError> {
        let finished = self.move_up().and_then(|()| directory::remove(&self.yard()));
        finished
            .and_then(|()| directory::sync(&self.folder))
            .map_err(|error| OpenError::writing(&self.folder, &error))?;
        self.lock = None;
        Ok(())
    }

    fn move_up(&self) -> io::Result<()> {
        let store = self.store();
        let names = directory::names(&store)?;
        for name in names.iter().filter(|name| generation_number(name).is_some()) {
            fs::rename(store.join(name), self.folder.join(name))?;
        }
        directory::sync(&self.folder)?;
        fs::rename(header::path(&store), header::path(&self.folder))?;
        directory::sync(&self.folder)
    }

    fn yard(&self) -> PathBuf {
        self.folder.join(YARD)
    }

    fn clear(&self) -> Result<(), OpenError> {
        let yard = self.yard();
        directory::remove(&yard).map_err(|error| OpenError::writing(&yard, &error))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if self.lock.is_none() {
            return;
        }
        // Nobody is left who could be told what cannot be removed; it is no store.
        let _ = fs::remove_file(header::path(&self.folder));
        for name in directory::names(&self.folder).unwrap_or_default() {
            if generation_number(&name).is_some() || name == YARD {
                let _ = directory::remove(&self.folder.join(name));
            }
        }
        if self.origin == Origin::Nothing {
            let _ = fs::remove_file(self.folder.join(LOCK));
            let _ = fs::remove_dir(&self.folder);
        }
    }
}

/// Refuses a directory with something in it, without changing anything.
fn check(folder: &Path) -> Result<(), OpenError> {
    let names = directory::names(folder).map_err(|error| OpenError::reading(folder, &error))?;
    match names.into_iter().find(|name| ![LOCK, FOUND, YARD].contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(OpenError::occupied(folder, format!("it contains {name}"))),
    }
}
