//! What a reference broker routed, line by line: patterns and keys, arguments and headers.
//!
//! The lines lie in `tests/conformance`; each gives the bindings of one exchange, a message, and
//! which of the bindings got it.

// Recorded from RabbitMQ 3.10.8 with default settings.

use std::{fmt, fs, path::Path};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};

use super::{pattern::TopicPattern, *};
use crate::message::Value;

#[derive(Deserialize)]
struct TopicLine {
    patterns: Vec<String>,
    key: String,
    matched: Vec<usize>,
}

#[derive(Deserialize)]
struct HeadersLine {
    bindings: Vec<Json>,
    headers: Option<Json>,
    matched: Vec<usize>,
}

#[test]
fn topic_lines_are_routed_as_recorded() {
    let lines = lines("topic");
    for line in &lines {
        let TopicLine { patterns, key, matched } = parse(line);
        let mut router = Router::new(ExchangeKind::Topic);
        for (target, pattern) in patterns.iter().enumerate() {
            router.bind(&Name::from(pattern), &Table::new(), target);
        }
        router.check_invariants();
        assert_eq!(routed(&router, &key, None), matched, "{line}");
        let plain = |pattern: &String| TopicPattern::parse(pattern).matches(&key);
        let plainly = (0..).zip(&patterns).filter(|(_, pattern)| plain(pattern));
        assert_eq!(plainly.map(|(index, _)| index).collect::<Vec<_>>(), matched, "{line}");
    }
    assert_eq!(lines.len(), 2_117);
}

#[test]
fn headers_lines_are_routed_as_recorded() {
    let lines = lines("headers");
    for line in &lines {
        let HeadersLine { bindings, headers, matched } = parse(line);
        let mut router = Router::new(ExchangeKind::Headers);
        for (target, arguments) in bindings.into_iter().enumerate() {
            let arguments = arguments.into_table();
            assert_eq!(check_arguments(&arguments), Ok(()), "{line}");
            router.bind(&Name::from(""), &arguments, target);
        }
        router.check_invariants();
        let headers = headers.map(Json::into_table);
        assert_eq!(routed(&router, "", headers.as_ref()), matched, "{line}");
    }
    assert_eq!(lines.len(), 521);
}

fn routed(router: &Router<usize>, key: &str, headers: Option<&Table>) -> Vec<usize> {
    let mut found = Routes::new();
    router.route(key, headers, &mut found);
    let mut targets: Vec<_> = found.as_slice().to_vec();
    targets.sort_unstable();
    targets
}

/// All lines of the files in a folder.
fn lines(folder: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance").join(folder);
    let files = fs::read_dir(&folder).expect("the recorded lines are part of the package");
    let read = |file: fs::DirEntry| fs::read_to_string(file.path()).expect("a file of UTF-8");
    let texts = files.map(|file| read(file.expect("a readable folder")));
    texts.flat_map(|text| text.lines().map(String::from).collect::<Vec<_>>()).collect()
}

fn parse<'a, T: Deserialize<'a>>(line: &'a str) -> T {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))
}

/// JSON that keeps the order of keys, which counts in nested tables, and tells 5 from 5.0.
#[derive(Debug)]
enum Json {
    Array(Vec<Self>),
    Bool(bool),
    Float(f64),
    Integer(i128),
    Null,
    Object(Vec<(String, Self)>),
    Text(String),
}

impl Json {
    fn into_table(self) -> Table {
        let Self::Object(fields) = self else { panic!("no table: {self:?}") };
        fields.into_iter().map(|(name, value)| (name, value.into_value())).collect()
    }

    fn into_value(self) -> Value {
        match self {
            Self::Array(items) => Value::Array(items.into_iter().map(Self::into_value).collect()),
            Self::Bool(value) => Value::Bool(value),
            Self::Float(value) => Value::F64(value),
            Self::Integer(value) => match i32::try_from(value) {
                Ok(value) => Value::I32(value),
                Err(_) => Value::I64(fit(value)),
            },
            Self::Null => Value::Void,
            Self::Object(fields) => match fields.as_slice() {
                [(tag, Self::Text(letter)), (v, value)] if tag == "$t" && v == "v" => {
                    value.typed(letter)
                }
                _ => Value::Table(Self::Object(fields).into_table()),
            },
            Self::Text(text) => Value::from(text),
        }
    }

    /// The value of the type that AMQP gives a letter.
    fn typed(&self, letter: &str) -> Value {
        match (letter, self) {
            ("b", &Self::Integer(value)) => Value::I8(fit(value)),
            ("B", &Self::Integer(value)) => Value::U8(fit(value)),
            ("s", &Self::Integer(value)) => Value::I16(fit(value)),
            ("u", &Self::Integer(value)) => Value::U16(fit(value)),
            ("i", &Self::Integer(value)) => Value::U32(fit(value)),
            ("l", &Self::Integer(value)) => Value::I64(fit(value)),
            ("T", &Self::Integer(value)) => Value::Timestamp(fit(value)),
            #[expect(clippy::cast_possible_truncation, reason = "written from a float32")]
            ("f", &Self::Float(value)) => Value::F32(value as f32),
            ("x", Self::Text(hex)) => Value::Bytes(bytes(hex)),
            ("S", Self::Text(hex)) => Value::Str(bytes(hex)),
            ("D", Self::Object(fields)) => match fields.as_slice() {
                [(first, Self::Integer(scale)), (second, Self::Integer(value))]
                    if first == "scale" && second == "value" =>
                {
                    Value::Decimal { scale: fit(*scale), value: fit(*value) }
                }
                _ => panic!("no decimal: {fields:?}"),
            },
            _ => panic!("no value of type {letter}: {self:?}"),
        }
    }
}

fn fit<T: TryFrom<i128>>(value: i128) -> T {
    T::try_from(value).unwrap_or_else(|_| panic!("{value} is out of range"))
}

fn bytes(hex: &str) -> Bytes {
    let digits = hex.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).expect("ASCII digits"));
    digits.map(|pair| u8::from_str_radix(pair, 16).expect("two hexadecimal digits")).collect()
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Json, A::Error> {
        let mut object = Vec::new();
        while let Some(field) = fields.next_entry()? {
            object.push(field);
        }
        Ok(Json::Object(object))
    }
}
