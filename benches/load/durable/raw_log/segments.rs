//! The files of a log, whose space is there before it is needed.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::format::Seq;

const SEGMENT_BYTES: u64 = 64 << 20;

/// So many are made at first: one that is written, one to go on in, and one whose last messages
/// are still unacked.
const MADE_AT_FIRST: u32 = 3;

/// What the names of segments end with; a number goes before.
pub(super) const EXTENSION: &str = "segment";

#[derive(Debug)]
pub(super) struct Segments {
    folder: PathBuf,
    made: u32,
    present: Segment,
    /// Oldest first.
    full: VecDeque<Segment>,
    free: VecDeque<File>,
    syncs: bool,
}

#[derive(Debug)]
struct Segment {
    file: File,
    offset: u64,
    /// The last message in it.
    newest: Seq,
}

impl Segment {
    fn new(file: File) -> Self {
        Self { file, offset: 0, newest: 0 }
    }
}

impl Segments {
    pub(super) fn create(folder: &Path, syncs: bool) -> io::Result<Self> {
        let mut free = VecDeque::new();
        for number in 1..MADE_AT_FIRST {
            free.push_back(allocate(folder, number)?);
        }
        let present = Segment::new(allocate(folder, 0)?);
        // What is in a file is found through its folder.
        File::open(folder)?.sync_all()?;
        let (folder, made) = (folder.to_path_buf(), MADE_AT_FIRST);
        Ok(Self { folder, made, present, full: VecDeque::new(), free, syncs })
    }

    /// Appends a frame and makes it durable. All messages before the oldest are acked.
    pub(super) fn append(&mut self, frame: &[u8], newest: Seq, oldest: Seq) -> io::Result<()> {
        let bytes = frame.len() as u64;
        if self.present.offset + bytes > SEGMENT_BYTES {
            self.go_on(oldest)?;
        }
        let Segment { file, offset, newest: last } = &mut self.present;
        file.write_all_at(frame, *offset)?;
        *offset += bytes;
        *last = newest;
        if self.syncs { file.sync_data() } else { Ok(()) }
    }

    /// Goes on in the next segment, and makes one only if none is free.
    fn go_on(&mut self, oldest: Seq) -> io::Result<()> {
        while let Some(first) = self.full.pop_front_if(|first| first.newest < oldest) {
            self.free.push_back(first.file);
        }
        let next = if let Some(file) = self.free.pop_front() {
            file
        } else {
            let file = allocate(&self.folder, self.made)?;
            File::open(&self.folder)?.sync_all()?;
            self.made += 1;
            file
        };
        let former = std::mem::replace(&mut self.present, Segment::new(next));
        self.full.push_back(former);
        Ok(())
    }
}

/// Makes a file of zeros, so that a sync of data is all that a frame needs.
fn allocate(folder: &Path, number: u32) -> io::Result<File> {
    static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
    let path = folder.join(format!("{number}.{EXTENSION}"));
    let mut file = File::options().read(true).write(true).create_new(true).open(path)?;
    for _ in 0..SEGMENT_BYTES >> 16 {
        file.write_all(&ZEROS)?;
    }
    file.sync_all()?;
    Ok(file)
}
