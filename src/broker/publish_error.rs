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
    /// There is no room now: memory, or a window of unconfirmed messages. Trying again later makes
    /// sense.
    #[error("there is no room now")]
    Full,
    /// It is not acceptable as it is: the exchange is gone, the message is too large, a property
    /// is invalid.
    #[error("{0}")]
    Refused(Error),
    /// It was mandatory and reached no queue.
    #[error("no queue was reached")]
    Unroutable,
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
        matches!(self.reason, PublishReason::Full)
    }
}

impl From<Error> for PublishReason {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Closed => Self::Closed,
            ErrorKind::Full { .. } => Self::Full,
            ErrorKind::Unroutable => Self::Unroutable,
            _ => Self::Refused(error),
        }
    }
}

impl From<PublishReason> for Error {
    fn from(reason: PublishReason) -> Self {
        match reason {
            PublishReason::Closed => Self::closed(),
            PublishReason::Full => Self::plain(ErrorKind::Full { limit: "memory_bytes" }),
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
