//! Values: what is put into an engine under one key.
//!
//! ```text
//! value   head frame | frames of records
//! frame   bytes u32 | checksum u32 | payload
//! head    version u8 | kind u8 | commit u64 | value u32 | attempt u64
//!         | records u32 | piece u32 | pieces u32
//!         in value 0 of a commit also: values u32 | next serial u64
//!                                      | live values u64 | sum over their keys u64
//! ```
//!
//! The checksum is CRC-32C over the key and the payload, so a value under another key is found out.
//! The head says the key, too, so a value can be found where the engine has lost it.
//! A record that fits no value lies in several that follow one another, one frame in each. A
//! *block* is one value, or the values of such a record; it is the least that is taken away.
//!
//! A commit that found no space is tried again under the same number. The *attempt* grows each
//! time, and with each opening, so that values of two tries are never taken for one commit.

use std::ops::Range;

use super::{
    codec::{Malformed, Reader, VERSION, count},
    engine::{Key, VALUE_BYTES_MAX},
    record::Serial,
};

/// What the records of a block are. They are kept apart, since they live for different times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What has become of items of earlier commits. It is needed while these are there.
    Control,
    Messages,
    Entities,
}

/// Which values are to be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) values: u64,
    /// Of a hash of each key; the order does not count.
    sum: u64,
}

/// What the first value of a commit says of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CommitHead {
    pub(super) values: u32,
    pub(super) next_serial: Serial,
    /// What is there with this commit, but for what is leaving.
    pub(super) live: Summary,
}

/// The beginning of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) attempt: u64,
    pub(super) records: u32,
    /// Which piece of a long record it is, of how many.
    pub(super) piece: u32,
    pub(super) pieces: u32,
    /// In value 0.
    pub(super) commit: Option<CommitHead>,
}

/// Why a value cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    Malformed(Malformed),
    Newer(u8),
}

/// A block that has been packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) kind: Kind,
    pub(super) first: Key,
    pub(super) pieces: u32,
    pub(super) bytes: u64,
}

pub(super) const FRAME_BYTES: usize = 8;
const HEAD_BYTES: usize = FRAME_BYTES + FURTHER as usize;
const FIRST_HEAD_BYTES: usize = FRAME_BYTES + FIRST as usize;

/// What the payload of a head has, in value 0 of a commit and in the others.
pub(super) const FIRST: u8 = FURTHER + 28;
pub(super) const FURTHER: u8 = 34;

/// What a record may have in a value that holds no other, and is not the first of its commit.
const PIECE_BYTES_MAX: usize = VALUE_BYTES_MAX - HEAD_BYTES - FRAME_BYTES;

/// A longer buffer is given back once the commit is done.
const BUFFER_BYTES_KEPT_MAX: usize = 1_024 * 1_024;

/// Packs the records of one commit into values.
#[derive(Debug, Default)]
pub(super) struct Packer {
    group: u64,
    attempt: u64,
    /// All values, one after the other.
    buffer: Vec<u8>,
    values: Vec<Value>,
    pub(super) blocks: Vec<Draft>,
    /// Of the key of the last value.
    seed: u32,
    /// How many records the last value has.
    records: u32,
    /// Whether the last value has ended.
    is_closed: bool,
}

/// Where a value is in the buffer.
#[derive(Clone, Debug)]
struct Value {
    range: Range<usize>,
    /// Which block it belongs to.
    kind: Kind,
    piece: u32,
    pieces: u32,
    records: u32,
}

