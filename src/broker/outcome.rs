//! What a handler makes of a delivery.

use std::{fmt, time::Duration};

/// How a delivery ends.
///
/// Handlers may return it, `()` (which acks), or a `Result` whose error rejects, with its text as
/// the cause.
///
/// # Examples
///
/// ```
/// use leveret::Outcome;
///
/// assert_eq!(Outcome::from(()), Outcome::Ack);
/// assert_eq!(Outcome::from(Ok::<(), String>(())), Outcome::Ack);
/// let rejected = Outcome::from(Err::<(), _>("no such order"));
/// assert_eq!(rejected, Outcome::Reject("no such order".into()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Done: the queue forgets it.
    Ack,
    /// Given up, with a cause for people to read. Where the queue has a place for dead letters,
    /// both go there, the cause in the header `x-exception`: a table with a text of at most 1 024
    /// bytes under `error`. Elsewhere the queue forgets both.
    Reject(String),
    /// Back to its place, to be tried again. It is *returned* and did not *fail*, should the queue
    /// [delay](crate::QueueBuilder::delayed_retry) only one of these.
    Requeue,
    /// Back to its place after a time, which is [`Delivery::retry_in`](crate::Delivery::retry_in).
    RetryIn(Duration),
}

impl From<()> for Outcome {
    fn from((): ()) -> Self {
        Self::Ack
    }
}

impl<T: Into<Self>, E: fmt::Display> From<Result<T, E>> for Outcome {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(outcome) => outcome.into(),
            Err(error) => Self::Reject(error.to_string()),
        }
    }
}
