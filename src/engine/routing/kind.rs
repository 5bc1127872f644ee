//! The exchange types of AMQP.

use std::fmt;

/// By which rule an exchange chooses where its messages go.
///
/// # Examples
///
/// ```
/// use leveret::ExchangeKind;
///
/// assert_eq!(ExchangeKind::Topic.as_str(), "topic");
/// assert_eq!(ExchangeKind::from_name("topic"), Some(ExchangeKind::Topic));
/// assert_eq!(ExchangeKind::from_name("Topic"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExchangeKind {
    /// To bindings whose key equals the routing key.
    Direct,
    /// To all bindings.
    Fanout,
    /// To bindings whose arguments agree with the headers of the message.
    Headers,
    /// To bindings whose key, a pattern of words, matches the routing key.
    Topic,
}

impl ExchangeKind {
    const ALL: [Self; 4] = [Self::Direct, Self::Fanout, Self::Headers, Self::Topic];

    /// The kind that AMQP calls so; `None` for a name that is none of them.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// AMQP's name of the kind.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Headers => "headers",
            Self::Topic => "topic",
        }
    }
}

impl fmt::Display for ExchangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
