//! Whether a declaration of something that exists asks for what is there.

use std::fmt;

use crate::{Name, Table, Value};

use super::queue_type::{QUEUE_TYPE, QueueType};

/// A property or argument in which a declaration differs from what exists.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mismatch {
    /// The name of the argument, or `type`, `durable`, `auto_delete` or `internal`.
    pub(crate) argument: Name,
    /// What the declaration asks for; `None` if it does not give the argument.
    pub(crate) received: Option<Value>,
    /// What exists; `None` if it was declared without the argument.
    pub(crate) current: Option<Value>,
}

impl Mismatch {
    /// The text that follows `PRECONDITION_FAILED - `; `entity` names the entity and its vhost.
    pub(crate) fn text(&self, entity: &str) -> String {
        let Self { argument, received, current } = self;
        // A value is described with its type only where there is none on the other side.
        let (received, current) = match (received, current) {
            (Some(received), Some(current)) => (quoted(received), quoted(current)),
            (received, current) => (described(received.as_ref()), described(current.as_ref())),
        };
        format!(
            "inequivalent arg '{argument}' for {entity}: \
             received {received} but current is {current}"
        )
    }
}

/// Shows a string or byte array as its bare text, and all else as an Erlang term.
pub(super) struct Text<'a>(pub(super) &'a Value);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Value::Bytes(bytes) | Value::Str(bytes) = self.0 {
            return f.write_str(&String::from_utf8_lossy(bytes));
        }
        self.0.term().fmt(f)
    }
}

fn quoted(value: &Value) -> String {
    // Where no type is told, the text of the reference calls a void nothing.
    if *value == Value::Void { "none".to_owned() } else { format!("'{}'", Text(value)) }
}

fn described(value: Option<&Value>) -> String {
    value.map_or_else(
        || "none".to_owned(),
        |value| format!("the value '{}' of type '{}'", Text(value), value.type_name()),
    )
}

/// Checks that a property of a declaration is the one which exists.
pub(crate) fn compare_property<T>(
    argument: &'static str,
    current: T,
    received: T,
) -> Result<(), Mismatch>
where
    T: PartialEq + Into<Value>,
{
    if current == received {
        return Ok(());
    }
    Err(Mismatch {
        argument: Name::from(argument),
        received: Some(received.into()),
        current: Some(current.into()),
    })
}

