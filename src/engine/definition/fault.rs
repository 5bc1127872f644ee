//! What is wrong with an argument.

use crate::{Name, Value};

use super::{mismatch::Text, queue_type::QueueType};

/// An argument of a declaration or of a consumer that can not be accepted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InvalidArgument {
    pub(crate) argument: Name,
    pub(crate) value: Value,
    pub(crate) fault: ArgumentFault,
}

/// Why an argument can not be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ArgumentFault {
    /// A share of delays that is not between none and all of them.
    JitterOutOfRange,
    /// A dead-letter routing key was given without a dead-letter exchange.
    MissingDeadLetterExchange,
    /// Messages are to wait before they are tried again, and nothing says how long.
    MissingRetryMin,
    /// A detail of retries that nothing asks for.
    MissingRetryType,
    /// Below 1, when delays would shrink, or above 1000.
    MultiplierOutOfRange,
    /// A multiplier of delays that do not grow by multiplication.
    MultiplierWithoutExponential,
    /// Less than zero.
    Negative,
    /// Not an integer of any width.
    NotInteger,
    /// A name that is no string.
    NotName,
    /// Neither an integer nor a float of any width.
    NotNumber,
    /// A string which is not UTF-8 where a name or key is asked for. `RabbitMQ` takes any bytes.
    NotUtf8,
    /// Queues of this type do not know the argument.
    OtherQueueType(QueueType),
    /// Above the highest priority, 255.
    PriorityTooHigh,
    /// The longest delay is shorter than the least.
    RetryMaxBelowMin,
    /// Streams are none of the queues offered here. `RabbitMQ` has them.
    StreamUnsupported,
    /// Above the longest time, ten years.
    TooLarge,
    /// A type other than the one the argument is of.
    UnacceptableType,
    UnknownDeadLetterStrategy,
    UnknownLeaderLocator,
    UnknownOverflow,
    UnknownRetryBackoff,
    UnknownRetryType,
    UnsupportedQueueMode,
    UnsupportedQueueType,
    UnsupportedQueueVersion,
    /// Zero where something is needed.
    Zero,
}

impl InvalidArgument {
    pub(crate) fn new(argument: impl Into<Name>, value: &Value, fault: ArgumentFault) -> Self {
        Self { argument: argument.into(), value: value.clone(), fault }
    }

    /// The text that follows `PRECONDITION_FAILED - `; `entity` names the entity and its vhost.
    pub(crate) fn text(&self, entity: &str) -> String {
        let Self { argument, value, fault } = self;
        let (term, text, type_name) = (value.term(), Text(value), value.type_name());
        let reason = match fault {
            ArgumentFault::NotName => {
                return format!("invalid type '{type_name}' for arg '{argument}' in {entity}");
            }
            ArgumentFault::OtherQueueType(queue_type) => {
                let queue_type = queue_type.module();
                return format!("invalid arg '{argument}' for {entity} of queue type {queue_type}");
            }
            ArgumentFault::JitterOutOfRange => format!("\"{term} is not within 0 and 1\""),
            ArgumentFault::MissingDeadLetterExchange => "routing_key_but_no_dlx_defined".to_owned(),
            ArgumentFault::MissingRetryMin => {
                format!("\"delayed retry type '{text}' needs x-delayed-retry-min\"")
            }
            ArgumentFault::MissingRetryType => {
                "\"needs an x-delayed-retry-type that is not 'disabled'\"".to_owned()
            }
            ArgumentFault::MultiplierOutOfRange => {
                format!("\"{term} is not within 1 and 1000\"")
            }
            ArgumentFault::MultiplierWithoutExponential => {
                "\"needs x-delayed-retry-backoff 'exponential'\"".to_owned()
            }
            ArgumentFault::Negative => format!("{{value_negative,{term}}}"),
            ArgumentFault::NotInteger => format!("\"expected integer, got {type_name}\""),
            ArgumentFault::NotNumber => format!("\"expected number, got {type_name}\""),
            ArgumentFault::NotUtf8 => "\"expected UTF-8\"".to_owned(),
            ArgumentFault::PriorityTooHigh => format!("{{max_value_exceeded,{term}}}"),
            ArgumentFault::RetryMaxBelowMin => {
                format!("\"{term} is less than x-delayed-retry-min\"")
            }
            ArgumentFault::StreamUnsupported => {
                "\"queue type 'stream' is not supported\"".to_owned()
            }
            ArgumentFault::TooLarge => format!("{{value_too_large,{term}}}"),
            ArgumentFault::UnacceptableType => format!("{{unacceptable_type,{type_name}}}"),
            ArgumentFault::UnknownDeadLetterStrategy => "invalid_dlx_strategy".to_owned(),
            ArgumentFault::UnknownLeaderLocator => "invalid_queue_locator_arg".to_owned(),
            ArgumentFault::UnknownOverflow => "invalid_overflow".to_owned(),
            ArgumentFault::UnknownRetryBackoff => {
                format!("\"unknown delayed retry backoff '{text}'\"")
            }
            ArgumentFault::UnknownRetryType => format!("\"unknown delayed retry type '{text}'\""),
            ArgumentFault::UnsupportedQueueMode => format!("\"unsupported queue mode '{text}'\""),
            ArgumentFault::UnsupportedQueueType => format!("\"unsupported queue type '{text}'\""),
            ArgumentFault::UnsupportedQueueVersion => {
                format!("\"unsupported queue version '{text}'\"")
            }
            ArgumentFault::Zero => format!("{{value_zero,{term}}}"),
        };
        format!("invalid arg '{argument}' for {entity}: {reason}")
    }
}
