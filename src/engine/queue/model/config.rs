//! How a queue is declared: any bytes say it.

use std::time::Duration;

use crate::{
    Table, Value,
    engine::definition::{QueueDeclaration, QueueDefaults, QueueDefinition},
};

/// So many bytes describe a queue.
pub(crate) const CONFIG_BYTES: usize = 8;

/// What a queue is asked to do.
#[expect(clippy::struct_excessive_bools, reason = "options of a declaration are set or not")]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Config {
    pub(super) auto_delete: bool,
    pub(super) single_active: bool,
    pub(super) is_quorum: bool,
    pub(super) expires: Option<Duration>,
    /// Whether messages bring expirations, deliveries delays and consumers timeouts of their own.
    pub(super) has_lapses: bool,
    pub(super) ttl: Option<Duration>,
    pub(super) exact_expiry: bool,
    pub(super) has_dead_letters: bool,
    pub(super) length_max: Option<u64>,
    pub(super) bytes_max: Option<u64>,
    pub(super) overflow: Full,
    pub(super) priority_max: Option<u8>,
    pub(super) delivery_limit: Option<u64>,
    pub(super) retry: Option<Retry>,
    pub(super) timeout: Option<Duration>,
    /// Whether the broker says the delivery limit and the timeout, rather than the queue.
    pub(super) has_defaults: bool,
    pub(super) measures_latency: bool,
    /// Whether a store is told of its messages.
    pub(super) is_stored: bool,
}

/// What happens at a bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Full {
    #[default]
    DropHead,
    Reject,
    RejectDeadLetter,
}

/// Which returned messages wait, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Retry {
    pub(super) of_failed: bool,
    pub(super) of_returned: bool,
    pub(super) growth: Growth,
    pub(super) min_ms: u64,
    pub(super) max_ms: Option<u64>,
    pub(super) has_jitter: bool,
}

/// How delays grow from one return to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    Even,
    ByTheFirst,
    Threefold,
}

impl Config {
    /// A quarter of all queues is plain whatever happens to them, another quarter until something
    /// comes that depends on time; each option of the others is seldom alone.
    pub(super) fn decode(bytes: [u8; CONFIG_BYTES]) -> Self {
        let [kind, time, length, size, shape, returns, retry, other] = bytes;
        let plain = Self {
            auto_delete: kind & 1 > 0,
            single_active: kind & 0b110 == 0b110,
            expires: (kind & 0b1000_1000 == 0b1000_1000).then_some(Duration::from_millis(100)),
            has_lapses: kind & 0b11_0000 > 0,
            is_stored: kind & 0b100_0000 > 0,
            ..Self::default()
        };
        if kind & 0b10_0000 == 0 {
            return plain;
        }
        let is_quorum = shape.is_multiple_of(4);
        let one_of = |from: &[u64], number: u8| {
            // Less than half of the numbers say something.
            from.get(usize::from(number % 16)).copied()
        };
        Self {
            auto_delete: plain.auto_delete && !is_quorum,
            is_quorum,
            ttl: one_of(&[0, 5, 20, 20, 60, 60, 150], time).map(Duration::from_millis),
            exact_expiry: time & 0b11_0000 == 0,
            has_dead_letters: time & 0b100_0000 > 0,
            length_max: one_of(&[0, 1, 2, 3, 5, 9], length),
            bytes_max: one_of(&[0, 30, 100, 250, 400], size),
            overflow: match length / 16 % 4 {
                0 => Full::Reject,
                1 => Full::RejectDeadLetter,
                _ => Full::DropHead,
            },
            priority_max: one_of(&[0, 1, 2, 5, 5, 9], shape / 4)
                .filter(|_| !is_quorum)
                .and_then(|most| u8::try_from(most).ok()),
            delivery_limit: one_of(&[0, 1, 2, 2, 3], returns),
            retry: (retry & 1 > 0).then(|| Retry::decode(retry)),
            timeout: one_of(&[10, 30, 30, 80], other).map(Duration::from_millis),
            has_defaults: returns & 0x10 > 0,
            measures_latency: other & 0x30 == 0,
            ..plain
        }
    }

