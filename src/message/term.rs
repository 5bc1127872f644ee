//! Values as they stand in error texts: in the notation of Erlang.
//!
//! Clients know these texts from the reference broker, which is written in that language.

use std::{fmt, str};

use crate::message::Value;

/// A value in the notation of Erlang, such as `<<"text">>`, `5` or `6.0e4`.
///
/// Of long arrays and tables, and of deep ones, only the beginning is shown.
pub(crate) struct Term<'a> {
    value: &'a Value,
    depth: u32,
}

/// Enough to recognise a value; an error text is at most 255 bytes long on the wire.
const ITEMS_SHOWN_MAX: usize = 16;
/// How many levels are shown.
const DEPTH_SHOWN_MAX: u32 = 3;
/// From here on, 2^53, not all integers are floats, and floats are written with an exponent.
const EXPONENT_FROM: f64 = 9_007_199_254_740_992.0;

impl Value {
    pub(crate) fn term(&self) -> Term<'_> {
        Term { value: self, depth: 1 }
    }
}

impl Term<'_> {
    /// Writes the items of a list, each by `item`.
    fn list<I>(
        &self,
        f: &mut fmt::Formatter<'_>,
        items: &[I],
        item: impl Fn(&mut fmt::Formatter<'_>, &I) -> fmt::Result,
    ) -> fmt::Result {
        f.write_str("[")?;
        for (index, each) in items.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "," })?;
            if index == ITEMS_SHOWN_MAX || self.depth > DEPTH_SHOWN_MAX {
                f.write_str("...")?;
                break;
            }
            item(f, each)?;
        }
        f.write_str("]")
    }
}

impl fmt::Display for Term<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let depth = self.depth + 1;
        match self.value {
            Value::Array(items) => self.list(f, items, |f, value| {
                write!(f, "{{{},{}}}", value.type_name(), Term { value, depth })
            }),
            Value::Bool(value) => value.fmt(f),
            Value::Bytes(bytes) | Value::Str(bytes) => binary(f, bytes),
            Value::Decimal { scale, value } => write!(f, "{{{scale},{value}}}"),
            Value::F32(value) => float(f, (*value).into()),
            Value::F64(value) => float(f, *value),
            Value::I8(value) => value.fmt(f),
            Value::I16(value) => value.fmt(f),
            Value::I32(value) => value.fmt(f),
            Value::I64(value) => value.fmt(f),
            Value::Table(table) => self.list(f, table.entries(), |f, (name, value)| {
                f.write_str("{")?;
                binary(f, name.as_bytes())?;
                write!(f, ",{},{}}}", value.type_name(), Term { value, depth })
            }),
            Value::Timestamp(value) => value.fmt(f),
            Value::U8(value) => value.fmt(f),
            Value::U16(value) => value.fmt(f),
            Value::U32(value) => value.fmt(f),
            Value::Void => f.write_str("undefined"),
        }
    }
}

/// Bytes as a text in quotes if they are one, else as numbers.
fn binary(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    match str::from_utf8(bytes) {
        Ok("") => f.write_str("<<>>"),
        Ok(text) if !text.contains(char::is_control) => {
            write!(f, "<<\"{}\">>", text.replace('\\', "\\\\").replace('"', "\\\""))
        }
        Ok(_) | Err(_) => {
            f.write_str("<<")?;
            for (index, byte) in bytes.iter().enumerate() {
                write!(f, "{}{byte}", if index == 0 { "" } else { "," })?;
            }
            f.write_str(">>")
        }
    }
}

/// The shorter of the notations with and without an exponent, both with a fraction.
fn float(f: &mut fmt::Formatter<'_>, value: f64) -> fmt::Result {
    let plain = format!("{value:?}");
    let scientific = format!("{value:e}");
    let scientific = match scientific.split_once('e') {
        Some((digits, power)) if !digits.contains('.') => format!("{digits}.0e{power}"),
        Some(_) | None => scientific,
    };
    let fits = value.abs() < EXPONENT_FROM && plain.len() <= scientific.len();
    f.write_str(if fits { &plain } else { &scientific })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::message::Table;

    #[track_caller]
    fn check(value: impl Into<Value>, expected: &str) {
        assert_eq!(value.into().term().to_string(), expected);
    }

    #[test]
    fn scalars_are_written_as_in_error_texts() {
        check(1, "1");
        check(-7_i64, "-7");
        check(true, "true");
        check("bogus", r#"<<"bogus">>"#);
        check("", "<<>>");
        check(r#"a"b\"#, r#"<<"a\"b\\">>"#);
        check(Bytes::from_static(&[200, 1]), "<<200,1>>");
        check("a\n", "<<97,10>>");
        check(Value::Void, "undefined");
        check(Value::Decimal { scale: 2, value: 150 }, "{2,150}");
    }

    #[test]
    fn floats_take_the_shorter_notation() {
        check(60_000.0, "6.0e4");
        check(5.0, "5.0");
        check(0.5_f32, "0.5");
        check(100.0, "100.0");
        check(1_000.0, "1.0e3");
        check(-0.25, "-0.25");
        check(1.5e-9, "1.5e-9");
        check(1e300, "1.0e300");
        check(9_007_199_254_740_992.0, "9.007199254740992e15");
    }

    #[test]
    fn nested_values_are_shown_to_a_bound() {
        let array = vec![Value::from("v"), Value::from(2)];
        check(array, r#"[{longstr,<<"v">>},{signedint,2}]"#);
        check(Table::from([("k", 0.5)]), r#"[{<<"k">>,double,0.5}]"#);
        check(vec![Value::Void; 17], &format!("[{}...]", "{void,undefined},".repeat(16)));
        let deep = (0..4).fold(Value::Array(vec![]), |inner, _| Value::Array(vec![inner]));
        check(deep, "[{array,[{array,[{array,[...]}]}]}]");
    }
}
