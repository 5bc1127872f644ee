//! What a step must result in, and how that is compared with what it did result in.
//!
//! Everything must be equal, except the numbers of AMQP methods, which only a wire shows, and what
//! a text prints as Erlang terms.

use super::json::Json;
use super::placeholder::length_of_placeholder;

/// Whether the texts of errors are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Texts {
    Compare,
    Ignore,
}

/// Whether the deliveries of a drain are compared in order, or as a multiset without their tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    AsReceived,
    Any,
}

/// An expected value which is not the one that came, ready to be printed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Difference {
    pub(crate) expected: String,
    pub(crate) got: String,
}

impl Difference {
    /// Names what was expected and what came instead.
    pub(crate) fn new(expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self { expected: expected.into(), got: got.into() }
    }
}

/// Compares the result of a step with the recorded one.
pub(crate) fn compare(
    expected: &Json,
    got: &Json,
    texts: Texts,
    order: Order,
) -> Result<(), Difference> {
    let (mut expected, mut got) = (expected.clone(), got.clone());
    relax_error(&mut expected, &mut got, texts);
    if order == Order::Any {
        sort_deliveries(&mut expected);
        sort_deliveries(&mut got);
    }
    first_difference(&expected, &got, "").map_or(Ok(()), Err)
}

/// Takes out of two errors what is not to be compared.
fn relax_error(expected: &mut Json, got: &mut Json, texts: Texts) {
    let (Some(expected), Some(got)) = (expected.get_mut("error"), got.get_mut("error")) else {
        return;
    };
    expected.remove("class_id");
    expected.remove("method_id");
    match texts {
        Texts::Ignore => {
            expected.remove("text");
            got.remove("text");
        }
        Texts::Compare => {
            if let (Some(Json::Text(expected)), Some(Json::Text(got))) =
                (expected.get("text"), got.get_mut("text"))
                && let Some(term) = start_of_erlang_term(expected)
                && got.starts_with(&expected[..term])
            {
                got.clone_from(expected);
            }
        }
    }
}

/// Where a text begins to print Erlang terms: a tuple or a binary.
fn start_of_erlang_term(text: &str) -> Option<usize> {
    let tuple = text
        .match_indices('{')
        .map(|(start, _)| start)
        .find(|start| length_of_placeholder(&text[*start..]) == 0);
    let binary = text.find("<<");
    tuple.into_iter().chain(binary).min()
}

fn sort_deliveries(result: &mut Json) {
    if let Some(Json::List(deliveries)) =
        result.get_mut("ok").and_then(|ok| ok.get_mut("deliveries"))
    {
        deliveries.sort_by_cached_key(Json::canonical);
    }
}

/// The first place where two values differ. `path` names the place of the values themselves.
fn first_difference(expected: &Json, got: &Json, path: &str) -> Option<Difference> {
    if expected == got {
        return None;
    }
    match (expected, got) {
        (Json::List(expected), Json::List(got)) => {
            let length = expected.len().max(got.len());
            (0..length).find_map(|position| {
                let path = format!("{path}[{position}]");
                difference_of_parts(expected.get(position), got.get(position), &path)
            })
        }
        // Two answers, or two errors, or two things within them.
        (Json::Object(members), Json::Object(others))
            if !path.is_empty() || names(members) == names(others) =>
        {
            let keys = members.iter().chain(others).map(|(key, _)| key);
            keys.into_iter().find_map(|key| {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                difference_of_parts(expected.get(key), got.get(key), &path)
            })
        }
        _ if path.is_empty() => Some(Difference::new(expected.to_string(), got.to_string())),
        _ => Some(Difference::new(expected.to_string(), format!("{got} at {path}"))),
    }
}

fn difference_of_parts(
    expected: Option<&Json>,
    got: Option<&Json>,
    path: &str,
) -> Option<Difference> {
    match (expected, got) {
        (Some(expected), Some(got)) => first_difference(expected, got, path),
        (Some(expected), None) => {
            Some(Difference::new(expected.to_string(), format!("nothing at {path}")))
        }
        (None, Some(got)) => Some(Difference::new("nothing", format!("{got} at {path}"))),
        (None, None) => None,
    }
}

