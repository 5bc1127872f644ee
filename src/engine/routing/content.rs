//! Values without their types, as headers exchanges compare them.
//!
//! Values agree by their content: 5, 5.0 and the timestamp 5 do. Inside nested tables and arrays
//! types count as well.

use std::{
    hash::{Hash, Hasher},
    mem,
};

use crate::message::{Table, Value};

/// A value without its type, such that what agrees is equal.
#[derive(Debug, PartialEq)]
pub(super) enum Content<'a> {
    Array(&'a [Value]),
    Bool(bool),
    Bytes(&'a [u8]),
    Decimal {
        scale: u8,
        value: u32,
    },
    /// An array or table without entries.
    Empty,
    /// A number that is no integer, or beyond those of all integer types.
    Fraction(f64),
    Integer(i128),
    Table(&'a Table),
    Void,
}

impl<'a> Content<'a> {
    pub(super) fn of(value: &'a Value) -> Self {
        match value {
            Value::Array(items) if items.is_empty() => Self::Empty,
            Value::Array(items) => Self::Array(items),
            Value::Bool(value) => Self::Bool(*value),
            Value::Bytes(bytes) | Value::Str(bytes) => Self::Bytes(bytes),
            &Value::Decimal { scale, value } => Self::Decimal { scale, value },
            Value::F32(value) => Self::number((*value).into()),
            Value::F64(value) => Self::number(*value),
            Value::I8(value) => Self::Integer((*value).into()),
            Value::I16(value) => Self::Integer((*value).into()),
            Value::I32(value) => Self::Integer((*value).into()),
            Value::I64(value) => Self::Integer((*value).into()),
            Value::Table(table) if table.is_empty() => Self::Empty,
            Value::Table(table) => Self::Table(table),
            Value::Timestamp(value) => Self::Integer((*value).into()),
            Value::U8(value) => Self::Integer((*value).into()),
            Value::U16(value) => Self::Integer((*value).into()),
            Value::U32(value) => Self::Integer((*value).into()),
            Value::Void => Self::Void,
        }
    }

    /// A float, which is an integer if its value is: integers of 64 bits do not fit into floats,
    /// but all floats in their range fit into 128 bits, so nothing is rounded.
    fn number(value: f64) -> Self {
        const INTEGERS_MAX: f64 = 18_446_744_073_709_551_616.0; // 2^64, beyond every integer type.
        if value.fract() == 0.0 && value.abs() < INTEGERS_MAX {
            #[expect(clippy::cast_possible_truncation, reason = "it is an integer of 65 bits")]
            Self::Integer(value as i128)
        } else {
            Self::Fraction(value)
        }
    }
}

/// What agrees has the same hash. Of arrays and tables only the length counts, since their items
/// are compared in another way and seldom asked for.
impl Hash for Content<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        mem::discriminant(self).hash(state);
        match self {
            Self::Array(items) => items.len().hash(state),
            Self::Bool(value) => value.hash(state),
            Self::Bytes(bytes) => bytes.hash(state),
            Self::Decimal { scale, value } => (scale, value).hash(state),
            Self::Empty | Self::Void => {}
            // Zero, which has two forms that are equal, is an integer.
            Self::Fraction(value) => value.to_bits().hash(state),
            Self::Integer(value) => value.hash(state),
            Self::Table(table) => table.len().hash(state),
        }
    }
}
