//! A message in one's hands, and the duty to settle it.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use super::{
    bounds,
    cell::QueueCell,
    consumer::ConsumerCore,
    context::Phase,
    outcome::Outcome,
    publish::{self, Found, Source},
    publish_error::{PublishError, PublishReason},
    reply,
    vhost_state::VhostState,
};
use crate::{
    Entity, Error, ErrorKind, Message, Name, Result,
    clock::HostDeadline,
    engine::queue::{Handed, Held, Settlement, UnackedKey},
};

/// The longest that a message may be put off: ten years of 365 days, as for every time.
pub(super) const RETRY_MAX: Duration = Duration::from_hours(10 * 365 * 24);

/// So much of a cause goes with a dead letter.
const CAUSE_BYTES_MAX: usize = 1_024;

/// A message in one's hands, readable like the [`Message`] it holds.
///
/// It has to be settled: done ([`ack`](Self::ack)), tried again ([`requeue`](Self::requeue)) or
/// given up ([`reject`](Self::reject)). Dropped unsettled, it goes back to its place in the queue,
/// so a panic loses nothing.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// use leveret::{Broker, Message};
///
/// let queue = Broker::new().declare_queue("tasks").declare()?;
/// queue.send(Message::new("sweep"))?;
///
/// drop(queue.get()?.expect("it is there"));
/// let again = queue.get()?.expect("it came back");
/// assert!(again.is_redelivered());
/// assert_eq!(again.attempts(), 2);
/// again.ack()?;
/// assert!(queue.get()?.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a dropped delivery goes back to its queue"]
pub struct Delivery(Acker);

/// The duty to settle one delivery; dropped, it does what the dropped delivery would.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// use leveret::{Broker, Message};
///
/// let queue = Broker::new().declare_queue("tasks").declare()?;
/// queue.send(Message::new("sweep"))?;
/// let (message, acker) = queue.get()?.expect("it is there").into_parts();
/// assert_eq!(message.text(), Some("sweep"));
/// acker.requeue()?;
/// assert_eq!(queue.stats().ready, 1);
/// # Ok(())
/// # }
/// ```
#[must_use = "a dropped acker requeues"]
pub struct Acker {
    message: Handed,
    from: Origin,
    /// `None` once it is settled.
    duty: Option<UnackedKey>,
}

/// Where a delivery came from. A consumer's deliveries share the consumer and not the queue, whose
/// reference count publishers write to.
#[derive(Debug)]
enum Origin {
    Consumer(Arc<ConsumerCore>),
    Queue(Arc<QueueCell>),
}

impl Delivery {
    pub(crate) fn received(message: Handed, key: UnackedKey, from: Arc<ConsumerCore>) -> Self {
        Self(Acker { message, from: Origin::Consumer(from), duty: Some(key) })
    }

    /// One that its receipt has settled.
    pub(crate) fn settled(message: Handed, from: Arc<ConsumerCore>) -> Self {
        Self(Acker { message, from: Origin::Consumer(from), duty: None })
    }

    pub(crate) fn got(message: Handed, key: UnackedKey, from: Arc<QueueCell>) -> Self {
        Self(Acker { message, from: Origin::Queue(from), duty: Some(key) })
    }

    /// The message.
    pub fn message(&self) -> &Message {
        let Held::Resident(message) = &self.0.message.held;
        message
    }

    /// The exchange that it was published to; empty for the default one.
    #[must_use]
    pub fn exchange(&self) -> &str {
        &self.message().address().exchange
    }

    /// The key that it was published with.
    #[must_use]
    pub fn routing_key(&self) -> &str {
        &self.message().address().routing_key
    }

    /// Whether it was handed out before, so that somebody may have seen it.
    #[must_use]
    pub fn is_redelivered(&self) -> bool {
        self.0.message.is_redelivered()
    }