impl Packer {
    /// Begins a commit, which has no value yet.
    pub(super) fn begin(&mut self, group: u64, attempt: u64) {
        (self.group, self.attempt) = (group, attempt);
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES_KEPT_MAX);
        self.values.clear();
        self.blocks.clear();
        self.is_closed = true;
    }

    /// Adds a record, and says in which of the blocks it is.
    pub(super) fn record(&mut self, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) -> u32 {
        if self.values.last().is_none_or(|last| last.kind != kind || last.pieces > 1) {
            self.open(kind, 0, 1);
        }
        let frame = self.buffer.len();
        self.buffer.extend_from_slice(&[0; FRAME_BYTES]);
        write(&mut self.buffer);
        let start = self.values.last().map_or(0, |value| value.range.start);
        if self.buffer.len() - start > VALUE_BYTES_MAX {
            self.overflow(kind, frame);
        } else {
            self.seal(frame);
            self.records += 1;
        }
        count(self.blocks.len()) - 1
    }

    /// Ends the commit, to which nothing is added any more.
    pub(super) fn finish(&mut self, next_serial: Serial, live: Summary) {
        if self.values.is_empty() {
            self.open(Kind::Control, 0, 1);
        }
        self.close();
        let mut live = live;
        for part in 0..count(self.values.len()) {
            live.add(Key { group: self.group, part });
        }
        let commit = CommitHead { values: count(self.values.len()), next_serial, live };
        self.put_head(0, Some(commit));
    }

    /// The values, the first one last: what was begun is not taken for a commit before it is there.
    pub(super) fn values(&self) -> impl Iterator<Item = (Key, &[u8])> {
        let from_second = (1..self.values.len()).chain(Some(0));
        from_second.filter_map(|at| {
            let value = self.buffer.get(self.values.get(at)?.range.clone())?;
            Some((Key { group: self.group, part: count(at) }, value))
        })
    }

    /// All values together.
    pub(super) fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// The commit.
    pub(super) fn group(&self) -> u64 {
        self.group
    }

    pub(super) fn value_count(&self) -> u32 {
        count(self.values.len())
    }

    /// The record at the end of the buffer does not fit the value that it was begun in.
    fn overflow(&mut self, kind: Kind, frame: usize) {
        let payload = self.buffer.split_off(frame + FRAME_BYTES);
        self.buffer.truncate(frame);
        if payload.len() <= PIECE_BYTES_MAX {
            self.open(kind, 0, 1);
            self.frame(&payload);
            return;
        }
        // The first value says something even if it holds nothing.
        if self.records == 0 && self.values.len() > 1 {
            let empty = self.values.pop().map_or(0, |value| value.range.start);
            self.blocks.pop();
            self.buffer.truncate(empty);
            // It is ended already.
            self.records = self.values.last().map_or(0, |value| value.records);
            self.is_closed = true;
        }
        let pieces = count(payload.len().div_ceil(PIECE_BYTES_MAX));
        for (piece, bytes) in (0..).zip(payload.chunks(PIECE_BYTES_MAX)) {
            self.open(kind, piece, pieces);
            self.frame(bytes);
        }
    }

    fn frame(&mut self, payload: &[u8]) {
        let frame = self.buffer.len();
        self.buffer.extend_from_slice(&[0; FRAME_BYTES]);
        self.buffer.extend_from_slice(payload);
        self.seal(frame);
        self.records += 1;
    }

    /// Begins a value.
    fn open(&mut self, kind: Kind, piece: u32, pieces: u32) {
        self.close();
        let key = Key { group: self.group, part: count(self.values.len()) };
        self.seed = seed(key);
        self.records = 0;
        self.is_closed = false;
        if piece == 0 {
            self.blocks.push(Draft { kind, first: key, pieces, bytes: 0 });
        }
        let start = self.buffer.len();
        let head_bytes = if key.part == 0 { FIRST_HEAD_BYTES } else { HEAD_BYTES };
        self.buffer.resize(start + head_bytes, 0);
        let range = start..start;
        self.values.push(Value { range, kind, piece, pieces, records: 0 });
    }

    /// Ends the last value.
    fn close(&mut self) {
        let (end, records) = (self.buffer.len(), self.records);
        if std::mem::replace(&mut self.is_closed, true) {
            return;
        }
        let Some(value) = self.values.last_mut() else { return };
        value.range.end = end;
        value.records = records;
        if let Some(block) = self.blocks.last_mut() {
            block.bytes += (end - value.range.start) as u64;
        }
        let at = self.values.len() - 1;
        // That of the first one is known in the end.
        if at > 0 {
            self.put_head(at, None);
        }
    }

    fn put_head(&mut self, at: usize, commit: Option<CommitHead>) {
        let Some(value) = self.values.get(at).cloned() else { return };
        let mut head = Vec::with_capacity(FIRST_HEAD_BYTES);
        head.extend_from_slice(&[0; FRAME_BYTES]);
        head.push(VERSION);
        head.push(value.kind.byte());
        head.extend_from_slice(&self.group.to_le_bytes());
        head.extend_from_slice(&count(at).to_le_bytes());
        head.extend_from_slice(&self.attempt.to_le_bytes());
        for number in [value.records, value.piece, value.pieces] {
            head.extend_from_slice(&number.to_le_bytes());
        }
        if let Some(CommitHead { values, next_serial, live }) = commit {
            head.extend_from_slice(&values.to_le_bytes());
            for number in [next_serial, live.values, live.sum] {
                head.extend_from_slice(&number.to_le_bytes());
            }
        }
        seal(&mut head, seed(Key { group: self.group, part: count(at) }));
        overwrite(&mut self.buffer, value.range.start, &head);
    }

    /// Writes the length and the checksum of the frame that the buffer ends with.
    fn seal(&mut self, frame: usize) {
        if let Some(frame) = self.buffer.get_mut(frame..) {
            seal(frame, self.seed);
        }
    }
}

