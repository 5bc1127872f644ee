//! Bindings of a headers exchange: a message goes along those that the rule says, and unbinding
//! takes away exactly one.
#![no_main]

use std::collections::BTreeSet;

use leveret::{ExchangeKind, fuzzing::Router};
use leveret_fuzz::headers::{Arguments, Headers};
use libfuzzer_sys::fuzz_target;

/// More bindings than this make no new case, but slow ones.
const BINDINGS_MAX: usize = 8;

fuzz_target!(|input: (Vec<Arguments>, Option<Headers>)| {
    let (mut bindings, headers) = input;
    bindings.truncate(BINDINGS_MAX);
    let headers = headers.as_ref().map(Headers::table);
    let mut router = Router::new(ExchangeKind::Headers);
    for (target, arguments) in bindings.iter().enumerate() {
        router.bind("", &arguments.table(), target);
    }
    router.check_invariants();
    for (target, arguments) in bindings.iter().enumerate() {
        let routed: BTreeSet<usize> = router.route("", headers.as_ref()).into_iter().collect();
        let rest = bindings.iter().enumerate().skip(target);
        let expected = rest.filter(|(_, rule)| rule.match_headers(headers.as_ref()));
        let expected: BTreeSet<usize> = expected.map(|(target, _)| target).collect();
        assert_eq!(routed, expected, "headers {headers:?}");
        router.unbind("", &arguments.table(), target);
        router.check_invariants();
    }
    assert!(router.is_empty());
});