    /// How many times it was received, this time included. What a consumer was handed and nobody
    /// received from it does not count.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.message.returns() + 1
    }

    /// Done: the queue forgets it.
    ///
    /// # Errors
    ///
    /// `Lapsed` if its time was over and it has gone back; `Closed` if the broker has closed and
    /// taken it back.
    pub fn ack(self) -> Result<()> {
        self.0.ack()
    }

    /// Acks, and waits, at most so long in the host's time, until that is durable: whatever happens
    /// then, the message does not come back. Any other ack is durable a little later, and not later
    /// than the next confirm; a crash before that brings the message back, flagged as redelivered.
    /// Where nothing stores the message, there is nothing to wait for.
    ///
    /// # Errors
    ///
    /// `Timeout` and `StoreFailed` if that is not known: the message is acked all the same.
    /// Otherwise as [`ack`](Self::ack).
    pub fn ack_sync(self, within: Duration) -> Result<()> {
        let context = Arc::clone(self.0.cell().context());
        self.0.ack()?;
        context.sync(HostDeadline::within(within))
    }

    /// Acks this and all earlier deliveries of its consumer, under one lock. Settling one of those
    /// later does nothing.
    ///
    /// Where there is a time to settle in, and the consumer has ended, it acks just this one.
    ///
    /// A consumer that is shared refuses, since that would ack what others work on: there,
    /// [`ack_all`](Self::ack_all) acks just what it is given, as fast.
    ///
    /// # Errors
    ///
    /// `WrongMode` if the consumer has clones, workers among them; the delivery goes back to its
    /// place then. `Lapsed` if its time was over and it has gone back. `Closed` if the broker has
    /// closed and taken it back.
    pub fn ack_through(mut self) -> Result<()> {
        self.0.check_open()?;
        let Some(key) = self.0.duty else { return Ok(()) };
        let Origin::Consumer(consumer) = &self.0.from else {
            self.0.duty = None;
            return self.0.ack_in_time(key);
        };
        let has_ended = consumer.accept_through(key)?;
        let has_company = consumer.has_accepted(key);
        self.0.duty = None;
        if has_ended || has_company { Ok(()) } else { self.0.has_lapsed() }
    }

    /// Acks deliveries in order, with one lock for each run of them that came from the same queue.
    ///
    /// # Errors
    ///
    /// `Closed` if the broker has closed and taken them back.
    pub fn ack_all(deliveries: impl IntoIterator<Item = Self>) -> Result<()> {
        let mut run: Vec<UnackedKey> = Vec::new();
        let mut of: Option<Arc<QueueCell>> = None;
        for mut delivery in deliveries {
            delivery.0.check_open()?;
            let Some(key) = delivery.0.duty.take() else { continue };
            let cell = delivery.0.cell();
            if let Some(former) = of.as_ref().filter(|former| !Arc::ptr_eq(former, cell)) {
                former.settle(&run, Settlement::Accept);
                run.clear();
                of = None;
            }
            of.get_or_insert_with(|| Arc::clone(cell));
            run.push(key);
        }
        if let Some(cell) = of {
            cell.settle(&run, Settlement::Accept);
        }
        Ok(())
    }

    /// Back to its place in the queue, to be tried again.
    ///
    /// # Errors
    ///
    /// `Lapsed` if its time was over and it has gone back; `Closed` if the broker has closed and
    /// taken it back.
    pub fn requeue(self) -> Result<()> {
        self.0.requeue()
    }

    /// Back to its place in the queue, but not before so much time has passed. Until then it is
    /// *delayed*: nobody waits behind it, it counts for no bound of the queue, and its time to live
    /// runs on. It has come back all the same, which a
    /// [delivery limit](crate::QueueBuilder::delivery_limit) counts.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` beyond ten years; it goes back at once then. `Lapsed` if its time was over
    /// and it has gone back; `Closed` if the broker has closed and taken it back.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> leveret::Result<()> {
    /// use std::time::Duration;
    /// use leveret::{Broker, Message};
    ///
    /// let (broker, time) = Broker::manual();
    /// let queue = broker.declare_queue("tasks").declare()?;
    /// queue.send(Message::new("sweep"))?;
    /// queue.get()?.expect("it is there").retry_in(Duration::from_secs(30))?;
    /// assert_eq!((queue.stats().ready, queue.stats().delayed), (0, 1));
    /// time.advance(Duration::from_secs(30));
    /// assert_eq!(queue.get()?.expect("it is back").attempts(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn retry_in(self, delay: Duration) -> Result<()> {
        self.0.retry_in(delay)
    }

    /// Gives itself so much time from now to be settled, where a
    /// [timeout](crate::QueueBuilder::consumer_timeout) would end it; elsewhere it changes nothing.
    ///
    /// # Errors
    ///
    /// `Lapsed` if its time was over and it has gone back; `Closed` if the broker has closed.
    pub fn extend(&self, by: Duration) -> Result<()> {
        self.0.extend(by)
    }

    /// Given up: it goes to where the dead letters of its queue go, or nowhere if there is no such
    /// place.
    ///
    /// # Errors
    ///
    /// `Lapsed` if its time was over and it has gone back; `Closed` if the broker has closed and
    /// taken it back.
    pub fn reject(self) -> Result<()> {
        self.0.reject()
    }

    /// Given up, with a cause for people to read, which goes with the dead letter: see
    /// [`Outcome::Reject`].
    ///
    /// # Errors
    ///
    /// As [`reject`](Self::reject).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> leveret::Result<()> {
    /// use leveret::{Broker, Message};
    ///
    /// let broker = Broker::new();
    /// let dead = broker.declare_queue("dead").declare()?;
    /// let tasks = broker.declare_queue("tasks").dead_letter_to(&dead).declare()?;
    /// tasks.send(Message::new("sweep the desert"))?;
    /// tasks.get()?.expect("it is there").reject_because("the broom is too small")?;
    /// let letter = dead.get()?.expect("it has died");
    /// let cause = letter.header("x-exception").and_then(|of| of.as_table()?.get("error"));
    /// assert_eq!(cause, Some(&"the broom is too small".into()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn reject_because(self, cause: &str) -> Result<()> {
        self.0.reject_because(cause)
    }

    /// Settles as the outcome says.
    ///
    /// # Errors
    ///
    /// As the method for it.
    pub fn settle(self, outcome: Outcome) -> Result<()> {
        self.0.settle(outcome)
    }

    /// Runs the handler, settles by what it returns, and hands that back. If the handler panics,
    /// the delivery goes back to its place and the panic goes on.
    ///
    /// # Errors
    ///
    /// `Closed` if the broker has closed and taken it back.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> leveret::Result<()> {
    /// use leveret::{Broker, Message, Outcome};
    ///
    /// let queue = Broker::new().declare_queue("numbers").declare()?;
    /// queue.send(Message::new("seven"))?;
    /// let delivery = queue.get()?.expect("it is there");
    /// let parse = |text: Option<&str>| text.unwrap_or_default().parse::<u64>().map(drop);
    /// let outcome = delivery.process(|delivery| parse(delivery.text()))?;
    /// assert_eq!(outcome, Outcome::Reject("invalid digit found in string".into()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn process<R: Into<Outcome>>(self, handler: impl FnOnce(&Self) -> R) -> Result<Outcome> {
        let outcome = handler(&self).into();
        self.settle(outcome.clone())?;
        Ok(outcome)
    }

    /// Answers the request: publishes the reply to where its `reply_to` says, with its correlation
    /// id. Settles nothing. A caller that has gone is no error, since the worker cannot help it.
    ///
    /// # Errors
    ///
    /// `Unroutable` if the request has no `reply_to` or names a queue that is not there; otherwise
    /// as publishing.
    pub fn reply(&self, reply: Message) -> Result<(), PublishError> {
        let Some(to) = self.reply_to() else {
            return Err(PublishError::new(PublishReason::Unroutable, reply));
        };
        let Some(vhost) = self.0.cell().vhost() else {
            return Err(PublishError::new(PublishReason::Closed, reply));
        };
        if let Err(error) = vhost.check_publishing() {
            return Err(PublishError::new(error, reply));
        }
        let mut reply = match self.correlation_id() {
            Some(id) if reply.correlation_id().is_none() => reply.with_correlation_id(id),
            Some(_) | None => reply,
        };
        publish::with_found(|found| {
            if let Err(reason) = find_requester(&vhost, to, &mut reply, found) {
                return Err(PublishError::new(reason, reply));
            }
            let intake = found.enqueue(publish::held(reply));
            vhost.tally(&Source::Default).count(&intake);
            Ok(())
        })
    }

    /// Parts the message from the duty to settle it.
    pub fn into_parts(self) -> (Message, Acker) {
        (self.message().clone(), self.0)
    }

    /// What it is refused with where a delivery of another virtual host is needed.
    pub(crate) fn foreign_to(&self, vhost: &Arc<VhostState>) -> Option<Error> {
        let cell = self.0.cell();
        let is_of_it = cell.vhost().is_some_and(|own| Arc::ptr_eq(&own, vhost));
        (!is_of_it).then(|| {
            let kind = ErrorKind::Foreign { entity: Entity::Queue, name: cell.name.clone() };
            Error::new(kind, &vhost.name)
        })
    }
}

