//! Space that is kept for the time when there is none.
//!
//! Two needs come up on a disk that is full. A database that met the end of the space shows nothing
//! of what has changed since, until it is opened again, for which it needs a little: the *room*.
//! And taking something out adds to its log first, so nothing could ever be freed: the *reserve* is
//! for that. Both are files of zeros. The room is given back to the host for the opening;
//! afterwards changes are refused until it could be taken again, so that it is there the next time.
//! The reserve is given back along with it, and is taken again when there is plenty.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use super::tree::SEGMENT_BYTES;

/// The names of the files.
pub(super) const NAMES: [&str; 2] = [ROOM, RESERVE];

const ROOM: &str = "room";

const RESERVE: &str = "reserve";

/// For the rest of a segment, which recovery overwrites, and its snapshot.
const ROOM_BYTES: u64 = SEGMENT_BYTES as u64 + 512 * 1_024;

/// For some segments, while settlements are written and a small generation is begun beside a large
/// one.
const RESERVE_BYTES: u64 = 4 * SEGMENT_BYTES as u64;

/// How many commits it takes to look for plenty of space again, which costs writing the reserve
/// twice.
const PATIENCE: u32 = 16;

#[derive(Debug)]
pub(super) struct Reserve {
    room: PathBuf,
    rest: PathBuf,
    /// How many commits to wait before looking for space; [`HELD`] while there is no need to.
    patience: AtomicU32,
}

const HELD: u32 = u32::MAX;

impl Reserve {
    /// The reserve of a directory, as a former owner left it.
    pub(super) fn new(folder: &Path) -> Self {
        let (room, rest) = (folder.join(ROOM), folder.join(RESERVE));
        Self { room, rest, patience: AtomicU32::new(0) }
    }

    /// Takes the room; tells whether it is held.
    pub(super) fn take_room(&self) -> bool {
        is_whole(&self.room, ROOM_BYTES) || fill(&self.room, ROOM_BYTES).is_ok()
    }

    /// Gives both back.
    pub(super) fn release(&self) {
        self.patience.store(PATIENCE, Ordering::Relaxed);
        for path in [&self.rest, &self.room] {
            // What cannot be removed is missed by who opens the database, who says so.
            let _ = fs::remove_file(path);
        }
    }

    /// Whether it is held, as far as is known.
    pub(super) fn is_held(&self) -> bool {
        self.patience.load(Ordering::Relaxed) == HELD
    }

    /// Looks after a commit whether there is plenty of space now, if that is to be looked for.
    pub(super) fn renew(&self) {
        match self.patience.load(Ordering::Relaxed) {
            HELD => {}
            0 => self.take(),
            patience => self.patience.store(patience - 1, Ordering::Relaxed),
        }
    }

    /// Takes the reserve, if there is as much beside it.
    pub(super) fn take(&self) {
        let is_held = is_whole(&self.rest, RESERVE_BYTES)
            || fill(&self.rest, 2 * RESERVE_BYTES).is_ok()
                && shorten(&self.rest, RESERVE_BYTES).is_ok();
        self.patience.store(if is_held { HELD } else { PATIENCE }, Ordering::Relaxed);
        if !is_held {
            let _ = fs::remove_file(&self.rest);
        }
    }
}

fn is_whole(path: &Path, bytes: u64) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.len() == bytes)
}

/// Fills a file with zeros; one that cannot be filled is removed.
fn fill(path: &Path, bytes: u64) -> io::Result<()> {
    static PIECE: [u8; 64 * 1_024] = [0; 64 * 1_024];
    let pieces = bytes / u64::try_from(PIECE.len()).unwrap_or(u64::MAX);
    let mut file = File::options().write(true).create(true).truncate(true).open(path)?;
    let filled = (0..pieces).try_for_each(|_| file.write_all(&PIECE));
    if filled.is_err() {
        let _ = fs::remove_file(path);
    }
    filled
}

fn shorten(path: &Path, bytes: u64) -> io::Result<()> {
    File::options().write(true).open(path)?.set_len(bytes)
}
