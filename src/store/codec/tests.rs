//! What is written is read back, and any bytes are read without harm.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    Table, Value,
    engine::{
        definition::{ExchangeDeclaration, QueueDeclaration},
        entity::OwnerId,
        routing::ExchangeKind,
    },
    store::record::End,
};

fn name() -> impl Strategy<Value = Name> {
    prop_oneof![".{0,12}", ".{200,300}"].prop_map(Name::from)
}

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        bytes().prop_map(Value::Bytes),
        (any::<u8>(), any::<u32>()).prop_map(|(scale, value)| Value::Decimal { scale, value }),
        proptest::num::f32::NORMAL.prop_map(Value::F32),
        proptest::num::f64::NORMAL.prop_map(Value::F64),
        any::<i8>().prop_map(Value::I8),
        any::<i16>().prop_map(Value::I16),
        any::<i32>().prop_map(Value::I32),
        any::<i64>().prop_map(Value::I64),
        bytes().prop_map(Value::Str),
        any::<u64>().prop_map(Value::Timestamp),
        any::<u8>().prop_map(Value::U8),
        any::<u16>().prop_map(Value::U16),
        any::<u32>().prop_map(Value::U32),
        Just(Value::Void),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec((name(), inner), 0..4).prop_map(|entries| Value::Table(Table::from_iter(entries))),
        ]
    })
}

fn table() -> impl Strategy<Value = Table> {
    vec((name(), value()), 0..5).prop_map(Table::from_iter)
}

fn state() -> impl Strategy<Value = Amendment> {
    let death = proptest::option::of(proptest::sample::select(&DEATHS));
    (any::<u32>(), any::<bool>(), any::<Option<u64>>(), any::<Option<u64>>(), death).prop_map(
        |(returns, is_redelivered, end, until, death)| Amendment {
            returns,
            is_redelivered,
            end,
            until,
            death,
        },
    )
}

fn id() -> impl Strategy<Value = ItemId> {
    (any::<u64>(), any::<u64>()).prop_map(|(queue, seq)| ItemId { queue, seq })
}

const SETTERS: [fn(Message, Name) -> Message; 10] = [
    Message::with_content_type,
    Message::with_content_encoding,
    Message::with_correlation_id,
    Message::with_reply_to,
    Message::with_expiration,
    Message::with_message_id,
    Message::with_kind,
    Message::with_user_id,
    Message::with_app_id,
    Message::with_cluster_id,
];

fn message() -> impl Strategy<Value = Message> {
    let texts = || proptest::array::uniform10(proptest::option::of(name()));
    let rest = (
        proptest::option::of(table()),
        any::<Option<u64>>(),
        any::<Option<u8>>(),
        any::<Option<u8>>(),
        vec(name(), 0..3),
    );
    (bytes(), texts(), rest, name(), name()).prop_map(|(body, texts, rest, exchange, key)| {
        let mut message = Message::new(body);
        for (set, text) in SETTERS.iter().zip(texts) {
            if let Some(text) = text {
                message = set(message, text);
            }
        }
        let (headers, timestamp, mode, priority, blind_keys) = rest;
        if let Some(headers) = headers {
            message = message.with_headers(headers);
        }
        if let Some(timestamp) = timestamp {
            message = message.with_timestamp(timestamp);
        }
        if let Some(mode) = mode {
            message = message.with_delivery_mode(mode);
        }
        if let Some(priority) = priority {
            message = message.with_priority(priority);
        }
        message.set_blind_keys(blind_keys);
        message.put_label(&Label::new(exchange, key));
        message
    })
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        name().prop_map(End::Predeclared),
        any::<u64>().prop_map(End::Exchange),
        any::<u64>().prop_map(End::Queue),
    ]
}

fn entity() -> impl Strategy<Value = Entity> {
    let kind = prop_oneof![
        Just(ExchangeKind::Direct),
        Just(ExchangeKind::Fanout),
        Just(ExchangeKind::Headers),
        Just(ExchangeKind::Topic),
    ];
    let exchange = (kind, any::<bool>(), any::<bool>(), any::<bool>(), table()).prop_map(
        |(kind, durable, auto_delete, internal, arguments)| ExchangeDeclaration {
            kind,
            durable,
            auto_delete,
            internal,
            arguments,
        },
    );
    let queue = (any::<bool>(), any::<bool>(), any::<Option<u64>>(), table()).prop_map(
        |(durable, auto_delete, owner, arguments)| QueueDeclaration {
            durable,
            auto_delete,
            owner: owner.map(OwnerId),
            arguments,
        },
    );
    let vhost = || any::<Option<u64>>();
    prop_oneof![
        name().prop_map(|name| Entity::VirtualHost { name }),
        (vhost(), name(), exchange).prop_map(|(vhost, name, declaration)| Entity::Exchange {
            vhost,
            name,
            declaration
        }),
        (vhost(), name(), queue).prop_map(|(vhost, name, declaration)| Entity::Queue {
            vhost,
            name,
            declaration
        }),
        (vhost(), end(), end(), name(), table()).prop_map(
            |(vhost, source, destination, key, arguments)| Entity::Binding {
                vhost,
                source,
                destination,
                key,
                arguments
            }
        ),
        any::<(u64, Option<u64>)>().prop_map(|(queue, below)| Entity::Used { queue, below }),
    ]
}

fn encoded(put: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    put(&mut bytes);
    bytes
}

