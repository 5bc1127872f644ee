//! A publish that did not happen.

use std::fmt;

use crate::{Error, ErrorKind, Message};

/// A publish that did not happen: no queue holds the message, here it is.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// use leveret::{Broker, Message, PublishReason};
///
/// let exchange = Broker::new().declare_exchange("orders").declare()?;
/// let refused = exchange.publish_mandatory("nobody", Message::new("1")).unwrap_err();
/// assert!(matches!(refused.reason(), PublishReason::Unroutable));
/// assert_eq!(refused.into_message().text(), Some("1"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct PublishError(Box<Refused>);

/// Boxed, since the result of every publish has room for the error.
#[derive(Debug)]
struct Refused {
    reason: PublishReason,
    message: Message,
}

/// Why a message was not published.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishReason {
    /// The broker, connection or channel is closed.
    #[error("the broker, connection or channel is closed")]
    Closed,
    /// Every queue that it reached had no room by a bound of its own, and at least one of them has
    /// sent a copy where its dead letters go
    /// ([`RejectPublishDeadLetter`](crate::Overflow::RejectPublishDeadLetter)).
    #[error("no room in the queue, the bound is '{limit}', and it is a dead letter now")]
    #[non_exhaustive]
    DeadLettered {
        /// The argument of the queue that sets the bound.
        limit: &'static str,
    },
    /// There is no room now: in memory, among the events of the channel that a reply goes to, or in
    /// every queue that it reached. Trying again later makes sense.
    #[error("no room now, the bound is '{limit}'")]
    #[non_exhaustive]
    Full {
        /// The bound that was met: a field of [`Limits`](crate::Limits), or the argument of a queue
        /// that [refuses](crate::Overflow::RejectPublish) beyond it.
        limit: &'static str,
    },
    /// It is not acceptable as it is: the exchange is gone, the message is too large, a property
    /// is invalid.
    #[error("{0}")]
    Refused(Error),
    /// It was mandatory and reached no queue.
    #[error("no queue was reached")]
    Unroutable,
}

impl PublishReason {
    /// No memory is left.
    pub(crate) const NO_MEMORY: Self = Self::Full { limit: "memory_bytes" };
    /// A channel was sent as many events as it may have untaken.
    pub(crate) const NO_EVENTS: Self = Self::Full { limit: "events" };
}

impl PublishError {
    #[cold]
    pub(crate) fn new(reason: impl Into<PublishReason>, message: Message) -> Self {
        Self(Box::new(Refused { reason: reason.into(), message }))
    }

    /// Why it did not happen.
    #[must_use]
    pub fn reason(&self) -> &PublishReason {
        &self.0.reason
    }

    /// The message.
    pub fn into_message(self) -> Message {
        self.0.message
    }

    /// Both.
    pub fn into_parts(self) -> (PublishReason, Message) {
        let Refused { reason, message } = *self.0;
        (reason, message)
    }

    /// Whether trying again later makes sense.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self.0.reason, PublishReason::Full { .. })
    }
}

impl From<Error> for PublishReason {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Closed => Self::Closed,
            ErrorKind::Full { limit } => Self::Full { limit },
            ErrorKind::Unroutable => Self::Unroutable,
            _ => Self::Refused(error),
        }
    }
}

impl From<PublishReason> for Error {
    fn from(reason: PublishReason) -> Self {
        match reason {
            PublishReason::Closed => Self::closed(),
            PublishReason::DeadLettered { limit } => Self::plain(ErrorKind::DeadLettered { limit }),
            PublishReason::Full { limit } => Self::plain(ErrorKind::Full { limit }),
            PublishReason::Refused(error) => error,
            PublishReason::Unroutable => Self::plain(ErrorKind::Unroutable),
        }
    }
}

impl From<PublishError> for Error {
    fn from(error: PublishError) -> Self {
        error.into_parts().0.into()
    }
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not published: {}", self.0.reason)
    }
}

impl std::error::Error for PublishError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0.reason)
    }
}

// They go through the results of every publish, so they stay small.
const _: () = assert!(size_of::<PublishReason>() <= 24 && size_of::<PublishError>() <= 8);
