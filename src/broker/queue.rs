//! Queues of the handle tier.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    bounds,
    cell::QueueCell,
    consumer_builder::ConsumerBuilder,
    delivery::{Delivery, Outcome},
    publish,
    publish_error::{PublishError, PublishReason},
    vhost::VirtualHost,
    workers::Workers,
};
use crate::{
    Entity, Error, Message, Name, Result,
    clock::HostDeadline,
    engine::queue::{AckMode, Custody, DeleteConditions, Held},
    message::Label,
};

/// A handle to a queue: a cheap clone, which nothing but using it looks up.
///
/// A handle outlives its queue: publishing to one that was deleted is refused, even if another
/// queue has got its name.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// use leveret::{Broker, Message};
///
/// let queue = Broker::new().declare_queue("tasks").declare()?;
/// queue.send(Message::new("sweep"))?;
/// assert_eq!(queue.stats().ready, 1);
/// assert_eq!(queue.purge()?, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Queue {
    cell: Arc<QueueCell>,
    vhost: VirtualHost,
    /// Keeps a temporary queue.
    temporary: Option<Arc<Temporary>>,
}

/// Deletes its queue when the last handle or consumer is dropped.
#[derive(Debug)]
pub(crate) struct Temporary(Arc<QueueCell>);

/// Counts of a queue at one moment.
///
/// They obey the law of conservation: `enqueued` is the sum of `ready`, `unacked` and all causes
/// by which messages have gone.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// use leveret::{Broker, Message};
///
/// let queue = Broker::new().declare_queue("tasks").declare()?;
/// for task in ["a", "b", "c"] {
///     queue.send(Message::new(task))?;
/// }
/// let delivery = queue.get()?.expect("three are there");
/// let stats = queue.stats();
/// assert_eq!((stats.enqueued, stats.ready, stats.unacked, stats.acked), (3, 2, 1, 0));
/// delivery.ack()?;
/// assert_eq!(queue.stats().acked, 1);
/// assert!(queue.stats().is_conserved());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStats {
    /// Messages that wait.
    pub ready: u64,
    /// Messages that are handed out, also those that wait in the mailbox of a consumer.
    pub unacked: u64,
    /// Accounted bytes of both.
    pub bytes: u64,
    /// Consumers.
    pub consumers: u64,
    /// Messages that ever came in.
    pub enqueued: u64,
    /// Messages gone by ack.
    pub acked: u64,
    /// Messages gone by being delivered to someone who acks automatically.
    pub auto_acked: u64,
    /// Messages gone by reject.
    pub rejected: u64,
    /// Messages gone because a subscriber lagged too far behind.
    pub dropped: u64,
    /// Messages gone by purging.
    pub purged: u64,
    /// Messages gone with their queue.
    pub deleted: u64,
}

impl Queue {
    pub(crate) fn new(
        cell: Arc<QueueCell>,
        vhost: VirtualHost,
        temporary: Option<Arc<Temporary>>,
    ) -> Self {
        Self { cell, vhost, temporary }
    }