proptest! {
    #[test]
    fn a_message_is_read_back(
        message in message(),
        heads in vec((id(), state()), 1..4),
    ) {
        let bytes = encoded(|to| put_message(&heads, &message, to));
        let Ok(Entry::Message(stored)) = entry(&bytes) else { panic!("no message") };
        prop_assert_eq!(stored.heads().collect::<Vec<_>>(), heads.clone());
        let mut label = Label::default();
        let read = stored.message(&mut label).unwrap();
        prop_assert_eq!(&read, &message);
        prop_assert_eq!(read.blind_keys(), message.blind_keys());
        prop_assert_eq!(&read.address().exchange, &message.address().exchange);
        prop_assert_eq!(&read.address().routing_key, &message.address().routing_key);
        prop_assert_eq!(read.bytes(), message.bytes());
        let outline = stored.outline(&mut label).unwrap();
        prop_assert_eq!(outline.body_bytes as usize, message.body().len());
        prop_assert_eq!(outline.priority, message.priority());
        prop_assert_eq!(outline.delivery_mode, message.delivery_mode());
        let copied = encoded(|to| {
            put_heads(&heads, to);
            to.extend_from_slice(stored.content);
        });
        prop_assert_eq!(copied, bytes);
        let (id, state) = heads[0];
        for state in [state, Amendment::default()] {
            let single = encoded(|to| put_single(id, state, &message, to));
            prop_assert_eq!(single, encoded(|to| put_message(&[(id, state)], &message, to)));
        }
        let start = encoded(|to| put_start(&heads, &message, to));
        let Ok(Entry::Message(start)) = entry(&start) else { panic!("no message") };
        let body = Some(message.body().clone());
        prop_assert_eq!(read_message(start.content, body, &mut label).unwrap(), message);
    }

    #[test]
    fn an_entity_is_read_back(serial in any::<u64>(), entity in entity()) {
        let bytes = encoded(|to| put_entity(serial, &entity, to));
        let Ok(Entry::Entity(read_serial, read)) = entry(&bytes) else { panic!("no entity") };
        prop_assert_eq!(read_serial, serial);
        prop_assert_eq!(read.read().unwrap(), entity);
        let copied = encoded(|to| {
            put_serial(serial, to);
            to.extend_from_slice(read.0);
        });
        prop_assert_eq!(copied, bytes);
    }

    #[test]
    fn what_has_no_body_is_read_back(id in id(), state in state(), place in any::<u64>()) {
        let settled = encoded(|to| put_settled(&[id, id], to));
        prop_assert!(matches!(entry(&settled), Ok(Entry::Settled(ids)) if ids.iter().eq([id, id])));
        let amended = encoded(|to| put_amended(id, state, to));
        let read = entry(&amended);
        let same = matches!(read, Ok(Entry::Amended(of, read)) if of == id && read == state);
        prop_assert!(same);
        let moved = encoded(|to| put_moved(id, place, to));
        prop_assert!(matches!(entry(&moved), Ok(Entry::Moved(of, to)) if of == id && to == place));
        let ended = encoded(|to| put_ended(place, to));
        prop_assert!(matches!(entry(&ended), Ok(Entry::Ended(queue)) if queue == place));
        let run = Run { first: Key { group: place, part: 7 }, values: 3 };
        let leaving = encoded(|to| put_leaving(&[run, run], to));
        prop_assert!(matches!(entry(&leaving), Ok(Entry::Leaving(runs)) if runs == [run, run]));
    }

    #[test]
    fn any_bytes_are_a_record_or_none(kind in 0_u8..9, bytes in vec(any::<u8>(), 0..200)) {
        let bytes = [vec![kind], bytes].concat();
        look_at(&bytes);
    }

    #[test]
    fn a_changed_record_is_another_or_none(
        message in message(),
        entity in entity(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        end in any::<prop::sample::Index>(),
    ) {
        let heads = [(ItemId { queue: 1, seq: 2 }, Amendment::default())];
        let message = encoded(|to| put_message(&heads, &message, to));
        let entity = encoded(|to| put_entity(1, &entity, to));
        for mut bytes in [message, entity] {
            let place = at.index(bytes.len());
            bytes[place] = byte;
            look_at(&bytes);
            look_at(&bytes[..end.index(bytes.len())]);
        }
    }
}

/// Reads all that can be read.
fn look_at(bytes: &[u8]) {
    let mut label = Label::default();
    match entry(bytes) {
        Ok(Entry::Message(stored)) => {
            let _ = (stored.message(&mut label), stored.outline(&mut label));
            assert!(stored.heads().count() <= bytes.len() / 17);
        }
        Ok(Entry::Entity(_, entity)) => {
            let _ = entity.read();
        }
        Ok(_) | Err(_) => {}
    }
}

#[test]
fn tables_that_lie_too_deep_are_refused() {
    let nested = |levels: u32| {
        (1..levels).fold(Table::new(), |inner, _| Table::from([("k", Value::Table(inner))]))
    };
    let read = |levels| {
        let entity = Entity::Exchange {
            vhost: None,
            name: Name::from("x"),
            declaration: ExchangeDeclaration {
                arguments: nested(levels),
                ..ExchangeDeclaration::new(ExchangeKind::Direct)
            },
        };
        let bytes = encoded(|to| put_entity(1, &entity, to));
        match entry(&bytes) {
            Ok(Entry::Entity(_, bytes)) => bytes.read().map(|read| assert_eq!(read, entity)),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(read(300), Ok(()));
    assert!(read(301).is_err());
}

#[test]
fn lengths_that_are_not_true_allocate_nothing() {
    // An entity that ends with a list, of which it says that it is very long.
    let (name, declaration) = (Name::from("q"), QueueDeclaration::default());
    let queue = Entity::Queue { vhost: None, name, declaration };
    let mut bytes = encoded(|to| put_entity(1, &queue, to));
    bytes.pop();
    bytes.extend([253, 255, 255, 255, 255, 255, 255, 255, 255]);
    let Ok(Entry::Entity(_, entity)) = entry(&bytes) else { panic!("no entity") };
    // Room for so many would be more than there is.
    assert!(entity.read().is_err());
}
