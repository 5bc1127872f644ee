//! Describes a consumer of the handle tier.

use std::{sync::Arc, time::Duration};

use super::{
    bounds,
    consumer::{Consumer, ConsumerCore},
    delivery::Delivery,
    mailbox::{Lag, Receipt, Taking, Tray},
    membership::Succession,
    milliseconds::milliseconds,
    outcome::Outcome,
    outlet::Outlet,
    queue::Queue,
    refusal,
    workers::Workers,
};
use crate::{
    Entity, Error, ErrorKind, Name, Result, Table, Value,
    engine::{
        definition::ConsumerArguments,
        entity::Endpoint,
        queue::{AckMode, ConsumerTerms, Custody, Settlement, Sharing},
    },
};

/// How many deliveries may be unsettled unless the consumer says otherwise: enough to keep a
/// thread busy, and few enough to leave work for others.
const DEFAULT_PREFETCH: u16 = 64;

/// How the tags begin that the broker gives to consumers.
const GENERATED_TAG_PREFIX: &str = "amq.ctag-";

/// Describes a consumer.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// let queue = leveret::Broker::new().declare_queue("tasks").declare()?;
/// let consumer = queue.consume().prefetch(1).tag("sweeper").priority(10).start()?;
/// assert_eq!(consumer.tag(), "sweeper");
/// assert!(queue.consume().prefetch(0).start().is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing happens before start()"]
pub struct ConsumerBuilder {
    queue: Queue,
    prefetch: Option<u16>,
    receipt: Receipt,
    sharing: Sharing,
    succession: Succession,
    on_drop: Settlement,
    lag: Lag,
    tag: Name,
    arguments: Table,
}

impl ConsumerBuilder {
    pub(crate) fn new(queue: Queue) -> Self {
        Self {
            queue,
            prefetch: Some(DEFAULT_PREFETCH),
            receipt: Receipt::Hands,
            sharing: Sharing::Shared,
            succession: Succession::Beside,
            on_drop: Settlement::Abandon,
            lag: Lag::Unbounded,
            tag: Name::default(),
            arguments: Table::new(),
        }
    }

    /// How many deliveries may be unsettled at a time, over all clones of the consumer; 64 by
    /// default. Zero is an error at `start`: see [`unlimited`](Self::unlimited).
    ///
    /// # AMQP
    ///
    /// `basic.qos` with `global=false`, where zero means unlimited, and is the default.
    pub fn prefetch(mut self, count: u16) -> Self {
        self.prefetch = Some(count);
        self
    }

    /// Does not bound how many deliveries may be unsettled: the whole queue is handed out.
    pub fn unlimited(mut self) -> Self {
        self.prefetch = None;
        self
    }

    /// Deliveries count as acked when they are received; settling them does nothing. What was not
    /// received still goes back to the queue when the consumer ends.
    pub fn auto_ack(mut self) -> Self {
        self.receipt = Receipt::Acks;
        self
    }

    /// A delivery that is dropped unsettled is rejected rather than requeued: for work that is not
    /// to be tried twice.
    pub fn reject_on_drop(mut self) -> Self {
        self.on_drop = Settlement::Reject;
        self
    }

    /// A tag of one's own, at most 255 bytes. Tags of the handle tier need not be unique.
    pub fn tag(mut self, tag: &str) -> Self {
        self.tag = Name::from(tag);
        self
    }

    /// Consumers of higher priority are served first, as long as they have credit; 0 by default
    /// (`x-priority`).
    pub fn priority(self, level: i32) -> Self {
        self.argument("x-priority", level)
    }

    /// How long the consumer may keep a delivery unsettled (`x-consumer-timeout`): whole
    /// milliseconds, rounded up, of 1 ms to ten years; anything else is an error at `start`. By
    /// default what the queue says, see
    /// [`QueueBuilder::consumer_timeout`](crate::QueueBuilder::consumer_timeout).
    pub fn consumer_timeout(self, limit: Duration) -> Self {
        self.argument("x-consumer-timeout", milliseconds(limit))
    }

    /// No other consumer may be on the queue.
    pub fn exclusive(mut self) -> Self {
        self.sharing = Sharing::Exclusive;
        self
    }

