//! Publishers with confirms.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use super::{
    exchange::Exchange,
    intake::Intake,
    publish_error::{PublishError, PublishReason},
    reply::ReplySlot,
    tx::Mandatory,
};
use crate::{
    Entity, Error, ErrorKind, Message, Name, Result,
    sync::{Mutex, Rank},
};

/// How many messages may be unconfirmed unless the publisher says otherwise.
const DEFAULT_WINDOW: u32 = 1_024;

/// Describes a publisher with confirms.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// let orders = leveret::Broker::new().declare_exchange("orders").declare()?;
/// assert!(orders.publisher().window(64).mandatory().open().is_ok());
/// assert!(orders.publisher().window(0).open().is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing happens before open()"]
pub struct PublisherBuilder {
    exchange: Exchange,
    /// As it was asked for.
    window: Option<u32>,
    mandatory: Mandatory,
}

impl PublisherBuilder {
    pub(crate) fn new(exchange: Exchange) -> Self {
        Self { exchange, window: None, mandatory: Mandatory::No }
    }

    /// How many messages may be unconfirmed at a time, at most
    /// [`Limits::unconfirmed`](crate::Limits::unconfirmed); by default 1 024, or that limit if it
    /// is lower. Zero is an error at `open`. Without a store a publish is confirmed when it
    /// returns, so the window never fills.
    pub fn window(mut self, unconfirmed: u32) -> Self {
        self.window = Some(unconfirmed);
        self
    }

    /// Makes reaching nobody the error `Unroutable`. A direct reply reaches who waits for it.
    pub fn mandatory(mut self) -> Self {
        self.mandatory = Mandatory::Yes;
        self
    }

    /// Opens the publisher.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if the window is zero; `LimitExceeded`; `Closed`.
    pub fn open(self) -> Result<Publisher> {
        let vhost = self.exchange.vhost().state();
        vhost.check_open()?;
        let max = vhost.context.limits.unconfirmed;
        // Where not even one may be unconfirmed, that one is refused.
        let window = self.window.unwrap_or_else(|| DEFAULT_WINDOW.min(max).max(1));
        if window > max {
            let (max, found) = (u64::from(max), u64::from(window));
            let kind = ErrorKind::LimitExceeded { limit: "unconfirmed", max, found };
            return Err(Error::plain(kind));
        }
        if window == 0 {
            let name = Name::from(self.exchange.name());
            let text = format!("'window' of a publisher to exchange '{name}' is zero");
            let kind = ErrorKind::InvalidArgument {
                entity: Entity::Exchange,
                name,
                argument: Name::from("window"),
                text,
            };
            return Err(Error::plain(kind));
        }
        Ok(Publisher(Arc::new(Shared {
            exchange: self.exchange,
            mandatory: self.mandatory,
            acked: AtomicU64::new(0),
            nacked: AtomicU64::new(0),
            full: Mutex::new(Rank::Signal, None),
        })))
    }
}

/// Publishes to one exchange and says when each message is safe. Clones share the window.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use leveret::{Broker, Durability, Message};
///
/// let broker = Broker::new();
/// let orders = broker.declare_exchange("orders").fanout().declare()?;
/// orders.bind(&broker.declare_queue("billing").declare()?, "")?;
/// let publisher = orders.publisher().open()?;
/// let receipt = publisher.publish("", Message::new("order 1"))?.wait()?;
/// assert_eq!((receipt.queues, receipt.level), (1, Durability::Memory));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Publisher(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    exchange: Exchange,
    mandatory: Mandatory,
    /// Since the last report. A plain counter: it orders nothing else.
    acked: AtomicU64,
    nacked: AtomicU64,
    /// Who had no room for the last reply that was refused for that. No other lock is taken under
    /// this one.
    full: Mutex<Option<Arc<ReplySlot>>>,
}

impl Publisher {
    /// Publishes without waiting.
    ///
    /// # Errors
    ///
    /// As [`Exchange::publish`]; `Unroutable` if the publisher is mandatory.
    pub fn publish(&self, key: &str, message: Message) -> Result<Confirm, PublishError> {
        match self.0.exchange.publish_one::<Intake>(key, message, self.0.mandatory) {
            Ok(intake) => Ok(self.confirm(1, &intake)),
            Err(error) => {
                self.note_full(key, error.reason());
                Err(error)
            }
        }
    }

