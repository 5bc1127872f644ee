//! A single field value, with the types of AMQP 0-9-1 as brokers and clients speak it.

use std::str;

use bytes::Bytes;

use crate::{Name, message::Table};

/// A value in a [`Table`], with the type it has on the wire.
///
/// Conversions keep the width of the Rust type: an `i32` becomes [`I32`](Self::I32), an `i64`
/// becomes [`I64`](Self::I64). Two values are equal if type and content are; in particular
/// `I32(1)` and `I64(1)` differ, and a float that is not a number equals nothing.
///
/// # Examples
///
/// ```
/// use leveret::Value;
///
/// assert_eq!(Value::from(5), Value::I32(5));
/// assert_eq!(Value::from("text").as_str(), Some("text"));
/// assert_eq!(Value::from(5_u8).as_i64(), Some(5));
/// assert_ne!(Value::from(5_i32), Value::from(5_i64));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A list whose items may differ in type.
    Array(Vec<Self>),
    /// A truth value.
    Bool(bool),
    /// Bytes without a meaning as text, in contrast to [`Str`](Self::Str).
    Bytes(Bytes),
    /// The number `value / 10^scale`.
    Decimal {
        /// How many decimal places.
        scale: u8,
        /// The digits, read as a whole number.
        value: u32,
    },
    /// A floating-point number of 32 bits.
    F32(f32),
    /// A floating-point number of 64 bits.
    F64(f64),
    /// A signed integer of 8 bits.
    I8(i8),
    /// A signed integer of 16 bits.
    I16(i16),
    /// A signed integer of 32 bits, the type most clients send for small integers.
    I32(i32),
    /// A signed integer of 64 bits.
    I64(i64),
    /// A long string: by custom UTF-8, though AMQP allows any bytes and so does this.
    Str(Bytes),
    /// A nested table.
    Table(Table),
    /// Seconds since the beginning of 1970 (UTC).
    Timestamp(u64),
    /// An unsigned integer of 8 bits.
    U8(u8),
    /// An unsigned integer of 16 bits.
    U16(u16),
    /// An unsigned integer of 32 bits.
    U32(u32),
    /// No value; in the arguments of a headers binding it asks for mere presence.
    Void,
}

impl Value {
    /// The items, if it is an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    /// The truth value, if it is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// The number, if it is an integer of any width, or a timestamp up to [`i64::MAX`].
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::I8(value) => Some(value.into()),
            Self::I16(value) => Some(value.into()),
            Self::I32(value) => Some(value.into()),
            Self::I64(value) => Some(value),
            Self::U8(value) => Some(value.into()),
            Self::U16(value) => Some(value.into()),
            Self::U32(value) => Some(value.into()),
            Self::Timestamp(seconds) => seconds.try_into().ok(),
            Self::Array(_)
            | Self::Bool(_)
            | Self::Bytes(_)
            | Self::Decimal { .. }
            | Self::F32(_)
            | Self::F64(_)
            | Self::Str(_)
            | Self::Table(_)
            | Self::Void => None,
        }
    }

    /// The text, if it is a long string in UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Str(bytes) = self { str::from_utf8(bytes).ok() } else { None }
    }

    /// The nested table, if it is one.
    #[must_use]
    pub fn as_table(&self) -> Option<&Table> {
        if let Self::Table(table) = self { Some(table) } else { None }
    }

    /// The name of the type in error texts.
    pub(crate) fn type_name(&self) -> &'static str {
        // RabbitMQ's names, which clients may know; the protocol has only letters.
        match self {
            Self::Array(_) => "array",
            Self::Bool(_) => "bool",
            Self::Bytes(_) => "binary",
            Self::Decimal { .. } => "decimal",
            Self::F32(_) => "float",
            Self::F64(_) => "double",
            Self::I8(_) => "byte",
            Self::I16(_) => "short",
            Self::I32(_) => "signedint",
            Self::I64(_) => "long",
            Self::Str(_) => "longstr",
            Self::Table(_) => "table",
            Self::Timestamp(_) => "timestamp",
            Self::U8(_) => "unsignedbyte",
            Self::U16(_) => "unsignedshort",
            Self::U32(_) => "unsignedint",
            Self::Void => "void",
        }
    }
}

macro_rules! conversions {
    ($($from:ty => $variant:ident,)*) => { $(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$variant(value)
            }
        }
    )* };
}

conversions! {
    Vec<Self> => Array,
    bool => Bool,
    Bytes => Bytes,
    f32 => F32,
    f64 => F64,
    i8 => I8,
    i16 => I16,
    i32 => I32,
    i64 => I64,
    Table => Table,
    u8 => U8,
    u16 => U16,
    u32 => U32,
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(Bytes::from(text))
    }
}

impl From<&Name> for Value {
    fn from(name: &Name) -> Self {
        Self::from(name.as_str())
    }
}

impl From<Name> for Value {
    fn from(name: Name) -> Self {
        Self::from(name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_keep_the_width() {
        assert_eq!(Value::from(1_i8), Value::I8(1));
        assert_eq!(Value::from(1_u8), Value::U8(1));
        assert_eq!(Value::from(1_i16), Value::I16(1));
        assert_eq!(Value::from(1_u16), Value::U16(1));
        assert_eq!(Value::from(1_i32), Value::I32(1));
        assert_eq!(Value::from(1_u32), Value::U32(1));
        assert_eq!(Value::from(1_i64), Value::I64(1));
        assert_eq!(Value::from(1.0_f32), Value::F32(1.0));
        assert_eq!(Value::from(1.0_f64), Value::F64(1.0));
    }

    #[test]
    fn types_separate_equal_contents() {
        let ones = [
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
            Value::Bool(true),
            Value::Decimal { scale: 0, value: 1 },
            Value::from("1"),
            Value::Bytes(Bytes::from_static(b"1")),
        ];
        for (index, left) in ones.iter().enumerate() {
            for (other, right) in ones.iter().enumerate() {
                assert_eq!(left == right, index == other, "{left:?} and {right:?}");
            }
        }
    }

    #[test]
    fn readers_take_what_fits() {
        assert_eq!(Value::U32(u32::MAX).as_i64(), Some(4_294_967_295));
        assert_eq!(Value::I64(i64::MIN).as_i64(), Some(i64::MIN));
        assert_eq!(Value::Timestamp(7).as_i64(), Some(7));
        assert_eq!(Value::Timestamp(u64::MAX).as_i64(), None);
        assert_eq!(Value::F64(1.0).as_i64(), None);
        assert_eq!(Value::Str(Bytes::from_static(&[0xff, 0xfe])).as_str(), None);
        assert_eq!(Value::Bytes(Bytes::from_static(b"x")).as_str(), None);
        assert_eq!(Value::from(true).as_bool(), Some(true));
        assert_eq!(Value::from(1).as_bool(), None);
        assert_eq!(Value::Void.as_table(), None);
        assert_eq!(Value::from(vec![Value::Void]).as_array(), Some(&[Value::Void][..]));
    }
}
