//! The arguments of a queue, checked and given their types.
//!
//! What is checked in which order follows `RabbitMQ` 3.10, since of several mistakes only the
//! first is reported; what that does not know comes last. Arguments which mean nothing here
//! (`x-queue-mode`, `x-queue-version`, where to place replicas, what to keep in memory) are checked
//! and not kept, except in the table of all arguments, by which redeclarations are compared.

use crate::{Name, Table, Value};

use super::{
    fault::{ArgumentFault, InvalidArgument},
    queue_type::QueueType,
    reader::{
        Reader, boolean, exchange_name, expiry_ms, integer, name, non_negative, positive,
        positive_expiry_ms, string,
    },
    retry::RetryPolicy,
};

/// What the arguments of a queue ask for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct QueueArguments {
    pub(crate) queue_type: QueueType,
    /// How long the queue lives without being used. Invariant: 1 ms to ten years.
    pub(crate) expires_ms: Option<u64>,
    /// How long a message lives in the queue. Invariant: at most ten years.
    pub(crate) message_ttl_ms: Option<u64>,
    /// Where messages go that die; the empty name means the default exchange.
    pub(crate) dead_letter_exchange: Option<Name>,
    /// Invariant: only set together with `dead_letter_exchange`.
    pub(crate) dead_letter_routing_key: Option<Name>,
    pub(crate) dead_letter_strategy: DeadLetterStrategy,
    /// How many ready messages the queue holds at most.
    pub(crate) length_max: Option<u64>,
    /// How many bytes the bodies of its ready messages come to at most.
    pub(crate) bytes_max: Option<u64>,
    /// The highest priority that counts; without it the queue has no priorities.
    pub(crate) priority_max: Option<u8>,
    pub(crate) overflow: Overflow,
    pub(crate) single_active_consumer: bool,
    /// How often a message may return before it dies.
    pub(crate) delivery_limit: Option<u64>,
    /// Whether messages expire on time wherever they are, and not only at the head.
    pub(crate) exact_expiry: bool,
    /// How long a consumer may keep a delivery unsettled, unless it says otherwise itself.
    /// Invariant: 1 ms to ten years.
    pub(crate) consumer_timeout_ms: Option<u64>,
    /// Which messages wait before they are tried again, and how long.
    pub(crate) retry: Option<RetryPolicy>,
    /// Whether the queue measures how long messages are in it.
    pub(crate) measures_latency: bool,
    pub(crate) mode: QueueMode,
}

/// Where bodies stay that are on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum QueueMode {
    /// In memory as well, as long as there is room.
    #[default]
    Default,
    /// On disk only, until they are about to be handed out.
    Lazy,
}

/// What becomes of a message for which a queue has no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// It goes in, and the oldest ones die for it.
    #[default]
    DropHead,
    /// It is refused.
    RejectPublish,
    /// It is refused, and a copy goes to the dead-letter exchange.
    RejectPublishDlx,
}

/// What dead-lettering promises if the targets can not take a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum DeadLetterStrategy {
    AtLeastOnce,
    #[default]
    AtMostOnce,
}

impl QueueArguments {
    /// Checks the arguments of a queue that does not exist yet.
    ///
    /// # Errors
    ///
    /// The first argument that is wrong: the dead-letter exchange, the queue type, then the values
    /// which this type knows, and last, in the order given, what only another type knows.
    pub(crate) fn parse(arguments: &Table) -> Result<Self, InvalidArgument> {
        let dead_letter_exchange = exchange_name(arguments, "x-dead-letter-exchange")?;
        let queue_type = QueueType::read(arguments)?;
        let reader = Reader::new(arguments, queue_type.arguments());
        let expires_ms = reader.read("x-expires", positive_expiry_ms)?;
        let message_ttl_ms = reader.read("x-message-ttl", expiry_ms)?;
        let dead_letter_routing_key = reader.read("x-dead-letter-routing-key", |value| {
            string(value)?;
            match dead_letter_exchange {
                Some(_) => name(value),
                None => Err(ArgumentFault::MissingDeadLetterExchange),
            }
        })?;
        let dead_letter_strategy = reader.read("x-dead-letter-strategy", dead_letter_strategy)?;
        let length_max = reader.read("x-max-length", non_negative)?;
        let bytes_max = reader.read("x-max-length-bytes", non_negative)?;
        reader.read("x-max-in-memory-length", non_negative)?;
        reader.read("x-max-in-memory-bytes", non_negative)?;
        let priority_max = reader.read("x-max-priority", priority)?;
        let overflow = reader.read("x-overflow", overflow)?;
        let mode = reader.read("x-queue-mode", queue_mode)?;
        reader.read("x-queue-version", check_queue_version)?;
        let single_active_consumer = reader.read("x-single-active-consumer", boolean)?;
        reader.read("x-quorum-initial-group-size", positive)?;
        reader.read("x-queue-leader-locator", check_leader_locator)?;
        let delivery_limit = reader.read("x-delivery-limit", |value| Ok(delivery_limit(value)))?;
        let exact_expiry = reader.read("x-exact-expiry", boolean)?;
        let consumer_timeout_ms = reader.read("x-consumer-timeout", positive_expiry_ms)?;
        let retry = RetryPolicy::read(&reader)?;
        let measures_latency = reader.read("x-measure-latency", boolean)?;
        queue_type.refuse_foreign_arguments(arguments)?;
        Ok(Self {
            queue_type,
            expires_ms,
            message_ttl_ms,
            dead_letter_exchange,
            dead_letter_routing_key,
            dead_letter_strategy: dead_letter_strategy.unwrap_or_default(),
            length_max,
            bytes_max,
            priority_max,
            overflow: overflow.unwrap_or_default(),
            single_active_consumer: single_active_consumer.unwrap_or_default(),
            delivery_limit: delivery_limit.flatten(),
            exact_expiry: exact_expiry.unwrap_or_default(),
            consumer_timeout_ms,
            retry,
            measures_latency: measures_latency.unwrap_or_default(),
            mode: mode.unwrap_or_default(),
        })
    }
}

