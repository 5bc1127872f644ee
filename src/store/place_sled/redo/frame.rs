//! What is in a redo log, byte by byte.
//!
//! ```text
//! frame     bytes u32 | checksum u32 | before u32 | number u64 | oldest u64 | changes
//! change    group u64 | part u32 | bytes u32 | value; no bytes if it is taken out
//! ```
//!
//! All numbers are little-endian. The checksum is CRC-32C over all that follows it. Each frame has
//! the checksum of the one before, so what a segment still holds from an earlier use, or from
//! before a power cut, never passes for the next one, whatever its number. `oldest` is the first
//! frame that is needed.

use std::ops::Range;

use crate::store::engine::Key;

pub(super) const HEAD_BYTES: usize = 28;

pub(super) const CHANGE_BYTES: usize = 16;

/// What a frame begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) number: u64,
    pub(super) oldest: u64,
    pub(super) before: u32,
}

/// A frame that was read, all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'b> {
    pub(super) head: Head,
    pub(super) checksum: u32,
    pub(super) changes: &'b [u8],
}

/// A change that was read: where in the changes its value is. There is none if it is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) key: Key,
    pub(super) value: Range<usize>,
}

/// Adds a change to a frame, and says where its value begins. It is taken out if it is empty.
pub(super) fn add(frame: &mut Vec<u8>, key: Key, value: &[u8]) -> usize {
    if frame.is_empty() {
        frame.resize(HEAD_BYTES, 0);
    }
    frame.extend_from_slice(&key.group.to_le_bytes());
    frame.extend_from_slice(&key.part.to_le_bytes());
    frame.extend_from_slice(&count(value.len()).to_le_bytes());
    let start = frame.len();
    frame.extend_from_slice(value);
    start
}

/// Fills in what goes before the changes, of which there may be none, and says the checksum.
pub(super) fn seal(frame: &mut Vec<u8>, head: Head) -> u32 {
    if frame.is_empty() {
        frame.resize(HEAD_BYTES, 0);
    }
    let bytes = count(frame.len());
    let Some((first, changes)) = frame.split_first_chunk_mut::<HEAD_BYTES>() else { return 0 };
    first[8..12].copy_from_slice(&head.before.to_le_bytes());
    first[12..20].copy_from_slice(&head.number.to_le_bytes());
    first[20..].copy_from_slice(&head.oldest.to_le_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&first[8..]), changes);
    first[..4].copy_from_slice(&bytes.to_le_bytes());
    first[4..8].copy_from_slice(&checksum.to_le_bytes());
    checksum
}

/// Takes the first frame; nothing where there is none.
pub(super) fn take<'b>(bytes: &mut &'b [u8]) -> Option<Frame<'b>> {
    let length = usize::try_from(u32::from_le_bytes(*bytes.first_chunk()?)).ok()?;
    let (frame, rest) = bytes.split_at_checked(length)?;
    let (first, changes) = frame.split_first_chunk::<HEAD_BYTES>()?;
    let checksum = u32::from_le_bytes(array(first, 4)?);
    if crc32c::crc32c(frame.get(8..)?) != checksum {
        return None;
    }
    let head = Head {
        before: u32::from_le_bytes(array(first, 8)?),
        number: u64::from_le_bytes(array(first, 12)?),
        oldest: u64::from_le_bytes(array(first, 20)?),
    };
    *bytes = rest;
    Some(Frame { head, checksum, changes })
}

/// The changes of a frame. What follows one that cannot be read is left out.
pub(super) fn changes(bytes: &[u8]) -> impl Iterator<Item = Change> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let group = u64::from_le_bytes(array(bytes, at)?);
        let part = u32::from_le_bytes(array(bytes, at + 8)?);
        let length = usize::try_from(u32::from_le_bytes(array(bytes, at + 12)?)).ok()?;
        let start = at + CHANGE_BYTES;
        at = start.checked_add(length).filter(|end| *end <= bytes.len())?;
        Some(Change { key: Key { group, part }, value: start..at })
    })
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn count(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a segment is smaller")
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const HEAD: Head = Head { number: 7, oldest: 3, before: 99 };

    fn frame() -> Vec<u8> {
        let mut frame = Vec::new();
        add(&mut frame, Key { group: 1, part: 2 }, b"value");
        add(&mut frame, Key { group: 3, part: 4 }, b"");
        seal(&mut frame, HEAD);
        frame
    }

    proptest! {
        #[test]
        fn any_bytes_are_changes_or_none(bytes in vec(any::<u8>(), 0..200)) {
            let mut rest = bytes.as_slice();
            prop_assert_eq!(take(&mut rest), None);
            for change in changes(&bytes) {
                prop_assert!(bytes.get(change.value).is_some());
            }
        }
    }

    #[test]
    fn a_frame_comes_back() {
        let bytes = [frame(), frame(), vec![0; 100]].concat();
        let mut rest = bytes.as_slice();
        for _ in 0..2 {
            let Frame { head, changes, .. } = take(&mut rest).unwrap();
            assert_eq!(head, HEAD);
            let read: Vec<_> = super::changes(changes).collect();
            let keys: Vec<_> = read.iter().map(|change| change.key).collect();
            assert_eq!(keys, [Key { group: 1, part: 2 }, Key { group: 3, part: 4 }]);
            assert_eq!(&changes[read[0].value.clone()], b"value");
            assert!(read[1].value.is_empty());
        }
        assert_eq!((take(&mut rest), rest.len()), (None, 100));
    }

    #[test]
    fn a_frame_may_have_no_changes() {
        let mut bytes = Vec::new();
        let checksum = seal(&mut bytes, HEAD);
        let frame = Frame { head: HEAD, checksum, changes: &[] };
        assert_eq!(take(&mut bytes.as_slice()), Some(frame));
    }

    #[test]
    fn a_frame_is_whole_or_none() {
        let whole = frame();
        for bit in 0..8 * whole.len() {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(take(&mut bytes.as_slice()), None, "bit {bit}");
        }
        for end in 0..whole.len() {
            assert_eq!(take(&mut &whole[..end]), None, "{end} bytes");
        }
    }
}
