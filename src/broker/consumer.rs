//! Consumers of the handle tier.

use std::{
    fmt,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use crossbeam_channel::Receiver;

use super::{
    broker_state::BrokerState,
    cell::QueueCell,
    delivery::Delivery,
    mailbox::{Mailbox, Parcel, Receipt},
    queue::Temporary,
};
use crate::{
    Error, ErrorKind, Name, Result,
    clock::HostDeadline,
    engine::queue::{ConsumerId, Settlement, UnackedKey},
};

/// Receives the deliveries of one queue.
///
/// Clones share it, and each delivery goes to one of them; what one thread has not taken is there
/// for the others. Dropping the last clone cancels it. A consumer does not keep its broker open.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// use leveret::{Broker, Message};
///
/// let broker = Broker::new();
/// let queue = broker.declare_queue("tasks").declare()?;
/// let consumer = queue.consume().prefetch(10).start()?;
/// queue.send(Message::new("sweep"))?;
/// let delivery = consumer.recv()?;
/// assert_eq!(delivery.text(), Some("sweep"));
/// delivery.ack()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "dropping the consumer cancels it"]
pub struct Consumer(Arc<Shared>);

/// What the clones of a consumer share. The last of them cancels it.
#[derive(Debug)]
struct Shared {
    core: Arc<ConsumerCore>,
    /// Keeps a temporary queue.
    _temporary: Option<Arc<Temporary>>,
}

/// What a consumer and its deliveries share.
#[derive(Debug)]
pub(crate) struct ConsumerCore {
    pub(crate) cell: Arc<QueueCell>,
    pub(crate) mailbox: Arc<Mailbox>,
    tag: Name,
    /// Set before the first delivery.
    pub(crate) id: OnceLock<ConsumerId>,
    /// Counts the clones of the consumer. Set before the first delivery is received.
    hands: OnceLock<Weak<Shared>>,
    pub(crate) receipt: Receipt,
    /// What a delivery does that is dropped unsettled.
    pub(crate) on_drop: Settlement,
    /// The number of the latest hand-out that was acked with all earlier ones; zero before the
    /// first. A hint, so it orders nothing: whoever does not see it asks the queue.
    accepted: AtomicU64,
}

/// Why a consumer has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndReason {
    /// The broker was closed, or the last handle to it was dropped.
    BrokerClosed,
    /// It was cancelled, or its last clone was dropped.
    Cancelled,
    /// Its queue was deleted.
    QueueDeleted,
    /// Another consumer took its place; see
    /// [`take_over`](crate::ConsumerBuilder::take_over).
    Superseded,
    /// A delivery of it was unsettled for longer than its queue or itself grants; see
    /// [`QueueBuilder::consumer_timeout`](crate::QueueBuilder::consumer_timeout).
    TimedOut,
}

/// The consumer has ended: there is nothing to receive any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the consumer has ended: {0}")]
#[expect(clippy::exhaustive_structs, reason = "one outcome, as in crossbeam")]
pub struct RecvError(pub EndReason);

/// Why there is nothing to receive now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "the two outcomes, as in crossbeam")]
pub enum TryRecvError {
    /// Nothing is there now.
    #[error("nothing is there now")]
    Empty,
    /// The consumer has ended.
    #[error("the consumer has ended: {0}")]
    Ended(EndReason),
}

/// Why nothing was received in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "the two outcomes, as in crossbeam")]
pub enum RecvTimeoutError {
    /// The consumer has ended.
    #[error("the consumer has ended: {0}")]
    Ended(EndReason),
    /// Nothing came in time.
    #[error("nothing came in time")]
    Timeout,
}

impl ConsumerCore {
    pub(crate) fn new(
        cell: Arc<QueueCell>,
        tag: Name,
        receipt: Receipt,
        on_drop: Settlement,
    ) -> Arc<Self> {
        Arc::new(Self {
            cell,
            mailbox: Arc::new(Mailbox::new()),
            tag,
            id: OnceLock::new(),
            hands: OnceLock::new(),
            receipt,
            on_drop,
            accepted: AtomicU64::new(0),
        })
    }

    /// Notes the id that the queue gave, before anything is delivered.
    pub(crate) fn started(&self, id: ConsumerId) {
        self.id.set(id).expect("a consumer starts once");
    }

