//! Entities as bincode writes them: a kind, and its fields in order.

use bincode::{
    BorrowDecode, Encode,
    de::BorrowDecoder,
    enc::Encoder,
    error::{DecodeError, EncodeError},
};

use super::{
    Malformed,
    table::{self, Depth, ReadTable, WireTable, read_name},
};
use crate::{
    Name,
    engine::{
        definition::{ExchangeDeclaration, QueueDeclaration},
        entity::OwnerId,
        routing::ExchangeKind,
    },
    store::record::{End, Entity},
};

pub(super) fn put(entity: &Entity, to: &mut Vec<u8>) {
    table::put(WireEntity(entity), to);
}

pub(super) fn read(bytes: &[u8]) -> Result<Entity, Malformed> {
    table::read(bytes).map(|ReadEntity(entity)| entity)
}

struct WireEntity<'a>(&'a Entity);

struct ReadEntity(Entity);

/// The kinds of entities in the order of the format.
mod kind {
    pub(super) const VIRTUAL_HOST: u8 = 0;
    pub(super) const EXCHANGE: u8 = 1;
    pub(super) const QUEUE: u8 = 2;
    pub(super) const BINDING: u8 = 3;
    pub(super) const USED: u8 = 4;
}

impl Encode for WireEntity<'_> {
    fn encode<E: Encoder>(&self, to: &mut E) -> Result<(), EncodeError> {
        match self.0 {
            Entity::VirtualHost { name } => (kind::VIRTUAL_HOST, name.as_str()).encode(to),
            Entity::Exchange { vhost, name, declaration } => {
                (kind::EXCHANGE, vhost, name.as_str()).encode(to)?;
                let ExchangeDeclaration { kind, durable, auto_delete, internal, arguments } =
                    declaration;
                (exchange_kind(*kind), durable, auto_delete, internal).encode(to)?;
                WireTable(arguments).encode(to)
            }
            Entity::Queue { vhost, name, declaration } => {
                (kind::QUEUE, vhost, name.as_str()).encode(to)?;
                let QueueDeclaration { durable, auto_delete, owner, arguments } = declaration;
                (durable, auto_delete, owner.map(|OwnerId(owner)| owner)).encode(to)?;
                WireTable(arguments).encode(to)
            }
            Entity::Binding { vhost, source, destination, key, arguments } => {
                (kind::BINDING, vhost).encode(to)?;
                WireEnd(source).encode(to)?;
                WireEnd(destination).encode(to)?;
                key.as_str().encode(to)?;
                WireTable(arguments).encode(to)
            }
            Entity::Used { queue, below } => (kind::USED, queue, below).encode(to),
        }
    }
}

impl<'a> BorrowDecode<'a, Depth> for ReadEntity {
    fn borrow_decode<D: BorrowDecoder<'a, Context = Depth>>(
        from: &mut D,
    ) -> Result<Self, DecodeError> {
        let entity = match u8::borrow_decode(from)? {
            kind::VIRTUAL_HOST => Entity::VirtualHost { name: read_name(from)? },
            kind::EXCHANGE => {
                let (vhost, name) = (BorrowDecode::borrow_decode(from)?, read_name(from)?);
                let kind = exchange_kind_of(BorrowDecode::borrow_decode(from)?)?;
                let (durable, auto_delete, internal) = BorrowDecode::borrow_decode(from)?;
                let ReadTable(arguments) = ReadTable::borrow_decode(from)?;
                let declaration =
                    ExchangeDeclaration { kind, durable, auto_delete, internal, arguments };
                Entity::Exchange { vhost, name, declaration }
            }
            kind::QUEUE => {
                let (vhost, name) = (BorrowDecode::borrow_decode(from)?, read_name(from)?);
                let (durable, auto_delete) = BorrowDecode::borrow_decode(from)?;
                let owner = Option::<u64>::borrow_decode(from)?.map(OwnerId);
                let ReadTable(arguments) = ReadTable::borrow_decode(from)?;
                let declaration = QueueDeclaration { durable, auto_delete, owner, arguments };
                Entity::Queue { vhost, name, declaration }
            }
            kind::BINDING => {
                let vhost = BorrowDecode::borrow_decode(from)?;
                let (source, destination) = (read_end(from)?, read_end(from)?);
                let key = read_name(from)?;
                let ReadTable(arguments) = ReadTable::borrow_decode(from)?;
                Entity::Binding { vhost, source, destination, key, arguments }
            }
            kind::USED => {
                let (queue, below) = BorrowDecode::borrow_decode(from)?;
                Entity::Used { queue, below }
            }
            _ => return Err(DecodeError::Other("an entity of an unknown kind")),
        };
        Ok(Self(entity))
    }
}

struct WireEnd<'a>(&'a End);

const PREDECLARED: u8 = 0;
const EXCHANGE: u8 = 1;
const QUEUE: u8 = 2;

impl Encode for WireEnd<'_> {
    fn encode<E: Encoder>(&self, to: &mut E) -> Result<(), EncodeError> {
        match self.0 {
            End::Predeclared(name) => (PREDECLARED, name.as_str()).encode(to),
            End::Exchange(serial) => (EXCHANGE, serial).encode(to),
            End::Queue(serial) => (QUEUE, serial).encode(to),
        }
    }
}

fn read_end<'a, D: BorrowDecoder<'a, Context = Depth>>(from: &mut D) -> Result<End, DecodeError> {
    match u8::borrow_decode(from)? {
        PREDECLARED => read_name(from).map(|name: Name| End::Predeclared(name)),
        EXCHANGE => BorrowDecode::borrow_decode(from).map(End::Exchange),
        QUEUE => BorrowDecode::borrow_decode(from).map(End::Queue),
        _ => Err(DecodeError::Other("an end of an unknown kind")),
    }
}

fn exchange_kind(kind: ExchangeKind) -> u8 {
    match kind {
        ExchangeKind::Direct => 0,
        ExchangeKind::Fanout => 1,
        ExchangeKind::Headers => 2,
        ExchangeKind::Topic => 3,
    }
}

fn exchange_kind_of(byte: u8) -> Result<ExchangeKind, DecodeError> {
    match byte {
        0 => Ok(ExchangeKind::Direct),
        1 => Ok(ExchangeKind::Fanout),
        2 => Ok(ExchangeKind::Headers),
        3 => Ok(ExchangeKind::Topic),
        _ => Err(DecodeError::Other("an exchange of an unknown type")),
    }
}
