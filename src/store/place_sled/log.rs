//! Whether the log of a database can be read to its end, as sled 0.34 would read it.
//!
//! What sled finds behind a place in its log that it cannot read, it clears when it is opened, and
//! likewise what only pages need that it does not find. So the log is looked at before.
//!
//! ```text
//! segment  2 MiB: checksum u32 | number of its first byte u64 | u64 | messages
//! message  checksum u32 | kind u8 | bytes | number of the segment | page | so many bytes
//! ```
//!
//! Numbers have their lowest byte first, those of a message as many bytes as they need. A segment
//! ends with a message of a kind of its own, or when there is no room for another one. Behind the
//! last message of the one that is being written is what was there before.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    thread::{self, ScopedJoinHandle},
};

const SEGMENT_BYTES: u64 = super::tree::SEGMENT_BYTES as u64;

const HEADER_BYTES: usize = 20;

/// No message begins later than this before the end of a segment.
const MESSAGE_ROOM: usize = 32;

/// The kind of the message that a segment ends with, and the last of all kinds.
const CAP: u8 = 2;
const LAST_KIND: u8 = 11;

/// What is known of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Sound,
    /// Something in it is none of a log, as after a power cut, or damaged.
    Torn,
}

/// Reads a log from end to end, the second half by another thread, and changes nothing.
pub(super) fn examine(path: &Path) -> io::Result<Condition> {
    let segments = File::open(path)?.metadata()?.len() / SEGMENT_BYTES;
    let middle = segments / 2 * SEGMENT_BYTES;
    thread::scope(|scope| {
        let behind = || examine_part(path, middle, u64::MAX);
        let builder = thread::Builder::new().name("leveret-read".into());
        let helper = builder.spawn_scoped(scope, behind).ok();
        let before = examine_part(path, 0, middle)?;
        let behind = match helper.map(ScopedJoinHandle::join) {
            Some(Ok(behind)) => behind?,
            // There was none, or it did not get far.
            Some(Err(_)) | None => behind()?,
        };
        Ok(if before == Condition::Torn { before } else { behind })
    })
}

/// Reads the segments that begin at some byte, up to another one.
fn examine_part(path: &Path, begin: u64, end: u64) -> io::Result<Condition> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(begin))?;
    let mut part = file.take(end - begin);
    let mut segment = Vec::new();
    loop {
        segment.clear();
        Read::by_ref(&mut part).take(SEGMENT_BYTES).read_to_end(&mut segment)?;
        if segment.is_empty() {
            return Ok(Condition::Sound);
        }
        if !is_sound(&segment) {
            return Ok(Condition::Torn);
        }
    }
}

fn is_sound(segment: &[u8]) -> bool {
    match number_of(segment) {
        Some(number) => {
            end_of_messages(segment, number).is_none_or(|end| is_tip(segment, end, number))
        }
        None => is_zero(segment),
    }
}

/// The number of a segment; nothing, if it is none.
fn number_of(segment: &[u8]) -> Option<u64> {
    let (checksum, header) = segment.get(..HEADER_BYTES)?.split_first_chunk()?;
    if !u32::from_le_bytes(*checksum) != crc32fast::hash(header) {
        return None;
    }
    let first_byte = u64::from_le_bytes(*header.first_chunk()?) ^ (u64::MAX >> 1);
    Some(first_byte / SEGMENT_BYTES)
}

/// Where the messages of a segment end before it does.
fn end_of_messages(segment: &[u8], number: u64) -> Option<usize> {
    let mut at = HEADER_BYTES;
    let room = usize::try_from(SEGMENT_BYTES).ok()? - MESSAGE_ROOM;
    while at <= room {
        let rest = segment.get(at..).unwrap_or_default();
        match Message::of(rest, number) {
            Some(message) if !message.is_whole() => return Some(at),
            Some(message) if message.kind == CAP => return None,
            Some(message) => at += message.bytes(),
            None => return Some(at),
        }
    }
    None
}

/// Whether no message of a segment is in what follows its last one: it is empty, or what was there
/// when the segment was another one.
fn is_tip(segment: &[u8], end: usize, number: u64) -> bool {
    let rest = segment.get(end..).unwrap_or_default();
    // One that the file ends in was none before.
    let is_full = segment.len() as u64 == SEGMENT_BYTES;
    is_zero(rest)
        || is_full
            && Message::of(rest, number).is_none()
            && (1..rest.len()).all(|at| {
                let later = Message::of(rest.get(at..).unwrap_or_default(), number);
                later.is_none_or(|message| !message.is_whole())
            })
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// A message as its head says.
struct Message<'s> {
    kind: u8,
    checksum: u32,
    head: &'s [u8],
    body: &'s [u8],
}

impl<'s> Message<'s> {
    /// What bytes begin with, if it may be a message of a segment.
    fn of(bytes: &'s [u8], segment: u64) -> Option<Self> {
        let (checksum, after_checksum) = bytes.split_first_chunk()?;
        let (kind, rest) = after_checksum.split_first()?;
        if !(1..=LAST_KIND).contains(kind) {
            return None;
        }
        let (length, rest) = number(rest)?;
        let (of_segment, rest) = number(rest)?;
        let (_, rest) = number(rest)?;
        // One that is cut off is not whole.
        let body = rest.get(..usize::try_from(length).ok()?).unwrap_or(rest);
        let head = after_checksum.get(..after_checksum.len() - rest.len())?;
        let checksum = u32::from_le_bytes(*checksum);
        (of_segment == segment).then_some(Self { kind: *kind, checksum, head, body })
    }

    fn is_whole(&self) -> bool {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(self.body);
        hasher.update(self.head);
        !self.checksum == hasher.finalize()
    }

    fn bytes(&self) -> usize {
        size_of_val(&self.checksum) + self.head.len() + self.body.len()
    }
}

/// A number of one to nine bytes, and what follows it.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let further = match first {
        0..=240 => return Some(((*first).into(), rest)),
        241..=248 => 1,
        249 => 2,
        250.. => usize::from(first - 247),
    };
    let (number, rest) = rest.split_at_checked(further)?;
    let mut low = [0; 8];
    low.iter_mut().zip(number).for_each(|(low, byte)| *low = *byte);
    let number = match first {
        ..=248 => 240 + 256 * (u64::from(*first) - 241) + u64::from(low[0]),
        249 => 2_288 + 256 * u64::from(low[0]) + u64::from(low[1]),
        250.. => u64::from_le_bytes(low),
    };
    Some((number, rest))
}
