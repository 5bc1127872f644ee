//! Field tables and their values, in the JSON form of the recordings and back.

use bytes::Bytes;
use leveret::{Table, Value};

use super::fields::{integer, mistyped};
use super::hex;
use super::json::{Json, Object, member};

/// The key that marks an object as one typed value; without it an object is a nested table.
const TYPE: &str = "$t";
/// The key of the content of such a value.
const CONTENT: &str = "v";

/// The table an object stands for.
pub(crate) fn from_json(json: &Json) -> Result<Table, String> {
    match json {
        Json::Object(members) => members
            .iter()
            .map(|(name, value)| Ok((name.as_str(), value_from_json(value)?)))
            .collect(),
        other => Err(mistyped("a table", "an object", other)),
    }
}

/// The object which stands for a table.
pub(crate) fn to_json(table: &Table) -> Json {
    Json::Object(
        table.iter().map(|(name, value)| (name.to_owned(), value_to_json(value))).collect(),
    )
}

fn value_from_json(json: &Json) -> Result<Value, String> {
    Ok(match json {
        Json::Null => Value::Void,
        Json::Flag(flag) => Value::Bool(*flag),
        Json::Integer(number) => match i32::try_from(*number) {
            Ok(small) => Value::I32(small),
            Err(_) => Value::I64(integer("an integer value", json)?),
        },
        Json::Float(number) => Value::F64(*number),
        Json::Text(text) => Value::from(text.as_str()),
        Json::List(items) => {
            Value::Array(items.iter().map(value_from_json).collect::<Result<_, _>>()?)
        }
        Json::Object(members) => match member(members, TYPE) {
            Some(kind) => typed_from_json(kind, members)?,
            None => Value::Table(from_json(json)?),
        },
    })
}

/// A value whose type is spelled out, `{"$t":"l","v":5}`.
fn typed_from_json(kind: &Json, members: &Object) -> Result<Value, String> {
    let (Some(kind), Some(content), 2) = (kind.as_text(), member(members, CONTENT), members.len())
    else {
        return Err(format!("a typed value has $t and v alone: {}", Json::Object(members.clone())));
    };
    let text = || content.as_text().ok_or_else(|| mistyped(CONTENT, "hexadecimal", content));
    Ok(match kind {
        "b" => Value::I8(integer(CONTENT, content)?),
        "B" => Value::U8(integer(CONTENT, content)?),
        "s" => Value::I16(integer(CONTENT, content)?),
        "u" => Value::U16(integer(CONTENT, content)?),
        "i" => Value::U32(integer(CONTENT, content)?),
        "l" => Value::I64(integer(CONTENT, content)?),
        "T" => Value::Timestamp(integer(CONTENT, content)?),
        "f" => Value::F32(float32(content)?),
        "D" => decimal(content)?,
        "x" => Value::Bytes(Bytes::from(hex::decode(text()?)?)),
        "S" => Value::Str(Bytes::from(hex::decode(text()?)?)),
        "raw" => return Err("a raw table value needs a wire".to_owned()),
        other => return Err(format!("unknown value type {other:?}")),
    })
}

#[expect(clippy::cast_possible_truncation, reason = "the text is the double of a float32")]
fn float32(content: &Json) -> Result<f32, String> {
    match content {
        Json::Float(number) => Ok(*number as f32),
        other => Err(mistyped(CONTENT, "a float", other)),
    }
}

fn decimal(content: &Json) -> Result<Value, String> {
    let (Json::Object(members), Some(scale), Some(value)) =
        (content, content.get("scale"), content.get("value"))
    else {
        return Err(mistyped(CONTENT, "scale and value", content));
    };
    if members.len() > 2 {
        return Err(mistyped(CONTENT, "scale and value alone", content));
    }
    Ok(Value::Decimal { scale: integer("scale", scale)?, value: integer("value", value)? })
}

