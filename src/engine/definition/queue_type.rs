//! The types of queues, and which arguments each of them knows.

use crate::Table;

use super::{
    fault::{ArgumentFault, InvalidArgument},
    reader::string,
};

/// The argument that names the type of a queue.
pub(crate) const QUEUE_TYPE: &str = "x-queue-type";

/// How a queue keeps its messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum QueueType {
    /// Requeued messages return to their place; everything AMQP 0-9-1 knows is there.
    #[default]
    Classic,
    /// Always durable and shared; counts deliveries and can limit them.
    Quorum,
}

/// Arguments of classic queues, in the order in which a redeclaration compares them.
///
/// # AMQP
///
/// In `RabbitMQ` only quorum queues know `x-delivery-limit`; here every queue does. What follows it
/// is unknown to `RabbitMQ` 3.10, here and among the arguments of quorum queues.
const CLASSIC: &[&str] = &[
    "x-expires",
    "x-message-ttl",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-priority",
    "x-overflow",
    "x-queue-mode",
    "x-queue-version",
    "x-single-active-consumer",
    "x-queue-type",
    "x-queue-master-locator",
    "x-delivery-limit",
    "x-exact-expiry",
    "x-consumer-timeout",
    "x-delayed-retry-type",
    "x-delayed-retry-min",
    "x-delayed-retry-max",
    "x-delayed-retry-backoff",
    "x-delayed-retry-multiplier",
    "x-delayed-retry-jitter",
    "x-measure-latency",
];

/// Arguments of quorum queues, in the order in which a redeclaration compares them.
const QUORUM: &[&str] = &[
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-expires",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-in-memory-length",
    "x-max-in-memory-bytes",
    "x-overflow",
    "x-single-active-consumer",
    "x-queue-type",
    "x-quorum-initial-group-size",
    "x-delivery-limit",
    "x-message-ttl",
    "x-queue-leader-locator",
    "x-exact-expiry",
    "x-consumer-timeout",
    "x-delayed-retry-type",
    "x-delayed-retry-min",
    "x-delayed-retry-max",
    "x-delayed-retry-backoff",
    "x-delayed-retry-multiplier",
    "x-delayed-retry-jitter",
    "x-measure-latency",
];

/// Arguments which only streams know.
const STREAM: &[&str] = &["x-max-age", "x-stream-max-segment-size-bytes", "x-initial-cluster-size"];

impl QueueType {
    /// The value of `x-queue-type`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Quorum => "quorum",
        }
    }

    /// The name of the type in error texts.
    pub(crate) fn module(self) -> &'static str {
        match self {
            Self::Classic => "rabbit_classic_queue",
            Self::Quorum => "rabbit_quorum_queue",
        }
    }

    /// The arguments that this type knows, in the order in which a redeclaration compares them.
    pub(crate) fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Classic => CLASSIC,
            Self::Quorum => QUORUM,
        }
    }

    /// The type that the arguments of a queue name; classic if they name none.
    ///
    /// # AMQP
    ///
    /// Streams are refused with a text of our own, since there are none here.
    pub(crate) fn read(arguments: &Table) -> Result<Self, InvalidArgument> {
        let Some(value) = arguments.get(QUEUE_TYPE) else { return Ok(Self::default()) };
        let fault = match string(value) {
            Ok(b"classic") => return Ok(Self::Classic),
            Ok(b"quorum") => return Ok(Self::Quorum),
            Ok(b"stream") => ArgumentFault::StreamUnsupported,
            Ok(_) => ArgumentFault::UnsupportedQueueType,
            Err(fault) => fault,
        };
        Err(InvalidArgument::new(QUEUE_TYPE, value, fault))
    }

    /// Refuses the first argument that a queue of another type knows and one of this type does
    /// not; an argument that no type knows is ignored.
    pub(crate) fn refuse_foreign_arguments(self, arguments: &Table) -> Result<(), InvalidArgument> {
        self.refuse_foreign(arguments, self.arguments(), &[CLASSIC, QUORUM, STREAM])
    }

    /// Refuses the first argument that is not `known` to this type but to any type at all.
    pub(crate) fn refuse_foreign(
        self,
        arguments: &Table,
        known: &[&str],
        known_to_any: &[&[&str]],
    ) -> Result<(), InvalidArgument> {
        let is_foreign = |argument: &str| {
            !known.contains(&argument) && known_to_any.iter().any(|any| any.contains(&argument))
        };
        match arguments.iter().find(|(argument, _)| is_foreign(argument)) {
            Some((argument, value)) => {
                let fault = ArgumentFault::OtherQueueType(self);
                Err(InvalidArgument::new(argument, value, fault))
            }
            None => Ok(()),
        }
    }
}
