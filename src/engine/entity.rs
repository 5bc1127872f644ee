//! What a vhost consists of, how its parts are named, and who owns them.
//!
//! The rules of names are those that `RabbitMQ` applies: line breaks are taken out silently, the
//! prefix `amq.` is kept for the broker, and the exchange with the empty name is no exchange that
//! could be declared, bound or deleted.

use std::fmt;

use crate::Name;

/// The prefix of names that only the broker itself gives.
const RESERVED_PREFIX: &str = "amq.";

/// The connection that an exclusive queue belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct OwnerId(pub(crate) u64);

/// An exchange or a queue, by name: what a binding can lead to, and what an error speaks of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Endpoint {
    Exchange(Name),
    Queue(Name),
}

impl Endpoint {
    /// The name without the kind.
    pub(crate) fn name(&self) -> &Name {
        match self {
            Self::Exchange(name) | Self::Queue(name) => name,
        }
    }

    /// `exchange` or `queue`.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Exchange(_) => "exchange",
            Self::Queue(_) => "queue",
        }
    }

    /// How error texts name it, such as `queue 'orders' in vhost '/'`.
    pub(crate) fn in_vhost(&self, vhost: &str) -> String {
        format!("{self} in vhost '{vhost}'")
    }

    pub(crate) fn is_default_exchange(&self) -> bool {
        match self {
            Self::Exchange(name) => name.is_empty(),
            Self::Queue(_) => false,
        }
    }
}

/// Kind and quoted name, such as `queue 'orders'`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} '{}'", self.kind(), self.name())
    }
}

/// The name that a client means: CR and LF are removed wherever they stand.
///
/// Only declaring, deleting, binding and unbinding read names so; publishing, consuming, getting
/// and purging take them as they are and hence never find one with a line break.
pub(crate) fn without_line_breaks(name: Name) -> Name {
    if name.contains(['\r', '\n']) { Name::from(name.replace(['\r', '\n'], "")) } else { name }
}

/// Whether only the broker may create an entity of this name.
pub(crate) fn is_reserved(name: &str) -> bool {
    name.starts_with(RESERVED_PREFIX)
}

/// Whether a name or key fits the short string by which AMQP carries it.
pub(crate) fn fits_short_string(name: &str) -> bool {
    name.len() <= Name::BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_leave_a_name_and_nothing_else_does() {
        let cases = [("a\r\nb\n", "ab"), ("\n", ""), ("tab\there ä", "tab\there ä"), ("", "")];
        for (given, meant) in cases {
            assert_eq!(without_line_breaks(Name::from(given)), meant, "{given:?}");
        }
    }

    #[test]
    fn the_reserved_prefix_ends_with_its_dot() {
        assert!(is_reserved("amq."));
        assert!(is_reserved("amq.mine"));
        assert!(!is_reserved("amq"));
        assert!(!is_reserved("AMQ.mine"));
        assert!(!is_reserved("my.amq."));
    }

    #[test]
    fn short_strings_are_bounded_in_bytes_not_letters() {
        assert!(fits_short_string(&"n".repeat(255)));
        assert!(!fits_short_string(&"n".repeat(256)));
        assert!(!fits_short_string(&"ä".repeat(128)));
    }

    #[test]
    fn only_the_nameless_exchange_is_the_default_one() {
        assert!(Endpoint::Exchange(Name::from("")).is_default_exchange());
        assert!(!Endpoint::Exchange(Name::from("x")).is_default_exchange());
        assert!(!Endpoint::Queue(Name::from("")).is_default_exchange());
    }

    #[test]
    fn texts_name_kind_name_and_vhost() {
        assert_eq!(Endpoint::Queue(Name::from("q")).in_vhost("/"), "queue 'q' in vhost '/'");
        assert_eq!(Endpoint::Exchange(Name::from("x")).in_vhost("v"), "exchange 'x' in vhost 'v'");
    }
}