fn dead_letter_strategy(value: &Value) -> Result<DeadLetterStrategy, ArgumentFault> {
    match string(value)? {
        b"at-least-once" => Ok(DeadLetterStrategy::AtLeastOnce),
        b"at-most-once" => Ok(DeadLetterStrategy::AtMostOnce),
        _ => Err(ArgumentFault::UnknownDeadLetterStrategy),
    }
}

/// Any value is accepted, as `RabbitMQ` does: less than zero limits like zero, a fraction like the
/// whole number below it, and what is no number does not limit at all.
#[expect(clippy::cast_possible_truncation, reason = "a limit beyond all counts is none")]
fn delivery_limit(value: &Value) -> Option<u64> {
    let limit = match value {
        Value::F32(number) => number.floor() as i64,
        Value::F64(number) => number.floor() as i64,
        value => integer(value).ok()?,
    };
    Some(u64::try_from(limit).unwrap_or_default())
}

fn overflow(value: &Value) -> Result<Overflow, ArgumentFault> {
    match string(value)? {
        b"drop-head" => Ok(Overflow::DropHead),
        b"reject-publish" => Ok(Overflow::RejectPublish),
        b"reject-publish-dlx" => Ok(Overflow::RejectPublishDlx),
        _ => Err(ArgumentFault::UnknownOverflow),
    }
}

fn priority(value: &Value) -> Result<u8, ArgumentFault> {
    u8::try_from(non_negative(value)?).map_err(|_| ArgumentFault::PriorityTooHigh)
}

fn check_leader_locator(value: &Value) -> Result<(), ArgumentFault> {
    match string(value)? {
        b"balanced" | b"client-local" | b"least-leaders" | b"random" => Ok(()),
        _ => Err(ArgumentFault::UnknownLeaderLocator),
    }
}

fn queue_mode(value: &Value) -> Result<QueueMode, ArgumentFault> {
    match string(value)? {
        b"default" => Ok(QueueMode::Default),
        b"lazy" => Ok(QueueMode::Lazy),
        _ => Err(ArgumentFault::UnsupportedQueueMode),
    }
}

