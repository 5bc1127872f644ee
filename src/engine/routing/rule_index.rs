//! The rules of a headers exchange, arranged so that the headers of a message lead to the few that
//! it may agree with.
//!
//! A rule that wants all of its pairs agrees with no message that lacks one of them. So it is filed
//! under a single pair: the one with the fewest rules when it comes, since a message is compared
//! with all the rules under each of its headers. A rule that is content with any pair is filed
//! under each.
//!
//! What is found is only a candidate. Contents are told apart by digests, which may be equal where
//! contents are not, and nobody has looked at the other pairs.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash},
    ops::Range,
};

use foldhash::fast::RandomState;

use crate::{Name, message::Value};

use super::{
    content::Content,
    routes::Target,
    rule::{Expected, Quantity, Rule},
    targets::Targets,
};

/// The number of a rule, for which it counts as a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RuleId(pub(super) usize);

impl Target for RuleId {
    fn slot(self) -> usize {
        self.0
    }
}

/// Rules by the headers that a message must have for them.
#[derive(Debug, Default)]
pub(super) struct RuleIndex {
    /// Those that every message agrees with.
    always: Targets<RuleId>,
    /// Invariant: something is filed under each name.
    names: HashMap<Name, Drawer, RandomState>,
}

/// What is filed under one name.
#[derive(Debug, Default)]
struct Drawer {
    /// What asks for a certain content. Invariant: no list is empty.
    contents: HashMap<Digest, Targets<RuleId>, RandomState>,
    /// What asks for any.
    present: Targets<RuleId>,
}

/// A number made of a content, the same for those that agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Digest(u64);

/// Where a rule is filed.
#[derive(Debug, PartialEq)]
pub(super) enum Filed {
    Always,
    /// Under these of its pairs: none if it agrees with no message.
    Under(Range<usize>),
}

impl RuleIndex {
    /// Files a rule where it costs least, and says where.
    pub(super) fn file(&mut self, rule: &Rule, id: RuleId) -> Filed {
        let filed = self.choose(rule);
        self.add(rule, &filed, id);
        filed
    }

    /// Puts another number in the place of a rule's.
    pub(super) fn renumber(&mut self, rule: &Rule, filed: &Filed, (from, to): (RuleId, RuleId)) {
        self.remove(rule, filed, from);
        self.add(rule, filed, to);
    }

    pub(super) fn remove(&mut self, rule: &Rule, filed: &Filed, id: RuleId) {
        if *filed == Filed::Always {
            self.always.remove(&id);
        }
        for (name, expected) in filed.pairs(rule) {
            match expected {
                Expected::Content(value) => {
                    let digest = self.digest(value);
                    let drawer = self.drawer(name);
                    let rules = drawer.contents.get_mut(&digest).expect("the pair has a list");
                    rules.remove(&id);
                    if rules.is_empty() {
                        drawer.contents.remove(&digest);
                        give_back(&mut drawer.contents);
                    }
                }
                Expected::Never => continue,
                Expected::Present => self.drawer(name).present.remove(&id),
            }
            if self.drawer(name).is_empty() {
                self.names.remove(name);
                give_back(&mut self.names);
            }
        }
    }

    /// Finds the rules that may agree with these headers, and perhaps some of them repeatedly.
    pub(super) fn find(&self, headers: &[(Name, Value)], mut found: impl FnMut(RuleId)) {
        self.always.as_slice().iter().for_each(|&id| found(id));
        if self.names.is_empty() {
            return;
        }
        for (name, value) in headers {
            let Some(drawer) = self.names.get(name) else { continue };
            drawer.present.as_slice().iter().for_each(|&id| found(id));
            if drawer.contents.is_empty() {
                continue;
            }
            if let Some(rules) = drawer.contents.get(&self.digest(value)) {
                rules.as_slice().iter().for_each(|&id| found(id));
            }
        }
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn check_invariants<'r>(
        &self,
        rules: impl Iterator<Item = (RuleId, &'r Rule, &'r Filed)>,
    ) {
        let (mut always, mut names) = (Vec::new(), HashMap::<_, Vec<_>>::new());
        for (id, rule, filed) in rules {
            filed.check(rule);
            always.extend((*filed == Filed::Always).then_some(id.0));
            for (name, expected) in filed.pairs(rule) {
                match expected {
                    Expected::Content(value) => {
                        names.entry((name, Some(self.digest(value)))).or_default().push(id.0);
                    }
                    Expected::Never => {}
                    Expected::Present => names.entry((name, None)).or_default().push(id.0),
                }
            }
        }
        let check = |rules: &Targets<RuleId>, mut expected: Vec<usize>| {
            rules.check_invariants();
            let mut rules: Vec<_> = rules.as_slice().iter().map(|id| id.0).collect();
            rules.sort_unstable();
            expected.sort_unstable();
            assert_eq!(rules, expected, "rules are where they were filed, and nowhere else");
        };
        check(&self.always, always);
        for (name, drawer) in &self.names {
            assert!(!drawer.is_empty(), "what holds nothing is gone");
            check(&drawer.present, names.remove(&(name, None)).unwrap_or_default());
            for (&digest, rules) in &drawer.contents {
                assert!(!rules.is_empty(), "what holds nothing is gone");
                check(rules, names.remove(&(name, Some(digest))).unwrap_or_default());
            }
            let (room, used) = (drawer.contents.capacity(), drawer.contents.len());
            assert!(room <= 8 * used, "room is given back");
        }
        assert!(names.is_empty(), "rules are where they were filed");
        assert!(self.names.capacity() <= 8 * self.names.len(), "room is given back");
    }

