//! What one binding is, and when two are the same.

use std::hash::{Hash, Hasher};

use crate::{
    Name, Table, Value,
    engine::entity::{self, Endpoint},
};

use super::TopologyError;

/// A rule that leads messages from an exchange to an exchange or queue.
///
/// Source, destination, key and arguments together are its identity: two bindings which differ in
/// the wire type of one argument are two bindings. The order of arguments does not count, except
/// inside nested tables. Floats are told apart bit by bit, so that a binding equals itself
/// whatever its arguments hold.
#[derive(Clone, Debug)]
pub(crate) struct BindingSpec {
    source: Name,
    destination: Endpoint,
    key: Name,
    /// Invariant: sorted by name.
    arguments: Table,
    /// Distinguishes `arguments` as they would be on the wire. Invariant: equal for two tables if
    /// and only if types, widths and contents are; empty if there are no arguments.
    identity: Box<[u8]>,
}

impl BindingSpec {
    /// Describes a binding as a client would name it, to bind or to unbind it.
    ///
    /// Comparing and hashing arguments recurses once per level of nesting, so the caller bounds it.
    ///
    /// # Errors
    ///
    /// One of both sides is the default exchange, or a name or the key is too long.
    pub(crate) fn new(
        source: Name,
        destination: Endpoint,
        key: Name,
        arguments: &Table,
    ) -> Result<Self, TopologyError> {
        let source = entity::without_line_breaks(source);
        let destination = match destination {
            Endpoint::Exchange(name) => Endpoint::Exchange(entity::without_line_breaks(name)),
            Endpoint::Queue(name) => Endpoint::Queue(entity::without_line_breaks(name)),
        };
        if source.is_empty() || destination.is_default_exchange() {
            return Err(TopologyError::DefaultExchange);
        }
        for end in [&Endpoint::Exchange(source.clone()), &destination] {
            if !entity::fits_short_string(end.name()) {
                return Err(TopologyError::NameTooLong(end.clone()));
            }
        }
        if !entity::fits_short_string(&key) {
            return Err(TopologyError::KeyTooLong(key));
        }
        let arguments = arguments.sorted();
        let mut identity = Vec::new();
        encode_entries(&arguments, &mut identity);
        Ok(Self { source, destination, key, arguments, identity: identity.into_boxed_slice() })
    }

    /// The exchange from which messages come.
    pub(crate) fn source(&self) -> &Name {
        &self.source
    }

    /// Where messages are led to.
    pub(crate) fn destination(&self) -> &Endpoint {
        &self.destination
    }

    /// The binding key: what a direct exchange compares and a topic exchange matches.
    pub(crate) fn key(&self) -> &Name {
        &self.key
    }

    /// The arguments, sorted by name.
    pub(crate) fn arguments(&self) -> &Table {
        &self.arguments
    }
}

impl PartialEq for BindingSpec {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
            && self.destination == other.destination
            && self.source == other.source
            && self.identity == other.identity
    }
}

impl Eq for BindingSpec {}

impl Hash for BindingSpec {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.source.hash(state);
        self.destination.hash(state);
        self.key.hash(state);
        self.identity.hash(state);
    }
}

/// Appends what tells entries apart. Everything is preceded by its type, and what varies in length
/// by its length, so that no two different tables give the same bytes.
fn encode_entries(table: &Table, bytes: &mut Vec<u8>) {
    for (name, value) in table {
        encode_bytes(name.as_bytes(), bytes);
        encode_value(value, bytes);
    }
}

fn encode_value(value: &Value, bytes: &mut Vec<u8>) {
    bytes.push(type_tag(value));
    match value {
        Value::Array(items) => {
            bytes.extend(items.len().to_be_bytes());
            for item in items {
                encode_value(item, bytes);
            }
        }
        Value::Bool(flag) => bytes.push(u8::from(*flag)),
        Value::Bytes(content) | Value::Str(content) => encode_bytes(content, bytes),
        Value::Decimal { scale, value } => {
            bytes.push(*scale);
            bytes.extend(value.to_be_bytes());
        }
        Value::F32(number) => bytes.extend(number.to_bits().to_be_bytes()),
        Value::F64(number) => bytes.extend(number.to_bits().to_be_bytes()),
        Value::I8(number) => bytes.extend(number.to_be_bytes()),
        Value::I16(number) => bytes.extend(number.to_be_bytes()),
        Value::I32(number) => bytes.extend(number.to_be_bytes()),
        Value::I64(number) => bytes.extend(number.to_be_bytes()),
        Value::Table(table) => {
            bytes.extend(table.len().to_be_bytes());
            encode_entries(table, bytes);
        }
        Value::Timestamp(seconds) => bytes.extend(seconds.to_be_bytes()),
        Value::U8(number) => bytes.push(*number),
        Value::U16(number) => bytes.extend(number.to_be_bytes()),
        Value::U32(number) => bytes.extend(number.to_be_bytes()),
        Value::Void => {}
    }
}

fn encode_bytes(content: &[u8], bytes: &mut Vec<u8>) {
    bytes.extend(content.len().to_be_bytes());
    bytes.extend(content);
}

