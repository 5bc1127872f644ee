//! What is in a log, byte by byte.
//!
//! ```text
//! frame     bytes u32 | checksum u32 | number u64 | records
//! message   1 | queue u64 | sequence u64 | properties | bytes u32 | body
//! ack       2 | queue u64 | sequence u64
//! properties    bytes u8 | exchange | bytes u8 | key | delivery mode u8
//! ```
//!
//! The checksum is CRC-32C over the number and the records. Frames are numbered one by one, so what
//! a segment holds from an earlier use is never taken for the next frame.

/// The number of a message in its queue, from one.
pub(super) type Seq = u64;

pub(super) const FRAME_BYTES: usize = 16;

/// There is only this queue.
const QUEUE: u64 = 1;
const EXCHANGE: &[u8] = b"orders";
const KEY: &[u8] = crate::load::way::KEY.as_bytes();
const PERSISTENT: u8 = 2;

const MESSAGE: u8 = 1;
const ACK: u8 = 2;

/// What has happened to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record<'b> {
    Message(Seq, &'b [u8]),
    Acked(Seq),
}

impl<'b> Record<'b> {
    #[inline]
    pub(super) fn write(self, bytes: &mut Vec<u8>) {
        let head = |kind: u8, seq: Seq| {
            let mut head = [kind; 17];
            head[1..9].copy_from_slice(&QUEUE.to_le_bytes());
            head[9..].copy_from_slice(&seq.to_le_bytes());
            head
        };
        match self {
            Self::Acked(seq) => bytes.extend_from_slice(&head(ACK, seq)),
            Self::Message(seq, body) => {
                bytes.extend_from_slice(&head(MESSAGE, seq));
                for name in [EXCHANGE, KEY] {
                    bytes.push(u8::try_from(name.len()).expect("names are short"));
                    bytes.extend_from_slice(name);
                }
                bytes.push(PERSISTENT);
                bytes.extend_from_slice(&count(body.len()).to_le_bytes());
                bytes.extend_from_slice(body);
            }
        }
    }

    /// Reads the first record; none where there is none, or something else.
    #[inline]
    pub(super) fn read(bytes: &mut &'b [u8]) -> Option<Self> {
        let kind = take::<1>(bytes)?[0];
        let _queue = take::<8>(bytes)?;
        let seq = u64::from_le_bytes(take(bytes)?);
        match kind {
            ACK => Some(Self::Acked(seq)),
            MESSAGE => {
                for _ in [EXCHANGE, KEY] {
                    let name = take::<1>(bytes)?[0];
                    bytes.split_off(..usize::from(name))?;
                }
                let _mode = take::<1>(bytes)?;
                let length = u32::from_le_bytes(take(bytes)?);
                let body = bytes.split_off(..usize::try_from(length).ok()?)?;
                Some(Self::Message(seq, body))
            }
            _ => None,
        }
    }
}

/// Fills in what comes before the records of a frame.
pub(super) fn seal(frame: &mut [u8], number: u64) {
    let bytes = count(frame.len());
    frame[8..FRAME_BYTES].copy_from_slice(&number.to_le_bytes());
    let checksum = crc32c::crc32c(&frame[8..]);
    frame[..4].copy_from_slice(&bytes.to_le_bytes());
    frame[4..8].copy_from_slice(&checksum.to_le_bytes());
}

/// Takes the first frame: its number and its records. None where there is none.
pub(super) fn open<'b>(bytes: &mut &'b [u8]) -> Option<(u64, &'b [u8])> {
    let length = u32::from_le_bytes(*bytes.first_chunk()?);
    let length = usize::try_from(length).ok().filter(|length| *length >= FRAME_BYTES)?;
    let frame = bytes.get(..length)?;
    let checksum = u32::from_le_bytes(frame[4..8].try_into().ok()?);
    if crc32c::crc32c(&frame[8..]) != checksum {
        return None;
    }
    *bytes = &bytes[length..];
    let number = u64::from_le_bytes(frame[8..FRAME_BYTES].try_into().ok()?);
    Some((number, &frame[FRAME_BYTES..]))
}

fn take<const BYTES: usize>(bytes: &mut &[u8]) -> Option<[u8; BYTES]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

fn count(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a segment is smaller")
}
