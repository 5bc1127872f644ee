//! The files of a redo log. Their space is there before it is needed, so that a sync of their data
//! is all that a frame takes.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::super::directory;

/// What the names of segments begin with; a number follows.
const NAME: &str = "redo-";

/// The space of one segment.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    pub(super) number: u32,
    pub(super) file: File,
}

impl Segment {
    /// Makes one of zeros, or nothing.
    pub(super) fn create(folder: &Path, number: u32, bytes: u64) -> io::Result<Self> {
        let path = path(folder, number);
        let file =
            File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        let filled = fill(&file, bytes).and_then(|()| directory::sync(folder));
        if let Err(error) = filled {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        Ok(Self { path, number, file })
    }

    pub(super) fn open(folder: &Path, number: u32) -> io::Result<Self> {
        let path = path(folder, number);
        let file = File::options().read(true).write(true).open(&path)?;
        Ok(Self { path, number, file })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes it once more as it is, up to there, and zeros behind that. Syncs it.
    pub(super) fn renew(&self, end: u64, bytes: u64) -> io::Result<()> {
        let too_long = |_| io::Error::from(io::ErrorKind::FileTooLarge);
        let mut content = vec![0; usize::try_from(end).map_err(too_long)?];
        self.read(&mut content, 0)?;
        content.resize(usize::try_from(bytes.max(end)).map_err(too_long)?, 0);
        self.write(&content, 0)?;
        self.file.sync_data()
    }

    /// Removes the file. If that does not work, it is left over, and does no harm.
    pub(super) fn remove(&self) {
        let _ = fs::remove_file(&self.path);
    }

    #[cfg(unix)]
    pub(super) fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.file, bytes, at)
    }

    #[cfg(unix)]
    pub(super) fn read(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, bytes, at)
    }

    #[cfg(windows)]
    pub(super) fn write(&self, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = std::os::windows::fs::FileExt::seek_write(&self.file, bytes, at)?;
            bytes = bytes.get(written..).unwrap_or_default();
            at += written as u64;
        }
        Ok(())
    }

    #[cfg(windows)]
    pub(super) fn read(&self, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let read = std::os::windows::fs::FileExt::seek_read(&self.file, bytes, at)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            bytes = bytes.get_mut(read..).unwrap_or_default();
            at += read as u64;
        }
        Ok(())
    }
}

/// Whether a file of this name is a segment, and which.
pub(in super::super) fn number(name: &str) -> Option<u32> {
    name.strip_prefix(NAME)?.parse().ok()
}

pub(in super::super) fn path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{NAME}{number}"))
}

fn fill(mut file: &File, bytes: u64) -> io::Result<()> {
    static PIECE: [u8; 64 * 1_024] = [0; 64 * 1_024];
    let mut left = bytes;
    while left > 0 {
        let piece = usize::try_from(left).map_or(PIECE.len(), |left| left.min(PIECE.len()));
        file.write_all(PIECE.get(..piece).unwrap_or_default())?;
        left -= piece as u64;
    }
    file.sync_all()
}