/// The shortest form of a value.
fn value_to_json(value: &Value) -> Json {
    match value {
        Value::Void => Json::Null,
        Value::Bool(flag) => Json::Flag(*flag),
        Value::I8(number) => typed("b", Json::Integer((*number).into())),
        Value::U8(number) => typed("B", Json::Integer((*number).into())),
        Value::I16(number) => typed("s", Json::Integer((*number).into())),
        Value::U16(number) => typed("u", Json::Integer((*number).into())),
        Value::U32(number) => typed("i", Json::Integer((*number).into())),
        Value::I32(number) => Json::Integer((*number).into()),
        // A bare integer which fits into 32 bits would read as an int32.
        Value::I64(number) if i32::try_from(*number).is_ok() => {
            typed("l", Json::Integer((*number).into()))
        }
        Value::I64(number) => Json::Integer((*number).into()),
        Value::F32(number) => typed("f", Json::Float((*number).into())),
        Value::F64(number) => Json::Float(*number),
        Value::Timestamp(seconds) => typed("T", Json::from(*seconds)),
        Value::Decimal { scale, value } => typed(
            "D",
            Json::object([
                ("scale", Json::Integer((*scale).into())),
                ("value", Json::Integer((*value).into())),
            ]),
        ),
        Value::Str(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Json::from(text),
            Err(_) => typed("S", Json::Text(hex::encode(bytes))),
        },
        Value::Bytes(bytes) => typed("x", Json::Text(hex::encode(bytes))),
        Value::Array(items) => Json::List(items.iter().map(value_to_json).collect()),
        Value::Table(table) => to_json(table),
        other => typed("unknown", Json::Text(format!("{other:?}"))),
    }
}

fn typed(kind: &str, content: Json) -> Json {
    Json::object([(TYPE, Json::from(kind)), (CONTENT, content)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text).expect("a test writes good JSON")
    }

    #[track_caller]
    fn check(text: &str, value: &Value) {
        assert_eq!(value_from_json(&json(text)).as_ref(), Ok(value), "reading {text}");
        assert_eq!(value_to_json(value), json(text), "writing {value:?}");
    }

    #[test]
    fn every_type_has_a_form_of_its_own() {
        check("null", &Value::Void);
        check("true", &Value::Bool(true));
        check("1", &Value::I32(1));
        check("-2147483648", &Value::I32(i32::MIN));
        check("2147483648", &Value::I64(2_147_483_648));
        check("-9000000000000000000", &Value::I64(-9_000_000_000_000_000_000));
        check("1.0", &Value::F64(1.0));
        check("\"1\"", &Value::from("1"));
        check(r#"{"$t":"b","v":-5}"#, &Value::I8(-5));
        check(r#"{"$t":"B","v":255}"#, &Value::U8(255));
        check(r#"{"$t":"s","v":-5}"#, &Value::I16(-5));
        check(r#"{"$t":"u","v":65535}"#, &Value::U16(65_535));
        check(r#"{"$t":"i","v":4294967295}"#, &Value::U32(u32::MAX));
        check(r#"{"$t":"l","v":5}"#, &Value::I64(5));
        check(r#"{"$t":"f","v":0.10000000149011612}"#, &Value::F32(0.1));
        check(r#"{"$t":"T","v":18446744073709551615}"#, &Value::Timestamp(u64::MAX));
        check(
            r#"{"$t":"D","v":{"scale":2,"value":150}}"#,
            &Value::Decimal { scale: 2, value: 150 },
        );
        check(r#"{"$t":"x","v":"00ff"}"#, &Value::Bytes(Bytes::from_static(&[0, 0xff])));
        check(r#"{"$t":"S","v":"fffe"}"#, &Value::Str(Bytes::from_static(&[0xff, 0xfe])));
        check("[1,[null]]", &Value::Array(vec![Value::I32(1), Value::Array(vec![Value::Void])]));
        check(r#"{"b":1,"a":{}}"#, &{
            let mut table = Table::from([("b", 1)]);
            table.insert("a", Table::new());
            Value::Table(table)
        });
    }

    #[test]
    fn the_order_of_nested_keys_is_kept() {
        let table = from_json(&json(r#"{"n":{"b":1,"a":2}}"#)).expect("it is a table");
        assert_eq!(table.get("n"), Some(&Value::Table(Table::from([("b", 1), ("a", 2)]))));
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for wrong in [
            r#"{"$t":"b","v":128}"#,
            r#"{"$t":"B","v":-1}"#,
            r#"{"$t":"l","v":5.0}"#,
            r#"{"$t":"f","v":1}"#,
            r#"{"$t":"?","v":1}"#,
            r#"{"$t":"l"}"#,
            r#"{"$t":"l","v":1,"w":2}"#,
            r#"{"$t":"D","v":{"scale":256,"value":1}}"#,
            r#"{"$t":"raw","v":"00"}"#,
            r#"{"$t":"x","v":"0"}"#,
            "9223372036854775808",
        ] {
            assert!(value_from_json(&json(wrong)).is_err(), "{wrong}");
        }
        assert!(from_json(&json("[]")).is_err());
    }
}
