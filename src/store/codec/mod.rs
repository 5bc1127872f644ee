//! Records as bytes.
//!
//! A record is a *kind* (one byte) and what that kind has, numbers with their lowest byte first:
//!
//! ```text
//! settled  1 | per item: queue u64 | seq u64
//! amended  2 | queue u64 | seq u64 | state
//! moved    3 | queue u64 | seq u64 | seq u64
//! ended    4 | queue u64
//! leaving  5 | per run: commit u64 | value u32 | values u32
//! message  6 | heads u16 | per head: queue u64 | seq u64 | state
//!            | marks u8 | delivery mode u8? | priority u8? | exchange text | key text
//!            | properties u32 bytes? | body
//! entity   7 | serial u64 | entity
//!
//! state    flags u8 | returns u32? | end u64? | until u64? | death u8?
//! text     bytes u8, or 255 and bytes u32 | UTF-8
//! ```
//!
//! Properties and entities are bincode's, for which see the files beside this one. None of it
//! follows the layout of Rust types: what is written today is read by later versions.
//!
//! Reading takes any bytes: it gives a record or says what is wrong, and allocates in proportion to
//! their number.

mod entity;
mod table;

use bytes::Bytes;

use super::{
    engine::Key,
    record::{Amendment, Entity, ItemId, Outline, Serial},
};
use crate::{
    Message, Name,
    engine::queue::Reason,
    message::{Address, Label},
};

/// What the bytes of a store follow. It stands at the beginning of each value.
pub(super) const VERSION: u8 = 1;

/// A message that is in more queues than this is written several times.
pub(super) const HEADS_MAX: usize = 4_096;

const SETTLED: u8 = 1;
const AMENDED: u8 = 2;
const MOVED: u8 = 3;
const ENDED: u8 = 4;
const LEAVING: u8 = 5;
const MESSAGE: u8 = 6;
const ENTITY: u8 = 7;

/// The flags of a state.
const REDELIVERED: u8 = 1;
const RETURNED: u8 = 2;
const ENDS: u8 = 4;
const WAITS: u8 = 8;
const DEAD: u8 = 16;

/// What a message may have died of, each as the place that it has in here.
const DEATHS: [Reason; 4] =
    [Reason::DeliveryLimit, Reason::Expired, Reason::MaxLen, Reason::Rejected];

/// The marks of a message.
const HAS_MODE: u8 = 1;
const HAS_PRIORITY: u8 = 2;
const HAS_PROPERTIES: u8 = 4;

/// A text of so many bytes or more has a longer length.
const LONG_TEXT: u8 = u8::MAX;

/// What is wrong with bytes that are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// Values of one commit that follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) first: Key,
    pub(super) values: u32,
}

/// A record as it was read.
#[derive(Debug)]
pub(super) enum Entry<'a> {
    Settled(Ids<'a>),
    Amended(ItemId, Amendment),
    Moved(ItemId, u64),
    Ended(Serial),
    Leaving(Vec<Run>),
    Message(Stored<'a>),
    Entity(Serial, EntityBytes<'a>),
}

/// What there is most of, as it was read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Frequent {
    /// In one place, which so many bytes say.
    Message {
        id: ItemId,
        state: Amendment,
        head_bytes: usize,
    },
    /// One item.
    Settled(ItemId),
    Nothing,
}

/// An entity that has not been looked into.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntityBytes<'a>(pub(super) &'a [u8]);

/// Items, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids<'a>(&'a [u8]);

/// A message that has not been looked into.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored<'a> {
    heads: &'a [u8],
    /// What follows the heads.
    pub(super) content: &'a [u8],
}

/// The parts of what follows the heads.
struct Content<'a> {
    delivery_mode: Option<u8>,
    priority: Option<u8>,
    exchange: &'a str,
    key: &'a str,
    properties: Option<&'a [u8]>,
    body: &'a [u8],
}

#[inline]
pub(super) fn put_settled(ids: &[ItemId], to: &mut Vec<u8>) {
    to.push(SETTLED);
    for id in ids {
        put_id(*id, to);
    }
}

pub(super) fn put_amended(id: ItemId, state: Amendment, to: &mut Vec<u8>) {
    to.push(AMENDED);
    put_id(id, to);
    put_state(state, to);
}

pub(super) fn put_moved(id: ItemId, place: u64, to: &mut Vec<u8>) {
    to.push(MOVED);
    put_id(id, to);
    to.extend_from_slice(&place.to_le_bytes());
}

pub(super) fn put_ended(queue: Serial, to: &mut Vec<u8>) {
    to.push(ENDED);
    to.extend_from_slice(&queue.to_le_bytes());
}