    pub(super) fn definition(&self) -> QueueDefinition {
        let declaration = QueueDeclaration {
            durable: self.is_quorum,
            auto_delete: self.auto_delete,
            owner: None,
            arguments: self.arguments(),
        };
        QueueDefinition::new(declaration).expect("its arguments are valid")
    }

    pub(super) fn defaults(&self) -> QueueDefaults {
        if !self.has_defaults {
            return QueueDefaults::default();
        }
        QueueDefaults { delivery_limit: self.delivery_limit, consumer_timeout: self.timeout }
    }

    fn arguments(&self) -> Table {
        let mut arguments = Table::new();
        let mut say = |name: &'static str, value: Value| {
            arguments.insert(name, value);
        };
        let mut say_whether = |name, is_so: bool| {
            if is_so {
                say(name, Value::Bool(true));
            }
        };
        say_whether("x-single-active-consumer", self.single_active);
        say_whether("x-exact-expiry", self.exact_expiry);
        say_whether("x-measure-latency", self.measures_latency);
        let ms =
            |time: Option<Duration>| time.map(|time| time.as_millis().try_into().expect("few"));
        let of_queue = |number: Option<u64>| number.filter(|_| !self.has_defaults);
        let numbers = [
            ("x-expires", ms(self.expires)),
            ("x-message-ttl", ms(self.ttl)),
            ("x-max-length", self.length_max),
            ("x-max-length-bytes", self.bytes_max),
            ("x-max-priority", self.priority_max.map(u64::from)),
            ("x-delivery-limit", of_queue(self.delivery_limit)),
            ("x-consumer-timeout", of_queue(ms(self.timeout))),
        ];
        for (name, number) in numbers {
            if let Some(number) = number {
                say(name, Value::I64(number.try_into().expect("small")));
            }
        }
        if self.is_quorum {
            say("x-queue-type", "quorum".into());
        }
        if self.has_dead_letters {
            say("x-dead-letter-exchange", "graves".into());
        }
        match self.overflow {
            Full::DropHead => {}
            Full::Reject => say("x-overflow", "reject-publish".into()),
            Full::RejectDeadLetter => say("x-overflow", "reject-publish-dlx".into()),
        }
        if let Some(retry) = &self.retry {
            retry.say(say);
        }
        arguments
    }
}

impl Retry {
    fn decode(bits: u8) -> Self {
        let which = bits / 2 % 4;
        Self {
            of_failed: which != 1,
            of_returned: which != 2,
            growth: [Growth::Even, Growth::ByTheFirst, Growth::ByTheFirst, Growth::Threefold]
                [usize::from(bits / 8 % 4)],
            min_ms: 10,
            max_ms: (bits & 0b0010_0000 > 0).then_some(25),
            has_jitter: bits & 0b1100_0000 == 0,
        }
    }

    fn say(&self, mut say: impl FnMut(&'static str, Value)) {
        let which = match (self.of_failed, self.of_returned) {
            (true, true) => "all",
            (true, false) => "failed",
            (false, _) => "returned",
        };
        say("x-delayed-retry-type", which.into());
        let whole = |ms: u64| Value::I64(ms.try_into().expect("small"));
        say("x-delayed-retry-min", whole(self.min_ms));
        if let Some(max_ms) = self.max_ms {
            say("x-delayed-retry-max", whole(max_ms));
        }
        match self.growth {
            Growth::Even => say("x-delayed-retry-backoff", "fixed".into()),
            Growth::ByTheFirst => {}
            Growth::Threefold => {
                say("x-delayed-retry-backoff", "exponential".into());
                say("x-delayed-retry-multiplier", Value::I64(3));
            }
        }
        if self.has_jitter {
            say("x-delayed-retry-jitter", Value::F64(0.5));
        }
    }
}