/// Checks a reply, finds who waits for it and has room, and notes where it goes.
fn find_requester(
    vhost: &VhostState,
    to: &str,
    reply: &mut Message,
    found: &mut Found,
) -> Result<(), PublishReason> {
    bounds::check_message(reply, &vhost.context.limits, bounds::DEFAULT_USER)?;
    vhost.route(&Source::Default, to, reply, found)?;
    if found.queues(vhost).is_empty() && !reply::is_address(to) {
        return Err(PublishReason::Unroutable);
    }
    reply.put_label(&Source::Default.label(to));
    vhost.check_room(reply.bytes(), reply.is_persistent(), found)?;
    vhost.check_store(reply, found)
}

impl Deref for Delivery {
    type Target = Message;

    fn deref(&self) -> &Message {
        self.message()
    }
}

impl Acker {
    /// Done: the queue forgets it.
    ///
    /// # Errors
    ///
    /// `Lapsed` if its time was over and it has gone back; `Closed` if the broker has closed and
    /// taken it back.
    #[expect(clippy::inline_always, reason = "the path of every message, with few callers")]
    #[inline(always)]
    pub fn ack(mut self) -> Result<()> {
        self.check_open()?;
        let Some(key) = self.take_duty() else { return Ok(()) };
        if self.message.has_lease() {
            return self.ack_in_time(key);
        }
        self.cell().accept(key, &self.message);
        Ok(())
    }