    /// Ends it, unless it has ended. What was not received goes back to its place; what was is not
    /// touched.
    pub(crate) fn end(&self, reason: EndReason) {
        if let Some(id) = self.id.get()
            && self.mailbox.ended().is_none()
        {
            self.cell.withdraw_mailbox(*id, &self.mailbox, reason);
        }
    }

    /// Acks a delivery and all earlier ones of this consumer. Once the consumer has ended, some of
    /// those may have gone back by themselves, and nobody could tell them from those that were
    /// acked with a later one: so where there is a time to be in, it is just the one then. `false`
    /// if it has ended before.
    ///
    /// # Errors
    ///
    /// `WrongMode` if the consumer has clones, whose deliveries would be acked too.
    pub(crate) fn accept_through(&self, last: UnackedKey) -> Result<bool> {
        if self.hands.get().is_some_and(|hands| hands.strong_count() > 1) {
            let reason = "the consumer is shared, and others hold earlier deliveries of it";
            return Err(Error::plain(ErrorKind::WrongMode { reason }));
        }
        Ok(self.cell.with(|core, effects| {
            if self.mailbox.ended().is_some() && core.has_lease(last) {
                return core.settle(&[last], Settlement::Accept, effects) > 0;
            }
            let has_accepted = core.accept_through(last, effects) > 0;
            if has_accepted {
                self.accepted.fetch_max(last.serial(), Ordering::Relaxed);
            }
            has_accepted
        }))
    }

    /// Whether a delivery is known to have been acked with a later one.
    #[inline]
    pub(crate) fn has_accepted(&self, key: UnackedKey) -> bool {
        key.serial() <= self.accepted.load(Ordering::Relaxed)
    }

    #[inline]
    fn delivery(self: &Arc<Self>, parcel: Parcel) -> Delivery {
        let Parcel { message, key } = parcel;
        match self.receipt {
            Receipt::Acks => Delivery::settled(message, Arc::clone(self)),
            Receipt::Hands => Delivery::received(message, key, Arc::clone(self)),
        }
    }
}

impl Consumer {
    pub(crate) fn new(
        core: Arc<ConsumerCore>,
        temporary: Option<Arc<Temporary>>,
        broker: &BrokerState,
    ) -> Self {
        broker.add_consumer(&core);
        let shared = Arc::new(Shared { core, _temporary: temporary });
        shared.core.hands.set(Arc::downgrade(&shared)).expect("a consumer starts once");
        Self(shared)
    }

    /// Waits for the next delivery, however long that takes.
    ///
    /// # Errors
    ///
    /// [`RecvError`] once the consumer has ended.
    pub fn recv(&self) -> Result<Delivery, RecvError> {
        match self.0.core.receive(HostDeadline::NEVER) {
            Ok(parcel) => Ok(self.0.core.delivery(parcel)),
            Err(RecvTimeoutError::Ended(reason)) => Err(RecvError(reason)),
            Err(RecvTimeoutError::Timeout) => unreachable!("there is no deadline"),
        }
    }

    /// Takes the next delivery if one is there.
    ///
    /// # Errors
    ///
    /// `Empty` if none is there now, `Ended` once the consumer has ended.
    pub fn try_recv(&self) -> Result<Delivery, TryRecvError> {
        self.0.core.try_receive().map(|parcel| self.0.core.delivery(parcel))
    }

    /// Waits for the next delivery, at most so long in the host's time.
    ///
    /// # Errors
    ///
    /// `Timeout` if none came, `Ended` once the consumer has ended.
    pub fn recv_timeout(&self, within: Duration) -> Result<Delivery, RecvTimeoutError> {
        let parcel = self.0.core.receive(HostDeadline::within(within))?;
        Ok(self.0.core.delivery(parcel))
    }