    fn choose(&self, rule: &Rule) -> Filed {
        match rule.quantity {
            Quantity::All if rule.pairs.is_empty() => Filed::Always,
            Quantity::All if rule.is_vain() => Filed::Under(0..0),
            Quantity::All => {
                let filed = |(_, (name, expected)): &(usize, &(Name, Expected))| {
                    (*expected == Expected::Present, self.rules_under(name, expected))
                };
                let least = rule.pairs.iter().enumerate().min_by_key(filed);
                let (nth, _) = least.expect("the rule has a pair");
                Filed::Under(nth..nth + 1)
            }
            Quantity::Any => Filed::Under(0..rule.pairs.len()),
        }
    }

    fn rules_under(&self, name: &str, expected: &Expected) -> usize {
        let Some(drawer) = self.names.get(name) else { return 0 };
        match expected {
            Expected::Content(value) => {
                drawer.contents.get(&self.digest(value)).map_or(0, |rules| rules.as_slice().len())
            }
            Expected::Never => 0,
            Expected::Present => drawer.present.as_slice().len(),
        }
    }

    fn add(&mut self, rule: &Rule, filed: &Filed, id: RuleId) {
        if *filed == Filed::Always {
            self.always.add(id);
        }
        for (name, expected) in filed.pairs(rule) {
            let rules = match expected {
                Expected::Content(value) => {
                    let digest = self.digest(value);
                    let drawer = self.names.entry(name.clone()).or_default();
                    drawer.contents.entry(digest).or_default()
                }
                Expected::Never => continue,
                Expected::Present => &mut self.names.entry(name.clone()).or_default().present,
            };
            rules.add(id);
        }
    }

    fn digest(&self, value: &Value) -> Digest {
        Digest(self.names.hasher().hash_one(Content::of(value)))
    }

    fn drawer(&mut self, name: &str) -> &mut Drawer {
        self.names.get_mut(name).expect("a name under which a rule is filed has a drawer")
    }
}

impl Drawer {
    fn is_empty(&self) -> bool {
        self.contents.is_empty() && self.present.is_empty()
    }
}

impl Filed {
    fn pairs<'r>(&self, rule: &'r Rule) -> &'r [(Name, Expected)] {
        match self {
            Self::Always => &[],
            Self::Under(pairs) => {
                rule.pairs.get(pairs.clone()).expect("a rule is filed under pairs of its own")
            }
        }
    }

    #[cfg(any(test, fuzzing))]
    fn check(&self, rule: &Rule) {
        let asks_content = |(_, expected): &(_, _)| matches!(expected, Expected::Content(_));
        let pairs = self.pairs(rule);
        match rule.quantity {
            Quantity::All if rule.is_vain() => assert!(pairs.is_empty(), "it is not sought"),
            Quantity::All if rule.pairs.is_empty() => assert_eq!(*self, Self::Always),
            Quantity::All => {
                assert_eq!(pairs.len(), 1, "one pair is enough");
                let asks = rule.pairs.iter().any(asks_content);
                assert_eq!(pairs.iter().any(asks_content), asks, "contents are sought first");
            }
            Quantity::Any => assert_eq!(*self, Self::Under(0..rule.pairs.len())),
        }
    }
}

fn give_back<K: Eq + Hash, V>(map: &mut HashMap<K, V, RandomState>) {
    if map.capacity() > 8 * map.len() {
        map.shrink_to(2 * map.len());
    }
}

#[cfg(test)]
mod tests {
    use crate::message::Table;

    use super::*;

    /// How many candidates each message has, if its headers are what the rule asks.
    #[track_caller]
    fn check_candidates(asked: impl Fn(usize) -> Table, expected_max: usize) {
        const RULES: usize = 1_000;
        let mut index = RuleIndex::default();
        for nth in 0..RULES {
            index.file(&Rule::new(&asked(nth)), RuleId(nth));
        }
        for nth in 0..RULES {
            let mut found = Vec::new();
            index.find(asked(nth).entries(), |id| found.push(id.0));
            assert!(found.contains(&nth), "{nth} is found by what it asks");
            assert!(found.len() <= expected_max, "{} are found by {nth}", found.len());
        }
    }

    #[test]
    fn rules_are_filed_under_what_few_ask_for() {
        let asked = |(few, many): (&str, &str), nth: usize| {
            Table::from([
                (few, Value::from(format!("customer{nth}"))),
                (many, Value::from(format!("region{}", nth % 10))),
                ("void", Value::Void),
            ])
        };
        // The first ten find nobody under their region, and may stay there.
        check_candidates(|nth| asked(("customer", "region"), nth), 2);
        check_candidates(|nth| asked(("zone", "region"), nth), 2);
    }

    #[test]
    fn kinds_of_contents_are_told_apart() {
        let kinds: [fn(u8) -> Value; 5] = [
            |nth| Value::U8(nth),
            |nth| Value::F64(f64::from(nth) + 0.5),
            |nth| Value::Bytes(vec![nth].into()),
            |nth| Value::Decimal { scale: nth, value: 1 },
            |nth| Value::Array(vec![Value::Void; nth.into()]),
        ];
        let value = |nth: usize| kinds[nth % 5](u8::try_from(nth / 5).expect("a small number"));
        check_candidates(|nth| Table::from([("k", value(nth))]), 1);
    }

    #[test]
    fn presence_is_found_whatever_the_value() {
        let mut index = RuleIndex::default();
        index.file(&Rule::new(&Table::from([("k", Value::Void)])), RuleId(0));
        index.find(Table::from([("other", 1)]).entries(), |_| panic!("nobody asks for it"));
        for value in [Value::Void, f64::NAN.into(), Table::new().into()] {
            let mut found = Vec::new();
            index.find(Table::from([("k", value)]).entries(), |id| found.push(id));
            assert_eq!(found, [RuleId(0)]);
        }
    }
}
