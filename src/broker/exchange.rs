//! Exchanges of the handle tier.

use std::{fmt, time::Duration};

use super::{
    binding::{Binding, BindingKey, Destination},
    bounds,
    call::{CallError, PendingReply},
    entrance,
    exchange_cell::Target,
    intake::Intake,
    memo::{self, Way},
    plan::{Batch, Plan},
    publish::{self, Found, Source},
    publish_error::{PublishError, PublishReason},
    publisher::PublisherBuilder,
    refusal,
    subscription::Subscription,
    tally::ExchangeStats,
    tx::Mandatory,
    vhost::VirtualHost,
    vhost_state::IfUnused,
};
use crate::{Entity, Error, Message, Result, clock::HostDeadline, engine::queue::Held};

/// A handle to an exchange: a cheap clone. Publishing through it looks up nothing but the key.
///
/// A handle outlives its exchange: publishing to one that was deleted is refused, even if another
/// exchange has got its name.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// use leveret::{Broker, Message};
///
/// let broker = Broker::new();
/// let logs = broker.declare_exchange("logs").topic().declare()?;
/// let errors = broker.declare_queue("errors").declare()?;
/// logs.bind(&errors, "*.error")?;
/// assert_eq!(logs.publish("kernel.error", Message::new("disk on fire"))?.queues, 1);
/// assert_eq!(logs.publish("kernel.info", Message::new("fire is out"))?.queues, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Exchange {
    source: Source,
    vhost: VirtualHost,
}

/// Where a publish went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Routed {
    /// How many queues took the message; for a batch, the sum. Zero means that no binding matched,
    /// or that it was a direct reply.
    pub queues: u32,
    /// How many queues had no room by a bound that they declare, while others took it; for a batch,
    /// the sum. If none takes it, that is an error.
    pub refused: u32,
}

impl Exchange {
    pub(crate) fn new(source: Source, vhost: VirtualHost) -> Self {
        Self { source, vhost }
    }

