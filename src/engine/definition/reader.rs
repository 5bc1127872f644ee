//! Reading one argument at a time: is it there, is it of a fitting type, is it in range.

use std::ops::RangeInclusive;

use crate::{Name, Table, Value};

use super::fault::{ArgumentFault, InvalidArgument};

/// The longest time that a message or queue may be given to live, and the longest of all times: ten
/// years, in milliseconds.
pub(super) const EXPIRY_MS_MAX: u64 = 315_360_000_000;

/// Reads arguments which the type of the queue knows and passes over all others.
pub(crate) struct Reader<'a> {
    arguments: &'a Table,
    known: &'static [&'static str],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(arguments: &'a Table, known: &'static [&'static str]) -> Self {
        Self { arguments, known }
    }

    /// The argument as `parse` understands it; `None` if it is not given or not known.
    pub(crate) fn read<T>(
        &self,
        argument: &'static str,
        parse: impl FnOnce(&Value) -> Result<T, ArgumentFault>,
    ) -> Result<Option<T>, InvalidArgument> {
        if !self.known.contains(&argument) {
            return Ok(None);
        }
        let Some(value) = self.arguments.get(argument) else { return Ok(None) };
        match parse(value) {
            Ok(parsed) => Ok(Some(parsed)),
            Err(fault) => Err(InvalidArgument::new(argument, value, fault)),
        }
    }

    /// Whether the argument is given, with whatever value, and known.
    pub(crate) fn is_given(&self, argument: &'static str) -> bool {
        self.known.contains(&argument) && self.arguments.get(argument).is_some()
    }
}

/// The name of an exchange in an argument that is looked at before all others; `None` if it is
/// not given.
pub(crate) fn exchange_name(
    arguments: &Table,
    argument: &'static str,
) -> Result<Option<Name>, InvalidArgument> {
    let Some(value) = arguments.get(argument) else { return Ok(None) };
    match name(value) {
        Ok(name) => Ok(Some(name)),
        Err(ArgumentFault::UnacceptableType) => {
            Err(InvalidArgument::new(argument, value, ArgumentFault::NotName))
        }
        Err(fault) => Err(InvalidArgument::new(argument, value, fault)),
    }
}

pub(crate) fn boolean(value: &Value) -> Result<bool, ArgumentFault> {
    value.as_bool().ok_or(ArgumentFault::UnacceptableType)
}

/// An integer of any width; a timestamp is none.
pub(crate) fn integer(value: &Value) -> Result<i64, ArgumentFault> {
    if matches!(value, Value::Timestamp(_)) {
        return Err(ArgumentFault::NotInteger);
    }
    value.as_i64().ok_or(ArgumentFault::NotInteger)
}

/// An integer or a float of any width, if it is in a range; `beyond` says that it is not.
pub(crate) fn number(
    value: &Value,
    range: RangeInclusive<f64>,
    beyond: ArgumentFault,
) -> Result<f64, ArgumentFault> {
    let number = match *value {
        Value::F32(number) => f64::from(number),
        Value::F64(number) => number,
        _ => {
            let wide = integer(value).map_err(|_| ArgumentFault::NotNumber)?;
            f64::from(i32::try_from(wide).map_err(|_| beyond)?)
        }
    };
    if range.contains(&number) { Ok(number) } else { Err(beyond) }
}

pub(crate) fn non_negative(value: &Value) -> Result<u64, ArgumentFault> {
    u64::try_from(integer(value)?).map_err(|_| ArgumentFault::Negative)
}

pub(crate) fn positive(value: &Value) -> Result<u64, ArgumentFault> {
    match non_negative(value)? {
        0 => Err(ArgumentFault::Zero),
        number => Ok(number),
    }
}

/// A time in milliseconds, such as that which something lives.
pub(crate) fn expiry_ms(value: &Value) -> Result<u64, ArgumentFault> {
    let number = non_negative(value)?;
    if EXPIRY_MS_MAX < number { Err(ArgumentFault::TooLarge) } else { Ok(number) }
}

/// A time in milliseconds that does not end at once.
pub(crate) fn positive_expiry_ms(value: &Value) -> Result<u64, ArgumentFault> {
    positive(value)?;
    expiry_ms(value)
}

/// The bytes of a string.
pub(crate) fn string(value: &Value) -> Result<&[u8], ArgumentFault> {
    if let Value::Str(bytes) = value { Ok(bytes) } else { Err(ArgumentFault::UnacceptableType) }
}

/// A string that can be a name or a routing key.
pub(crate) fn name(value: &Value) -> Result<Name, ArgumentFault> {
    str::from_utf8(string(value)?).map(Name::from).map_err(|_| ArgumentFault::NotUtf8)
}
