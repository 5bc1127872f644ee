//! The arguments of a consumer.

use std::time::Duration;

use crate::{Table, Value};

use super::{
    fault::{ArgumentFault, InvalidArgument},
    queue_type::QueueType,
    reader::{Reader, boolean, integer, positive_expiry_ms},
};

const CLASSIC: &[&str] =
    &["x-cancel-on-ha-failover", "x-priority", "x-credit", "x-consumer-timeout"];
const QUORUM: &[&str] = &["x-priority", "x-credit", "x-consumer-timeout"];
const STREAM: &[&str] = &["x-stream-offset", "x-credit"];

/// What the arguments of a consumer ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConsumerArguments {
    /// Consumers of higher priority are served first. Values beyond the range count as its ends.
    pub(crate) priority: i32,
    /// How long the consumer may keep a delivery unsettled; `None` leaves it to the queue.
    /// Invariant: 1 ms to ten years.
    pub(crate) timeout_ms: Option<u64>,
}

impl ConsumerArguments {
    /// How long a delivery may be unsettled, if the consumer says so.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.timeout_ms.map(Duration::from_millis)
    }

    /// Checks the arguments of a consumer on a queue of this type.
    ///
    /// `x-cancel-on-ha-failover` is checked and means nothing, since there are no replicas to
    /// fail over to; `x-credit` belongs to AMQP 1.0. `RabbitMQ` 3.10 ignores `x-consumer-timeout`.
    ///
    /// # Errors
    ///
    /// The first argument that is wrong: the values which the type of queue knows, and then, in
    /// the order given, what only consumers of another type know.
    pub(crate) fn parse(queue_type: QueueType, arguments: &Table) -> Result<Self, InvalidArgument> {
        let known = match queue_type {
            QueueType::Classic => CLASSIC,
            QueueType::Quorum => QUORUM,
        };
        let reader = Reader::new(arguments, known);
        let priority = reader.read("x-priority", priority)?;
        reader.read("x-cancel-on-ha-failover", boolean)?;
        let timeout_ms = reader.read("x-consumer-timeout", positive_expiry_ms)?;
        queue_type.refuse_foreign(arguments, known, &[CLASSIC, QUORUM, STREAM])?;
        Ok(Self { priority: priority.unwrap_or_default(), timeout_ms })
    }
}

fn priority(value: &Value) -> Result<i32, ArgumentFault> {
    let wide = integer(value)?;
    let nearest = if wide < 0 { i32::MIN } else { i32::MAX };
    Ok(i32::try_from(wide).unwrap_or(nearest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: &str = "queue 'q' in vhost '/'";

    fn parse(
        queue_type: QueueType,
        argument: &str,
        value: impl Into<Value>,
    ) -> Result<i32, String> {
        match ConsumerArguments::parse(queue_type, &Table::from([(argument, value)])) {
            Ok(arguments) => Ok(arguments.priority),
            Err(fault) => Err(fault.text(QUEUE)),
        }
    }

    /// What `parse` gives for an argument that is refused for this reason.
    fn refused(argument: &str, reason: &str) -> Result<i32, String> {
        Err(format!("invalid arg '{argument}' for {QUEUE}{reason}"))
    }

    #[test]
    fn priorities_are_integers_of_any_width() {
        assert_eq!(
            ConsumerArguments::parse(QueueType::Classic, &Table::new()).unwrap().priority,
            0
        );
        for queue_type in [QueueType::Classic, QueueType::Quorum] {
            assert_eq!(parse(queue_type, "x-priority", 10), Ok(10));
            assert_eq!(parse(queue_type, "x-priority", -10_i64), Ok(-10));
        }
    }

    #[test]
    fn priorities_out_of_range_keep_their_side() {
        assert_eq!(parse(QueueType::Classic, "x-priority", i64::MAX), Ok(i32::MAX));
        assert_eq!(parse(QueueType::Classic, "x-priority", i64::MIN), Ok(i32::MIN));
    }

    #[test]
    fn a_priority_that_is_no_integer_is_refused() {
        let text = refused("x-priority", ": \"expected integer, got longstr\"");
        assert_eq!(parse(QueueType::Classic, "x-priority", "5"), text);
    }

    #[test]
    fn timeouts_are_milliseconds_up_to_ten_years() {
        let longest = 315_360_000_000;
        let argument = "x-consumer-timeout";
        for queue_type in [QueueType::Classic, QueueType::Quorum] {
            let timeout_ms = |value: Value| {
                let parsed =
                    ConsumerArguments::parse(queue_type, &Table::from([(argument, value)]));
                parsed.expect("valid arguments").timeout_ms
            };
            assert_eq!(timeout_ms(Value::U8(1)), Some(1));
            assert_eq!(timeout_ms(Value::I64(longest)), Some(315_360_000_000));
            for (value, reason) in [
                (Value::from(0), ": {value_zero,0}"),
                (Value::from(-1), ": {value_negative,-1}"),
                (Value::from(longest + 1), ": {value_too_large,315360000001}"),
                (Value::from(1.5), ": \"expected integer, got double\""),
            ] {
                assert_eq!(parse(queue_type, argument, value), refused(argument, reason));
            }
        }
        let silent = ConsumerArguments::parse(QueueType::Classic, &Table::new());
        assert_eq!(silent.expect("valid arguments").timeout_ms, None);
    }

    #[test]
    fn failover_is_known_to_classic_queues_only() {
        let argument = "x-cancel-on-ha-failover";
        assert_eq!(parse(QueueType::Classic, argument, true), Ok(0));
        let text = refused(argument, ": {unacceptable_type,signedint}");
        assert_eq!(parse(QueueType::Classic, argument, 1), text);
        let text = refused(argument, " of queue type rabbit_quorum_queue");
        assert_eq!(parse(QueueType::Quorum, argument, true), text);
    }

    #[test]
    fn stream_offsets_are_refused_and_unknown_arguments_are_not() {
        let text = refused("x-stream-offset", " of queue type rabbit_classic_queue");
        assert_eq!(parse(QueueType::Classic, "x-stream-offset", "first"), text);
        assert_eq!(parse(QueueType::Classic, "x-credit", Table::new()), Ok(0));
        assert_eq!(parse(QueueType::Classic, "x-anything", "first"), Ok(0));
    }
}
