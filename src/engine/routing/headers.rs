//! Headers exchanges: a binding matches by its arguments, compared with the headers of a message.
//!
//! Bindings that ask the same are one rule with several targets. The headers of a message lead to
//! the rules that may agree with it, and each of these is compared as a whole.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;

use crate::message::Table;

use super::{
    routes::{Routes, Target},
    rule::{Headers, Rule},
    rule_index::{Filed, RuleId, RuleIndex},
    targets::Targets,
};

/// The bindings of a headers exchange.
#[derive(Debug)]
pub(crate) struct HeadersRouter<T> {
    /// The rules in use, each in the place that its number says. The order is arbitrary.
    rules: Vec<BoundRule<T>>,
    numbers: HashMap<Arc<Rule>, RuleId, RandomState>,
    index: RuleIndex,
}

/// A rule and where it leads.
#[derive(Debug)]
struct BoundRule<T> {
    rule: Arc<Rule>,
    filed: Filed,
    /// Invariant: not empty. Bindings are counted, since their keys may differ, or arguments that
    /// do not count.
    targets: Targets<T>,
}

impl<T: Target> HeadersRouter<T> {
    pub(super) fn new() -> Self {
        Self { rules: Vec::new(), numbers: HashMap::default(), index: RuleIndex::default() }
    }

    pub(super) fn bind(&mut self, arguments: &Table, target: T) {
        let rule = Rule::new(arguments);
        let known = self.numbers.get(&rule).copied();
        let id = known.unwrap_or_else(|| self.add(Arc::new(rule)));
        self.at(id).targets.add(target);
    }

    pub(super) fn unbind(&mut self, arguments: &Table, target: &T) {
        let id = self.numbers.get(&Rule::new(arguments)).copied();
        debug_assert!(id.is_some(), "what is unbound was bound");
        let Some(id) = id else { return };
        let bound = self.at(id);
        bound.targets.remove(target);
        if bound.targets.is_empty() {
            self.remove(id);
        }
    }

