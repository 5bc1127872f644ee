//! A false claim about the real code, which the fuzzer has to refute within seconds: that `#`
//! between two words never stands for two words or more.
#![no_main]

use leveret::{ExchangeKind, Table, fuzzing::Router};
use leveret_fuzz::topic::Key;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Key<'_>, Key<'_>)| {
    let (pattern, key) = (input.0.text(), input.1.text());
    let mut router = Router::new(ExchangeKind::Topic);
    router.bind(&pattern, &Table::new(), 0);
    let dots = |text: &str| text.matches('.').count();
    let is_between = pattern.contains(".#.") && pattern.matches('#').count() == 1;
    if is_between && !router.route(&key, None).is_empty() {
        assert!(dots(&key) <= dots(&pattern), "the canary sang: {pattern:?} matches {key:?}");
    }
});