    /// Its name; empty for the default exchange.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.source {
            Source::Default => "",
            Source::Exchange(cell) => &cell.name,
        }
    }

    /// Routes what matches `key` on to a queue or exchange: `bind(&queue, "eu.*")`,
    /// `bind(&queue, BindingKey::all([("region", "eu")]))`. Binding again changes nothing.
    ///
    /// # Errors
    ///
    /// `NotFound` if either side is deleted; `Foreign` if the other side is of another virtual
    /// host; `AccessRefused` for the default exchange; `InvalidArgument` for a bad `x-match`;
    /// `InvalidName`, `LimitExceeded`, `Closed`.
    pub fn bind(&self, to: impl Into<Destination>, key: impl Into<BindingKey>) -> Result<Binding> {
        let (to, key) = (to.into(), key.into());
        let vhost = self.vhost.state();
        if let Some(foreign) = to.foreign_to(&self.vhost) {
            return Err(foreign);
        }
        let ends = self.ends(&to);
        vhost
            .bind(self.name(), to.endpoint(), &key.key, &key.arguments, to.actor(), &ends)
            .map_err(|error| self.binding_error(error, &to))?;
        Ok(Binding::new(self.clone(), to, key))
    }

    /// Takes a binding away again; no error if there is none.
    ///
    /// # Errors
    ///
    /// `AccessRefused` for the default exchange; `InvalidName`, `InvalidArgument` or
    /// `LimitExceeded` for what could not have been bound; `Closed`.
    pub fn unbind(&self, from: impl Into<Destination>, key: impl Into<BindingKey>) -> Result<()> {
        self.remove_binding(&from.into(), &key.into())
    }

    /// Publishes without waiting. Reaching no queue is no error: see [`Routed`].
    ///
    /// # Errors
    ///
    /// `Full`, `Closed`; `Refused` if the exchange or its virtual host is deleted, the exchange
    /// internal, the message too large, or a property invalid. No queue holds the message then; it
    /// is in the error.
    pub fn publish(&self, key: &str, message: Message) -> Result<Routed, PublishError> {
        self.publish_one(key, message, Mandatory::No)
    }

    /// Like [`publish`](Self::publish), but reaching nobody is the error `Unroutable`. A direct
    /// reply reaches who waits for it, which is no queue: it is fine, with `queues` zero.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), and `Unroutable`.
    ///
    /// # AMQP
    ///
    /// The flag `mandatory`. On a channel a mandatory reply is returned although it arrives, as in
    /// `RabbitMQ`.
    pub fn publish_mandatory(&self, key: &str, message: Message) -> Result<Routed, PublishError> {
        self.publish_one(key, message, Mandatory::Yes)
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
    ) -> Result<Routed, PublishError> {
        self.retry_while_full(message, within, |message| self.publish(key, message))
    }

    /// Publishes all or none, in order, with one lock per queue. Empties the vector on success and
    /// leaves it as it is on an error. All messages see the same bindings unless they have headers,
    /// which are routed one by one. Bounds that queues declare refuse single messages, which
    /// [`Routed::refused`] counts, unless they refuse all: that is an error.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish); nothing is published then.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> leveret::Result<()> {
    /// use leveret::{Broker, Message};
    ///
    /// let broker = Broker::new();
    /// let queue = broker.declare_queue("tasks").declare()?;
    /// let mut messages: Vec<_> = (0..10).map(|n| Message::new(n.to_string())).collect();
    /// let routed = broker.default_exchange().publish_batch("tasks", &mut messages)?;
    /// assert_eq!(routed.queues, 10);
    /// assert!(messages.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish_batch(
        &self,
        key: &str,
        messages: &mut Vec<Message>,
    ) -> Result<Routed, PublishReason> {
        self.publish_all(key, messages, Mandatory::No).map(Routed::from)
    }

    /// Starts describing a publisher with confirms, which say when a message is safe.
    pub fn publisher(&self) -> PublisherBuilder {
        PublisherBuilder::new(self.clone())
    }

    /// Receives a copy of what matches `key` from now on, through a temporary queue of its own.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind); `LimitExceeded` also if
    /// [`Limits::subscription_messages`](crate::Limits::subscription_messages) is zero.
    pub fn subscribe(&self, key: impl Into<BindingKey>) -> Result<Subscription> {
        Subscription::new(self, key.into())
    }

    /// Publishes a request and waits for the reply to it, at most so long in the host's time. A
    /// reply that comes later is dropped.
    ///
    /// # Errors
    ///
    /// `Timeout`; `NoResponder` if it reached only queues without a consumer, and so was not sent;
    /// `Unroutable` if it reached none; `Closed`, `Full`, `Refused` as for publishing.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use leveret::{Broker, Message};
    ///
    /// let broker = Broker::new();
    /// let requests = broker.declare_queue("shout").declare()?;
    /// let _workers = requests.workers(1, |request| {
    ///     request.reply(Message::new(request.text().unwrap_or_default().to_uppercase()))
    /// })?;
    /// let reply = broker
    ///     .default_exchange()
    ///     .call("shout", Message::new("hello"), Duration::from_secs(10))?;
    /// assert_eq!(reply.text(), Some("HELLO"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn call(
        &self,
        key: &str,
        request: Message,
        within: Duration,
    ) -> Result<Message, CallError> {
        self.request(key, request)?.wait(within)
    }

    /// Publishes a request, and hands out what the reply will come to: to be waited for, or
    /// awaited.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call), without `Timeout`.
    pub fn request(&self, key: &str, request: Message) -> Result<PendingReply, CallError> {
        PendingReply::new(self, key, request)
    }

    /// What it has routed so far, exact whenever no call is in progress.
    #[must_use]
    pub fn stats(&self) -> ExchangeStats {
        self.vhost.state().tally(&self.source).stats()
    }

    /// Deletes it with its bindings; no error if it is gone already.
    ///
    /// # Errors
    ///
    /// `AccessRefused` for the exchanges of the broker itself; `Closed`.
    pub fn delete(&self) -> Result<()> {
        self.delete_if(IfUnused::Anyway)
    }

    /// Deletes it if it has no outgoing bindings.
    ///
    /// # Errors
    ///
    /// `InUse`; otherwise as [`delete`](Self::delete).
    pub fn delete_if_unused(&self) -> Result<()> {
        self.delete_if(IfUnused::OnlyUnused)
    }

    pub(crate) fn remove_binding(&self, from: &Destination, key: &BindingKey) -> Result<()> {
        let vhost = self.vhost.state();
        vhost.check_open()?;
        let ends = self.ends(from);
        vhost
            .unbind(self.name(), from.endpoint(), &key.key, &key.arguments, from.actor(), &ends)
            .map_err(|error| self.binding_error(error, from))
    }

    pub(crate) fn vhost(&self) -> &VirtualHost {
        &self.vhost
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    pub(crate) fn publish_one<R: From<Intake>>(
        &self,
        key: &str,
        message: Message,
        mandatory: Mandatory,
    ) -> Result<R, PublishError> {
        publish::with_found(|found| {
            let from = self.vhost.state().origin(&self.source, key);
            if message.headers().is_none()
                && let Some(way) = found.way(from)
            {
                return self.publish_on(way, message, mandatory);
            }
            let routed = self.find(from, &message, found);
            match routed.and_then(|()| found.check_reached(mandatory)) {
                Ok(()) => self.enqueue(key, message, found),
                Err(reason) => Err(PublishError::new(reason, message)),
            }
        })
    }

    /// Publishes a message on a way that others went: everything was in order there, and nothing
    /// has changed since.
    #[inline]
    fn publish_on<R: From<Intake>>(
        &self,
        way: &Way,
        mut message: Message,
        mandatory: Mandatory,
    ) -> Result<R, PublishError> {
        let context = &self.vhost.state().context;
        if let Err(error) = bounds::check_message(&message, &context.limits, bounds::DEFAULT_USER) {
            return Err(PublishError::new(error, message));
        }
        if way.queues.is_empty() {
            return match mandatory {
                Mandatory::No => self.counted(Intake::default()),
                Mandatory::Yes => Err(PublishError::new(PublishReason::Unroutable, message)),
            };
        }
        message.put_label(&way.label);
        let bytes = u64::from(message.bytes()) * way.queues.len() as u64;
        if let Err(reason) = entrance::check(&way.queues, &message, bytes) {
            return Err(PublishError::new(reason, message));
        }
        self.counted(entrance::enqueue(&way.queues, Held::Resident(message)))
    }

    /// Checks a message and finds where it goes.
    #[inline]
    pub(crate) fn route(
        &self,
        key: &str,
        message: &Message,
        found: &mut Found,
    ) -> Result<(), PublishReason> {
        let vhost = self.vhost.state();
        let from = vhost.origin(&self.source, key);
        // Where others went like it, everything was in order, and nothing has changed since.
        if message.headers().is_none() && found.recall(from) {
            bounds::check_message(message, &vhost.context.limits, bounds::DEFAULT_USER)?;
            return Ok(());
        }
        self.find(from, message, found)
    }

    /// The same where nobody remembers it.
    fn find(
        &self,
        from: memo::From<'_>,
        message: &Message,
        found: &mut Found,
    ) -> Result<(), PublishReason> {
        self.check_publish(from.key)?;
        let vhost = self.vhost.state();
        bounds::check_message(message, &vhost.context.limits, bounds::DEFAULT_USER)?;
        Ok(vhost.find(&self.source, from, message, found)?)
    }

    /// Puts a message where it goes, if there is room everywhere, and says what has become of it.
    #[inline]
    pub(crate) fn enqueue<R: From<Intake>>(
        &self,
        key: &str,
        mut message: Message,
        found: &mut Found,
    ) -> Result<R, PublishError> {
        if found.is_empty() {
            return self.counted(Intake::default());
        }
        let vhost = self.vhost.state();
        let label = found.label(&self.source, key);
        let bytes = message.bytes_with(&label);
        let room = vhost.check_room(bytes, message.is_persistent(), found);
        if let Err(reason) = room.and_then(|()| vhost.check_store(&message, found)) {
            return Err(PublishError::new(reason, message));
        }
        message.put_label(&label);
        found.remember(vhost, &self.source, label);
        if message.header(bounds::BCC).is_none() {
            return self.counted(found.enqueue(publish::held(message)));
        }
        // Queues get it without this header, which its publisher is to have back.
        let whole = message.clone();
        self.counted(found.enqueue(publish::held(message))).map_err(|error| {
            let (reason, _) = error.into_parts();
            PublishError::new(reason, whole)
        })
    }

    /// Counts what was put into queues, unless bounds of their own kept it out of all of them.
    #[expect(clippy::inline_always, reason = "the path of every publish")]
    #[inline(always)]
    fn counted<R: From<Intake>>(&self, intake: Intake) -> Result<R, PublishError> {
        let tally = self.vhost.state().tally(&self.source);
        if intake.is_whole() {
            tally.count_whole(intake.queues);
            return Ok(R::from(intake));
        }
        if intake.has_failed() {
            return Err(not_taken(intake));
        }
        tally.count(&intake);
        Ok(R::from(intake))
    }

    pub(crate) fn publish_all(
        &self,
        key: &str,
        messages: &mut Vec<Message>,
        mandatory: Mandatory,
    ) -> Result<Intake, PublishReason> {
        publish::with_found(|found| {
            let is_one_way = messages.iter().all(|message| message.headers().is_none());
            if is_one_way {
                return self.publish_run(key, messages, mandatory, found);
            }
            self.check_publish(key)?;
            let plan = self.plan(key, messages, mandatory, found)?;
            let batch = Batch::of(messages, plan.unroutable(), plan.may_refuse());
            let intake = plan.enqueue(&self.source.label(key), messages);
            self.counted_batch(batch, intake, messages)
        })
    }

    /// Counts what was put into queues of a batch, which is whole again if they refused all of it.
    fn counted_batch(
        &self,
        batch: Batch,
        intake: Intake,
        messages: &mut Vec<Message>,
    ) -> Result<Intake, PublishReason> {
        let Batch { count, unroutable, kept } = batch;
        if intake.has_failed() {
            messages.extend(kept);
            return Err(not_taken(intake).into_parts().0);
        }
        self.vhost.state().tally(&self.source).count_all(count, unroutable, &intake);
        Ok(intake)
    }

    /// Publishes messages that all go the same way.
    fn publish_run(
        &self,
        key: &str,
        messages: &mut Vec<Message>,
        mandatory: Mandatory,
        found: &mut Found,
    ) -> Result<Intake, PublishReason> {
        let Some((first, others)) = messages.split_first() else {
            self.check_publish(key)?;
            return Ok(Intake::default());
        };
        self.route(key, first, found)?;
        let limits = &self.vhost.state().context.limits;
        for message in others {
            bounds::check_message(message, limits, bounds::DEFAULT_USER)?;
        }
        found.check_reached(mandatory)?;
        let label = found.label(&self.source, key);
        let mut bytes = 0;
        for message in &mut *messages {
            message.put_label(&label);
            bytes += u64::from(message.bytes());
        }
        let vhost = self.vhost.state();
        let is_persistent = messages.iter().all(Message::is_persistent);
        vhost.check_room_for(bytes, messages.len(), is_persistent, found)?;
        for message in &*messages {
            vhost.check_store(message, found)?;
        }
        found.remember(vhost, &self.source, label);
        let unroutable = if found.queue_count() == 0 { messages.len() as u64 } else { 0 };
        let batch = Batch::of(messages, unroutable, found.may_refuse());
        let intake = found.enqueue_all(messages.drain(..).map(Held::Resident));
        self.counted_batch(batch, intake, messages)
    }

    /// Checks and routes a batch, and changes nothing.
    fn plan(
        &self,
        key: &str,
        messages: &[Message],
        mandatory: Mandatory,
        found: &mut Found,
    ) -> Result<Plan, PublishReason> {
        let vhost = self.vhost.state();
        let label = self.source.label(key);
        let mut plan = Plan::default();
        let mut bytes: u64 = 0;
        for message in messages {
            bounds::check_message(message, &vhost.context.limits, bounds::DEFAULT_USER)?;
            let has_headers = message.headers().is_some();
            if has_headers || !plan.goes_on {
                found.clear();
                vhost.route(&self.source, key, message, found)?;
                plan.start_run(vhost, found, !has_headers);
            }
            let queues = plan.extend_run(message)?;
            if mandatory == Mandatory::Yes && queues.is_none() {
                return Err(PublishReason::Unroutable);
            }
            let size = u64::from(message.bytes_with(&label));
            bytes = bytes.saturating_add(size.saturating_mul(queues.unwrap_or(0) as u64));
        }
        if !vhost.context.has_room(bytes) {
            return Err(PublishReason::NO_MEMORY);
        }
        plan.keep_reply_room()?;
        Ok(plan)
    }

    pub(crate) fn retry_while_full<R>(
        &self,
        mut message: Message,
        within: Duration,
        publish: impl Fn(Message) -> Result<R, PublishError>,
    ) -> Result<R, PublishError> {
        let until = HostDeadline::within(within);
        let mut watch = None;
        loop {
            match publish(message) {
                Err(error) if error.is_full() => {
                    // Room that others took may have come and gone all the time.
                    if watch.is_some() && until.left().is_none() {
                        return Err(error);
                    }
                    // The first refusal came before the watch, so the publish is tried once more.
                    let room = &self.vhost.state().context.room;
                    let is_in_time = match &mut watch {
                        None => {
                            watch = Some(room.watch());
                            true
                        }
                        Some(watch) => watch.wait(until),
                    };
                    if !is_in_time {
                        return Err(error);
                    }
                    message = error.into_message();
                }
                done => return done,
            }
        }
    }

    /// What both handles of a binding stand for.
    fn ends(&self, other: &Destination) -> Vec<Target> {
        self.source.target().into_iter().chain(other.target()).collect()
    }

    fn binding_error(&self, error: Error, other: &Destination) -> Error {
        let vhost = &self.vhost.state().name;
        refusal::of_binding(error, &self.source.name(), &other.endpoint(), vhost)
    }

    #[inline]
    fn check_publish(&self, key: &str) -> Result<()> {
        let vhost = self.vhost.state();
        vhost.check_publishing()?;
        bounds::check_name(Entity::Message, key)?;
        self.source.check_accepts(vhost)
    }

    fn delete_if(&self, condition: IfUnused) -> Result<()> {
        let vhost = self.vhost.state();
        vhost.check_open()?;
        match &self.source {
            Source::Default => vhost.delete_exchange("", condition),
            Source::Exchange(cell) => vhost.delete_this_exchange(cell, condition),
        }
    }
}

/// Every queue has refused it.
#[cold]
fn not_taken(intake: Intake) -> PublishError {
    let (reason, message) = intake.into_failure().expect("it has failed");
    PublishError::new(reason, message)
}

impl From<Intake> for Routed {
    #[inline]
    fn from(intake: Intake) -> Self {
        Self { queues: intake.queues, refused: intake.refused() }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Exchange").field(&self.name()).finish()
    }
}
