//! Properties and tables as bincode writes them.
//!
//! ```text
//! properties  mask u16 of the ten texts | those present | timestamp? | table? | blind keys
//! table       entries | per entry: name | value
//! value       kind u8 | what it has
//! ```
//!
//! Numbers have variable lengths, texts and lists begin with theirs. Lists are read one by one, so
//! that a length which is not true allocates nothing.

use bincode::{
    BorrowDecode, Encode,
    config::{self, Configuration},
    de::{BorrowDecoder, Decoder},
    enc::{Encoder, write::Writer},
    error::{DecodeError, EncodeError},
};
use bytes::Bytes;

use super::Malformed;
use crate::{Message, Name, Table, Value};

/// How deep tables that are read may lie in one another, which bounds the stack that it takes.
/// Brokers allow 32 by default, and dead letters add a few.
const DEPTH_MAX: u32 = 300;

const CONFIGURATION: Configuration = config::standard();

/// Writes the properties of a message but the delivery mode and the priority.
pub(super) fn put_properties(message: &Message, to: &mut Vec<u8>) {
    put(WireProperties(message), to);
}

/// Reads properties into a message that has none.
pub(super) fn read_properties(bytes: &[u8], message: Message) -> Result<Message, Malformed> {
    let read: ReadProperties<'_> = read(bytes)?;
    let mut message = message;
    for ((_, set), text) in TEXTS.iter().zip(read.texts) {
        if let Some(text) = text {
            message = set(message, Name::from(text));
        }
    }
    if let Some(timestamp) = read.timestamp {
        message = message.with_timestamp(timestamp);
    }
    if let Some(ReadTable(headers)) = read.headers {
        message = message.with_headers(headers);
    }
    message.set_blind_keys(read.blind_keys);
    Ok(message)
}

/// Writes what bincode can write.
pub(super) fn put(value: impl Encode, to: &mut Vec<u8>) {
    bincode::encode_into_writer(value, Sink(to), CONFIGURATION)
        .expect("writing to memory does not fail");
}

/// Reads one value, with which the bytes end.
pub(super) fn read<'a, T: BorrowDecode<'a, Depth>>(bytes: &'a [u8]) -> Result<T, Malformed> {
    let read =
        bincode::borrow_decode_from_slice_with_context(bytes, CONFIGURATION, Depth(DEPTH_MAX));
    let (value, taken) =
        read.map_err(|_| Malformed("properties or an entity that make no sense"))?;
    if taken == bytes.len() { Ok(value) } else { Err(Malformed("something follows a value")) }
}

/// How many more levels there may be.
pub(super) struct Depth(u32);

struct Sink<'a>(&'a mut Vec<u8>);

impl Writer for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

type Get = fn(&Message) -> Option<&str>;
type Set = fn(Message, Name) -> Message;

/// The texts in the order of the format.
const TEXTS: [(Get, Set); 10] = [
    (Message::content_type, Message::with_content_type),
    (Message::content_encoding, Message::with_content_encoding),
    (Message::correlation_id, Message::with_correlation_id),
    (Message::reply_to, Message::with_reply_to),
    (Message::expiration, Message::with_expiration),
    (Message::message_id, Message::with_message_id),
    (Message::kind, Message::with_kind),
    (Message::user_id, Message::with_user_id),
    (Message::app_id, Message::with_app_id),
    (Message::cluster_id, Message::with_cluster_id),
];

struct WireProperties<'a>(&'a Message);

struct ReadProperties<'a> {
    texts: [Option<&'a str>; TEXTS.len()],
    timestamp: Option<u64>,
    headers: Option<ReadTable>,
    blind_keys: Vec<Name>,
}

impl Encode for WireProperties<'_> {
    fn encode<E: Encoder>(&self, to: &mut E) -> Result<(), EncodeError> {
        let message = self.0;
        let present = TEXTS.iter().map(|(get, _)| get(message));
        let mask = present.clone().enumerate().filter(|(_, text)| text.is_some());
        mask.fold(0_u16, |mask, (at, _)| mask | 1 << at).encode(to)?;
        for text in present.flatten() {
            text.encode(to)?;
        }
        message.timestamp().encode(to)?;
        message.headers().map(WireTable).encode(to)?;
        put_list(message.blind_keys(), |key, to| key.as_str().encode(to), to)
    }
}

