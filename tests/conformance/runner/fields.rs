//! The arguments of a step, read by name and type, with the defaults of the format.

use std::any::type_name;

use leveret::Table;

use super::json::{Json, Object, member};
use super::table;

/// The named arguments of one step. Absent flags are false, absent strings and tables empty.
#[derive(Clone, Debug)]
pub(crate) struct Fields(Object);

impl Fields {
    /// Takes the members of a step.
    pub(crate) fn new(members: Object) -> Self {
        Self(members)
    }

    /// The first name which is not among these.
    pub(crate) fn unknown(&self, known: &[&str]) -> Option<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).find(|name| !known.contains(name))
    }

    /// The argument as it is written.
    pub(crate) fn get(&self, name: &str) -> Option<&Json> {
        member(&self.0, name)
    }

    /// A string, or another text if it is absent.
    pub(crate) fn text_or<'a>(&'a self, name: &str, absent: &'a str) -> Result<&'a str, String> {
        match self.get(name) {
            None => Ok(absent),
            Some(Json::Text(text)) => Ok(text),
            Some(other) => Err(mistyped(name, "a string", other)),
        }
    }

    /// A string.
    pub(crate) fn text(&self, name: &str) -> Result<&str, String> {
        self.text_or(name, "")
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, String> {
        match self.get(name) {
            None => Ok(false),
            Some(Json::Flag(flag)) => Ok(*flag),
            Some(other) => Err(mistyped(name, "true or false", other)),
        }
    }

    /// An integer, if there is one.
    pub(crate) fn integer<T: TryFrom<i128>>(&self, name: &str) -> Result<Option<T>, String> {
        self.get(name).map(|json| integer(name, json)).transpose()
    }

    /// A field table.
    pub(crate) fn table(&self, name: &str) -> Result<Table, String> {
        self.get(name).map_or_else(|| Ok(Table::new()), table::from_json)
    }
}

/// A value as an integer of this width.
pub(crate) fn integer<T: TryFrom<i128>>(name: &str, json: &Json) -> Result<T, String> {
    let Json::Integer(number) = json else { return Err(mistyped(name, "an integer", json)) };
    T::try_from(*number).map_err(|_| mistyped(name, type_name::<T>(), json))
}

/// Says that something was written which the format does not allow there.
pub(crate) fn mistyped(name: &str, expected: &str, found: &Json) -> String {
    format!("{name} must be {expected}, not {found}")
}