    /// Waits for a first delivery, at most so long in the host's time, and appends it and what is
    /// there then, up to `max` in all. Says how many that were: zero when the time is over.
    ///
    /// # Errors
    ///
    /// [`RecvError`] once the consumer has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> leveret::Result<()> {
    /// use std::time::Duration;
    /// use leveret::{Broker, Delivery, Message};
    ///
    /// let queue = Broker::new().declare_queue("rows").declare()?;
    /// for row in ["a", "b", "c"] {
    ///     queue.send(Message::new(row))?;
    /// }
    /// let consumer = queue.consume().start()?;
    /// let mut batch = Vec::new();
    /// assert_eq!(consumer.recv_batch(&mut batch, 10, Duration::from_secs(10))?, 3);
    /// Delivery::ack_all(batch)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn recv_batch(
        &self,
        into: &mut Vec<Delivery>,
        max: usize,
        within: Duration,
    ) -> Result<usize, RecvError> {
        let until = HostDeadline::within(within);
        let received = into.len();
        let core = &self.0.core;
        match core.receive_batch(max, until, |parcel| into.push(core.delivery(parcel))) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => Ok(into.len() - received),
            Err(RecvTimeoutError::Ended(reason)) => Err(RecvError(reason)),
        }
    }

    /// Waits as a task for the next delivery. Cancel-safe: a delivery leaves only with `Ready`.
    /// Any number of tasks may wait. In async code: `poll_fn(|cx| consumer.poll_recv(cx)).await`.
    #[must_use = "a delivery that is ready has been taken"]
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Result<Delivery, RecvError>> {
        let core = &self.0.core;
        core.poll_receive(cx).map(|taken| taken.map(|parcel| core.delivery(parcel)))
    }

    /// For `select!` of crossbeam-channel: has a token when deliveries may wait, and then
    /// [`try_recv`](Self::try_recv) is to be called until it is `Empty`. Disconnects at the end.
    #[must_use]
    pub fn ready(&self) -> &Receiver<()> {
        self.0.core.token()
    }

    /// Iterates over deliveries, waiting for each, until the consumer ends;
    /// [`end`](Self::end) says why then.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter(self)
    }

    /// Iterates over the deliveries that are there already.
    pub fn try_iter(&self) -> impl Iterator<Item = Delivery> {
        std::iter::from_fn(|| self.try_recv().ok())
    }

    /// Its tag, a generated one unless [`tag`](crate::ConsumerBuilder::tag) set it.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.0.core.tag
    }

    /// Ends it for all clones. What was not received goes back to its place in the queue;
    /// deliveries in hand can still be settled. Idempotent.
    pub fn cancel(&self) {
        self.0.core.end(EndReason::Cancelled);
    }

    /// Why it has ended; `None` while it runs.
    #[must_use]
    pub fn end(&self) -> Option<EndReason> {
        self.0.core.mailbox.ended()
    }

    /// How many messages it has lost by lagging; see [`Subscription`](crate::Subscription).
    pub(crate) fn lost(&self) -> u64 {
        self.0.core.mailbox.lost()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.core.end(EndReason::Cancelled);
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("queue", &self.0.core.cell.name)
            .field("tag", &self.tag())
            .finish_non_exhaustive()
    }
}

/// Iterates over the deliveries of a consumer, waiting for each.
#[derive(Debug)]
pub struct Iter<'c>(&'c Consumer);

/// Iterates over the deliveries of a consumer that it owns, waiting for each.
#[derive(Debug)]
pub struct IntoIter(Consumer);

impl Iterator for Iter<'_> {
    type Item = Delivery;

    fn next(&mut self) -> Option<Delivery> {
        self.0.recv().ok()
    }
}

impl Iterator for IntoIter {
    type Item = Delivery;

    fn next(&mut self) -> Option<Delivery> {
        self.0.recv().ok()
    }
}

impl<'c> IntoIterator for &'c Consumer {
    type Item = Delivery;
    type IntoIter = Iter<'c>;

    fn into_iter(self) -> Iter<'c> {
        self.iter()
    }
}

impl IntoIterator for Consumer {
    type Item = Delivery;
    type IntoIter = IntoIter;

    fn into_iter(self) -> IntoIter {
        IntoIter(self)
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BrokerClosed => "the broker was closed",
            Self::Cancelled => "it was cancelled",
            Self::QueueDeleted => "its queue was deleted",
            Self::Superseded => "another consumer took its place",
            Self::TimedOut => "a delivery of it was unsettled for too long",
        })
    }
}

impl From<RecvError> for Error {
    fn from(RecvError(reason): RecvError) -> Self {
        Self::consumer_ended(reason)
    }
}

impl From<TryRecvError> for Error {
    fn from(error: TryRecvError) -> Self {
        match error {
            TryRecvError::Empty => Self::plain(ErrorKind::Timeout),
            TryRecvError::Ended(reason) => Self::consumer_ended(reason),
        }
    }
}

impl From<RecvTimeoutError> for Error {
    fn from(error: RecvTimeoutError) -> Self {
        match error {
            RecvTimeoutError::Ended(reason) => Self::consumer_ended(reason),
            RecvTimeoutError::Timeout => Self::plain(ErrorKind::Timeout),
        }
    }
}