    /// Back to its place in the queue, to be tried again.
    ///
    /// # Errors
    ///
    /// `Lapsed` if its time was over and it has gone back; `Closed` if the broker has closed and
    /// taken it back.
    pub fn requeue(self) -> Result<()> {
        self.end(Settlement::Requeue)
    }

    /// Given up; see [`Delivery::reject`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn reject(self) -> Result<()> {
        self.end(Settlement::Reject)
    }

    /// Back after a time; see [`Delivery::retry_in`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn retry_in(self, delay: Duration) -> Result<()> {
        if delay > RETRY_MAX {
            // At once, whatever its queue does with what returns and its consumer with what is
            // dropped.
            let error = self.too_long(delay);
            self.end(Settlement::RetryIn(Duration::ZERO))?;
            return Err(error);
        }
        self.end(Settlement::RetryIn(delay))
    }

    /// More time to settle it; see [`Delivery::extend`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn extend(&self, by: Duration) -> Result<()> {
        self.check_open()?;
        let Some(key) = self.duty.filter(|_| self.message.has_lease()) else { return Ok(()) };
        if self.cell().extend(key, by) { Ok(()) } else { self.has_lapsed() }
    }

    /// Settles as the outcome says.
    ///
    /// # Errors
    ///
    /// `Closed` if the broker has closed and taken it back.
    pub fn settle(self, outcome: Outcome) -> Result<()> {
        match outcome {
            Outcome::Ack => self.ack(),
            Outcome::Reject(cause) => self.reject_because(&cause),
            Outcome::Requeue => self.requeue(),
            Outcome::RetryIn(delay) => self.retry_in(delay),
        }
    }

    #[inline]
    fn end(mut self, settlement: Settlement) -> Result<()> {
        self.check_open()?;
        if self.settle_as(settlement) { Ok(()) } else { self.has_lapsed() }
    }

    /// Acks what may have gone back by itself.
    #[cold]
    fn ack_in_time(&self, key: UnackedKey) -> Result<()> {
        let is_in_time = self.cell().settle(&[key], Settlement::Accept) > 0;
        if is_in_time { Ok(()) } else { self.has_lapsed() }
    }

    /// Given up, with a cause; see [`Delivery::reject_because`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn reject_because(mut self, cause: &str) -> Result<()> {
        self.check_open()?;
        let Some(key) = self.take_duty() else { return Ok(()) };
        let cause = &cause[..cause.floor_char_boundary(CAUSE_BYTES_MAX)];
        let has_ended = self.cell().reject(key, self.message.held.clone(), cause.into());
        if has_ended { Ok(()) } else { self.has_lapsed() }
    }

    /// It is dropped unsettled.
    #[inline(never)]
    fn give_up(&mut self) {
        let settlement = match &self.from {
            Origin::Consumer(consumer) => consumer.on_drop,
            Origin::Queue(_) => Settlement::Abandon,
        };
        // Nobody is there to hear that it has gone back already.
        let _ = self.settle_as(settlement);
    }

    /// Settles it other than by an ack, unless it is settled. `false` if it has gone back by itself
    /// before.
    fn settle_as(&mut self, settlement: Settlement) -> bool {
        let Some(key) = self.take_duty() else { return true };
        self.cell().give_back(key, self.message.held.clone(), settlement)
    }

    #[inline]
    fn take_duty(&mut self) -> Option<UnackedKey> {
        self.duty.take().filter(|key| !self.is_settled_with_others(*key))
    }

    /// The error for a delivery that has gone back; none if that makes no difference to anybody.
    fn has_lapsed(&self) -> Result<()> {
        let cell = self.cell();
        if !self.message.has_lease() || cell.is_deleted() {
            return Ok(());
        }
        Err(Error::plain(ErrorKind::Lapsed { queue: cell.name.clone() }))
    }

    fn too_long(&self, delay: Duration) -> Error {
        let queue = self.cell().name.clone();
        let text = format!("'retry_in' of queue '{queue}' is {delay:?}, more than ten years");
        let (entity, argument) = (Entity::Queue, Name::from("retry_in"));
        Error::plain(ErrorKind::InvalidArgument { entity, name: queue, argument, text })
    }

    /// Whether it was acked together with a later one of its consumer.
    fn is_settled_with_others(&self, key: UnackedKey) -> bool {
        match &self.from {
            Origin::Consumer(consumer) => consumer.has_accepted(key),
            Origin::Queue(_) => false,
        }
    }

    fn check_open(&self) -> Result<()> {
        if self.duty.is_some() && self.cell().context().phase() == Phase::Closed {
            return Err(Error::closed());
        }
        Ok(())
    }

    fn cell(&self) -> &Arc<QueueCell> {
        match &self.from {
            Origin::Consumer(consumer) => &consumer.cell,
            Origin::Queue(cell) => cell,
        }
    }
}

impl Drop for Acker {
    #[inline]
    fn drop(&mut self) {
        if self.duty.is_some() {
            self.give_up();
        }
    }
}

impl fmt::Debug for Acker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acker")
            .field("queue", &self.cell().name)
            .field("is_settled", &self.duty.is_none())
            .finish_non_exhaustive()
    }
}