impl<'a> BorrowDecode<'a, Depth> for ReadProperties<'a> {
    fn borrow_decode<D: BorrowDecoder<'a, Context = Depth>>(
        from: &mut D,
    ) -> Result<Self, DecodeError> {
        let mask = u16::borrow_decode(from)?;
        if mask >> TEXTS.len() != 0 {
            return Err(DecodeError::Other("unknown properties"));
        }
        let mut texts = [None; TEXTS.len()];
        for (at, text) in texts.iter_mut().enumerate() {
            if mask & 1 << at != 0 {
                *text = Some(<&str>::borrow_decode(from)?);
            }
        }
        Ok(Self {
            texts,
            timestamp: BorrowDecode::borrow_decode(from)?,
            headers: BorrowDecode::borrow_decode(from)?,
            blind_keys: read_list(from, read_name)?,
        })
    }
}

/// A table to be written.
pub(super) struct WireTable<'a>(pub(super) &'a Table);

/// A table that was read.
pub(super) struct ReadTable(pub(super) Table);

impl Encode for WireTable<'_> {
    fn encode<E: Encoder>(&self, to: &mut E) -> Result<(), EncodeError> {
        let put_entry = |(name, value): &(Name, Value), to: &mut E| {
            name.as_str().encode(to)?;
            WireValue(value).encode(to)
        };
        put_list(self.0.entries(), put_entry, to)
    }
}

impl<'a> BorrowDecode<'a, Depth> for ReadTable {
    fn borrow_decode<D: BorrowDecoder<'a, Context = Depth>>(
        from: &mut D,
    ) -> Result<Self, DecodeError> {
        descend(from)?;
        let entries = read_list(from, |from| {
            let name = read_name(from)?;
            let ReadValue(value) = ReadValue::borrow_decode(from)?;
            Ok((name, value))
        })?;
        from.context().0 += 1;
        Ok(Self(Table::from_distinct(entries)))
    }
}

struct WireValue<'a>(&'a Value);

struct ReadValue(Value);

/// The kinds of values in the order of the format.
mod kind {
    pub(super) const ARRAY: u8 = 0;
    pub(super) const BOOL: u8 = 1;
    pub(super) const BYTES: u8 = 2;
    pub(super) const DECIMAL: u8 = 3;
    pub(super) const F32: u8 = 4;
    pub(super) const F64: u8 = 5;
    pub(super) const I8: u8 = 6;
    pub(super) const I16: u8 = 7;
    pub(super) const I32: u8 = 8;
    pub(super) const I64: u8 = 9;
    pub(super) const STR: u8 = 10;
    pub(super) const TABLE: u8 = 11;
    pub(super) const TIMESTAMP: u8 = 12;
    pub(super) const U8: u8 = 13;
    pub(super) const U16: u8 = 14;
    pub(super) const U32: u8 = 15;
    pub(super) const VOID: u8 = 16;
}

impl Encode for WireValue<'_> {
    fn encode<E: Encoder>(&self, to: &mut E) -> Result<(), EncodeError> {
        match self.0 {
            Value::Array(items) => {
                kind::ARRAY.encode(to)?;
                put_list(items, |item, to| WireValue(item).encode(to), to)
            }
            Value::Bool(value) => (kind::BOOL, value).encode(to),
            Value::Bytes(bytes) => (kind::BYTES, &**bytes).encode(to),
            Value::Decimal { scale, value } => (kind::DECIMAL, scale, value).encode(to),
            Value::F32(value) => (kind::F32, value.to_bits()).encode(to),
            Value::F64(value) => (kind::F64, value.to_bits()).encode(to),
            Value::I8(value) => (kind::I8, value).encode(to),
            Value::I16(value) => (kind::I16, value).encode(to),
            Value::I32(value) => (kind::I32, value).encode(to),
            Value::I64(value) => (kind::I64, value).encode(to),
            Value::Str(bytes) => (kind::STR, &**bytes).encode(to),
            Value::Table(table) => (kind::TABLE, WireTable(table)).encode(to),
            Value::Timestamp(seconds) => (kind::TIMESTAMP, seconds).encode(to),
            Value::U8(value) => (kind::U8, value).encode(to),
            Value::U16(value) => (kind::U16, value).encode(to),
            Value::U32(value) => (kind::U32, value).encode(to),
            Value::Void => kind::VOID.encode(to),
        }
    }
}