impl Kind {
    fn byte(self) -> u8 {
        match self {
            Self::Control => 0,
            Self::Messages => 1,
            Self::Entities => 2,
        }
    }

    fn of(byte: u8) -> Option<Self> {
        [Self::Control, Self::Messages, Self::Entities].into_iter().find(|kind| kind.byte() == byte)
    }
}

impl Summary {
    pub(super) fn add(&mut self, key: Key) {
        self.values += 1;
        self.sum = self.sum.wrapping_add(mixed(key));
    }

    pub(super) fn take(&mut self, key: Key) {
        self.values = self.values.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(mixed(key));
    }
}

impl From<Malformed> for Unreadable {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// Reads the beginning of a value, and gives what follows.
pub(super) fn head(key: Key, value: &[u8]) -> Result<(Head, Frames<'_>), Unreadable> {
    let seed = seed(key);
    let mut rest = Reader(value);
    let mut head = Reader(frame(&mut rest, seed)?);
    match head.byte()? {
        VERSION => {}
        0 => return Err(Malformed("a value without a version").into()),
        version => return Err(Unreadable::Newer(version)),
    }
    let kind = Kind::of(head.byte()?).ok_or(Malformed("a value of an unknown kind"))?;
    if (Key { group: head.u64()?, part: head.u32()? }) != key {
        return Err(Malformed("a value of another key").into());
    }
    let attempt = head.u64()?;
    let (records, piece, pieces) = (head.u32()?, head.u32()?, head.u32()?);
    let commit = if key.part == 0 {
        let (values, next_serial) = (head.u32()?, head.u64()?);
        let live = Summary { values: head.u64()?, sum: head.u64()? };
        Some(CommitHead { values, next_serial, live })
    } else {
        None
    };
    head.end()?;
    if piece >= pieces || pieces > 1 && records != 1 {
        return Err(Malformed("a piece of nothing").into());
    }
    let frames = Frames { rest, seed, left: records };
    Ok((Head { kind, attempt, records, piece, pieces, commit }, frames))
}

/// The records of a value, or the piece of one.
pub(super) struct Frames<'a> {
    rest: Reader<'a>,
    seed: u32,
    left: u32,
}

impl Frames<'_> {
    /// How many bytes have not been looked at.
    pub(super) fn rest_bytes(&self) -> usize {
        self.rest.0.len()
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<&'a [u8], Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                let payload = frame(&mut self.rest, self.seed);
                // After one that is only changed the next one may be as it was.
                if payload.is_err_and(|malformed| malformed != CHANGED) {
                    (self.left, self.rest) = (0, Reader(&[]));
                }
                Some(payload)
            }
            None if self.rest.0.is_empty() => None,
            None => {
                self.rest = Reader(&[]);
                Some(Err(Malformed("something follows the last record")))
            }
        }
    }
}

fn frame<'a>(from: &mut Reader<'a>, seed: u32) -> Result<&'a [u8], Malformed> {
    let (bytes, checksum) = (from.u32()?, from.u32()?);
    let payload = from.bytes(bytes)?;
    if crc32c::crc32c_append(seed, payload) == checksum { Ok(payload) } else { Err(CHANGED) }
}

const CHANGED: Malformed = Malformed("a checksum that does not fit");

fn seal(frame: &mut [u8], seed: u32) {
    let Some((head, payload)) = frame.split_first_chunk_mut::<FRAME_BYTES>() else { return };
    let checksum = crc32c::crc32c_append(seed, payload);
    let [bytes, checksum] = [count(payload.len()), checksum].map(u32::to_le_bytes);
    let (first, second) = head.split_at_mut(bytes.len());
    first.copy_from_slice(&bytes);
    second.copy_from_slice(&checksum);
}

