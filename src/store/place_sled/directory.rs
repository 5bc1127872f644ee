//! Directories: making them, listing them, and having the host remember what is in them.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// Makes a directory and those above it that are not there, so that they survive a power cut.
pub(super) fn create(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|above| !is_there(above)).collect();
    for folder in missing.into_iter().rev() {
        match fs::create_dir(folder) {
            Ok(()) => sync(parent(folder))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The names of all that is in it.
pub(super) fn names(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// The path of something that is in it, if anything is.
pub(super) fn first(path: &Path) -> io::Result<Option<PathBuf>> {
    Ok(fs::read_dir(path)?.next().transpose()?.map(|entry| entry.path()))
}

/// From when it returns, the names in it survive a power cut.
#[cfg(unix)]
pub(super) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Elsewhere a directory cannot be opened as a file, and the host keeps names by itself.
#[cfg(not(unix))]
pub(super) fn sync(_: &Path) -> io::Result<()> {
    Ok(())
}

/// From when it returns, what is in the file survives a power cut.
pub(super) fn sync_file(path: &Path) -> io::Result<()> {
    File::options().read(true).write(true).open(path)?.sync_all()
}

/// Removes it with all that is in it; if it is not there, that is fine.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// The directory that a path is in.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// Relative paths end in an empty one, which is where the process stands.
fn is_there(path: &Path) -> bool {
    path.as_os_str().is_empty() || path.exists()
}