    /// Takes the place of all consumers that the queue has, and is [`exclusive`](Self::exclusive)
    /// from then on. What they had not received goes back to its place; deliveries in their hands
    /// can still be settled; [`Consumer::end`] tells them that they are
    /// [`Superseded`](crate::EndReason::Superseded), and channels get a
    /// [`Cancel`](crate::Event::Cancel).
    ///
    /// # AMQP
    ///
    /// There is no such thing: there, a second consumer is refused.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> leveret::Result<()> {
    /// use leveret::{Broker, EndReason};
    ///
    /// let queue = Broker::new().declare_queue("tasks").declare()?;
    /// let first = queue.consume().exclusive().start()?;
    /// let second = queue.consume().take_over().start()?;
    /// assert_eq!(first.end(), Some(EndReason::Superseded));
    /// assert_eq!(second.end(), None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn take_over(mut self) -> Self {
        self.sharing = Sharing::Exclusive;
        self.succession = Succession::InPlaceOfOthers;
        self
    }

    /// Any argument by its AMQP name. Those that nobody knows are ignored.
    pub fn argument(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.arguments.insert(name, value);
        self
    }

    /// Loses the oldest messages rather than lag behind by more than so many.
    pub(crate) fn lag(mut self, lag: Lag) -> Self {
        self.lag = lag;
        self
    }

    /// Starts the consumer.
    ///
    /// # Errors
    ///
    /// `NotFound` if the queue is deleted; `AccessRefused` if another consumer is exclusive, or
    /// this one is to be and is not alone, or the queue has a single active consumer;
    /// `InvalidArgument`, `InvalidName`, `LimitExceeded`, `Closed`.
    pub fn start(self) -> Result<Consumer> {
        let vhost = self.queue.vhost().state();
        vhost.check_open()?;
        let prefetch = match self.prefetch {
            Some(0) => return Err(self.zero("prefetch")),
            bounded => bounded.map(u32::from),
        };
        bounds::check_name(Entity::Consumer, &self.tag)?;
        let cell = self.queue.cell();
        let of = Endpoint::Queue(cell.name.clone());
        vhost.check_arguments(&self.arguments, Entity::Consumer, &of)?;
        let queue_type = cell.definition.parsed.queue_type;
        let arguments = ConsumerArguments::parse(queue_type, &self.arguments)
            .map_err(|invalid| refusal::consumer_argument(&cell.name, invalid, &vhost.name))?;
        let terms = ConsumerTerms {
            mode: AckMode::Manual,
            custody: Custody::Holder,
            sharing: self.sharing,
            priority: arguments.priority,
            prefetch,
            timeout: arguments.timeout(),
        };
        let tag = match &*self.tag {
            "" => vhost.generated_name(GENERATED_TAG_PREFIX),
            _ => self.tag.clone(),
        };
        let core = ConsumerCore::new(Arc::clone(cell), tag.clone(), self.receipt, self.on_drop);
        let has_leases = terms.timeout.is_some() || cell.grants_time();
        let taking = Taking::new(self.lag, self.receipt, has_leases);
        let tray = Tray::new(tag, Arc::clone(&core.mailbox), self.lag, taking);
        cell.begin_use();
        cell.consume(terms, Outlet::Mailbox(tray), self.succession, |id| core.started(id))
            .map_err(|refused| refusal::consume(refused, cell, vhost))?;
        let broker = self.queue.vhost().lease().broker();
        let consumer = Consumer::new(core, self.queue.temporary(), broker);
        // Whoever closes the broker in between may not have seen it; dropping it cancels it.
        vhost.check_open()?;
        Ok(consumer)
    }

    /// Starts `n` threads that share the consumer. The handler's outcome settles each delivery;
    /// see [`Outcome`]. If the handler panics, the delivery goes back to its place (which counts
    /// as an attempt), the panic is counted, and the worker goes on.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if `n` is zero; `Thread` if one could not be started, and then none runs;
    /// otherwise as [`start`](Self::start).
    pub fn workers<R: Into<Outcome>>(
        self,
        n: u16,
        handler: impl Fn(&Delivery) -> R + Send + Sync + 'static,
    ) -> Result<Workers> {
        if n == 0 {
            return Err(self.zero("workers"));
        }
        let lease = self.queue.vhost().lease().clone();
        let consumer = self.start()?;
        Workers::start(n, consumer, handler, lease.broker())
    }

    fn zero(&self, argument: &'static str) -> Error {
        let text = format!("'{argument}' of a consumer of queue '{}' is zero", self.queue.name());
        let kind = ErrorKind::InvalidArgument {
            entity: Entity::Consumer,
            name: Name::from(self.queue.name()),
            argument: Name::from(argument),
            text,
        };
        Error::plain(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Broker;

    #[test]
    fn a_timeout_is_rounded_up_and_has_a_range() -> Result<()> {
        let queue = Broker::new().declare_queue("q").declare()?;
        let short = queue.consume().consumer_timeout(Duration::from_micros(500));
        assert_eq!(short.arguments, Table::from([("x-consumer-timeout", 1_i64)]));
        assert!(short.start().is_ok());
        for refused in [Duration::ZERO, Duration::MAX] {
            let error = queue.consume().consumer_timeout(refused).start().unwrap_err();
            let ErrorKind::InvalidArgument { argument, .. } = error.kind() else {
                panic!("{error}")
            };
            assert_eq!(argument, "x-consumer-timeout");
        }
        Ok(())
    }
}
