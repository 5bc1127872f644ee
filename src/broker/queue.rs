//! Queues of the handle tier.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    bounds,
    cell::QueueCell,
    consumer_builder::ConsumerBuilder,
    delivery::Delivery,
    entrance,
    outcome::Outcome,
    publish,
    publish_error::{PublishError, PublishReason},
    queue_stats::{Browsed, ConsumerStats, QueueStats},
    vhost::VirtualHost,
    workers::Workers,
};
use crate::{
    Entity, Error, Message, Name, Result,
    clock::HostDeadline,
    engine::queue::{
        AckMode, Custody, DeleteConditions, Fate, Flow, Held, Latency, NoRoom, Refused,
    },
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
    /// `Full` if there is no room in memory or in the queue; `DeadLettered` if there is none in the
    /// queue and a copy went to its dead letters; `Closed`; `Refused` if the queue or its virtual
    /// host is deleted, the message too large, or a property invalid. The message is in the error.
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
        let own = std::slice::from_ref(&self.cell);
        if let Err(reason) = entrance::check(own, &message, message.bytes().into()) {
            return Err(PublishError::new(reason, message));
        }
        if message.header(bounds::BCC).is_none() {
            return self.put(message);
        }
        // The queue gets it without this header, which its publisher is to have back.
        let whole = message.clone();
        self.put(message).map_err(|error| PublishError::new(error.into_parts().0, whole))
    }

    /// Takes the next message, if there is one. What is handed to consumers already, received or
    /// not, is not there.
    ///
    /// # Errors
    ///
    /// `NotFound` if the queue is deleted; `Closed`.
    pub fn get(&self) -> Result<Option<Delivery>> {
        self.vhost.state().check_open()?;
        self.cell.begin_use();
        let got = self.cell.get(AckMode::Manual, Custody::Holder);
        let Some((message, Some(key), _)) = got else {
            self.cell.check_readable()?;
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
        self.cell.stats()
    }

    /// Its consumers of both tiers with what they were handed, oldest first.
    #[must_use]
    pub fn consumer_stats(&self) -> Vec<ConsumerStats> {
        self.cell.consumer_stats()
    }

    /// How long messages have waited before they were handed out for the first time; `None` unless
    /// the queue [measures](crate::QueueBuilder::measure_latency) it.
    #[must_use]
    pub fn latency(&self) -> Option<Latency> {
        self.cell.latency()
    }

    /// Waits until it holds no message in whatever state, at most so long in the host's time. Says
    /// whether that was so: a publisher may have sent the next one since.
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
            if snapshot.held() == 0 {
                return true;
            }
            if !watch.wait(until) {
                return false;
            }
        }
    }

    /// What would be handed out next, up to `most` messages, all as of one moment. Nothing changes:
    /// nobody is handed anything, and nothing is flagged redelivered. What has expired is not
    /// shown.
    ///
    /// # Errors
    ///
    /// `LimitExceeded` beyond [`Limits::browsed_messages`](crate::Limits::browsed_messages);
    /// `NotFound` if the queue is deleted; `Closed`.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> leveret::Result<()> {
    /// use leveret::{Broker, Message};
    ///
    /// let queue = Broker::new().declare_queue("tasks").declare()?;
    /// for task in ["sweep", "mop", "dust"] {
    ///     queue.send(Message::new(task))?;
    /// }
    /// let next: Vec<_> = queue.browse(2)?.into_iter().map(|of| of.message).collect();
    /// assert_eq!(next, [Message::new("sweep"), Message::new("mop")]);
    /// assert_eq!(queue.stats().ready, 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn browse(&self, most: usize) -> Result<Vec<Browsed>> {
        self.check_there()?;
        let max = self.cell.context().limits.browsed_messages;
        bounds::check_limit("browsed_messages", max as u64, most as u64)?;
        let seen = self.cell.browse(most);
        Ok(seen.into_iter().map(Browsed::from).collect())
    }

    /// Drops what is ready, and says how much that was. What is unacked or delayed stays.
    ///
    /// # Errors
    ///
    /// `NotFound` if the queue is deleted; `Closed`.
    pub fn purge(&self) -> Result<u64> {
        self.purge_first(u64::MAX)
    }

    /// Drops what would be handed out next, up to `most` messages, and says how many those were.
    ///
    /// # Errors
    ///
    /// As [`purge`](Self::purge).
    pub fn purge_first(&self, most: u64) -> Result<u64> {
        self.check_there()?;
        Ok(self.cell.purge(most))
    }

    /// Hands out nothing from now on, neither to consumers nor to [`get`](Self::get), until it is
    /// [resumed](Self::resume). Publishing, settling, browsing and time go on; what is in
    /// somebody's hands or mailbox stays there. Pausing twice is pausing once.
    ///
    /// # Errors
    ///
    /// `NotFound` if the queue is deleted; `Closed`.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> leveret::Result<()> {
    /// use leveret::{Broker, Message};
    ///
    /// let queue = Broker::new().declare_queue("tasks").declare()?;
    /// queue.pause()?;
    /// queue.send(Message::new("sweep"))?;
    /// assert!(queue.get()?.is_none());
    /// queue.resume()?;
    /// assert!(queue.get()?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn pause(&self) -> Result<()> {
        self.set_flow(Flow::Paused)
    }

    /// Goes on handing out after a [`pause`](Self::pause).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn resume(&self) -> Result<()> {
        self.set_flow(Flow::Running)
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

    /// Deletes it if no message is ready or delayed.
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

    fn set_flow(&self, flow: Flow) -> Result<()> {
        self.check_there()?;
        self.cell.set_flow(flow);
        Ok(())
    }

    fn check_there(&self) -> Result<()> {
        self.vhost.state().check_open()?;
        if self.cell.is_deleted() { Err(self.not_found()) } else { Ok(()) }
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
                .and_then(|()| vhost.check_room(message.bytes(), message.is_persistent(), found))
                .and_then(|()| vhost.check_store(&message, found));
            if let Err(reason) = admitted {
                return Err(PublishError::new(reason, message));
            }
            let whole = message.clone();
            match found.enqueue(publish::held(message)).into_failure() {
                None => Ok(()),
                Some((reason, _)) => Err(PublishError::new(reason, whole)),
            }
        })
    }

    #[inline]
    fn put(&self, message: Message) -> Result<(), PublishError> {
        match self.cell.enqueue(publish::held(message)) {
            Ok(()) => Ok(()),
            Err(refused) => Err(self.not_put(refused)),
        }
    }

    /// The message comes back.
    #[cold]
    fn not_put(&self, refused: Refused) -> PublishError {
        let (reason, Held::Resident(message)) = match refused {
            Refused::Deleted(held) => (PublishReason::Refused(self.not_found()), held),
            Refused::Full(full) => {
                let NoRoom { held, bound: limit, fate } = *full;
                let reason = match fate {
                    Fate::Returned => PublishReason::Full { limit },
                    Fate::DeadLettered => PublishReason::DeadLettered { limit },
                };
                (reason, held)
            }
        };
        PublishError::new(reason, message)
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
