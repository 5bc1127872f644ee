//! The file `leveret`: what a directory is, which generation is the present one, and the newest
//! group that is known to be durable.
//!
//! ```text
//!    0  magic, 8 bytes
//!    8  version of the format, u32
//!   12  number of the generation, u64; zero while the store is being created
//!   20  crc32c of the above, u32
//!  512  note: count of notes so far, u64; group, u64; crc32c of both, u32
//! 1024  another note
//! 1536
//! ```
//!
//! All numbers are little-endian. The first block never changes: another header is another file,
//! which takes the name of this one when it is on disk. Notes are written to their places in turn,
//! each in a sector of its own, so that a power cut leaves at least the one before. Nobody syncs
//! them: a note that is older than what it speaks of is none that is wrong.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use super::directory;
use crate::store::open_error::OpenError;

/// The newest format that is known.
pub(super) const FORMAT: u32 = 1;

pub(super) const NAME: &str = "leveret";

/// The name of a header before it is one.
pub(super) const NAME_NEW: &str = "leveret.new";

const MAGIC: [u8; 8] = *b"leveret\0";

/// A sector: the unit that disks write whole.
const BLOCK_BYTES: usize = 512;

const FILE_BYTES: usize = 3 * BLOCK_BYTES;

/// A header on disk.
#[derive(Debug)]
pub(super) struct Header {
    file: File,
    generation: u64,
    /// Of the notes so far. Only the thread that changes the place writes it.
    count: AtomicU64,
    /// What the newest of them says.
    noted: AtomicU64,
}

impl Header {
    /// Reads the header of a directory; there may be none.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, OpenError> {
        let path = folder.join(NAME);
        let mut bytes = Vec::with_capacity(FILE_BYTES);
        // Reading only: who may not write finds out what it is all the same.
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(OpenError::reading(&path, &error)),
        };
        let limit = u64::try_from(FILE_BYTES).unwrap_or(u64::MAX);
        (&file)
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(|error| OpenError::reading(&path, &error))?;
        let generation = generation(&path, &bytes)?;
        if bytes.len() < FILE_BYTES {
            return Err(OpenError::damaged(&path, format!("it ends after {} bytes", bytes.len())));
        }
        let blocks = [note(&bytes, 1), note(&bytes, 2)];
        // None can be read if a power cut met a disk that writes no whole sectors.
        let (count, noted) = blocks.into_iter().flatten().max().unwrap_or_default();
        Ok(Some(Self { file, generation, count: count.into(), noted: noted.into() }))
    }

    /// Makes a header the one of its directory, at one blow and for good.
    pub(super) fn write(folder: &Path, generation: u64, noted: u64) -> io::Result<Self> {
        let new = folder.join(NAME_NEW);
        let mut file =
            File::options().read(true).write(true).create(true).truncate(true).open(&new)?;
        file.write_all(&image(generation, noted))?;
        file.sync_all()?;
        fs::rename(&new, folder.join(NAME))?;
        directory::sync(folder)?;
        Ok(Self { file, generation, count: AtomicU64::new(1), noted: AtomicU64::new(noted) })
    }

    /// The same with the right to write notes.
    pub(super) fn reopen(self, folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join(NAME);
        let file = File::options().read(true).write(true).open(&path);
        let file = file.map_err(|error| OpenError::writing(&path, &error))?;
        Ok(Self { file, ..self })
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn noted(&self) -> u64 {
        self.noted.load(Ordering::Acquire)
    }

    /// Notes a group.
    pub(super) fn note(&self, group: u64) -> io::Result<()> {
        let count = self.count.load(Ordering::Acquire) + 1;
        let block = 1 + usize::from(count.is_multiple_of(2));
        self.put(block, &note_image(count, group))?;
        self.count.store(count, Ordering::Release);
        self.noted.store(group, Ordering::Release);
        Ok(())
    }

    fn put(&self, block: usize, bytes: &[u8]) -> io::Result<()> {
        let at = u64::try_from(block * BLOCK_BYTES).unwrap_or(u64::MAX);
        let mut file = &self.file;
        file.seek(SeekFrom::Start(at))?;
        file.write_all(bytes)
    }
}

/// Where the header of a directory is.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// What the first block says. The version comes before the checksum: a later format may have
/// another one.
fn generation(path: &Path, bytes: &[u8]) -> Result<u64, OpenError> {
    let short = || OpenError::damaged(path, format!("it ends after {} bytes", bytes.len()));
    if bytes.get(..8).ok_or_else(short)? != MAGIC {
        return Err(OpenError::damaged(path, "it does not begin as it should"));
    }
    let version = u32::from_le_bytes(array(bytes, 8).ok_or_else(short)?);
    if version > FORMAT {
        let path = directory::parent(path).to_path_buf();
        return Err(OpenError::Newer { path, version, known: FORMAT });
    }
    let generation = u64::from_le_bytes(array(bytes, 12).ok_or_else(short)?);
    let crc = u32::from_le_bytes(array(bytes, 20).ok_or_else(short)?);
    if crc != crc32c::crc32c(bytes.get(..20).ok_or_else(short)?) {
        return Err(OpenError::damaged(path, "its checksum is wrong"));
    }
    Ok(generation)
}

/// A note, if it was written whole: its count, and the group.
fn note(bytes: &[u8], block: usize) -> Option<(u64, u64)> {
    let at = block * BLOCK_BYTES;
    let count = u64::from_le_bytes(array(bytes, at)?);
    let group = u64::from_le_bytes(array(bytes, at + 8)?);
    let crc = u32::from_le_bytes(array(bytes, at + 16)?);
    (crc == crc32c::crc32c(bytes.get(at..at + 16)?)).then_some((count, group))
}

fn image(generation: u64, noted: u64) -> Vec<u8> {
    let mut first = Vec::with_capacity(BLOCK_BYTES);
    first.extend_from_slice(&MAGIC);
    first.extend_from_slice(&FORMAT.to_le_bytes());
    first.extend_from_slice(&generation.to_le_bytes());
    first.extend_from_slice(&crc32c::crc32c(&first).to_le_bytes());
    let mut image = first;
    for block in 1..=2_u64 {
        image.resize(image.len().next_multiple_of(BLOCK_BYTES), 0);
        image.extend_from_slice(&note_image(block - 1, noted));
    }
    image.resize(FILE_BYTES, 0);
    image
}

fn note_image(count: u64, group: u64) -> Vec<u8> {
    let mut image = Vec::with_capacity(20);
    image.extend_from_slice(&count.to_le_bytes());
    image.extend_from_slice(&group.to_le_bytes());
    image.extend_from_slice(&crc32c::crc32c(&image).to_le_bytes());
    image
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}