pub(super) fn put_leaving(runs: &[Run], to: &mut Vec<u8>) {
    to.push(LEAVING);
    for run in runs {
        to.extend_from_slice(&run.first.group.to_le_bytes());
        to.extend_from_slice(&run.first.part.to_le_bytes());
        to.extend_from_slice(&run.values.to_le_bytes());
    }
}

/// How many bytes a run takes in such a record, and an item in one of what is settled.
pub(super) const RUN_BYTES: usize = 16;
pub(super) const ID_BYTES: usize = 16;

/// Writes a message that is in these places, of which there are at most [`HEADS_MAX`].
pub(super) fn put_message(heads: &[(ItemId, Amendment)], message: &Message, to: &mut Vec<u8>) {
    put_start(heads, message, to);
    to.extend_from_slice(message.body());
}

/// The same for one place, and with less ado for the messages that most are: persistent ones with
/// no other properties, of which nothing is known yet.
#[inline]
pub(super) fn put_single(id: ItemId, state: Amendment, message: &Message, to: &mut Vec<u8>) {
    let Address { exchange, routing_key } = message.address();
    let lengths = (u8::try_from(exchange.len()), u8::try_from(routing_key.len()));
    match (message.delivery_mode(), message.priority(), lengths) {
        (Some(mode), None, (Ok(of_exchange), Ok(of_key)))
            if of_exchange.max(of_key) < LONG_TEXT
                && !message.has_table()
                && state == Amendment::default() =>
        {
            let mut start = [0; 23];
            start[..3].copy_from_slice(&[MESSAGE, 1, 0]);
            start[3..19].copy_from_slice(&id_bytes(id));
            start[20..].copy_from_slice(&[HAS_MODE, mode, of_exchange]);
            to.extend_from_slice(&start);
            to.extend_from_slice(exchange.as_bytes());
            to.push(of_key);
            to.extend_from_slice(routing_key.as_bytes());
            to.extend_from_slice(message.body());
        }
        _ => put_message(&[(id, state)], message, to),
    }
}

/// The same without the body, which follows.
pub(super) fn put_start(heads: &[(ItemId, Amendment)], message: &Message, to: &mut Vec<u8>) {
    put_heads(heads, to);
    let has_table = message.has_table();
    let mark = if has_table { HAS_PROPERTIES } else { 0 };
    match (message.delivery_mode(), message.priority()) {
        (Some(mode), None) => to.extend_from_slice(&[HAS_MODE | mark, mode]),
        (Some(mode), Some(priority)) => {
            to.extend_from_slice(&[HAS_MODE | HAS_PRIORITY | mark, mode, priority]);
        }
        (None, Some(priority)) => to.extend_from_slice(&[HAS_PRIORITY | mark, priority]),
        (None, None) => to.push(mark),
    }
    let address = message.address();
    put_text(&address.exchange, to);
    put_text(&address.routing_key, to);
    if has_table {
        let start = to.len();
        to.extend_from_slice(&[0; 4]);
        table::put_properties(message, to);
        let bytes = count(to.len() - start - 4).to_le_bytes();
        for (at, byte) in to.iter_mut().skip(start).zip(bytes) {
            *at = byte;
        }
    }
}

/// Begins a message that is in these places. What it has but for them follows.
#[inline]
pub(super) fn put_heads(heads: &[(ItemId, Amendment)], to: &mut Vec<u8>) {
    let places = u16::try_from(heads.len()).expect("a message is written in few places at a time");
    let [low, high] = places.to_le_bytes();
    to.extend_from_slice(&[MESSAGE, low, high]);
    for (id, state) in heads {
        put_id(*id, to);
        put_state(*state, to);
    }
}

pub(super) fn put_entity(serial: Serial, entity: &Entity, to: &mut Vec<u8>) {
    put_serial(serial, to);
    entity::put(entity, to);
}

/// Begins an entity. What it is follows, as it was written before.
pub(super) fn put_serial(serial: Serial, to: &mut Vec<u8>) {
    to.push(ENTITY);
    to.extend_from_slice(&serial.to_le_bytes());
}

/// Reads one record, which the bytes end with.
pub(super) fn entry(bytes: &[u8]) -> Result<Entry<'_>, Malformed> {
    let mut reader = Reader(bytes);
    let entry = match reader.byte()? {
        SETTLED => Entry::Settled(reader.ids()?),
        AMENDED => Entry::Amended(reader.id()?, reader.state()?),
        MOVED => Entry::Moved(reader.id()?, reader.u64()?),
        ENDED => Entry::Ended(reader.u64()?),
        LEAVING => Entry::Leaving(reader.runs()?),
        MESSAGE => Entry::Message(reader.stored()?),
        ENTITY => {
            let serial = reader.u64()?;
            Entry::Entity(serial, EntityBytes(reader.rest()))
        }
        _ => return Err(Malformed("a record of an unknown kind")),
    };
    reader.end()?;
    Ok(entry)
}