    /// Like [`publish`](Self::publish), but waits for room, at most so long in the host's time,
    /// before it gives up with `Full`.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn publish_timeout(
        &self,
        key: &str,
        message: Message,
        within: Duration,
    ) -> Result<Confirm, PublishError> {
        let publish = |message| self.publish(key, message);
        self.0.exchange.retry_while_full(message, within, publish)
    }

    /// Publishes all or none, in order, with one confirm for all of them. Empties the vector on
    /// success and leaves it as it is on an error.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish). If the publisher is mandatory, one message that reaches no
    /// queue fails the whole batch.
    pub fn publish_batch(
        &self,
        key: &str,
        messages: &mut Vec<Message>,
    ) -> Result<Confirm, PublishReason> {
        let published = messages.len() as u64;
        match self.0.exchange.publish_all(key, messages, self.0.mandatory) {
            Ok(intake) => Ok(self.confirm(published, &intake)),
            Err(reason) => {
                self.note_full(key, &reason);
                Err(reason)
            }
        }
    }

    /// Waits as a task for room to publish: in memory, and, after a direct reply that was refused
    /// as `Full`, where that reply was to go. A hint: another publisher may take it first.
    /// Cancel-safe.
    ///
    /// # Errors
    ///
    /// `Closed`.
    pub fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), PublishReason>> {
        let vhost = self.0.exchange.vhost().state();
        if !vhost.is_publishing() {
            return Poll::Ready(Err(PublishReason::Closed));
        }
        let context = &vhost.context;
        let has_room = || context.has_room(1) && self.has_reply_room();
        if has_room() {
            return Poll::Ready(Ok(()));
        }
        context.room.register(cx.waker().clone());
        // Both may have changed before the task was registered.
        if !vhost.is_publishing() {
            return Poll::Ready(Err(PublishReason::Closed));
        }
        if has_room() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Waits, at most so long, for the confirms of what was published so far, also where the
    /// [`Confirm`] was dropped, and counts them since the last call.
    #[must_use]
    pub fn wait_all(&self, _within: Duration) -> ConfirmReport {
        // Without a store every publish was decided when it returned.
        let acked = self.0.acked.swap(0, Ordering::Relaxed);
        let nacked = self.0.nacked.swap(0, Ordering::Relaxed);
        ConfirmReport { acked, nacked, pending: 0 }
    }

    /// Remembers who had no room for a reply. (One that a CC header sent there is not looked for.)
    #[cold]
    fn note_full(&self, key: &str, reason: &PublishReason) {
        if matches!(reason, PublishReason::Full { limit: "events" }) {
            let full = self.0.exchange.vhost().state().replies.find(key);
            let former = std::mem::replace(&mut *self.0.full.lock(), full);
            drop(former);
        }
    }

    /// Whether there is room for the reply that was refused last, or nobody waits for it any more.
    fn has_reply_room(&self) -> bool {
        let full = self.0.full.lock().clone();
        full.is_none_or(|reply| reply.has_room())
    }

    /// Messages that were published at once are confirmed or not as one.
    fn confirm(&self, published: u64, intake: &Intake) -> Confirm {
        match intake.full_queue() {
            None => {
                self.0.acked.fetch_add(published, Ordering::Relaxed);
                let receipt = Receipt { queues: intake.queues, level: Durability::Memory };
                Confirm { decided: Ok(receipt) }
            }
            Some(queue) => {
                self.0.nacked.fetch_add(published, Ordering::Relaxed);
                let (queue, reason) = (queue.clone(), NackReason::MaxLength);
                Confirm { decided: Err(ConfirmError::Nack { queue, reason }) }
            }
        }
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("exchange", &self.0.exchange).finish_non_exhaustive()
    }
}

/// Counts of confirms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfirmReport {
    /// Messages that are safe.
    pub acked: u64,
    /// Messages that a queue did not accept.
    pub nacked: u64,
    /// Messages that are not decided yet.
    pub pending: u64,
}

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
    /// Without a store everything is decided when the publish returns.
    decided: Result<Receipt, ConfirmError>,
}

impl Confirm {
    /// Waits until the broker has decided; never longer than until it closes.
    ///
    /// # Errors
    ///
    /// `Nack` if a queue did not accept the message; `Closed` if the broker closed first.
    pub fn wait(self) -> Result<Receipt, ConfirmError> {
        self.decided
    }

    /// Waits at most so long in the host's time; `None` if it is not decided by then. May be asked
    /// again, also afterwards.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_timeout(&mut self, _within: Duration) -> Result<Option<Receipt>, ConfirmError> {
        self.decided.clone().map(Some)
    }
}

impl Future for Confirm {
    type Output = Result<Receipt, ConfirmError>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(self.decided.clone())
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
        }
    }
}
