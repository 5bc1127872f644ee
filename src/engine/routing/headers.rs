//! Headers exchanges: a binding matches by its arguments, compared with the headers of a message.

use crate::message::Table;

use super::{
    routes::{Routes, Target},
    rule::{Headers, Rule},
};

/// The bindings of a headers exchange.
#[derive(Debug)]
pub(crate) struct HeadersRouter<T> {
    bindings: Vec<HeadersBinding<T>>,
}

#[derive(Debug)]
struct HeadersBinding<T> {
    target: T,
    rule: Rule,
    /// How many bindings have this target and rule: their keys differ, or arguments that do not
    /// count. Invariant: at least one.
    bindings: usize,
}

impl<T: Target> HeadersRouter<T> {
    pub(super) fn new() -> Self {
        Self { bindings: Vec::new() }
    }

    pub(super) fn bind(&mut self, arguments: &Table, target: T) {
        let rule = Rule::new(arguments);
        match self.position(&rule, &target) {
            Some(index) => self.at(index).bindings += 1,
            None => self.bindings.push(HeadersBinding { target, rule, bindings: 1 }),
        }
    }

    pub(super) fn unbind(&mut self, arguments: &Table, target: &T) {
        let index = self.position(&Rule::new(arguments), target);
        debug_assert!(index.is_some(), "what is unbound was bound");
        let Some(index) = index else { return };
        let binding = self.at(index);
        binding.bindings -= 1;
        if binding.bindings == 0 {
            self.bindings.swap_remove(index);
            if self.bindings.capacity() > 4 * self.bindings.len() {
                self.bindings.shrink_to(2 * self.bindings.len());
            }
        }
    }

