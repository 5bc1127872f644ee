//! Publishers with confirms.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use super::{
    confirm::{Confirm, ConfirmError, Durability, NackReason, Receipt},
    exchange::Exchange,
    intake::Intake,
    publish_error::{PublishError, PublishReason},
    reply::ReplySlot,
    tx::Mandatory,
    window::{Tallied, Window},
};
use crate::{
    Entity, Error, ErrorKind, Message, Name, Result,
    clock::HostDeadline,
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
    /// is lower. Zero is an error at `open`. A message that nothing has to write is confirmed when
    /// the publish returns. Beyond it publishing gets `Full`; a batch that is larger than the
    /// window gets in alone.
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
            window: Window::new(window),
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
    window: Window,
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
        if let Err(reason) = self.check_window(1) {
            return Err(PublishError::new(reason, message));
        }
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
        self.check_window(published)?;
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
        let has_room =
            || context.has_room(1) && self.has_reply_room() && self.0.window.has_room(1, context);
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
    pub fn wait_all(&self, within: Duration) -> ConfirmReport {
        let context = &self.0.exchange.vhost().state().context;
        let Tallied { acked, nacked, pending } =
            self.0.window.settle(context, HostDeadline::within(within));
        ConfirmReport { acked, nacked, pending }
    }

    /// Without a store nothing is ever unconfirmed.
    #[inline]
    fn check_window(&self, messages: u64) -> Result<(), PublishReason> {
        let context = &self.0.exchange.vhost().state().context;
        if context.journal.is_none() || self.0.window.has_room(messages, context) {
            return Ok(());
        }
        Err(PublishReason::Full { limit: "unconfirmed" })
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
        let context = &self.0.exchange.vhost().state().context;
        let window = &self.0.window;
        let decided = match intake.full_queue() {
            None if context.poll_durable(intake.position).is_some() => {
                window.acked(published);
                Ok(self.receipt(intake))
            }
            None => {
                window.open(intake.position, published);
                Ok(self.receipt(intake))
            }
            Some(queue) => {
                window.nacked(published);
                let (queue, reason) = (queue.clone(), NackReason::MaxLength);
                Err(ConfirmError::Nack { queue, reason })
            }
        };
        Confirm::new(decided, context, intake.position)
    }

    fn receipt(&self, intake: &Intake) -> Receipt {
        let context = &self.0.exchange.vhost().state().context;
        let level = match &context.journal {
            Some(journal) if intake.is_stored => journal.durability(),
            Some(_) | None => Durability::Memory,
        };
        Receipt { queues: intake.queues, level }
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
