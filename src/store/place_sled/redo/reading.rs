//! Reading a redo log back.
//!
//! What counts is what was written without a gap from the first frame that is needed. Only at the
//! very end something may be missing: what was not synced before the power was cut. A segment is
//! synced before the next one begins.

use std::{fs, io, path::Path};

use super::{
    super::directory,
    frame::{self, Frame, HEAD_BYTES},
    segment::{self, Segment},
};
use crate::store::{engine::Key, open_error::OpenError};

/// What there is of a log.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// Those that are needed, oldest first.
    pub(super) segments: Vec<Stretch>,
    /// Those that are not.
    pub(super) spare: Vec<Segment>,
}

/// What was written to a segment since it was begun anew.
#[derive(Debug)]
pub(super) struct Stretch {
    pub(super) segment: Segment,
    /// The numbers of its first and last frame.
    pub(super) first: u64,
    pub(super) last: u64,
    before: u32,
    /// Of the last frame.
    pub(super) checksum: u32,
    oldest: u64,
    pub(super) end: u64,
    /// In the order in which they were made.
    pub(super) changes: Vec<Placed>,
}

/// A change, and where in the segment its value is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub(super) key: Key,
    pub(super) offset: u64,
    pub(super) bytes: usize,
}

impl Read {
    /// Reads the log in a directory, without changing anything.
    pub(super) fn of(folder: &Path) -> Result<Self, OpenError> {
        let names = directory::names(folder).map_err(|error| OpenError::reading(folder, &error))?;
        let mut read = Self::default();
        for number in names.iter().filter_map(|name| segment::number(name)) {
            let segment = Segment::open(folder, number)
                .map_err(|error| OpenError::writing(&segment::path(folder, number), &error))?;
            match stretch(segment) {
                Ok(Ok(stretch)) => read.segments.push(stretch),
                Ok(Err(segment)) => read.spare.push(segment),
                Err(error) => return Err(OpenError::reading(folder, &error)),
            }
        }
        read.segments.sort_by_key(|stretch| stretch.first);
        let oldest = read.segments.last().map_or(0, |newest| newest.oldest);
        let needed = read.segments.partition_point(|stretch| stretch.first < oldest);
        let free = read.segments.drain(..needed).map(|stretch| stretch.segment);
        read.spare.extend(free);
        read.check(folder, oldest)?;
        Ok(read)
    }

    /// Nothing is missing but at the end.
    fn check(&self, folder: &Path, oldest: u64) -> Result<(), OpenError> {
        if self.segments.first().is_some_and(|first| first.first != oldest) {
            let reason = format!("the redo log has no frame {oldest}");
            return Err(OpenError::damaged(folder, reason));
        }
        for pair in self.segments.windows(2) {
            let [former, next] = pair else { continue };
            if (former.last + 1, former.checksum) != (next.first, next.before) {
                let (last, first) = (former.last, next.first);
                let reason = format!("it ends with frame {last}, the next one is {first}");
                return Err(OpenError::damaged(former.segment.path(), reason));
            }
        }
        Ok(())
    }
}

/// What a segment begins with. If that is nothing, the segment is given back.
fn stretch(segment: Segment) -> io::Result<Result<Stretch, Segment>> {
    let bytes = fs::read(segment.path())?;
    let mut rest = bytes.as_slice();
    let Some(first) = frame::take(&mut rest) else { return Ok(Err(segment)) };
    let mut stretch = Stretch {
        segment,
        first: first.head.number,
        last: first.head.number,
        before: first.head.before,
        checksum: first.checksum,
        oldest: first.head.oldest,
        end: 0,
        changes: Vec::new(),
    };
    stretch.add(&first);
    while let Some(next) = frame::take(&mut rest)
        && (next.head.number, next.head.before) == (stretch.last + 1, stretch.checksum)
    {
        stretch.add(&next);
    }
    Ok(Ok(stretch))
}

impl Stretch {
    fn add(&mut self, frame: &Frame<'_>) {
        let start = self.end + HEAD_BYTES as u64;
        self.changes.extend(frame::changes(frame.changes).map(|change| Placed {
            key: change.key,
            offset: start + change.value.start as u64,
            bytes: change.value.len(),
        }));
        self.end = start + frame.changes.len() as u64;
        (self.last, self.checksum) = (frame.head.number, frame.checksum);
        self.oldest = frame.head.oldest;
    }
}