/// Reads a message from what follows its heads, and from its body, if that is apart.
pub(super) fn read_message(
    content: &[u8],
    body: Option<Bytes>,
    last: &mut Label,
) -> Result<Message, Malformed> {
    let content = Reader(content).content()?;
    content.message(body.unwrap_or_else(|| Bytes::copy_from_slice(content.body)), last)
}

impl EntityBytes<'_> {
    pub(super) fn read(self) -> Result<Entity, Malformed> {
        entity::read(self.0)
    }
}

impl<'a> Ids<'a> {
    #[inline]
    pub(super) fn iter(self) -> impl Iterator<Item = ItemId> + 'a {
        let mut reader = Reader(self.0);
        std::iter::from_fn(move || reader.id().ok())
    }
}

/// Reads what there is most of.
#[inline]
pub(super) fn frequent(bytes: &[u8]) -> Frequent {
    match bytes {
        [MESSAGE, 1, 0, rest @ ..] => {
            let mut reader = Reader(rest);
            reader.head().map_or(Frequent::Nothing, |(id, state)| Frequent::Message {
                id,
                state,
                head_bytes: bytes.len() - reader.0.len(),
            })
        }
        [SETTLED, rest @ ..] if rest.len() == ID_BYTES => {
            Reader(rest).id().map_or(Frequent::Nothing, Frequent::Settled)
        }
        _ => Frequent::Nothing,
    }
}

impl<'a> Stored<'a> {
    /// Where it is, in the order in which it was told.
    pub(super) fn heads(self) -> impl Iterator<Item = (ItemId, Amendment)> + 'a {
        // They were read once when the message was found.
        let mut reader = Reader(self.heads);
        std::iter::from_fn(move || reader.head().ok())
    }

    /// The message, with a body of its own. Names that are those of the last one share its memory.
    pub(super) fn message(self, last: &mut Label) -> Result<Message, Malformed> {
        read_message(self.content, None, last)
    }

    /// What has to be known of it while its body is on disk.
    pub(super) fn outline(self, last: &mut Label) -> Result<Outline, Malformed> {
        let content = Reader(self.content).content()?;
        let body_bytes = u32::try_from(content.body.len()).unwrap_or(u32::MAX);
        if content.properties.is_none() {
            let Content { delivery_mode, priority, .. } = content;
            return Ok(Outline { body_bytes, delivery_mode, priority, expiration: None });
        }
        let bare = content.message(Bytes::new(), last)?;
        Ok(Outline {
            body_bytes,
            delivery_mode: bare.delivery_mode(),
            priority: bare.priority(),
            expiration: bare.expiration().map(|ms| Box::new(Name::from(ms))),
        })
    }
}

impl Content<'_> {
    fn message(&self, body: Bytes, last: &mut Label) -> Result<Message, Malformed> {
        let mut message = Message::new(body);
        if let Some(mode) = self.delivery_mode {
            message = message.with_delivery_mode(mode);
        }
        if let Some(priority) = self.priority {
            message = message.with_priority(priority);
        }
        if let Some(properties) = self.properties {
            message = table::read_properties(properties, message)?;
        }
        self.relabel(last);
        message.put_label(last);
        Ok(message)
    }

    fn relabel(&self, last: &mut Label) {
        let known = last.address();
        if known.exchange != *self.exchange || known.routing_key != *self.key {
            *last = Label::new(Name::from(self.exchange), Name::from(self.key));
        }
    }
}

#[inline]
fn put_id(id: ItemId, to: &mut Vec<u8>) {
    to.extend_from_slice(&id_bytes(id));
}

#[inline]
fn id_bytes(id: ItemId) -> [u8; ID_BYTES] {
    (u128::from(id.seq) << u64::BITS | u128::from(id.queue)).to_le_bytes()
}

#[inline]
fn put_state(state: Amendment, to: &mut Vec<u8>) {
    if state == Amendment::default() {
        to.push(0);
        return;
    }
    let Amendment { returns, is_redelivered, end, until, death } = state;
    to.push(
        if is_redelivered { REDELIVERED } else { 0 }
            | if returns > 0 { RETURNED } else { 0 }
            | end.map_or(0, |_| ENDS)
            | until.map_or(0, |_| WAITS)
            | death.map_or(0, |_| DEAD),
    );
    if returns > 0 {
        to.extend_from_slice(&returns.to_le_bytes());
    }
    for moment in [end, until].into_iter().flatten() {
        to.extend_from_slice(&moment.to_le_bytes());
    }
    to.extend((0..).zip(DEATHS).filter(|(_, of)| death == Some(*of)).map(|(number, _)| number));
}