    pub(super) fn route(&self, headers: Option<&Table>, routes: &mut Routes<T>) {
        let entries = headers.map(Table::entries).unwrap_or_default();
        let mut order = std::mem::take(&mut routes.header_order);
        let headers = Headers::new(entries, &mut order);
        for binding in &self.bindings {
            if binding.rule.matches(&headers) {
                routes.push(&binding.target);
            }
        }
        routes.header_order = order;
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn is_empty(&self) -> bool {
        self.bindings.is_empty()
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn check_invariants(&self) {
        for (index, binding) in self.bindings.iter().enumerate() {
            assert!(binding.bindings > 0, "what is kept is bound");
            let first = self.position(&binding.rule, &binding.target);
            assert_eq!(first, Some(index), "target and rule stand together once");
            let names = binding.rule.pairs.iter().map(|(name, _)| name);
            assert!(names.clone().zip(names.skip(1)).all(|(left, right)| left < right), "sorted");
        }
    }

    fn position(&self, rule: &Rule, target: &T) -> Option<usize> {
        let slot = target.slot();
        let same = |at: &HeadersBinding<T>| at.target.slot() == slot && at.rule == *rule;
        self.bindings.iter().position(same)
    }

    fn at(&mut self, index: usize) -> &mut HeadersBinding<T> {
        self.bindings.get_mut(index).expect("a position lies in the list")
    }
}

#[cfg(test)]
mod tests {
    use std::{cmp::Ordering, collections::BTreeSet};

    use bytes::Bytes;
    use proptest::{prelude::*, sample::select};

    use super::*;
    use crate::message::Value;

    fn routed(router: &HeadersRouter<usize>, headers: Option<&Table>) -> BTreeSet<usize> {
        let mut found = Routes::new();
        router.route(headers, &mut found);
        found.as_slice().iter().copied().collect()
    }

    #[track_caller]
    fn check(arguments: &Table, headers: &Table, expected: bool) {
        let mut router = HeadersRouter::new();
        router.bind(arguments, 0);
        router.check_invariants();
        assert_eq!(!routed(&router, Some(headers)).is_empty(), expected, "{arguments:?}");
        router.unbind(arguments, &0);
        assert!(router.is_empty());
    }

    #[track_caller]
    fn check_values(left: impl Into<Value>, right: impl Into<Value>, expected: bool) {
        let (left, right) = (Table::from([("k", left)]), Table::from([("k", right)]));
        check(&left, &right, expected);
        check(&right, &left, expected);
    }

    #[test]
    fn numbers_are_compared_without_rounding() {
        const TWO_TO_53: i64 = 9_007_199_254_740_992;
        check_values(5, 5.0, true);
        check_values(Value::Timestamp(5), 5.0_f32, true);
        check_values(-0.0, 0_u8, true);
        check_values(TWO_TO_53, 9_007_199_254_740_992.0, true);
        check_values(TWO_TO_53 + 1, 9_007_199_254_740_992.0, false);
        check_values(i64::MAX, 9_223_372_036_854_775_808.0, false);
        check_values(i64::MIN, -9_223_372_036_854_775_808.0, true);
        check_values(Value::Timestamp(1 << 63), 9_223_372_036_854_775_808.0, true);
        check_values(Value::Timestamp(1 << 63), i64::MIN, false);
        check_values(Value::Timestamp(u64::MAX), 18_446_744_073_709_551_616.0, false);
        check_values(0.1_f32, 0.1_f64, false);
        check_values(1e300, 1e300, true);
        check_values(f64::INFINITY, f32::INFINITY, true);
        check_values(f64::NAN, f64::NAN, false);
        check_values(vec![f64::NAN.into()], vec![f64::NAN.into()], false);
    }

    #[test]
    fn types_count_only_inside_tables_and_arrays() {
        let bytes = Value::Bytes(Bytes::from_static(b"1"));
        check_values("1", bytes.clone(), true);
        check_values("1", 1, false);
        check_values(true, 1, false);
        check_values(true, "true", false);
        check_values(Value::Decimal { scale: 1, value: 10 }, 1, false);
        check_values(
            Value::Decimal { scale: 1, value: 10 },
            Value::Decimal { scale: 2, value: 100 },
            false,
        );
        check_values(Table::new(), Value::Array(vec![]), true);
        check_values(vec![Value::I32(1)], vec![Value::I32(1)], true);
        check_values(vec![Value::I32(1)], vec![Value::I64(1)], false);
        check_values(vec![Value::from("1")], vec![bytes], false);
        check_values(Table::from([("a", 1), ("b", 2)]), Table::from([("b", 2), ("a", 1)]), false);
    }

    #[test]
    fn void_asks_for_presence() {
        let asked = |mode: &str| Table::from([("x-match", mode.into()), ("k", Value::Void)]);
        check(&asked("all"), &Table::from([("k", 5)]), true);
        check(&asked("any"), &Table::from([("k", Value::Void)]), true);
        check(&asked("all"), &Table::from([("other", 5)]), false);
        check(&Table::from([("k", 5)]), &Table::from([("k", Value::Void)]), false);
    }

    #[test]
    fn nothing_to_compare_is_true_of_all_only() {
        for (mode, expected) in [("all", true), ("all-with-x", true), ("any", false)] {
            let arguments = Table::from([("x-match", mode)]);
            check(&arguments, &Table::new(), expected);
            check(&arguments, &Table::from([("x-match", mode)]), expected);
        }
        let mut router = HeadersRouter::new();
        router.bind(&Table::new(), 0);
        assert_eq!(routed(&router, None), BTreeSet::from([0]));
    }

    /// The rule once more, as sentences that know nothing of the code above.
    fn matches_plainly(arguments: &Table, headers: &Table) -> bool {
        let mode = arguments.get("x-match").and_then(Value::as_str).unwrap_or("all");
        let (mut agreeing, mut asked) = (0, 0);
        for (name, wanted) in arguments {
            if name == "x-match" || (name.starts_with("x-") && !mode.ends_with("-with-x")) {
                continue;
            }
            asked += 1;
            agreeing += match headers.get(name) {
                Some(_) if *wanted == Value::Void => 1,
                Some(found) if agree_plainly(wanted, found) => 1,
                _ => 0,
            };
        }
        if mode.starts_with("any") { agreeing > 0 } else { agreeing == asked }
    }

    fn agree_plainly(left: &Value, right: &Value) -> bool {
        let bytes = |value: &Value| match value {
            Value::Str(bytes) | Value::Bytes(bytes) => Some(bytes.clone()),
            _ => None,
        };
        let float = |value: &Value| match value {
            Value::F32(value) => Some(f64::from(*value)),
            Value::F64(value) => Some(*value),
            _ => None,
        };
        let is_empty = |value: &Value| {
            value.as_table().is_some_and(Table::is_empty)
                || value.as_array().is_some_and(<[_]>::is_empty)
        };
        match (left.as_i64(), right.as_i64(), float(left), float(right)) {
            (Some(left), Some(right), _, _) => left == right,
            (_, _, Some(left), Some(right)) => left.partial_cmp(&right) == Some(Ordering::Equal),
            (Some(integer), _, _, Some(float)) | (_, Some(integer), Some(float), _) => {
                // All numbers of the test are small, so that text is exact.
                integer.to_string() == float.to_string()
            }
            _ => match (bytes(left), bytes(right)) {
                (Some(left), Some(right)) => left == right,
                _ => *left != Value::Void && left == right || is_empty(left) && is_empty(right),
            },
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let one = [Value::from("1"), Value::I32(1)];
        select(vec![
            Value::Void,
            Value::I8(1),
            Value::U16(2),
            Value::I32(1),
            Value::I64(1),
            Value::Timestamp(1),
            Value::F32(0.5),
            Value::F64(0.5),
            Value::F64(1.0),
            Value::F64(f64::NAN),
            Value::Bool(true),
            Value::from("1"),
            Value::Bytes(Bytes::from_static(b"1")),
            Value::Decimal { scale: 0, value: 1 },
            Value::Array(vec![]),
            Value::Array(one.to_vec()),
            Value::Table(Table::new()),
            Value::from(Table::from([("k", 1_i32)])),
            Value::from(Table::from([("k", 1_i64)])),
        ])
    }

    fn table() -> impl Strategy<Value = Table> {
        let name = select(vec!["a", "b", "c", "x-a", "x-match", "X-a", "x", "é", ""]);
        let filler = (0..30_usize).prop_map(|count| count.saturating_sub(10));
        (prop::collection::vec((name, value()), 0..6), filler).prop_map(|(entries, filler)| {
            // Many headers make the router look them up in another way.
            let fillers = (0..filler).map(|number| (format!("f{number}"), Value::Void));
            let entries = entries.into_iter().map(|(name, value)| (name.to_owned(), value));
            fillers.chain(entries).collect()
        })
    }

    fn arguments() -> impl Strategy<Value = Table> {
        let mode = select(vec!["all", "any", "all-with-x", "any-with-x", ""]);
        let name = select(vec!["a", "b", "c", "x-a", "X-a", "x", "é", "", "f3"]);
        (prop::collection::vec((name, value()), 0..4), mode).prop_map(|(entries, mode)| {
            let mut arguments: Table = entries.into_iter().collect();
            if !mode.is_empty() {
                arguments.insert("x-match", mode);
            }
            arguments
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn headers_reach_what_the_plain_rule_says(
            bindings in prop::collection::vec((arguments(), 0_usize..6), 0..12),
            headers in table(),
        ) {
            let mut router = HeadersRouter::new();
            for (arguments, target) in &bindings {
                router.bind(arguments, *target);
            }
            router.check_invariants();
            // From the full list to the empty one, since unbinding may not disturb the others.
            for left in (0..=bindings.len()).rev() {
                let (bound, gone) = bindings.split_at(left);
                if let Some((arguments, target)) = gone.first() {
                    router.unbind(&arguments.sorted(), target);
                    router.check_invariants();
                }
                let plain = bound.iter().filter(|(asked, _)| matches_plainly(asked, &headers));
                let plain: BTreeSet<_> = plain.map(|&(_, target)| target).collect();
                prop_assert_eq!(routed(&router, Some(&headers)), plain);
            }
            prop_assert!(router.is_empty());
        }
    }
}