fn names(members: &[(String, Json)]) -> Vec<&str> {
    members.iter().map(|(name, _)| name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text).expect("a test writes good JSON")
    }

    #[track_caller]
    fn check(expected: &str, got: &str, difference: Option<(&str, &str)>) {
        let result = compare(&json(expected), &json(got), Texts::Compare, Order::AsReceived);
        assert_eq!(result.err(), difference.map(|(expected, got)| Difference::new(expected, got)));
    }

    fn error(code: u16, text: &str) -> Json {
        Json::object([(
            "error",
            Json::object([
                ("scope", Json::from("channel")),
                ("code", Json::from(code)),
                ("text", Json::from(text)),
            ]),
        )])
    }

    #[track_caller]
    fn check_texts(expected: &str, got: &str, texts: Texts, equal: bool) {
        let result = compare(&error(406, expected), &error(406, got), texts, Order::AsReceived);
        assert_eq!(result.is_ok(), equal, "{expected:?} against {got:?}");
    }

    #[test]
    fn the_first_difference_is_named_with_its_place() {
        check(r#"{"ok":{"n":1}}"#, r#"{"ok":{"n":1}}"#, None);
        check(r#"{"ok":{"n":1}}"#, r#"{"ok":{"n":1.0}}"#, Some(("1", "1.0 at ok.n")));
        check(r#"{"ok":{"n":1}}"#, r#"{"ok":{"n":true}}"#, Some(("1", "true at ok.n")));
        check(
            r#"{"ok":{"d":[{"b":"x"},{"b":"y"}]}}"#,
            r#"{"ok":{"d":[{"b":"x"},{"b":"z"}]}}"#,
            Some(("\"y\"", "\"z\" at ok.d[1].b")),
        );
        check(r#"{"ok":{"d":[1,2]}}"#, r#"{"ok":{"d":[1]}}"#, Some(("2", "nothing at ok.d[1]")));
        check(r#"{"ok":{"d":[]}}"#, r#"{"ok":{"d":[1]}}"#, Some(("nothing", "1 at ok.d[0]")));
        check(
            r#"{"ok":{}}"#,
            r#"{"error":{"code":404}}"#,
            Some((r#"{"ok":{}}"#, r#"{"error":{"code":404}}"#)),
        );
    }

    #[test]
    fn a_field_too_many_is_a_difference() {
        check(r#"{"ok":{"a":1}}"#, r#"{"ok":{}}"#, Some(("1", "nothing at ok.a")));
        check(r#"{"ok":{}}"#, r#"{"ok":{"a":1}}"#, Some(("nothing", "1 at ok.a")));
        let both = r#"{"ok":{},"also":1}"#;
        check(both, r#"{"ok":{}}"#, Some((both, r#"{"ok":{}}"#)));
        check(
            r#"{"error":{"code":1,"more":2}}"#,
            r#"{"error":{"code":1}}"#,
            Some(("2", "nothing at error.more")),
        );
    }

    #[test]
    fn method_numbers_are_not_compared_and_scope_and_code_are() {
        let recorded = r#"{"error":{"scope":"channel","code":1,"class_id":50,"method_id":10}}"#;
        check(recorded, r#"{"error":{"scope":"channel","code":1}}"#, None);
        check(
            recorded,
            r#"{"error":{"scope":"connection","code":1}}"#,
            Some(("\"channel\"", "\"connection\" at error.scope")),
        );
        check(
            recorded,
            r#"{"error":{"scope":"channel","code":2}}"#,
            Some(("1", "2 at error.code")),
        );
    }

    #[test]
    fn texts_count_up_to_the_first_erlang_term() {
        let compare = Texts::Compare;
        check_texts("no queue 'q'", "no queue 'q'", compare, true);
        check_texts("no queue 'q'", "no queue 'r'", compare, false);
        check_texts("no queue 'q'", "no queue 'q'!", compare, false);
        check_texts("bad: {value_zero,0}", "bad: {other}", compare, true);
        check_texts("bad: {value_zero,0}", "bad: 0", compare, true);
        check_texts("bad: {value_zero,0}", "worse: {value_zero,0}", compare, false);
        check_texts("bad: {value_zero,0}", "bad", compare, false);
        check_texts("value <<\"a\">>; more", "value 'a'", compare, true);
        check_texts("value <<\"a\">>; more", "valu", compare, false);
        check_texts("plain", "plain {term}", compare, false);
        check_texts("queue '{gen1}' is", "queue '{gen1}' was", compare, false);
        check_texts("queue '{gen1}' {a,1}", "queue '{gen1}' {b}", compare, true);
        check_texts("queue '{gen1}' {a,1}", "queue '{gen2}' {a,1}", compare, false);
    }

    #[test]
    fn texts_can_be_ignored_and_nothing_else() {
        check_texts("one", "two", Texts::Ignore, true);
        let result = compare(&error(404, "a"), &error(406, "a"), Texts::Ignore, Order::AsReceived);
        assert_eq!(result, Err(Difference::new("404", "406 at error.code")));
    }

    #[test]
    fn deliveries_in_any_order_are_a_multiset() {
        let any = |expected: &str, got: &str| {
            compare(&json(expected), &json(got), Texts::Compare, Order::Any).is_ok()
        };
        let recorded = r#"{"ok":{"deliveries":[{"a":1,"b":1},{"a":1,"b":2},{"a":1,"b":1}]}}"#;
        assert!(any(
            recorded,
            r#"{"ok":{"deliveries":[{"b":2,"a":1},{"b":1,"a":1},{"a":1,"b":1}]}}"#
        ));
        assert!(!any(recorded, r#"{"ok":{"deliveries":[{"a":1,"b":1},{"a":1,"b":2}]}}"#));
        assert!(!any(
            recorded,
            r#"{"ok":{"deliveries":[{"a":1,"b":1},{"a":1,"b":2},{"a":1,"b":2}]}}"#
        ));
    }
}
