//! Values among bytes of which nobody knows what they are.
//!
//! A value says its key and how many records it has, each with its length and checksum, so it is
//! known for what it is wherever it lies. What is inside of a whole value is none by itself: the
//! body of a message may hold anything.

use crate::store::{
    codec::{Reader, VERSION},
    engine::{Key, VALUE_BYTES_MAX},
    part::{self, FIRST, FRAME_BYTES, FURTHER, Head},
};

/// The length, the checksum and the version that a head begins with.
pub(super) const MARK_BYTES: usize = FRAME_BYTES + 1;

/// What was seen of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sighting {
    pub(super) key: Key,
    pub(super) head: Head,
    /// How many bytes it has, up to the end of the last record that is whole.
    pub(super) bytes: usize,
    /// How many of them there are before anything that is not whole. The search goes on there.
    pub(super) sound_bytes: usize,
    /// How many of its records are whole, and how many are not.
    pub(super) whole: u32,
    pub(super) broken: u32,
}

/// Looks for the first value, and says where it begins. One that begins less than
/// [`VALUE_BYTES_MAX`] before the end may go on behind it.
pub(super) fn seek(bytes: &[u8]) -> Option<(usize, Sighting)> {
    bytes.windows(MARK_BYTES).enumerate().find_map(|(at, mark)| {
        // The head of a value by its length; its checksum may be anything.
        let [FIRST | FURTHER, 0, 0, 0, _, _, _, _, VERSION] = mark else { return None };
        Some((at, sighting(bytes.get(at..)?)?))
    })
}

/// The value that bytes begin with.
fn sighting(bytes: &[u8]) -> Option<Sighting> {
    let bytes = bytes.get(..bytes.len().min(VALUE_BYTES_MAX))?;
    // Behind the mark and the kind.
    let mut said = Reader(bytes.get(MARK_BYTES + 1..)?);
    let key = Key { group: said.u64().ok()?, part: said.u32().ok()? };
    let (head, mut frames) = part::head(key, bytes).ok()?;
    let head_bytes = bytes.len() - frames.rest_bytes();
    let mut sighting =
        Sighting { key, head, bytes: head_bytes, sound_bytes: head_bytes, whole: 0, broken: 0 };
    for read in 0..head.records {
        // After the last one that can be looked at there is none.
        let Some(frame) = frames.next() else { break };
        if frame.is_ok() {
            sighting.bytes = bytes.len() - frames.rest_bytes();
            if sighting.whole == read {
                sighting.sound_bytes = sighting.bytes;
            }
            sighting.whole += 1;
        }
    }
    sighting.broken = head.records - sighting.whole;
    Some(sighting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::part::{Kind, tests::packed};

    #[test]
    fn values_are_found_wherever_they_lie() {
        let (packer, _) =
            packed(&[(Kind::Messages, 20), (Kind::Messages, 30_000), (Kind::Entities, 1)]);
        let mut file = vec![FIRST; 100];
        let mut expected = Vec::new();
        for (key, value) in packer.values() {
            expected.push((file.len(), key, value.len()));
            file.extend_from_slice(value);
            file.extend_from_slice(&[FURTHER, 0, 0, 0, 0, 0, 0, 0, VERSION, 0]);
        }
        let whole = all(&file);
        let places: Vec<_> = whole.iter().map(|(at, of)| (*at, of.key, of.bytes)).collect();
        assert_eq!(places, expected);
        assert!(whole.iter().all(|(_, of)| of.head.attempt == 3 && of.broken == 0));
        for (at, _, bytes) in expected.iter().copied() {
            for damaged in [at, at + FRAME_BYTES, at + bytes - 1] {
                let mut file = file.clone();
                file[damaged] ^= 1;
                let whole: u32 = all(&file).iter().map(|(_, of)| of.whole).sum();
                assert_eq!(whole, 3, "all records but one of four, damaged at {damaged}");
            }
        }
    }

    #[test]
    fn records_behind_one_that_is_changed_belong_to_the_value() {
        let (packer, _) = packed(&[(Kind::Messages, 20), (Kind::Messages, 30)]);
        let (key, value) = packer.values().next().unwrap();
        let mut changed = value.to_vec();
        let first = value.len() - 30 - FRAME_BYTES - 20;
        changed[first] ^= 1;
        let (at, seen) = seek(&changed).unwrap();
        assert_eq!((at, seen.key, seen.bytes), (0, key, value.len()));
        assert_eq!((seen.sound_bytes, seen.whole, seen.broken), (first - FRAME_BYTES, 1, 1));
    }

    fn all(file: &[u8]) -> Vec<(usize, Sighting)> {
        let (mut found, mut start) = (Vec::new(), 0);
        while let Some((at, sighting)) = seek(&file[start..]) {
            found.push((start + at, sighting));
            start += at + sighting.sound_bytes;
        }
        found
    }
}