    /// Its name, which may have been chosen by the broker.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.cell.name
    }

    /// Publishes straight to this queue: as the default exchange does with its name, without
    /// looking it up.
    ///
    /// # Errors
    ///
    /// `Full`, `Closed`; `Refused` if the queue or its virtual host is deleted, the message too
    /// large, or a property invalid. The message is in the error.
    pub fn send(&self, mut message: Message) -> Result<(), PublishError> {
        let vhost = self.vhost.state();
        if let Err(error) = vhost.check_publishing() {
            return Err(PublishError::new(error, message));
        }
        let checked = bounds::check_message(&message, &vhost.context.limits, bounds::DEFAULT_USER);
        if let Err(error) = checked {
            return Err(PublishError::new(error, message));
        }
        if !bounds::further_keys(&message).is_empty() {
            return self.send_to_further_keys(message);
        }
        message.put_label(&self.label());
        if !vhost.context.has_room(message.bytes().into()) {
            return Err(PublishError::new(PublishReason::NO_MEMORY, message));
        }
        self.cell.enqueue(publish::held(message)).map_err(|held| self.gone(held))
    }

    /// Takes the next message, if there is one. What is handed to consumers already, received or
    /// not, is not there.
    ///
    /// # Errors
    ///
    /// `NotFound` if the queue is deleted; `Closed`.
    pub fn get(&self) -> Result<Option<Delivery>> {
        self.vhost.state().check_open()?;
        let got = self.cell.get(AckMode::Manual, Custody::Holder);
        let Some((message, Some(key), _)) = got else {
            return if self.cell.is_deleted() { Err(self.not_found()) } else { Ok(None) };
        };
        Ok(Some(Delivery::got(message, key, Arc::clone(&self.cell))))
    }

    /// Starts describing a consumer.
    pub fn consume(&self) -> ConsumerBuilder {
        ConsumerBuilder::new(self.clone())
    }

    /// Short for `consume().prefetch(n).workers(n, handler)`: starts `n` threads that serve this
    /// queue. The handler's outcome settles each delivery; see [`Outcome`].
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if `n` is zero; otherwise as [`ConsumerBuilder::workers`].
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> leveret::Result<()> {
    /// use std::time::Duration;
    /// use leveret::{Broker, Message};
    ///
    /// let queue = Broker::new().declare_queue("tasks").declare()?;
    /// let workers = queue.workers(2, |task| match task.text() {
    ///     Some(_) => Ok(()),
    ///     None => Err("not text"),
    /// })?;
    /// queue.send(Message::new("sweep"))?;
    /// queue.send(Message::new([0xff]))?;
    /// assert!(queue.wait_empty(Duration::from_secs(10)));
    /// let report = workers.stop(Duration::from_secs(10));
    /// assert_eq!((report.acked, report.rejected), (1, 1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn workers<R: Into<Outcome>>(
        &self,
        n: u16,
        handler: impl Fn(&Delivery) -> R + Send + Sync + 'static,
    ) -> Result<Workers> {
        self.consume().prefetch(n).workers(n, handler)
    }

    /// Its counts, exact whenever no call is in progress.
    #[must_use]
    pub fn stats(&self) -> QueueStats {
        let snapshot = self.cell.snapshot();
        QueueStats {
            ready: snapshot.ready,
            unacked: snapshot.unacked,
            bytes: snapshot.bytes,
            consumers: snapshot.consumers as u64,
            enqueued: snapshot.counts.enqueued,
            acked: snapshot.counts.acked,
            auto_acked: snapshot.counts.auto_acked,
            rejected: snapshot.counts.rejected,
            dropped: snapshot.counts.dropped,
            purged: snapshot.counts.purged,
            deleted: snapshot.counts.deleted,
        }
    }

    /// Waits until no message is ready or unacked, at most so long in the host's time. Says whether
    /// that was so: a publisher may have sent the next one since.
    ///
    /// A broker without a store forgets what nobody has handled when it closes, so this is what a
    /// graceful end waits for first, after it has stopped taking work.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> leveret::Result<()> {
    /// use std::time::Duration;
    /// use leveret::{Broker, Message};
    ///
    /// let queue = Broker::new().declare_queue("tasks").declare()?;
    /// queue.send(Message::new("sweep"))?;
    /// assert!(!queue.wait_empty(Duration::ZERO));
    /// let workers = queue.workers(1, |task| println!("{:?}", task.text()))?;
    /// assert!(queue.wait_empty(Duration::from_secs(10)));
    /// assert_eq!(workers.stop(Duration::from_secs(10)).acked, 1);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "it may have waited in vain"]
    pub fn wait_empty(&self, within: Duration) -> bool {
        let until = HostDeadline::within(within);
        let mut watch = self.cell.context().progress.watch();
        loop {
            let snapshot = self.cell.snapshot();
            if snapshot.ready + snapshot.unacked == 0 {
                return true;
            }
            if !watch.wait(until) {
                return false;
            }
        }
    }

    /// Drops what is ready, and says how much that was.
    ///
    /// # Errors
    ///
    /// `NotFound` if the queue is deleted; `Closed`.
    pub fn purge(&self) -> Result<u64> {
        self.vhost.state().check_open()?;
        if self.cell.is_deleted() {
            return Err(self.not_found());
        }
        Ok(self.cell.purge())
    }

    /// Deletes it with its bindings, and says how many messages were ready: zero if it is gone
    /// already.
    ///
    /// # Errors
    ///
    /// `Closed`.
    pub fn delete(&self) -> Result<u64> {
        self.delete_if(DeleteConditions::default())
    }

    /// Deletes it if no message is ready.
    ///
    /// # Errors
    ///
    /// `NotEmpty`, `Closed`.
    pub fn delete_if_empty(&self) -> Result<u64> {
        self.delete_if(DeleteConditions { empty: true, ..DeleteConditions::default() })
    }

    /// Deletes it if it has no consumers.
    ///
    /// # Errors
    ///
    /// `InUse`, `Closed`.
    pub fn delete_if_unused(&self) -> Result<u64> {
        self.delete_if(DeleteConditions { unused: true, ..DeleteConditions::default() })
    }

    pub(crate) fn cell(&self) -> &Arc<QueueCell> {
        &self.cell
    }

    pub(crate) fn vhost(&self) -> &VirtualHost {
        &self.vhost
    }

    pub(crate) fn temporary(&self) -> Option<Arc<Temporary>> {
        self.temporary.clone()
    }

    pub(crate) fn not_found(&self) -> Error {
        Error::not_found(Entity::Queue, self.cell.name.clone(), &self.vhost.state().name)
    }

    /// How the default exchange gets to it.
    fn label(&self) -> Label {
        Label::new(Name::default(), self.cell.name.clone())
    }

    fn delete_if(&self, conditions: DeleteConditions) -> Result<u64> {
        self.vhost.state().check_open()?;
        self.vhost.state().delete_this_queue(&self.cell, conditions)
    }

    /// CC and BCC headers lead to further queues, so the message is routed like any other.
    #[cold]
    fn send_to_further_keys(&self, mut message: Message) -> Result<(), PublishError> {
        let vhost = self.vhost.state();
        message.put_label(&self.label());
        publish::with_found(|found| {
            let source = publish::Source::Default;
            let admitted = vhost
                .route(&source, &self.cell.name, &message, found)
                .map_err(PublishReason::from)
                .and_then(|()| vhost.check_room(message.bytes(), found));
            if let Err(reason) = admitted {
                return Err(PublishError::new(reason, message));
            }
            found.enqueue(publish::held(message));
            Ok(())
        })
    }

    /// The message comes back from a queue that was deleted.
    #[cold]
    fn gone(&self, Held::Resident(message): Held) -> PublishError {
        PublishError::new(PublishReason::Refused(self.not_found()), message)
    }
}

impl QueueStats {
    /// Whether every message that came in is somewhere, or gone for exactly one cause.
    #[must_use]
    pub fn is_conserved(&self) -> bool {
        let gone =
            [self.acked, self.auto_acked, self.rejected, self.dropped, self.purged, self.deleted];
        self.enqueued == self.ready + self.unacked + gone.iter().sum::<u64>()
    }
}

impl Temporary {
    pub(crate) fn new(cell: Arc<QueueCell>) -> Self {
        Self(cell)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(vhost) = self.0.vhost() {
            // Without conditions nothing refuses it.
            let _ = vhost.delete_this_queue(&self.0, DeleteConditions::default());
        }
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Queue").field(&self.name()).finish()
    }
}
