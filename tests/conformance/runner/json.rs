//! JSON as the recordings mean it: `1`, `1.0` and `true` are three values, and objects keep the
//! order of their keys, because the order of a nested field table counts on the wire.
//!
//! Equality is exact in the values and blind to the order of keys.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON value.
#[derive(Clone, Debug)]
pub(crate) enum Json {
    Null,
    Flag(bool),
    /// Wide enough for every `i64` and `u64`.
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Self>),
    Object(Object),
}

/// A text that is no JSON, where that shows, counted from 1, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotJson {
    pub(crate) line: usize,
    column: usize,
    why: String,
}

/// The members of a JSON object, in the order written.
pub(crate) type Object = Vec<(String, Json)>;

impl Json {
    /// Reads one JSON text.
    pub(crate) fn parse(text: &str) -> Result<Self, NotJson> {
        serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let text = error.to_string();
            let place = format!(" at line {line} column {column}");
            let why = text.strip_suffix(&place).unwrap_or(&text).to_owned();
            NotJson { line: line.max(1), column, why }
        })
    }

    /// An object with these members.
    pub(crate) fn object<const N: usize>(members: [(&str, Self); N]) -> Self {
        Self::Object(members.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// The member of that name, if this is an object which has one.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => member(members, name),
            _ => None,
        }
    }

    /// The same as [`Json::get`], to change the member.
    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Self> {
        match self {
            Self::Object(members) => {
                members.iter_mut().find(|(key, _)| key == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// Takes the member of that name out of an object.
    pub(crate) fn remove(&mut self, name: &str) {
        if let Self::Object(members) = self {
            members.retain(|(key, _)| key != name);
        }
    }

    /// The text, if it is one.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Equal values have equal canonical texts: keys are sorted.
    pub(crate) fn canonical(&self) -> String {
        self.sorted().to_string()
    }

    /// The same value with every string and key mapped, or the first error.
    pub(crate) fn try_map_text(
        &self,
        map: &impl Fn(&str) -> Result<String, String>,
    ) -> Result<Self, String> {
        Ok(match self {
            Self::Null | Self::Flag(_) | Self::Integer(_) | Self::Float(_) => self.clone(),
            Self::Text(text) => Self::Text(map(text)?),
            Self::List(items) => Self::List(
                items.iter().map(|item| item.try_map_text(map)).collect::<Result<_, _>>()?,
            ),
            Self::Object(members) => Self::Object(
                members
                    .iter()
                    .map(|(key, value)| Ok((map(key)?, value.try_map_text(map)?)))
                    .collect::<Result<_, String>>()?,
            ),
        })
    }

    /// Visits every string, but no key, in order.
    pub(crate) fn each_text(&self, visit: &mut impl FnMut(&str)) {
        match self {
            Self::Null | Self::Flag(_) | Self::Integer(_) | Self::Float(_) => {}
            Self::Text(text) => visit(text),
            Self::List(items) => items.iter().for_each(|item| item.each_text(visit)),
            Self::Object(members) => members.iter().for_each(|(_, value)| value.each_text(visit)),
        }
    }

    fn sorted(&self) -> Self {
        match self {
            Self::List(items) => Self::List(items.iter().map(Self::sorted).collect()),
            Self::Object(members) => {
                let mut members: Object =
                    members.iter().map(|(key, value)| (key.clone(), value.sorted())).collect();
                members.sort_by(|(a, _), (b, _)| a.cmp(b));
                Self::Object(members)
            }
            Self::Null | Self::Flag(_) | Self::Integer(_) | Self::Float(_) | Self::Text(_) => {
                self.clone()
            }
        }
    }
}

/// The member of that name.
pub(crate) fn member<'a>(members: &'a [(String, Json)], name: &str) -> Option<&'a Json> {
    members.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// All but the line, which is not always that of a file.
impl fmt::Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not JSON: {} at column {}", self.why, self.column)
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Flag(a), Self::Flag(b)) => a == b,
            (Self::Integer(a), Self::Integer(b)) => a == b,
            // By bits, so that -0.0 differs from 0.0.
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Object(a), Self::Object(b)) => {
                a.len() == b.len() && a.iter().all(|(key, value)| member(b, key) == Some(value))
            }
            _ => false,
        }
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<bool> for Json {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<u64> for Json {
    fn from(number: u64) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u32> for Json {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u16> for Json {
    fn from(number: u16) -> Self {
        Self::Integer(number.into())
    }
}

/// Compact JSON, on one line.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Integer(number) => write!(f, "{number}"),
            // `Debug` keeps the `.0` which tells a float from an integer.
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Text(text) => quoted(text, f),
            Self::List(items) => {
                f.write_str("[")?;
                for (position, item) in items.iter().enumerate() {
                    let comma = if position == 0 { "" } else { "," };
                    write!(f, "{comma}{item}")?;
                }
                f.write_str("]")
            }
            Self::Object(members) => {
                f.write_str("{")?;
                for (position, (key, value)) in members.iter().enumerate() {
                    f.write_str(if position == 0 { "" } else { "," })?;
                    quoted(key, f)?;
                    write!(f, ":{value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

fn quoted(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(&serde_json::to_string(text).map_err(|_| fmt::Error)?)
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
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Json, E> {
        Ok(Json::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Integer(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Integer(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        Ok(Json::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut members: Object = Vec::new();
        while let Some((key, value)) = access.next_entry::<String, Json>()? {
            if member(&members, &key).is_some() {
                return Err(serde::de::Error::custom(format!("key {key:?} occurs twice")));
            }
            members.push((key, value));
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text).expect("a test writes good JSON")
    }

    #[test]
    fn one_and_one_point_zero_and_true_are_three_values() {
        let three = [json("1"), json("1.0"), json("true")];
        for (i, a) in three.iter().enumerate() {
            for (j, b) in three.iter().enumerate() {
                assert_eq!(a == b, i == j, "{a} against {b}");
            }
        }
        assert_eq!(json("1.0").to_string(), "1.0");
        assert_eq!(json("5e0").to_string(), "5.0");
    }

    #[test]
    fn keys_may_come_in_any_order_and_entries_may_not() {
        assert_eq!(json(r#"{"a":1,"b":[1,2]}"#), json(r#"{"b":[1,2],"a":1}"#));
        assert_ne!(json("[1,2]"), json("[2,1]"));
        assert_ne!(json(r#"{"a":1}"#), json(r#"{"a":1,"b":null}"#));
        assert_eq!(
            json(r#"{"b":{"d":1,"c":2},"a":0}"#).canonical(),
            r#"{"a":0,"b":{"c":2,"d":1}}"#
        );
    }

    #[test]
    fn text_survives_being_written_and_read() {
        let text = r#"{"b":[null,-7,18446744073709551615,0.1,"a\"\\\n\u0001é"],"a":{}}"#;
        assert_eq!(json(text).to_string(), text);
        assert!(Json::parse(r#"{"a":1,"a":2}"#).is_err());
        assert!(Json::parse("{} {}").is_err());
    }

    #[test]
    fn what_is_no_json_is_found_where_it_is() {
        let NotJson { line, column, .. } = Json::parse("{\n\"a\": 1,\n }").unwrap_err();
        assert_eq!((line, column), (3, 2));
        let text = Json::parse("[1").unwrap_err().to_string();
        assert_eq!(text, "not JSON: EOF while parsing a list at column 2");
    }

    #[test]
    fn the_double_of_a_float32_is_read_to_the_last_bit() {
        assert_eq!(json("0.10000000149011612"), Json::Float(f64::from(0.1_f32)));
    }
}