impl<'a> BorrowDecode<'a, Depth> for ReadValue {
    fn borrow_decode<D: BorrowDecoder<'a, Context = Depth>>(
        from: &mut D,
    ) -> Result<Self, DecodeError> {
        Ok(Self(match u8::borrow_decode(from)? {
            kind::ARRAY => {
                descend(from)?;
                let items = read_list(from, |from| Ok(Self::borrow_decode(from)?.0))?;
                from.context().0 += 1;
                Value::Array(items)
            }
            kind::BOOL => Value::Bool(BorrowDecode::borrow_decode(from)?),
            kind::BYTES => Value::Bytes(read_bytes(from)?),
            kind::DECIMAL => {
                let (scale, value) = BorrowDecode::borrow_decode(from)?;
                Value::Decimal { scale, value }
            }
            kind::F32 => Value::F32(f32::from_bits(BorrowDecode::borrow_decode(from)?)),
            kind::F64 => Value::F64(f64::from_bits(BorrowDecode::borrow_decode(from)?)),
            kind::I8 => Value::I8(BorrowDecode::borrow_decode(from)?),
            kind::I16 => Value::I16(BorrowDecode::borrow_decode(from)?),
            kind::I32 => Value::I32(BorrowDecode::borrow_decode(from)?),
            kind::I64 => Value::I64(BorrowDecode::borrow_decode(from)?),
            kind::STR => Value::Str(read_bytes(from)?),
            kind::TABLE => Value::Table(ReadTable::borrow_decode(from)?.0),
            kind::TIMESTAMP => Value::Timestamp(BorrowDecode::borrow_decode(from)?),
            kind::U8 => Value::U8(BorrowDecode::borrow_decode(from)?),
            kind::U16 => Value::U16(BorrowDecode::borrow_decode(from)?),
            kind::U32 => Value::U32(BorrowDecode::borrow_decode(from)?),
            kind::VOID => Value::Void,
            _ => return Err(DecodeError::Other("a value of an unknown kind")),
        }))
    }
}

fn descend(from: &mut impl Decoder<Context = Depth>) -> Result<(), DecodeError> {
    let Depth(left) = from.context();
    *left = left.checked_sub(1).ok_or(DecodeError::Other("tables too deep"))?;
    Ok(())
}

fn read_bytes<'a, D: BorrowDecoder<'a, Context = Depth>>(
    from: &mut D,
) -> Result<Bytes, DecodeError> {
    <&[u8]>::borrow_decode(from).map(Bytes::copy_from_slice)
}

pub(super) fn read_name<'a, D: BorrowDecoder<'a, Context = Depth>>(
    from: &mut D,
) -> Result<Name, DecodeError> {
    <&str>::borrow_decode(from).map(Name::from)
}

pub(super) fn put_list<T, E: Encoder>(
    items: &[T],
    put: impl Fn(&T, &mut E) -> Result<(), EncodeError>,
    to: &mut E,
) -> Result<(), EncodeError> {
    items.len().encode(to)?;
    items.iter().try_for_each(|item| put(item, to))
}

/// Each item takes a byte at least, so a list is never much longer than what it is read from.
pub(super) fn read_list<'a, T, D: BorrowDecoder<'a, Context = Depth>>(
    from: &mut D,
    read: impl Fn(&mut D) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let length = usize::borrow_decode(from)?;
    let mut items = Vec::new();
    for _ in 0..length {
        items.push(read(from)?);
    }
    Ok(items)
}