fn overwrite(buffer: &mut [u8], start: usize, bytes: &[u8]) {
    if let Some(place) = buffer.get_mut(start..start + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// What the checksums of a value begin with.
fn seed(key: Key) -> u32 {
    let group = crc32c::crc32c(&key.group.to_le_bytes());
    crc32c::crc32c_append(group, &key.part.to_le_bytes())
}

/// The finaliser of `SplitMix64`, twice.
fn mixed(key: Key) -> u64 {
    let mix = |number: u64| {
        let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ number >> 31
    };
    mix(mix(key.group).wrapping_add(u64::from(key.part)).wrapping_add(0x9e37_79b9_7f4a_7c15))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::store) fn packed(records: &[(Kind, usize)]) -> (Packer, Vec<u32>) {
        let mut packer = Packer::default();
        packer.begin(7, 3);
        let put = |&(kind, bytes): &(Kind, usize)| {
            packer.record(kind, |to| to.extend((0..bytes).map(|at| at.to_le_bytes()[0])))
        };
        let blocks = records.iter().map(put).collect();
        packer.finish(11, Summary::default());
        (packer, blocks)
    }

    #[test]
    fn records_are_packed_and_read_back() {
        let (kinds, sizes) = ([Kind::Control, Kind::Entities, Kind::Messages], [0, 1, 100, 3_000]);
        let records: Vec<_> =
            kinds.into_iter().flat_map(|kind| sizes.map(|bytes| (kind, bytes))).collect();
        let (packer, blocks) = packed(&[records.clone(), records].concat());
        let mut found = vec![0; packer.blocks.len()];
        for (key, value) in packer.values() {
            assert!(value.len() <= VALUE_BYTES_MAX);
            let (head, frames) = head(key, value).unwrap();
            assert_eq!((head.attempt, head.pieces), (3, 1));
            assert_eq!(head.kind, packer.blocks[key.part as usize].kind);
            assert_eq!(head.commit.is_some(), key.part == 0);
            for payload in frames {
                let payload = payload.unwrap();
                assert!(
                    payload.iter().zip(0_usize..).all(|(byte, at)| *byte == at.to_le_bytes()[0])
                );
                found[key.part as usize] += 1;
            }
        }
        for (block, found) in (0..).zip(found) {
            assert_eq!(blocks.iter().filter(|of| **of == block).count(), found);
        }
    }

    #[test]
    fn a_long_record_lies_in_pieces_behind_the_first_value() {
        for bytes in [PIECE_BYTES_MAX, PIECE_BYTES_MAX + 1, 3 * PIECE_BYTES_MAX, 100_000] {
            let (packer, blocks) = packed(&[(Kind::Messages, bytes), (Kind::Messages, 5)]);
            let pieces = bytes.div_ceil(PIECE_BYTES_MAX);
            assert_eq!(packer.value_count() as usize, pieces + 2, "{bytes}");
            assert_eq!(blocks, [1, 2]);
            let mut whole = vec![Vec::new(); pieces];
            for (key, value) in packer.values() {
                let (head, frames) = head(key, value).unwrap();
                assert!(value.len() <= VALUE_BYTES_MAX);
                if (1..=pieces).contains(&(key.part as usize)) {
                    assert_eq!(head.pieces as usize, pieces);
                    whole[head.piece as usize] =
                        frames.map(Result::unwrap).collect::<Vec<_>>().concat();
                }
            }
            assert_eq!(whole.concat().len(), bytes);
        }
    }

    #[test]
    fn what_is_changed_or_elsewhere_is_found_out() {
        let (packer, _) = packed(&[(Kind::Messages, 20), (Kind::Messages, 30)]);
        let (key, value) = packer.values().next().unwrap();
        let is_whole = |key, value: &[u8]| {
            head(key, value).is_ok_and(|(_, mut frames)| frames.all(|frame| frame.is_ok()))
        };
        assert!(is_whole(key, value));
        assert!(!is_whole(Key { group: 8, ..key }, value));
        assert!(!is_whole(Key { part: 1, ..key }, value));
        for at in 0..value.len() {
            assert!(!is_whole(key, &value[..at]), "cut at {at}");
            for bit in 0..8 {
                let mut changed = value.to_vec();
                changed[at] ^= 1 << bit;
                assert!(!is_whole(key, &changed), "byte {at} bit {bit}");
            }
        }
        assert!(!is_whole(key, &[value, &[0]].concat()));
    }

    #[test]
    fn a_record_that_is_changed_hides_none_behind_it() {
        let (packer, _) = packed(&[(Kind::Messages, 20), (Kind::Messages, 30)]);
        let (key, value) = packer.values().next().unwrap();
        let mut changed = value.to_vec();
        changed[FIRST_HEAD_BYTES + FRAME_BYTES] ^= 1;
        let (_, frames) = head(key, &changed).unwrap();
        let found: Vec<_> = frames.map(|frame| frame.map(<[u8]>::len)).collect();
        assert_eq!(found, [Err(CHANGED), Ok(30)]);
    }

    #[test]
    fn a_summary_minds_each_key_and_no_order() {
        let keys = [(1, 0), (1, 1), (2, 0), (0, 2)].map(|(group, part)| Key { group, part });
        let sum = |keys: &[Key]| {
            let mut summary = Summary::default();
            for key in keys {
                summary.add(*key);
            }
            summary
        };
        let mut turned = keys;
        turned.reverse();
        assert_eq!(sum(&keys), sum(&turned));
        assert_ne!(sum(&keys[..2]), sum(&keys[1..3]));
        let mut less = sum(&keys);
        less.take(keys[3]);
        assert_eq!(less, sum(&keys[..3]));
    }
}
