//! Folders on the disk that is measured.

use std::{
    env, fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

/// What `MetadataExt::blocks` counts in, whatever the file system does.
const BLOCK_BYTES: u64 = 512;

/// An empty folder that goes with its contents.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes one in a folder, which is made if there is none.
    pub(crate) fn new_in(parent: &Path) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("durable-{}-{number}", process::id()));
        fs::create_dir_all(&path).expect("the folder can be written to");
        if let Some(kind) = kind_in_memory(&path) {
            // What was just made, and is empty.
            let _ = fs::remove_dir(&path);
            panic!("{} is a {kind}, which is no disk: name another folder", parent.display());
        }
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// What its files take on the disk, also where they were not written to yet.
    pub(crate) fn bytes(&self) -> u64 {
        // A file may go while it is looked for.
        bytes_of(&self.0).unwrap_or_default()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{} is left over: {error}", self.0.display());
        }
    }
}

/// Beside what was built, which is on a disk as a rule.
pub(crate) fn beside_program() -> PathBuf {
    let program = env::current_exe().expect("a running program has a file");
    program.parent().expect("a file is in a folder").with_file_name("durable")
}

fn bytes_of(path: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        bytes += match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_of(&entry.path()).unwrap_or_default(),
            Ok(metadata) => metadata.blocks() * BLOCK_BYTES,
            Err(_) => 0,
        };
    }
    Ok(bytes)
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
