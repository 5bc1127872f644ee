//! A publish that did not happen.

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
#[derive(Debug, thiserror::Error)]
#[error("not published: {reason}")]
pub struct PublishError {
    #[source]
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
    /// There is no room now: in memory, or among the events of the channel that a reply goes to.
    /// Trying again later makes sense.
    #[error("no room now, the bound is '{limit}'")]
    #[non_exhaustive]
    Full {
        /// The bound that was met: a field of [`Limits`](crate::Limits).
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
    pub(crate) fn new(reason: impl Into<PublishReason>, message: Message) -> Self {
        Self { reason: reason.into(), message }
    }

    /// Why it did not happen.
    #[must_use]
    pub fn reason(&self) -> &PublishReason {
        &self.reason
    }

    /// The message.
    pub fn into_message(self) -> Message {
        self.message
    }

    /// Both.
    pub fn into_parts(self) -> (PublishReason, Message) {
        (self.reason, self.message)
    }

    /// Whether trying again later makes sense.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self.reason, PublishReason::Full { .. })
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
            PublishReason::Full { limit } => Self::plain(ErrorKind::Full { limit }),
            PublishReason::Refused(error) => error,
            PublishReason::Unroutable => Self::plain(ErrorKind::Unroutable),
        }
    }
}

impl From<PublishError> for Error {
    fn from(error: PublishError) -> Self {
        error.reason.into()
    }
}

// It goes through every `?` of every publish, so it stays about a pointer and a word.
const _: () = assert!(size_of::<PublishReason>() <= 24);