/// Checks that the arguments of these names, in this order, are equivalent; others do not count.
pub(crate) fn compare_arguments(
    names: &[&'static str],
    current: &Table,
    received: &Table,
) -> Result<(), Mismatch> {
    for &name in names {
        let (current, received) = (current.get(name), received.get(name));
        if !are_equivalent(name, current, received) {
            return Err(Mismatch {
                argument: Name::from(name),
                received: received.cloned(),
                current: current.cloned(),
            });
        }
    }
    Ok(())
}

fn are_equivalent(name: &str, current: Option<&Value>, received: Option<&Value>) -> bool {
    match (current, received) {
        (None, None) => true,
        (Some(current), Some(received)) => are_equal_terms(current, received),
        (Some(value), None) | (None, Some(value)) => {
            // Queues have a type whether or not the client names it.
            name == QUEUE_TYPE && value.as_str() == Some(QueueType::Classic.as_str())
        }
    }
}

/// Whether two values are equal once the type of the outermost one is forgotten.
///
/// Integers of all widths and timestamps compare as numbers, and so do both widths of floats, but
/// an integer never equals a float. Strings equal byte arrays of the same bytes, and an empty
/// table equals an empty array. Inside tables and arrays types count.
#[expect(clippy::float_cmp, reason = "what clients wrote is compared, nothing is computed")]
fn are_equal_terms(left: &Value, right: &Value) -> bool {
    if let (Some(left), Some(right)) = (integer(left), integer(right)) {
        return left == right;
    }
    if let (Some(left), Some(right)) = (float(left), float(right)) {
        return left == right;
    }
    match (left, right) {
        (Value::Str(left) | Value::Bytes(left), Value::Str(right) | Value::Bytes(right)) => {
            left == right
        }
        (Value::Array(items), Value::Table(table)) | (Value::Table(table), Value::Array(items)) => {
            items.is_empty() && table.is_empty()
        }
        (left, right) => left == right,
    }
}

/// The number, if the value is an integer or a timestamp; wide enough for both.
fn integer(value: &Value) -> Option<i128> {
    if let Value::Timestamp(seconds) = value {
        return Some(i128::from(*seconds));
    }
    value.as_i64().map(i128::from)
}

fn float(value: &Value) -> Option<f64> {
    if let Value::F32(number) = value {
        return Some(f64::from(*number));
    }
    if let Value::F64(number) = value { Some(*number) } else { None }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const QUEUE: &str = "queue 'q' in vhost '/'";

    /// Compares one argument; `difference` is how the text shows what is received and current.
    #[track_caller]
    fn check(current: Option<Value>, received: Option<Value>, difference: Option<(&str, &str)>) {
        let table = |value: Option<Value>| value.map(|value| ("x-a", value)).into_iter().collect();
        let outcome = compare_arguments(&["x-a"], &table(current), &table(received));
        let text = difference.map(|(received, current)| {
            let start = "inequivalent arg 'x-a' for queue 'q' in vhost '/'";
            format!("{start}: received {received} but current is {current}")
        });
        assert_eq!(outcome.err().map(|mismatch| mismatch.text(QUEUE)), text);
    }

    #[test]
    fn integers_of_all_widths_and_timestamps_are_one_number() {
        for other in [Value::I64(5), Value::I8(5), Value::U32(5), Value::Timestamp(5)] {
            check(Some(Value::I32(5)), Some(other), None);
        }
    }

    #[test]
    fn a_double_is_never_an_integer() {
        check(Some(Value::I32(60_000)), Some(Value::F64(60_000.0)), Some(("'6.0e4'", "'60000'")));
    }

    #[test]
    fn floats_of_both_widths_are_one_number() {
        check(Some(Value::F32(0.5)), Some(Value::F64(0.5)), None);
    }

    #[test]
    fn outermost_types_do_not_count_but_inner_ones_do() {
        let bytes = Value::Bytes(Bytes::from_static(b"a"));
        check(Some(Value::from("a")), Some(bytes), None);
        check(Some(Value::Array(Vec::new())), Some(Table::new().into()), None);
        check(
            Some(Value::Array(vec![Value::I32(1)])),
            Some(Value::Array(vec![Value::I64(1)])),
            Some(("'[{long,1}]'", "'[{signedint,1}]'")),
        );
    }

    #[test]
    fn a_void_against_a_value_looks_like_nothing() {
        check(Some(Value::I32(5)), Some(Value::Void), Some(("none", "'5'")));
        check(Some(Value::Void), Some(Value::from("a")), Some(("'a'", "none")));
        check(None, Some(Value::Void), Some(("the value 'undefined' of type 'void'", "none")));
    }

    #[test]
    fn a_value_against_none_is_described_with_its_type() {
        check(Some(Value::I32(5)), None, Some(("none", "the value '5' of type 'signedint'")));
        check(
            None,
            Some(Value::from("lazy")),
            Some(("the value 'lazy' of type 'longstr'", "none")),
        );
    }

    #[test]
    fn no_queue_type_means_classic_and_nothing_else() {
        let (none, classic) = (Table::new(), Table::from([("x-queue-type", "classic")]));
        let quorum = Table::from([("x-queue-type", "quorum")]);
        let compare = |current, received| compare_arguments(&["x-queue-type"], current, received);
        assert_eq!(compare(&none, &classic), Ok(()));
        assert_eq!(compare(&classic, &none), Ok(()));
        assert!(compare(&none, &quorum).is_err());
        assert!(compare(&quorum, &none).is_err());
        check(
            None,
            Some("classic".into()),
            Some(("the value 'classic' of type 'longstr'", "none")),
        );
    }

    #[test]
    fn arguments_which_are_not_asked_for_do_not_count() {
        let outcome = compare_arguments(&["x-a"], &Table::from([("x-b", 1)]), &Table::new());
        assert_eq!(outcome, Ok(()));
    }

    #[test]
    fn the_first_difference_in_the_given_order_is_reported() {
        let (current, received) =
            (Table::from([("x-a", 1), ("x-b", 1)]), Table::from([("x-a", 2), ("x-b", 2)]));
        let mismatch = compare_arguments(&["x-b", "x-a"], &current, &received).unwrap_err();
        assert_eq!(mismatch.argument, "x-b");
    }

    #[test]
    fn properties_print_bare() {
        let mismatch = compare_property("durable", true, false).unwrap_err();
        assert_eq!(
            mismatch.text(QUEUE),
            "inequivalent arg 'durable' for queue 'q' in vhost '/': \
             received 'false' but current is 'true'"
        );
        assert_eq!(compare_property("durable", true, true), Ok(()));
    }
}
