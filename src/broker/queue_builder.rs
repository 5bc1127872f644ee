//! Describes a queue.

use std::{sync::Arc, time::Duration};

use super::{
    binding::Destination,
    delayed_retry::DelayedRetry,
    milliseconds::milliseconds,
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
/// later says so. A value out of its range is refused at `declare`, as `InvalidArgument`.
///
/// # Declaring again
///
/// A queue that exists is found if it was declared with equal settings; otherwise the first
/// difference is a `Mismatch`. Strings are compared as they are, integers by value over all
/// widths, and a float never equals an integer. An argument that was given only once is a
/// difference, even with the value that is the default; only the type of the queue may be left out
/// for `classic`. What queues of the type do not know is not compared.
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

/// What happens to a message that a full queue cannot hold.
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

    /// How long a message may wait (`x-message-ttl`): whole milliseconds, rounded up, of 0 to ten
    /// years; for ever by default. At 0 a message expires that no consumer takes at once. If a
    /// message brings an [`expiration`](crate::Message::expires_in), the shorter one counts.
    ///
    /// Declared again: the same number, or none both times.
    pub fn message_ttl(self, ttl: Duration) -> Self {
        self.argument("x-message-ttl", milliseconds(ttl))
    }

    /// Messages in the middle of the queue expire on time, too (`x-exact-expiry`). By default a
    /// message expires once it is the oldest, as in `RabbitMQ`: until then it is counted, and
    /// never delivered.
    ///
    /// Declared again: set both times or not at all; an explicit `false` differs from none.
    pub fn exact_expiry(self) -> Self {
        self.argument("x-exact-expiry", true)
    }

    /// How long the queue may be unused before it goes away (`x-expires`): whole milliseconds,
    /// rounded up, of 1 ms to ten years; for ever by default. A consumer, [`Queue::get`] and
    /// declaring it again are use; publishing is not.
    ///
    /// Declared again: the same number, or none both times.
    pub fn expires_after(self, idle: Duration) -> Self {
        self.argument("x-expires", milliseconds(idle))
    }

    /// How many messages may wait (`x-max-length`): 0 to [`i64::MAX`], and a larger number counts
    /// as that; by default as many as the memory of the broker holds. What is in hand does not
    /// count.
    ///
    /// Declared again: the same number, of whatever width, or none both times.
    pub fn max_length(self, messages: u64) -> Self {
        self.argument("x-max-length", whole(messages))
    }

    /// How many bytes of bodies may wait (`x-max-length-bytes`): 0 to [`i64::MAX`], and a larger
    /// number counts as that; by default as many as the memory of the broker holds. What is in
    /// hand does not count.
    ///
    /// Declared again: the same number, of whatever width, or none both times.
    pub fn max_length_bytes(self, bytes: u64) -> Self {
        self.argument("x-max-length-bytes", whole(bytes))
    }

    /// What happens at the maximum (`x-overflow`); [`Overflow::DropHead`] by default.
    ///
    /// Declared again: the same word, or none both times; an explicit `drop-head` differs from
    /// none.
    pub fn overflow(self, overflow: Overflow) -> Self {
        let name = match overflow {
            Overflow::DropHead => "drop-head",
            Overflow::RejectPublish => "reject-publish",
            Overflow::RejectPublishDeadLetter => "reject-publish-dlx",
        };
        self.argument("x-overflow", name)
    }

    /// Serves higher priorities first, up to this one (`x-max-priority`): 0 to 255. By default
    /// priorities do not count, and the oldest message is first. A [`quorum`](Self::quorum) queue
    /// can not have any.
    ///
    /// What a consumer has been handed it has, so with a large prefetch urgent messages come behind
    /// it. At a [maximum](Self::max_length) with [`Overflow::DropHead`] the head goes, which is the
    /// oldest of the *highest* level.
    ///
    /// Declared again: the same number, of whatever width, or none both times.
    pub fn max_priority(self, level: u8) -> Self {
        self.argument("x-max-priority", i32::from(level))
    }

    /// Where rejected, expired, dropped and poison messages go: a queue, or an exchange
    /// (`x-dead-letter-exchange`, and for a queue `x-dead-letter-routing-key`). By default they are
    /// gone. One of another virtual host is refused at `declare`; one that does not exist when a
    /// message dies loses it.
    ///
    /// Declared again: the same exchange and the same key, or none both times. A queue is the
    /// default exchange, whose name is empty, with the name of the queue as the key.
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

    /// The key that dead letters get in place of their own (`x-dead-letter-routing-key`), which
    /// they keep by default; where they go to a queue, its name is the key. Without
    /// [`dead_letter_to`](Self::dead_letter_to) it is refused.
    ///
    /// Declared again: the same key, or none both times.
    pub fn dead_letter_key(self, key: &str) -> Self {
        self.argument("x-dead-letter-routing-key", key)
    }

    /// A dead letter leaves the queue only when its targets have it
    /// (`x-dead-letter-strategy=at-least-once`). By default it leaves in any case
    /// (`at-most-once`). Only a [`quorum`](Self::quorum) queue can have this.
    ///
    /// Declared again: the same word, or none both times; an explicit `at-most-once` differs from
    /// none.
    pub fn dead_letter_at_least_once(self) -> Self {
        self.argument("x-dead-letter-strategy", "at-least-once")
    }

    /// How often a message may go back to the queue; at the next time it is a dead letter
    /// (`x-delivery-limit`). So it is handed out at most once more than that, and with 0 once. What
    /// goes back unseen from a mailbox does not count. By default
    /// [`BrokerBuilder::delivery_limit`](crate::BrokerBuilder::delivery_limit), which is no limit
    /// unless set.
    ///
    /// Declared again: the same number, of whatever width, or none both times; the default of the
    /// broker is not compared.
    pub fn delivery_limit(self, returns: u32) -> Self {
        self.argument("x-delivery-limit", i64::from(returns))
    }

    /// Messages that went back to the queue wait before they are tried again
    /// (`x-delayed-retry-type` and what belongs to it). By default they are tried at once. A second
    /// call replaces the first one whole.
    ///
    /// Declared again: the same arguments, see [`DelayedRetry`]; what was not given differs from
    /// its explicit default, and an integer from a float.
    pub fn delayed_retry(mut self, retry: DelayedRetry) -> Self {
        retry.write(&mut self.arguments);
        self
    }

    /// How long a consumer may keep a delivery unsettled (`x-consumer-timeout`): whole
    /// milliseconds, rounded up, of 1 ms to ten years. A consumer may
    /// [say otherwise](crate::ConsumerBuilder::consumer_timeout). By default
    /// [`BrokerBuilder::consumer_timeout`](crate::BrokerBuilder::consumer_timeout), which is for
    /// ever unless set.
    ///
    /// Declared again: the same number, of whatever width, or none both times; the default of the
    /// broker is not compared.
    pub fn consumer_timeout(self, limit: Duration) -> Self {
        self.argument("x-consumer-timeout", milliseconds(limit))
    }

    /// Measures how long messages are in the queue (`x-measure-latency`), which costs a look at the
    /// clock for each of them. By default it does not.
    ///
    /// Declared again: set both times or not at all; an explicit `false` differs from none.
    pub fn measure_latency(self) -> Self {
        self.argument("x-measure-latency", true)
    }

    /// One consumer at a time is active, the others stand by (`x-single-active-consumer`). By
    /// default all of them are.
    ///
    /// Declared again: set both times or not at all; an explicit `false` differs from none.
    pub fn single_active_consumer(self) -> Self {
        self.argument("x-single-active-consumer", true)
    }

    /// Makes it a quorum queue, as a client of `RabbitMQ` means it (`x-queue-type=quorum`): with
    /// the rules of those, and a single replica, this one. It must be
    /// [`durable`](Self::durable), and can be neither [`auto_delete`](Self::auto_delete) nor
    /// [`temporary`](Self::temporary), nor have [`max_priority`](Self::max_priority) or
    /// [`lazy`](Self::lazy). By default a queue is `classic`.
    ///
    /// Declared again: the same type, where none equals an explicit `classic`.
    pub fn quorum(self) -> Self {
        self.argument("x-queue-type", "quorum")
    }

    /// Keeps the bodies of messages that are stored out of memory until they are about to be handed
    /// out (`x-queue-mode=lazy`). What nothing stores stays in memory as ever.
    /// By default the mode is `default`. A [`quorum`](Self::quorum) queue has no mode.
    ///
    /// Declared again: the same word, or none both times; an explicit `default` differs from none.
    pub fn lazy(self) -> Self {
        self.argument("x-queue-mode", "lazy")
    }

    /// Any argument by its AMQP name. Those that nobody knows are kept, ignored and not compared.
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

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Broker, ErrorKind};

    fn builder() -> QueueBuilder {
        Broker::new().declare_queue("q")
    }

    #[track_caller]
    fn check(written: &QueueBuilder, argument: &str, value: impl Into<Value>) {
        assert_eq!(written.arguments, Table::from([(argument, value)]));
    }

    #[test]
    fn setters_write_arguments() {
        let half = Duration::from_micros(500);
        check(&builder().message_ttl(half), "x-message-ttl", 1_i64);
        check(&builder().expires_after(half), "x-expires", 1_i64);
        check(&builder().consumer_timeout(half), "x-consumer-timeout", 1_i64);
        check(&builder().max_length(u64::MAX), "x-max-length", i64::MAX);
        check(&builder().max_length_bytes(5), "x-max-length-bytes", 5_i64);
        check(&builder().overflow(Overflow::DropHead), "x-overflow", "drop-head");
        check(&builder().max_priority(255), "x-max-priority", 255);
        check(&builder().delivery_limit(u32::MAX), "x-delivery-limit", 4_294_967_295_i64);
        check(&builder().exact_expiry(), "x-exact-expiry", true);
        check(&builder().measure_latency(), "x-measure-latency", true);
        check(&builder().quorum(), "x-queue-type", "quorum");
        check(&builder().lazy(), "x-queue-mode", "lazy");
        check(&builder().dead_letter_at_least_once(), "x-dead-letter-strategy", "at-least-once");
    }

    #[test]
    fn a_second_retry_replaces_the_first() {
        let [short, long] = [1, 2].map(Duration::from_secs);
        let linear = DelayedRetry::linear(long);
        let twice =
            builder().delayed_retry(DelayedRetry::fixed(short).jitter(0.5)).delayed_retry(linear);
        let once = builder().delayed_retry(linear);
        assert_eq!(twice.arguments.sorted(), once.arguments.sorted());
    }

    #[test]
    fn what_a_type_of_queue_can_not_have_is_refused() -> Result<()> {
        builder().quorum().durable().dead_letter_at_least_once().delivery_limit(3).declare()?;
        for (refused, argument) in [
            (builder().quorum(), "non-durable"),
            (builder().quorum().durable().auto_delete(), "auto-delete"),
            (builder().quorum().durable().max_priority(5), "x-max-priority"),
            (builder().quorum().durable().lazy(), "x-queue-mode"),
            (builder().dead_letter_at_least_once(), "x-dead-letter-strategy"),
            (builder().consumer_timeout(Duration::ZERO), "x-consumer-timeout"),
            (builder().message_ttl(Duration::MAX), "x-message-ttl"),
            (builder().delayed_retry(DelayedRetry::linear(Duration::ZERO)), "x-delayed-retry-min"),
            (
                builder()
                    .delayed_retry(DelayedRetry::linear(Duration::from_secs(1)).multiplier(2.0)),
                "x-delayed-retry-multiplier",
            ),
        ] {
            let error = refused.declare().unwrap_err();
            let ErrorKind::InvalidArgument { argument: found, .. } = error.kind() else {
                panic!("{error}")
            };
            assert_eq!(found, argument);
        }
        Ok(())
    }

    #[test]
    fn an_explicit_default_differs_from_none() -> Result<()> {
        let broker = Broker::new();
        broker.declare_queue("q").declare()?;
        for (argument, default) in [
            ("x-overflow", Value::from("drop-head")),
            ("x-queue-mode", "default".into()),
            ("x-single-active-consumer", false.into()),
            ("x-exact-expiry", false.into()),
            ("x-measure-latency", false.into()),
            ("x-delayed-retry-type", "disabled".into()),
        ] {
            let again = broker.declare_queue("q").argument(argument, default).declare();
            assert!(again.unwrap_err().is_mismatch(), "{argument}");
        }
        broker.declare_queue("q").argument("x-queue-type", "classic").declare()?;
        Ok(())
    }
}