fn check_queue_version(value: &Value) -> Result<(), ArgumentFault> {
    match non_negative(value)? {
        1 | 2 => Ok(()),
        _ => Err(ArgumentFault::UnsupportedQueueVersion),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const QUEUE: &str = "queue 'q' in vhost '/'";

    /// Checks the text after `invalid arg '<argument>' for queue 'q' in vhost '/'`.
    #[track_caller]
    fn check_refused<V: Into<Value>, const N: usize>(entries: [(&str, V); N], text: &str) {
        let fault = QueueArguments::parse(&Table::from(entries)).unwrap_err();
        let start = format!("invalid arg '{}' for {QUEUE}", fault.argument);
        assert_eq!(fault.text(QUEUE), start + text);
    }

    #[track_caller]
    fn parse<V: Into<Value>, const N: usize>(entries: [(&str, V); N]) -> QueueArguments {
        QueueArguments::parse(&Table::from(entries)).expect("valid arguments")
    }

    fn quorum(argument: &str, value: impl Into<Value>) -> [(&str, Value); 2] {
        [("x-queue-type", "quorum".into()), (argument, value.into())]
    }

    #[test]
    fn no_arguments_ask_for_a_plain_classic_queue() {
        let plain = QueueArguments::parse(&Table::new()).unwrap();
        assert_eq!(plain, QueueArguments::default());
        assert_eq!(plain.queue_type, QueueType::Classic);
        assert_eq!(plain.overflow, Overflow::DropHead);
    }

    #[test]
    fn every_argument_of_a_classic_queue_gets_its_type() {
        let parsed = parse::<Value, 12>([
            ("x-expires", 1.into()),
            ("x-message-ttl", 0.into()),
            ("x-dead-letter-exchange", "dead".into()),
            ("x-dead-letter-routing-key", "key".into()),
            ("x-max-length", 0_u8.into()),
            ("x-max-length-bytes", 5_i64.into()),
            ("x-max-priority", 255.into()),
            ("x-overflow", "reject-publish-dlx".into()),
            ("x-queue-mode", "lazy".into()),
            ("x-queue-version", 2.into()),
            ("x-single-active-consumer", true.into()),
            ("x-queue-type", "classic".into()),
        ]);
        let expected = QueueArguments {
            queue_type: QueueType::Classic,
            expires_ms: Some(1),
            message_ttl_ms: Some(0),
            dead_letter_exchange: Some("dead".into()),
            dead_letter_routing_key: Some("key".into()),
            dead_letter_strategy: DeadLetterStrategy::AtMostOnce,
            length_max: Some(0),
            bytes_max: Some(5),
            priority_max: Some(255),
            overflow: Overflow::RejectPublishDlx,
            single_active_consumer: true,
            mode: QueueMode::Lazy,
            ..QueueArguments::default()
        };
        assert_eq!(parsed, expected);
    }

    #[test]
    fn every_argument_of_a_quorum_queue_gets_its_type() {
        let parsed = parse(quorum("x-delivery-limit", 3));
        assert_eq!((parsed.queue_type, parsed.delivery_limit), (QueueType::Quorum, Some(3)));
        let parsed = parse(quorum("x-dead-letter-strategy", "at-least-once"));
        assert_eq!(parsed.dead_letter_strategy, DeadLetterStrategy::AtLeastOnce);
        for (argument, value) in [
            ("x-max-in-memory-length", Value::from(5)),
            ("x-max-in-memory-bytes", Value::from(0)),
            ("x-quorum-initial-group-size", Value::from(3)),
            ("x-queue-leader-locator", Value::from("client-local")),
        ] {
            parse(quorum(argument, value));
        }
    }

    #[test]
    fn every_type_of_queue_knows_what_rabbitmq_does_not() {
        for queue_type in ["classic", "quorum"] {
            let parsed = parse::<Value, 4>([
                ("x-queue-type", queue_type.into()),
                ("x-exact-expiry", true.into()),
                ("x-consumer-timeout", 1_u8.into()),
                ("x-measure-latency", true.into()),
            ]);
            let expected = QueueArguments {
                queue_type: parsed.queue_type,
                exact_expiry: true,
                consumer_timeout_ms: Some(1),
                measures_latency: true,
                ..QueueArguments::default()
            };
            assert_eq!(parsed, expected);
        }
        let parsed = parse([("x-exact-expiry", false), ("x-measure-latency", false)]);
        assert_eq!(parsed, QueueArguments::default());
        check_refused([("x-exact-expiry", 1)], ": {unacceptable_type,signedint}");
        check_refused([("x-measure-latency", "true")], ": {unacceptable_type,longstr}");
        check_refused([("x-consumer-timeout", 0)], ": {value_zero,0}");
    }

    #[test]
    fn times_are_bounded_by_ten_years() {
        let longest = 315_360_000_000_i64;
        assert_eq!(parse([("x-message-ttl", longest)]).message_ttl_ms, Some(315_360_000_000));
        assert_eq!(parse([("x-expires", longest)]).expires_ms, Some(315_360_000_000));
        let timeout = parse([("x-consumer-timeout", longest)]).consumer_timeout_ms;
        assert_eq!(timeout, Some(315_360_000_000));
        check_refused([("x-message-ttl", longest + 1)], ": {value_too_large,315360000001}");
        check_refused([("x-expires", longest + 1)], ": {value_too_large,315360000001}");
        check_refused([("x-consumer-timeout", longest + 1)], ": {value_too_large,315360000001}");
    }

    #[test]
    fn a_queue_can_not_expire_at_once() {
        check_refused([("x-expires", 0)], ": {value_zero,0}");
        check_refused([("x-expires", -1)], ": {value_negative,-1}");
    }

    #[test]
    fn only_integers_are_numbers() {
        let others = [
            (Value::from("10"), "longstr"),
            (Value::from(1.5), "double"),
            (Value::from(true), "bool"),
            (Value::Timestamp(5), "timestamp"),
            (Value::Decimal { scale: 0, value: 5 }, "decimal"),
            (Value::Void, "void"),
        ];
        for argument in [
            "x-expires",
            "x-message-ttl",
            "x-max-length",
            "x-max-length-bytes",
            "x-max-priority",
            "x-consumer-timeout",
        ] {
            for (value, type_name) in &others {
                let text = format!(": \"expected integer, got {type_name}\"");
                check_refused([(argument, value.clone())], &text);
            }
            check_refused([(argument, -1)], ": {value_negative,-1}");
        }
    }

    #[test]
    fn priorities_end_at_255() {
        check_refused([("x-max-priority", 256)], ": {max_value_exceeded,256}");
    }

    #[test]
    fn words_are_checked() {
        check_refused([("x-overflow", "drop")], ": invalid_overflow");
        check_refused([("x-overflow", 1)], ": {unacceptable_type,signedint}");
        check_refused([("x-queue-mode", "eager")], ": \"unsupported queue mode 'eager'\"");
        check_refused([("x-queue-version", 3)], ": \"unsupported queue version '3'\"");
        check_refused([("x-queue-version", 0)], ": \"unsupported queue version '0'\"");
        check_refused([("x-single-active-consumer", "true")], ": {unacceptable_type,longstr}");
        check_refused(quorum("x-dead-letter-strategy", "bogus"), ": invalid_dlx_strategy");
        check_refused(quorum("x-queue-leader-locator", "x"), ": invalid_queue_locator_arg");
        check_refused(quorum("x-quorum-initial-group-size", 0), ": {value_zero,0}");
    }

    #[test]
    fn queue_types_are_checked_first() {
        let unsupported = ": \"unsupported queue type 'bogus'\"";
        check_refused::<Value, 2>(
            [("x-expires", 0.into()), ("x-queue-type", "bogus".into())],
            unsupported,
        );
        check_refused([("x-queue-type", 1)], ": {unacceptable_type,signedint}");
        check_refused([("x-queue-type", "stream")], ": \"queue type 'stream' is not supported\"");
    }

    #[test]
    fn dead_letter_exchanges_are_checked_before_queue_types() {
        let table = Table::from([("x-queue-type", 1), ("x-dead-letter-exchange", 1)]);
        assert_eq!(
            QueueArguments::parse(&table).unwrap_err().text(QUEUE),
            "invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue 'q' in vhost '/'"
        );
    }

    #[test]
    fn a_dead_letter_routing_key_needs_an_exchange() {
        check_refused([("x-dead-letter-routing-key", "k")], ": routing_key_but_no_dlx_defined");
        check_refused([("x-dead-letter-routing-key", 5)], ": {unacceptable_type,signedint}");
        let parsed = parse([("x-dead-letter-routing-key", "k"), ("x-dead-letter-exchange", "")]);
        assert_eq!(parsed.dead_letter_exchange, Some(Name::from("")));
        assert_eq!(parsed.dead_letter_routing_key, Some(Name::from("k")));
    }

    #[test]
    fn names_that_are_not_utf8_are_refused() {
        let raw = Value::Str(Bytes::from_static(&[0xff]));
        check_refused([("x-dead-letter-exchange", raw.clone())], ": \"expected UTF-8\"");
        check_refused(
            [("x-dead-letter-exchange", Value::from("x")), ("x-dead-letter-routing-key", raw)],
            ": \"expected UTF-8\"",
        );
    }

    #[test]
    fn arguments_of_other_queue_types_are_refused_after_all_values() {
        let classic = " of queue type rabbit_classic_queue";
        check_refused([("x-quorum-initial-group-size", 3)], classic);
        check_refused([("x-max-age", "1D")], classic);
        let of_quorum = " of queue type rabbit_quorum_queue";
        check_refused(quorum("x-max-priority", 5), of_quorum);
        check_refused(quorum("x-queue-mode", "lazy"), of_quorum);
        check_refused(quorum("x-queue-mode", "no such mode"), of_quorum);
        check_refused([("x-dead-letter-strategy", "no such strategy")], classic);
        check_refused(quorum("x-queue-master-locator", "random"), of_quorum);
        check_refused(
            [("x-quorum-initial-group-size", 3), ("x-max-length", -1)],
            ": {value_negative,-1}",
        );
    }

    #[test]
    fn unknown_arguments_are_ignored() {
        let table = Table::from([("x-ha-policy", "all"), ("X-Expires", "0")]);
        assert_eq!(QueueArguments::parse(&table), Ok(QueueArguments::default()));
    }

    #[test]
    fn a_delivery_limit_is_never_refused() {
        assert_eq!(parse(quorum("x-delivery-limit", -1)).delivery_limit, Some(0));
        assert_eq!(parse(quorum("x-delivery-limit", "many")).delivery_limit, None);
        assert_eq!(parse([("x-delivery-limit", 3)]).delivery_limit, Some(3), "also classic ones");
    }
}
