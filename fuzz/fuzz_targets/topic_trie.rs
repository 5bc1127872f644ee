//! Many bindings that come and go: the trie routes as a list of patterns does, whatever the order
//! of changes was, and nothing is left when the last binding is gone.
#![no_main]

use std::collections::BTreeSet;

use arbitrary::Arbitrary;
use leveret::{ExchangeKind, Table, Value, fuzzing::Router};
use leveret_fuzz::topic::{Key, matches};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Bind { key: Key<'a>, target: u8, variant: bool },
    Route { key: Key<'a> },
    Unbind { index: u8 },
}

/// A binding: key, whether it has an argument, and target.
type Binding = (String, bool, usize);

/// Topic exchanges ignore arguments, but bindings that differ in them are two.
fn arguments(variant: bool) -> Table {
    if variant { Table::from([("a", Value::Void)]) } else { Table::new() }
}

fuzz_target!(|steps: Vec<Step<'_>>| {
    let mut router = Router::new(ExchangeKind::Topic);
    let mut bindings: Vec<Binding> = Vec::new();
    for step in &steps {
        match step {
            Step::Bind { key, target, variant } => {
                let binding = (key.text(), *variant, usize::from(target % 8));
                if !bindings.contains(&binding) {
                    router.bind(&binding.0, &arguments(binding.1), binding.2);
                    bindings.push(binding);
                }
            }
            Step::Route { key } => {
                let key = key.text();
                let routed = router.route(&key, None);
                let expected = bindings.iter().filter(|(pattern, ..)| matches(pattern, &key));
                let expected: BTreeSet<usize> = expected.map(|(_, _, target)| *target).collect();
                assert_eq!(routed.len(), expected.len(), "a target came twice, or not at all");
                assert_eq!(routed.into_iter().collect::<BTreeSet<_>>(), expected, "key {key:?}");
            }
            Step::Unbind { index } if !bindings.is_empty() => {
                let index = usize::from(*index) % bindings.len();
                let (key, variant, target) = bindings.swap_remove(index);
                router.unbind(&key, &arguments(variant), target);
            }
            Step::Unbind { .. } => {}
        }
        router.check_invariants();
        assert_eq!(router.is_empty(), bindings.is_empty());
    }
    for (key, variant, target) in bindings {
        router.unbind(&key, &arguments(variant), target);
    }
    router.check_invariants();
    assert!(router.is_empty());
});
