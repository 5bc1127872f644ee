//! Describes a queue.

use std::{sync::Arc, time::Duration};

use super::{
    binding::Destination,
    queue::{Queue, Temporary},
    vhost::VirtualHost,
};
use crate::{
    Error, Name, Result, Table, Value,
    engine::{definition::QueueDeclaration, entity::OwnerId},
};

/// Describes a queue.
///
/// Everything that is set here is checked, compared and kept from the start. What takes effect
/// later says so.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// let broker = leveret::Broker::new();
/// let queue = broker.declare_queue("tasks").single_active_consumer().declare()?;
/// assert_eq!(queue.name(), "tasks");
/// let named_by_broker = broker.declare_queue("").auto_delete().declare()?;
/// assert!(named_by_broker.name().starts_with("amq.gen-"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing happens before declare()"]
pub struct QueueBuilder {
    vhost: VirtualHost,
    name: Name,
    durable: bool,
    auto_delete: bool,
    lifetime: Lifetime,
    arguments: Table,
    /// What the place for dead letters is refused with, if it is of another virtual host.
    foreign: Option<Error>,
}

/// How long a queue lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lifetime {
    Broker,
    Handles,
}

/// What happens to a message that a full queue cannot hold. Not yet effective.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Overflow {
    /// The oldest is dropped, or dead-lettered. The default.
    DropHead,
    /// The new one is refused.
    RejectPublish,
    /// The new one is refused and dead-lettered.
    RejectPublishDeadLetter,
}

impl QueueBuilder {
    pub(crate) fn new(vhost: VirtualHost, name: &str) -> Self {
        Self {
            vhost,
            name: Name::from(name),
            durable: false,
            auto_delete: false,
            lifetime: Lifetime::Broker,
            arguments: Table::new(),
            foreign: None,
        }
    }

    /// Outlives the process, when the broker persists; so do persistent messages in it. Until then
    /// it is kept in memory.
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Goes away when its last consumer does. One that never had any stays.
    pub fn auto_delete(mut self) -> Self {
        self.auto_delete = true;
        self
    }

    /// Goes away with the last [`Queue`] or [`Consumer`](crate::Consumer) made from it. Others get
    /// `Locked`, as on AMQP's exclusive queues.
    pub fn temporary(mut self) -> Self {
        self.lifetime = Lifetime::Handles;
        self
    }

    /// How long a message may wait, in whole milliseconds (`x-message-ttl`). Not yet effective.
    pub fn message_ttl(self, ttl: Duration) -> Self {
        self.argument("x-message-ttl", milliseconds(ttl))
    }

    /// How long the queue may be unused before it goes away, in whole milliseconds (`x-expires`).
    /// A consumer, [`Queue::get`] and declaring it again are use; publishing is not.
    pub fn expires_after(self, idle: Duration) -> Self {
        self.argument("x-expires", milliseconds(idle))
    }

    /// How many messages may wait (`x-max-length`). Not yet effective.
    pub fn max_length(self, messages: u64) -> Self {
        self.argument("x-max-length", whole(messages))
    }

    /// How many bytes of bodies may wait (`x-max-length-bytes`). Not yet effective.
    pub fn max_length_bytes(self, bytes: u64) -> Self {
        self.argument("x-max-length-bytes", whole(bytes))
    }

    /// What happens at the maximum (`x-overflow`). Not yet effective.
    pub fn overflow(self, overflow: Overflow) -> Self {
        let name = match overflow {
            Overflow::DropHead => "drop-head",
            Overflow::RejectPublish => "reject-publish",
            Overflow::RejectPublishDeadLetter => "reject-publish-dlx",
        };
        self.argument("x-overflow", name)
    }

    /// Serves higher priorities first, up to this one (`x-max-priority`). Not yet effective.
    pub fn max_priority(self, level: u8) -> Self {
        self.argument("x-max-priority", i32::from(level))
    }

    /// Where rejected, expired, dropped and poison messages go: a queue, or an exchange
    /// (`x-dead-letter-exchange`, and for a queue `x-dead-letter-routing-key`). One of another
    /// virtual host is refused at `declare`. Not yet effective.
    pub fn dead_letter_to(mut self, to: impl Into<Destination>) -> Self {
        let to = to.into();
        self.foreign = to.foreign_to(&self.vhost);
        match to {
            Destination::Exchange(exchange) => {
                self.argument("x-dead-letter-exchange", exchange.name())
            }
            Destination::Queue(queue) => self
                .argument("x-dead-letter-exchange", "")
                .argument("x-dead-letter-routing-key", queue.name()),
        }
    }

    /// The key that dead letters get in place of their own (`x-dead-letter-routing-key`). Not yet
    /// effective.
    pub fn dead_letter_key(self, key: &str) -> Self {
        self.argument("x-dead-letter-routing-key", key)
    }

    /// After so many failed deliveries a message is a dead letter (`x-delivery-limit`). None by
    /// default. Not yet effective.
    pub fn delivery_limit(self, attempts: u32) -> Self {
        self.argument("x-delivery-limit", i64::from(attempts))
    }

    /// One consumer at a time is active, the others stand by (`x-single-active-consumer`).
    pub fn single_active_consumer(self) -> Self {
        self.argument("x-single-active-consumer", true)
    }

    /// Any argument by its AMQP name. Those that nobody knows are kept and ignored.
    pub fn argument(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.arguments.insert(name, value);
        self
    }

    /// Creates the queue, or finds it if it exists with equal settings.
    ///
    /// # Errors
    ///
    /// `Mismatch` if it exists with other settings; `Locked` if it is exclusive or temporary;
    /// `AccessRefused` (reserved name); `InvalidArgument`, `InvalidName`, `LimitExceeded`,
    /// `Foreign`, `Closed`.
    pub fn declare(self) -> Result<Queue> {
        if let Some(foreign) = self.foreign {
            return Err(foreign);
        }
        let vhost = self.vhost.state();
        let owner = match self.lifetime {
            Lifetime::Broker => None,
            Lifetime::Handles => Some(OwnerId(vhost.context.next_number())),
        };
        let declaration = QueueDeclaration {
            durable: self.durable,
            auto_delete: self.auto_delete,
            owner,
            arguments: self.arguments,
        };
        let cell = vhost.declare_queue(&self.name, declaration)?;
        let temporary = match self.lifetime {
            Lifetime::Broker => None,
            Lifetime::Handles => Some(Arc::new(Temporary::new(Arc::clone(&cell)))),
        };
        Ok(Queue::new(cell, self.vhost, temporary))
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