#[inline]
fn put_text(text: &str, to: &mut Vec<u8>) {
    match u8::try_from(text.len()) {
        Ok(bytes) if bytes < LONG_TEXT => to.push(bytes),
        _ => {
            to.push(LONG_TEXT);
            to.extend_from_slice(&count(text.len()).to_le_bytes());
        }
    }
    to.extend_from_slice(text.as_bytes());
}

/// A number of bytes, which the bounds of a broker keep far below 4 GiB.
pub(super) fn count(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("messages are smaller than 4 GiB")
}

/// What has not been read yet.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

const CUT: Malformed = Malformed("a record that ends too early");

impl<'a> Reader<'a> {
    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (array, rest) = self.0.split_first_chunk().ok_or(CUT)?;
        self.0 = rest;
        Ok(*array)
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_le_bytes)
    }

    #[inline]
    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    #[inline]
    pub(super) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn bytes(&mut self, bytes: u32) -> Result<&'a [u8], Malformed> {
        let bytes = usize::try_from(bytes).map_err(|_| CUT)?;
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(CUT)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(super) fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed("something follows a record")) }
    }

    #[inline]
    fn id(&mut self) -> Result<ItemId, Malformed> {
        Ok(ItemId { queue: self.u64()?, seq: self.u64()? })
    }

    #[inline]
    fn state(&mut self) -> Result<Amendment, Malformed> {
        let flags = self.byte()?;
        if flags == 0 {
            return Ok(Amendment::default());
        }
        if flags & !(REDELIVERED | RETURNED | ENDS | WAITS | DEAD) != 0 {
            return Err(Malformed("a state with unknown flags"));
        }
        Ok(Amendment {
            is_redelivered: flags & REDELIVERED != 0,
            returns: if flags & RETURNED != 0 { self.u32()? } else { 0 },
            end: if flags & ENDS != 0 { Some(self.u64()?) } else { None },
            until: if flags & WAITS != 0 { Some(self.u64()?) } else { None },
            death: if flags & DEAD != 0 { Some(self.death()?) } else { None },
        })
    }

    fn death(&mut self) -> Result<Reason, Malformed> {
        let number = usize::from(self.byte()?);
        DEATHS.get(number).copied().ok_or(Malformed("a death of an unknown reason"))
    }

    #[inline]
    fn head(&mut self) -> Result<(ItemId, Amendment), Malformed> {
        Ok((self.id()?, self.state()?))
    }

    fn ids(&mut self) -> Result<Ids<'a>, Malformed> {
        let ids = self.rest();
        if ids.is_empty() || !ids.len().is_multiple_of(ID_BYTES) {
            return Err(CUT);
        }
        Ok(Ids(ids))
    }

    fn runs(&mut self) -> Result<Vec<Run>, Malformed> {
        let mut runs = Vec::with_capacity(self.0.len() / RUN_BYTES);
        while !self.0.is_empty() {
            let first = Key { group: self.u64()?, part: self.u32()? };
            let values = self.u32()?;
            if first.part.checked_add(values).is_none() {
                return Err(Malformed("a run of values beyond the last one"));
            }
            runs.push(Run { first, values });
        }
        Ok(runs)
    }

    fn stored(&mut self) -> Result<Stored<'a>, Malformed> {
        let heads = u16::from_le_bytes(self.array()?);
        let start = self.0;
        for _ in 0..heads {
            self.head()?;
        }
        let heads = start.get(..start.len() - self.0.len()).ok_or(CUT)?;
        Ok(Stored { heads, content: self.rest() })
    }

    fn text(&mut self) -> Result<&'a str, Malformed> {
        let bytes = match self.byte()? {
            LONG_TEXT => self.u32()?,
            bytes => bytes.into(),
        };
        std::str::from_utf8(self.bytes(bytes)?).map_err(|_| Malformed("a text that is no UTF-8"))
    }

    fn content(&mut self) -> Result<Content<'a>, Malformed> {
        let marks = self.byte()?;
        if marks & !(HAS_MODE | HAS_PRIORITY | HAS_PROPERTIES) != 0 {
            return Err(Malformed("a message with unknown marks"));
        }
        let delivery_mode = if marks & HAS_MODE != 0 { Some(self.byte()?) } else { None };
        let priority = if marks & HAS_PRIORITY != 0 { Some(self.byte()?) } else { None };
        let (exchange, key) = (self.text()?, self.text()?);
        let properties = if marks & HAS_PROPERTIES != 0 {
            let bytes = self.u32()?;
            Some(self.bytes(bytes)?)
        } else {
            None
        };
        let body = self.rest();
        Ok(Content { delivery_mode, priority, exchange, key, properties, body })
    }
}

#[cfg(test)]
mod tests;
