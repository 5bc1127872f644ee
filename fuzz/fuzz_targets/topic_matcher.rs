//! One pattern and one routing key: the trie matches if and only if the rule does.
#![no_main]

use leveret::{ExchangeKind, Table, fuzzing::Router};
use leveret_fuzz::topic::{Key, matches};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Key<'_>, Key<'_>)| {
    let (pattern, key) = (input.0.text(), input.1.text());
    let mut router = Router::new(ExchangeKind::Topic);
    router.bind(&pattern, &Table::new(), 0);
    let routed = !router.route(&key, None).is_empty();
    assert_eq!(routed, matches(&pattern, &key), "pattern {pattern:?}, key {key:?}");
});