    pub(super) fn route(&self, headers: Option<&Table>, routes: &mut Routes<T>) {
        let entries = headers.map(Table::entries).unwrap_or_default();
        let mut order = std::mem::take(&mut routes.header_order);
        let mut headers = Headers::new(entries, &mut order);
        self.index.find(entries, |RuleId(place)| {
            let bound = self.rules.get(place).expect("a rule that is filed is in its place");
            if bound.rule.matches(&mut headers) {
                bound.targets.push_all(&mut routes.reached);
            }
        });
        routes.header_order = order;
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn check_invariants(&self) {
        for (place, bound) in self.rules.iter().enumerate() {
            assert!(!bound.targets.is_empty(), "what is kept is bound");
            bound.targets.check_invariants();
            let number = self.numbers.get(&bound.rule);
            assert_eq!(number, Some(&RuleId(place)), "a rule stands in its place, once");
            let names = bound.rule.pairs.iter().map(|(name, _)| name);
            assert!(names.clone().zip(names.skip(1)).all(|(left, right)| left < right), "sorted");
        }
        assert_eq!(self.numbers.len(), self.rules.len(), "no number is left behind");
        let rules = self.rules.iter().enumerate();
        self.index.check_invariants(
            rules.map(|(place, bound)| (RuleId(place), &*bound.rule, &bound.filed)),
        );
        let room_max = 8 * self.rules.len();
        assert!(self.rules.capacity() <= room_max && self.numbers.capacity() <= room_max);
    }

    fn add(&mut self, rule: Arc<Rule>) -> RuleId {
        let id = RuleId(self.rules.len());
        let filed = self.index.file(&rule, id);
        self.numbers.insert(Arc::clone(&rule), id);
        self.rules.push(BoundRule { rule, filed, targets: Targets::default() });
        id
    }

    /// Removes a rule, and puts the last one in its place.
    fn remove(&mut self, id: RuleId) {
        let gone = self.rules.swap_remove(id.0);
        self.numbers.remove(&gone.rule);
        self.index.remove(&gone.rule, &gone.filed, id);
        if let Some(moved) = self.rules.get(id.0) {
            let former = RuleId(self.rules.len());
            self.index.renumber(&moved.rule, &moved.filed, (former, id));
            self.numbers.insert(Arc::clone(&moved.rule), id);
        }
        if self.rules.capacity() > 4 * self.rules.len() {
            self.rules.shrink_to(2 * self.rules.len());
        }
        if self.numbers.capacity() > 8 * self.numbers.len() {
            self.numbers.shrink_to(2 * self.numbers.len());
        }
    }

    fn at(&mut self, id: RuleId) -> &mut BoundRule<T> {
        self.rules.get_mut(id.0).expect("a number is that of a place")
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
        // All numbers of the test are small, so that floats are exact.
        let number = |value: &Value| {
            let integer = value.as_i64().and_then(|value| i32::try_from(value).ok());
            integer.map(f64::from).or_else(|| float(value))
        };
        match (number(left), number(right)) {
            (Some(left), Some(right)) => left.partial_cmp(&right) == Some(Ordering::Equal),
            _ => match (bytes(left), bytes(right)) {
                (Some(left), Some(right)) => left == right,
                _ => *left != Value::Void && left == right || is_empty(left) && is_empty(right),
            },
        }
    }

    fn values() -> Vec<Value> {
        let one = [Value::from("1"), Value::I32(1)];
        // Among them contents that agree, and different ones that are filed alike.
        vec![
            Value::Void,
            Value::I8(0),
            Value::I8(1),
            Value::U16(2),
            Value::I32(1),
            Value::I64(1),
            Value::Timestamp(1),
            Value::F32(0.5),
            Value::F64(0.5),
            Value::F64(1.0),
            Value::F64(-0.0),
            Value::F64(f64::NAN),
            Value::F64(f64::INFINITY),
            Value::Bool(true),
            Value::from("1"),
            Value::Bytes(Bytes::from_static(b"1")),
            Value::Decimal { scale: 0, value: 1 },
            Value::Array(vec![]),
            Value::Array(one.to_vec()),
            Value::Array(one.into_iter().rev().collect()),
            Value::Array(vec![Value::F32(f32::NAN)]),
            Value::Table(Table::new()),
            Value::from(Table::from([("k", 1_i32)])),
            Value::from(Table::from([("k", 1_i64)])),
        ]
    }

    fn value() -> impl Strategy<Value = Value> {
        select(values())
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

    /// Or else the headers of a message would not lead to the binding.
    #[test]
    fn contents_that_agree_are_filed_alike() {
        for asked in values() {
            for found in values() {
                let agrees = asked == Value::Void || agree_plainly(&asked, &found);
                check(&Table::from([("k", asked.clone())]), &Table::from([("k", found)]), agrees);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn headers_reach_what_the_plain_rule_says(
            bindings in prop::collection::vec((arguments(), 0_usize..6), 0..24),
            gone in prop::collection::vec(any::<prop::sample::Index>(), 24),
            messages in [table(), table()],
        ) {
            let (mut router, mut found) = (HeadersRouter::new(), Routes::new());
            for (arguments, target) in &bindings {
                router.bind(arguments, *target);
                router.check_invariants();
            }
            // From the full list to the empty one, since unbinding may not disturb the others.
            let mut bound = bindings;
            for gone in gone {
                for headers in &messages {
                    found.clear();
                    router.route(Some(headers), &mut found);
                    let found: BTreeSet<_> = found.as_slice().iter().copied().collect();
                    let plain = bound.iter().filter(|(asked, _)| matches_plainly(asked, headers));
                    let plain: BTreeSet<_> = plain.map(|&(_, target)| target).collect();
                    prop_assert_eq!(found, plain);
                }
                if bound.is_empty() {
                    break;
                }
                let (arguments, target) = bound.swap_remove(gone.index(bound.len()));
                router.unbind(&arguments.sorted(), &target);
                router.check_invariants();
            }
            prop_assert!(bound.is_empty() && router.is_empty());
        }
    }
}
