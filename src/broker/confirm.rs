//! Confirms: the word of the broker on what was published.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use super::{context::Context, journal::Position};
use crate::{Entity, Error, ErrorKind, Name, Result, clock::HostDeadline};

/// The outcome of one publish, to come: to be waited for, or awaited. Dropping it changes nothing
/// about the message.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use leveret::{Broker, Message};
///
/// let broker = Broker::new();
/// let tasks = broker.declare_queue("tasks").declare()?;
/// let publisher = broker.default_exchange().publisher().open()?;
/// let mut confirm = publisher.publish(tasks.name(), Message::new("sweep"))?;
/// let receipt = confirm.wait_timeout(Duration::from_secs(10))?.expect("it is decided");
/// assert_eq!(receipt.queues, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a message is safe only once its confirm says so"]
pub struct Confirm {
    /// What the queues said.
    decided: Result<Receipt, ConfirmError>,
    /// What the disk has yet to say.
    pending: Option<Pending>,
}

/// What is on its way to the disk.
#[derive(Clone, Debug)]
struct Pending {
    context: Arc<Context>,
    position: Position,
}

impl Confirm {
    pub(super) fn new(
        decided: Result<Receipt, ConfirmError>,
        context: &Arc<Context>,
        position: Position,
    ) -> Self {
        let is_pending = position > Position::NONE && decided.is_ok();
        let pending = is_pending.then(|| Pending { context: Arc::clone(context), position });
        Self { decided, pending }
    }

    /// Waits until the broker has decided; never longer than until it closes. While the disk of a
    /// broker with a store is full, that may be until there is space again.
    ///
    /// # Errors
    ///
    /// `Nack` if a queue did not accept the message; `StoreFailed` if it could not be written;
    /// `Closed` if the broker closed first.
    pub fn wait(self) -> Result<Receipt, ConfirmError> {
        match &self.pending {
            None => self.decided,
            Some(pending) => match pending.wait(HostDeadline::NEVER) {
                Some(Err(error)) => Err(error),
                Some(Ok(())) | None => self.decided,
            },
        }
    }

    /// Waits at most so long in the host's time; `None` if it is not decided by then. May be asked
    /// again, also afterwards.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_timeout(&mut self, within: Duration) -> Result<Option<Receipt>, ConfirmError> {
        if let Some(pending) = &self.pending {
            // Mostly it is decided by then, and then there is no need for a deadline.
            let outcome = pending.poll().or_else(|| pending.wait(HostDeadline::within(within)));
            match outcome {
                None => return Ok(None),
                Some(outcome) => self.decide(outcome),
            }
        }
        self.decided.clone().map(Some)
    }

    fn decide(&mut self, outcome: Result<(), ConfirmError>) {
        self.pending = None;
        if let Err(error) = outcome {
            self.decided = Err(error);
        }
    }
}

impl Future for Confirm {
    type Output = Result<Receipt, ConfirmError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        if let Some(pending) = &self.pending {
            let mut outcome = pending.poll();
            if outcome.is_none() {
                pending.context.durable.register(cx.waker().clone());
                // It may have been decided before the task was registered.
                outcome = pending.poll();
            }
            let Some(outcome) = outcome else { return Poll::Pending };
            self.decide(outcome);
        }
        Poll::Ready(self.decided.clone())
    }
}

impl Pending {
    fn poll(&self) -> Option<Result<(), ConfirmError>> {
        Some(
            self.context
                .poll_durable(self.position)?
                .map_err(|error| ConfirmError::of_store(&error)),
        )
    }

    fn wait(&self, until: HostDeadline) -> Option<Result<(), ConfirmError>> {
        Some(
            self.context
                .await_durable(self.position, until)?
                .map_err(|error| ConfirmError::of_store(&error)),
        )
    }
}

impl Context {
    /// Whether what was told is durable by now; `None` if that is open.
    #[inline]
    pub(crate) fn poll_durable(&self, position: Position) -> Option<Result<()>> {
        self.journal.as_ref().map_or(Some(Ok(())), |journal| journal.poll(position))
    }

