//! Where messages go: the bindings of one exchange, and how each exchange type looks them up.
//!
//! Nothing here knows queues or names of exchanges: a router maps a routing key and headers to the
//! targets that were bound to it. How exchanges lead on to exchanges is not its business.

mod content;
mod direct;
mod fanout;
mod headers;
mod key_words;
mod kind;
mod pattern;
mod routes;
mod rule;
mod rule_index;
mod targets;
mod topic;
#[cfg(test)]
mod vectors;
mod words;

use crate::{Name, message::Table};

pub use self::kind::ExchangeKind;
use self::{
    direct::DirectRouter, fanout::FanoutRouter, headers::HeadersRouter, topic::TopicRouter,
};
pub(crate) use self::{
    routes::{Routes, Target},
    rule::{InvalidMatch, check_arguments},
};

/// The bindings of one exchange, arranged for its type.
///
/// Every type takes key and arguments and ignores what its rule does not look at. But bindings are
/// different if their arguments are, so several may lead to one target by one key: each `bind` is
/// undone by one `unbind`.
#[derive(Debug)]
pub(crate) enum Router<T> {
    Direct(DirectRouter<T>),
    Fanout(FanoutRouter<T>),
    Headers(HeadersRouter<T>),
    Topic(TopicRouter<T>),
}

impl<T: Target> Router<T> {
    pub(crate) fn new(kind: ExchangeKind) -> Self {
        match kind {
            ExchangeKind::Direct => Self::Direct(DirectRouter::new()),
            ExchangeKind::Fanout => Self::Fanout(FanoutRouter::new()),
            ExchangeKind::Headers => Self::Headers(HeadersRouter::new()),
            ExchangeKind::Topic => Self::Topic(TopicRouter::new()),
        }
    }

    /// Adds a binding. For a headers exchange, `check_arguments` has passed its arguments.
    pub(crate) fn bind(&mut self, key: &Name, arguments: &Table, target: T) {
        match self {
            Self::Direct(bindings) => bindings.bind(key, target),
            Self::Fanout(bindings) => bindings.bind(target),
            Self::Headers(bindings) => bindings.bind(arguments, target),
            Self::Topic(bindings) => bindings.bind(key, target),
        }
    }

    /// Removes a binding that was added with equal key, arguments (in any order) and target.
    pub(crate) fn unbind(&mut self, key: &str, arguments: &Table, target: &T) {
        match self {
            Self::Direct(bindings) => bindings.unbind(key, target),
            Self::Fanout(bindings) => bindings.unbind(target),
            Self::Headers(bindings) => bindings.unbind(arguments, target),
            Self::Topic(bindings) => bindings.unbind(key, target),
        }
    }

    /// Adds the targets of a message to `routes`, which may hold some already.
    pub(crate) fn route(&self, key: &str, headers: Option<&Table>, routes: &mut Routes<T>) {
        match self {
            Self::Direct(bindings) => bindings.route(key, routes),
            Self::Fanout(bindings) => bindings.route(routes),
            Self::Headers(bindings) => bindings.route(headers, routes),
            Self::Topic(bindings) => bindings.route(key, routes),
        }
    }

    /// Whether nothing is bound.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Direct(bindings) => bindings.is_empty(),
            Self::Fanout(bindings) => bindings.is_empty(),
            Self::Headers(bindings) => bindings.is_empty(),
            Self::Topic(bindings) => bindings.is_empty(),
        }
    }

    /// Panics if the arrangement contradicts itself; takes time in proportion to its size.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn check_invariants(&self) {
        match self {
            Self::Direct(bindings) => bindings.check_invariants(),
            Self::Fanout(bindings) => bindings.check_invariants(),
            Self::Headers(bindings) => bindings.check_invariants(),
            Self::Topic(bindings) => bindings.check_invariants(),
        }
    }
}

/// In tests, a target is just its slot.
#[cfg(test)]
impl Target for usize {
    fn slot(self) -> usize {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [ExchangeKind; 4] =
        [ExchangeKind::Direct, ExchangeKind::Fanout, ExchangeKind::Headers, ExchangeKind::Topic];

    fn routed(router: &Router<usize>, key: &str, headers: &Table) -> Vec<usize> {
        let mut found = Routes::new();
        router.route(key, Some(headers), &mut found);
        found.as_slice().to_vec()
    }

    #[test]
    fn bindings_that_differ_in_arguments_are_undone_one_by_one() {
        let (first, second) = (Table::from([("a", 1)]), Table::from([("b", 2)]));
        let headers = Table::from([("a", 1), ("b", 2)]);
        for kind in KINDS {
            let (key, mut router) = (Name::from("k"), Router::new(kind));
            router.bind(&key, &first, 7);
            router.bind(&key, &second, 7);
            assert_eq!(routed(&router, "k", &headers), [7], "{kind}");
            router.unbind("k", &first, &7);
            router.check_invariants();
            assert_eq!(routed(&router, "k", &headers), [7], "{kind}");
            router.unbind("k", &second, &7);
            router.check_invariants();
            assert_eq!(routed(&router, "k", &headers), [0; 0], "{kind}");
            assert!(router.is_empty(), "{kind}");
        }
    }

    #[test]
    fn each_kind_looks_at_its_own_part_of_the_message() {
        let arguments = Table::from([("a", 1)]);
        // In the order of the kinds; in a routing key, "*" is a word like any other.
        let cases = [
            ("*.k", &Table::new(), [true, true, false, true]),
            ("x.k", &Table::new(), [false, true, false, true]),
            ("other", &arguments, [false, true, true, false]),
        ];
        for (key, headers, expected) in cases {
            for (kind, expected) in KINDS.into_iter().zip(expected) {
                let mut router = Router::new(kind);
                router.bind(&Name::from("*.k"), &arguments, 0);
                let found = !routed(&router, key, headers).is_empty();
                assert_eq!(found, expected, "{kind} by {key}");
            }
        }
    }

    #[test]
    fn routes_gather_the_targets_of_several_exchanges() {
        let mut found = Routes::new();
        for kind in KINDS {
            let mut router = Router::new(kind);
            (0..3).for_each(|target| router.bind(&Name::from("k"), &Table::new(), target));
            router.route("k", None, &mut found);
        }
        let mut targets: Vec<_> = found.as_slice().to_vec();
        targets.sort_unstable();
        assert_eq!(targets, [0, 1, 2]);
    }
}
