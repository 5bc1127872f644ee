//! Folders on the disk that is measured.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::systems::Fault;

/// An empty folder that goes with its contents.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new_in(place: &Path) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = place.join(format!("rivals-{}-{number}", process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{} is left over: {error}", self.0.display());
        }
    }
}

/// Where folders are made: beside what was built, which is on a disk as a rule.
pub(super) fn beside_program() -> Result<PathBuf, Fault> {
    let program = env::current_exe()?;
    let built = program.parent().ok_or("the program is in no folder")?;
    match kind_in_memory(built) {
        None => Ok(built.with_file_name("durable")),
        Some(kind) => Err(format!("{} is a {kind}, which is no disk", built.display()).into()),
    }
}

/// The file system of a folder, if that is one in memory and the host tells.
fn kind_in_memory(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let words = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let around = words.filter(|words| words.len() > 2 && path.starts_with(words[1]));
    let kind = around.max_by_key(|words| words[1].len())?[2].to_owned();
    ["tmpfs", "ramfs"].contains(&kind.as_str()).then_some(kind)
}
