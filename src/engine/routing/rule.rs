//! What a binding of a headers exchange asks, by its arguments, and which messages it agrees with.
//!
//! The argument `x-match` says whether all the others have to agree or any one suffices, and
//! whether those whose names begin with `x-` count.

use std::{
    hash::{Hash, Hasher},
    mem,
};

use crate::{
    Name,
    message::{Table, Value},
};

use super::content::Content;

/// The argument that says how to compare; never compared itself.
const MATCH: &str = "x-match";

/// An `x-match` argument that is not one of the four texts.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum InvalidMatch {
    /// Not a text at all.
    #[error(
        "Invalid x-match field type {} (value {}); expected longstr", .0.type_name(), .0.term()
    )]
    Type(Value),
    /// Another text.
    #[error(
        "Invalid x-match field value {}; expected all, any, all-with-x, or any-with-x", .0.term()
    )]
    Value(Value),
}

/// Checks the arguments of a binding to a headers exchange.
pub(crate) fn check_arguments(arguments: &Table) -> Result<(), InvalidMatch> {
    Mode::of(arguments).map(drop)
}

/// What the arguments of a binding ask of the headers.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Rule {
    pub(super) quantity: Quantity,
    /// The headers asked for, sorted by name. Invariant: names are distinct.
    pub(super) pairs: Box<[(Name, Expected)]>,
}

impl Rule {
    pub(super) fn new(arguments: &Table) -> Self {
        let mode = Mode::of(arguments).expect("the arguments of a binding were checked");
        let counts = |name: &str| match mode.prefixed {
            Prefixed::Compared => name != MATCH,
            Prefixed::Skipped => !name.starts_with("x-"),
        };
        let mut pairs: Box<[_]> = arguments
            .entries()
            .iter()
            .filter(|(name, _)| counts(name))
            .map(|(name, value)| (name.clone(), Expected::new(value)))
            .collect();
        pairs.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        Self { quantity: mode.quantity, pairs }
    }

    /// Whether it agrees with no message, since it wants the impossible among others.
    pub(super) fn is_vain(&self) -> bool {
        self.quantity == Quantity::All
            && self.pairs.iter().any(|(_, expected)| *expected == Expected::Never)
    }

    pub(super) fn matches(&self, headers: &mut Headers<'_>) -> bool {
        if self.quantity == Quantity::All && self.pairs.len() > headers.entries.len() {
            return false;
        }
        let agrees = |(name, expected): &(Name, Expected)| {
            headers.get(name).is_some_and(|value| expected.agrees(value))
        };
        match self.quantity {
            Quantity::All => self.pairs.iter().all(agrees),
            Quantity::Any => self.pairs.iter().any(agrees),
        }
    }
}

/// What `x-match` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mode {
    quantity: Quantity,
    prefixed: Prefixed,
}

/// How many headers have to agree. Of none, `all` is true and `any` is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Quantity {
    All,
    Any,
}

/// What becomes of arguments whose names begin with `x-`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prefixed {
    Compared,
    Skipped,
}

impl Mode {
    fn of(arguments: &Table) -> Result<Self, InvalidMatch> {
        let (quantity, prefixed) = match arguments.get(MATCH) {
            None => (Quantity::All, Prefixed::Skipped),
            Some(Value::Str(text)) => match &**text {
                b"all" => (Quantity::All, Prefixed::Skipped),
                b"all-with-x" => (Quantity::All, Prefixed::Compared),
                b"any" => (Quantity::Any, Prefixed::Skipped),
                b"any-with-x" => (Quantity::Any, Prefixed::Compared),
                _ => return Err(InvalidMatch::Value(Value::Str(text.clone()))),
            },
            Some(other) => return Err(InvalidMatch::Type(other.clone())),
        };
        Ok(Self { quantity, prefixed })
    }
}

/// What one argument asks of the header with its name.
#[derive(Debug, PartialEq)]
pub(super) enum Expected {
    /// The same content.
    Content(Value),
    /// The impossible: nothing equals a float that is not a number. It has a form of its own so
    /// that rules with such a value still equal themselves, and can be unbound.
    Never,
    /// Any value: the argument is void.
    Present,
}

impl Expected {
    fn new(value: &Value) -> Self {
        match value {
            Value::Void => Self::Present,
            value if value.eq(value) => Self::Content(value.clone()),
            _ => Self::Never,
        }
    }

    fn agrees(&self, value: &Value) -> bool {
        match self {
            Self::Content(expected) => Content::of(expected) == Content::of(value),
            Self::Never => false,
            Self::Present => true,
        }
    }
}

impl Eq for Expected {}

/// By content, as it is compared with headers: expectations that differ in their types alone are
/// not the same, but few.
impl Hash for Expected {
    fn hash<H: Hasher>(&self, state: &mut H) {
        mem::discriminant(self).hash(state);
        if let Self::Content(value) = self {
            Content::of(value).hash(state);
        }
    }
}

/// The headers of one message, to be looked up by name.
pub(super) struct Headers<'a> {
    entries: &'a [(Name, Value)],
    /// The indexes of the entries by name, if there are too many to search all and one was looked
    /// up. Invariant: it is empty or complete.
    order: &'a mut Vec<u32>,
}

impl<'a> Headers<'a> {
    /// How many entries are searched one by one, which is faster for a few.
    const SEARCHED_MAX: usize = 16;

    pub(super) fn new(entries: &'a [(Name, Value)], order: &'a mut Vec<u32>) -> Self {
        order.clear();
        Self { entries, order }
    }

    fn get(&mut self, name: &str) -> Option<&'a Value> {
        let entries = self.entries;
        if entries.len() <= Self::SEARCHED_MAX {
            return entries.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        }
        let entry_at =
            |index: u32| entries.get(index as usize).expect("the order holds indexes of entries");
        if self.order.is_empty() {
            self.order.extend((0..).zip(entries).map(|(index, _): (u32, _)| index));
            self.order.sort_unstable_by_key(|&index| entry_at(index).0.as_str());
        }
        let name_at = |&index: &u32| entry_at(index).0.as_str();
        let found = self.order.binary_search_by_key(&name, name_at).ok()?;
        Some(&entry_at(*self.order.get(found)?).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_values_of_x_match_are_refused() {
        let text = |value: Value| {
            let refused = check_arguments(&Table::from([("x-match", value)]));
            refused.expect_err("no such mode").to_string()
        };
        let expected = "expected all, any, all-with-x, or any-with-x";
        assert_eq!(
            text("ANY".into()),
            format!("Invalid x-match field value <<\"ANY\">>; {expected}")
        );
        assert_eq!(text("".into()), format!("Invalid x-match field value <<>>; {expected}"));
        assert_eq!(
            text(1.into()),
            "Invalid x-match field type signedint (value 1); expected longstr"
        );
        assert_eq!(
            text(true.into()),
            "Invalid x-match field type bool (value true); expected longstr"
        );
        for mode in ["all", "any", "all-with-x", "any-with-x"] {
            assert_eq!(check_arguments(&Table::from([("x-match", mode)])), Ok(()));
        }
        assert_eq!(check_arguments(&Table::from([("X-Match", "bogus")])), Ok(()));
    }
}