/// The letter that stands for the type in AMQP 0-9-1 as spoken.
fn type_tag(value: &Value) -> u8 {
    match value {
        Value::Array(_) => b'A',
        Value::Bool(_) => b't',
        Value::Bytes(_) => b'x',
        Value::Decimal { .. } => b'D',
        Value::F32(_) => b'f',
        Value::F64(_) => b'd',
        Value::I8(_) => b'b',
        Value::I16(_) => b's',
        Value::I32(_) => b'I',
        Value::I64(_) => b'l',
        Value::Str(_) => b'S',
        Value::Table(_) => b'F',
        Value::Timestamp(_) => b'T',
        Value::U8(_) => b'B',
        Value::U16(_) => b'u',
        Value::U32(_) => b'i',
        Value::Void => b'V',
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, slice};

    use bytes::Bytes;

    use super::*;

    fn with(arguments: &Table) -> BindingSpec {
        BindingSpec::new("x".into(), Endpoint::Queue("q".into()), "k".into(), arguments).unwrap()
    }

    #[test]
    fn every_type_and_width_makes_a_binding_of_its_own() {
        let values = [
            Value::Void,
            Value::Bool(true),
            Value::I8(1),
            Value::U8(1),
            Value::I16(1),
            Value::U16(1),
            Value::I32(1),
            Value::U32(1),
            Value::I64(1),
            Value::Timestamp(1),
            Value::F32(1.0),
            Value::F64(1.0),
            Value::F64(f64::NAN),
            Value::Decimal { scale: 0, value: 1 },
            Value::Decimal { scale: 1, value: 0 },
            Value::from("1"),
            Value::Bytes(Bytes::from_static(b"1")),
            Value::Array(Vec::new()),
            Value::Array(vec![Value::Void]),
            Value::Array(vec![Value::I32(1)]),
            Value::Array(vec![Value::I64(1)]),
            Value::Table(Table::new()),
            Value::Table(Table::from([("a", 1)])),
        ];
        let distinct: HashSet<_> =
            values.iter().map(|value| with(&Table::from([("a", value.clone())]))).collect();
        assert_eq!(distinct.len(), values.len());
        for value in values {
            assert!(distinct.contains(&with(&Table::from([("a", value)]))));
        }
    }

    #[test]
    fn where_one_argument_ends_and_the_next_begins_counts() {
        let tables = [
            Table::from([("a", ""), ("b", "")]),
            Table::from([("a", ""), ("b", "c")]),
            Table::from([("a", "bSc")]),
            Table::from([("a", "b")]),
            Table::from([("ab", "")]),
            Table::from([("a", Value::Array(vec!["b".into()])), ("c", Value::Void)]),
            Table::from([("a", Value::Array(vec!["b".into(), "c".into()]))]),
            Table::new(),
        ];
        let distinct: HashSet<_> = tables.iter().map(with).collect();
        assert_eq!(distinct.len(), tables.len());
    }

    #[test]
    fn the_order_of_arguments_counts_only_in_nested_tables() {
        let (left, right) = (Table::from([("a", 1), ("b", 2)]), Table::from([("b", 2), ("a", 1)]));
        assert_eq!(with(&left), with(&right));
        assert_eq!(with(&right).arguments(), &left);
        let nested = |inner: Table| with(&Table::from([("t", inner)]));
        assert_ne!(nested(left), nested(right));
    }

    #[test]
    fn queue_and_exchange_of_one_name_are_two_destinations() {
        let spec = |destination| {
            BindingSpec::new("x".into(), destination, "k".into(), &Table::new()).unwrap()
        };
        assert_ne!(spec(Endpoint::Queue("a".into())), spec(Endpoint::Exchange("a".into())));
    }

    #[test]
    fn line_breaks_leave_the_names_but_not_the_key() {
        let destination = Endpoint::Queue("q\n".into());
        let spec =
            BindingSpec::new("x\r".into(), destination, "k\n".into(), &Table::new()).unwrap();
        assert_eq!(spec.source(), "x");
        assert_eq!(spec.destination(), &Endpoint::Queue("q".into()));
        assert_eq!(spec.key(), "k\n");
    }

    #[test]
    fn the_default_exchange_is_neither_source_nor_destination() {
        let queue = || Endpoint::Queue("q".into());
        let cases = [
            ("", queue()),
            ("\n", queue()),
            ("x", Endpoint::Exchange("".into())),
            ("x", Endpoint::Exchange("\r\n".into())),
        ];
        for (source, destination) in cases {
            let outcome = BindingSpec::new(source.into(), destination, "k".into(), &Table::new());
            assert_eq!(outcome, Err(TopologyError::DefaultExchange));
        }
    }

    #[test]
    fn names_and_keys_are_at_most_255_bytes_long() {
        let long = Name::from("n".repeat(256));
        let fitting = Name::from("n".repeat(255));
        let spec = |source: &Name, queue: &Name, key: &Name| {
            let destination = Endpoint::Queue(queue.clone());
            BindingSpec::new(source.clone(), destination, key.clone(), &Table::new())
        };
        assert!(spec(&fitting, &fitting, &fitting).is_ok());
        let too_long = |end| Err(TopologyError::NameTooLong(end));
        let source = Endpoint::Exchange(long.clone());
        assert_eq!(spec(&long, &fitting, &fitting), too_long(source));
        let destination = Endpoint::Queue(long.clone());
        assert_eq!(spec(&fitting, &long, &fitting), too_long(destination));
        assert_eq!(spec(&fitting, &fitting, &long), Err(TopologyError::KeyTooLong(long)));
    }

    #[test]
    fn a_binding_without_arguments_keeps_no_bytes_to_identify_them() {
        assert_eq!(with(&Table::new()).identity.len(), 0);
        assert_eq!(slice::from_ref(&with(&Table::new())), [with(&Table::new())]);
    }
}