    /// Waits until what was told is durable, or never will be; `None` if the time is over first.
    /// No lock may be held.
    pub(crate) fn await_durable(
        &self,
        position: Position,
        until: HostDeadline,
    ) -> Option<Result<()>> {
        if let Some(decided) = self.poll_durable(position) {
            return Some(decided);
        }
        if let Some(journal) = &self.journal {
            journal.let_go();
        }
        let mut watch = self.durable.watch();
        loop {
            if let Some(decided) = self.poll_durable(position) {
                return Some(decided);
            }
            if !watch.wait(until) {
                return None;
            }
        }
    }

    /// Waits until all that has been told is durable.
    pub(crate) fn sync(&self, until: HostDeadline) -> Result<()> {
        let Some(journal) = &self.journal else { return Ok(()) };
        self.await_durable(journal.position(), until)
            .unwrap_or_else(|| Err(Error::plain(ErrorKind::Timeout)))
    }

    /// Waits until a change is durable that others than its maker do not wait for: not while the
    /// disk is full, since it is written when there is space again.
    pub(crate) fn await_unless_full(&self, position: Position) -> Result<()> {
        match self.await_durable_or_full(position) {
            Err(error) if error.is_full() => Ok(()),
            decided => decided,
        }
    }

    /// Waits until what was told is durable, and gives up once the disk is full: it is written when
    /// there is space again.
    ///
    /// # Errors
    ///
    /// `StoreFailed`; `Full`.
    pub(crate) fn await_durable_or_full(&self, position: Position) -> Result<()> {
        if let Some(decided) = self.poll_durable(position) {
            return decided;
        }
        if let Some(journal) = &self.journal {
            journal.let_go();
        }
        let mut watch = self.durable.watch();
        loop {
            if let Some(decided) = self.poll_durable(position) {
                return decided;
            }
            if let Some(journal) = &self.journal {
                journal.check_works()?;
            }
            watch.wait(HostDeadline::NEVER);
        }
    }
}

/// Proof of acceptance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// By how many queues; for a batch, the sum. Zero: no binding matched, or it was a direct
    /// reply.
    pub queues: u32,
    /// The lowest level that holds for all of them.
    pub level: Durability,
}

/// How far a message has got before it is confirmed. Ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// It is in its queues, in memory.
    Memory,
    /// It survives the end of the process, however sudden: the operating system has it. A power cut
    /// may take the last of it.
    Process,
    /// It survives a power cut: a data sync that began after it was written has returned.
    Power,
}

/// Why a message was not confirmed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfirmError {
    /// The broker closed first, and nothing is known.
    #[error("the broker closed first")]
    Closed,
    /// A queue did not accept it. Others may have it.
    #[error("queue '{queue}' did not accept it: {reason}")]
    Nack {
        /// The queue.
        queue: Name,
        /// Why not.
        reason: NackReason,
    },
    /// The queues have it, and it could not be written where it was to survive.
    #[error("the store failed: {text}")]
    #[non_exhaustive]
    StoreFailed {
        /// What the operating system or the storage engine says.
        text: String,
    },
}

impl ConfirmError {
    fn of_store(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::StoreFailed { text } => Self::StoreFailed { text: text.clone() },
            _ => Self::Closed,
        }
    }
}

/// Why a queue did not accept a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum NackReason {
    /// A bound that it declares left no room; others have the message.
    #[error("it is full")]
    MaxLength,
    /// It was deleted meanwhile.
    #[error("it was deleted meanwhile")]
    QueueDeleted,
}

impl From<ConfirmError> for Error {
    fn from(error: ConfirmError) -> Self {
        match error {
            ConfirmError::Closed => Self::closed(),
            ConfirmError::Nack { reason: NackReason::MaxLength, .. } => {
                Self::plain(ErrorKind::Full { limit: "x-max-length" })
            }
            ConfirmError::Nack { queue, reason: NackReason::QueueDeleted } => {
                Self::plain(ErrorKind::NotFound { entity: Entity::Queue, name: queue })
            }
            ConfirmError::StoreFailed { text } => Self::plain(ErrorKind::StoreFailed { text }),
        }
    }
}
