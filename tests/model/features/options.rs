//! The queues: what is declared of them, and where their dead letters go.

use std::time::Duration;

use leveret::{Broker, DelayedRetry, Error, Overflow, Queue, QueueBuilder};

pub(crate) const NAMES: [&str; 4] = ["q0", "q1", "q2", "q3"];

/// Exchanges with bindings. The first three queues are bound to the fanout, two to the topic.
pub(crate) const FANOUT: &str = "fan";
pub(crate) const TOPIC: &str = "top";
const PATTERN: &str = "dead.#";

/// Six bytes say what a queue is declared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options(pub(crate) [u8; 6]);

/// Where something is published to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Default,
    Fanout,
    Topic,
}

/// Where dead letters go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grave {
    Queue(usize),
    Fanout,
    /// With a key that is bound.
    Topic,
    /// With the key that a message was published with.
    OwnKey(Place),
}

impl Place {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Default => "",
            Self::Fanout => FANOUT,
            Self::Topic => TOPIC,
        }
    }

    /// Whether a message with these keys gets to a queue that is there.
    pub(crate) fn leads_to(self, slot: usize, keys: &[&str]) -> bool {
        match self {
            Self::Default => keys.contains(&NAMES[slot]),
            Self::Fanout => is_bound_to_fanout(slot),
            Self::Topic => {
                is_bound_to_topic(slot) && keys.iter().any(|key| key.starts_with("dead."))
            }
        }
    }
}

impl Grave {
    /// Whether it leads to a queue that is there; `None` if that depends on the message.
    pub(crate) fn leads_to(self, slot: usize) -> Option<bool> {
        match self {
            Self::Queue(to) => Some(to == slot),
            Self::Fanout => Some(is_bound_to_fanout(slot)),
            Self::Topic => Some(is_bound_to_topic(slot)),
            Self::OwnKey(_) => None,
        }
    }
}

impl Options {
    pub(crate) fn is_quorum(self) -> bool {
        self.0[0] & 3 == 1
    }

    pub(crate) fn ttl(self) -> Option<Duration> {
        let milliseconds = match self.0[1] % 16 {
            0 => 0,
            1 => 1,
            2 | 3 => 20,
            4 => 150,
            _ => return None,
        };
        Some(Duration::from_millis(milliseconds))
    }

    pub(crate) fn grave(self) -> Option<Grave> {
        match self.0[3] / 16 {
            0 | 1 => Some(Grave::Fanout),
            2 => Some(Grave::Topic),
            3 => Some(Grave::OwnKey(Place::Default)),
            4 => Some(Grave::OwnKey(Place::Topic)),
            nth @ 5..12 => Some(Grave::Queue(usize::from(nth) % NAMES.len())),
            _ => None,
        }
    }

    fn overflow(self) -> Option<Overflow> {
        match self.0[3] % 4 {
            0 => None,
            1 => Some(Overflow::DropHead),
            2 => Some(Overflow::RejectPublish),
            // Quorum queues know only the others.
            _ if self.is_quorum() => Some(Overflow::RejectPublish),
            _ => Some(Overflow::RejectPublishDeadLetter),
        }
    }

    /// Whether what a bound keeps out becomes a dead letter.
    pub(crate) fn buries_refused(self) -> bool {
        self.grave().is_some() && self.overflow() == Some(Overflow::RejectPublishDeadLetter)
    }

    pub(crate) fn measures_latency(self) -> bool {
        self.0[0] & 16 > 0
    }

    /// Declares the queue of a slot and binds it.
    pub(crate) fn declare(self, broker: &Broker, slot: usize) -> Result<Queue, Error> {
        let mut builder = broker.declare_queue(NAMES[slot]).durable();
        builder = self.describe_type(builder);
        builder = self.describe_bounds(builder);
        builder = self.describe_grave(builder);
        let queue = self.describe_tries(builder).declare()?;
        if is_bound_to_fanout(slot) {
            broker.exchange(FANOUT)?.bind(&queue, "")?;
        }
        if is_bound_to_topic(slot) {
            broker.exchange(TOPIC)?.bind(&queue, PATTERN)?;
        }
        Ok(queue)
    }

    fn describe_type(self, mut builder: QueueBuilder) -> QueueBuilder {
        let flags = self.0[0];
        if self.is_quorum() {
            builder = builder.quorum();
        } else if self.0[3] & 4 > 0 {
            builder = builder.max_priority(self.0[3] & 8);
        }
        if flags & 4 > 0 && flags & 8 > 0 {
            builder = builder.single_active_consumer();
        }
        if self.measures_latency() {
            builder = builder.measure_latency();
        }
        if flags & 32 > 0 {
            builder = builder.exact_expiry();
        }
        if flags & 64 > 0 && !self.is_quorum() {
            builder = builder.lazy();
        }
        builder
    }

    fn describe_bounds(self, mut builder: QueueBuilder) -> QueueBuilder {
        if let Some(ttl) = self.ttl() {
            builder = builder.message_ttl(ttl);
        }
        if let idle @ 1..4 = self.0[1] / 16 {
            builder = builder.expires_after(Duration::from_millis(60) * u32::from(idle));
        }
        if let length @ 0..6 = self.0[2] % 16 {
            builder = builder.max_length(length.into());
        }
        if let length @ 0..4 = self.0[2] / 16 {
            builder = builder.max_length_bytes(u64::from(length) * 16);
        }
        match self.overflow() {
            Some(overflow) => builder.overflow(overflow),
            None => builder,
        }
    }

    fn describe_grave(self, builder: QueueBuilder) -> QueueBuilder {
        let to =
            |builder: QueueBuilder, name: &str| builder.argument("x-dead-letter-exchange", name);
        let builder = match self.grave() {
            None => return builder,
            Some(Grave::Queue(slot)) => to(builder, "").dead_letter_key(NAMES[slot]),
            Some(Grave::Fanout) => to(builder, FANOUT),
            Some(Grave::Topic) => to(builder, TOPIC).dead_letter_key("dead.letter"),
            Some(Grave::OwnKey(place)) => to(builder, place.name()),
        };
        let is_strict = self.is_quorum() && self.overflow() == Some(Overflow::RejectPublish);
        if is_strict && self.0[0] & 128 > 0 { builder.dead_letter_at_least_once() } else { builder }
    }

    fn describe_tries(self, mut builder: QueueBuilder) -> QueueBuilder {
        let (tries, times) = (self.0[4], self.0[5]);
        if tries & 3 > 1 {
            builder = builder.delivery_limit(u32::from(tries & 3) - 2);
        }
        if let timeout @ 1..5 = times % 16 {
            builder = builder.consumer_timeout(Duration::from_millis(25) * u32::from(timeout));
        }
        let first = Duration::from_millis(1 + u64::from(times / 16) * 4);
        let retry = match (tries >> 2) & 7 {
            0 => DelayedRetry::fixed(first),
            1 => DelayedRetry::linear(first).at_most(first * 2),
            2 => DelayedRetry::exponential(first).multiplier(3.0),
            3 => DelayedRetry::exponential(first).at_most(first * 3),
            _ => return builder,
        };
        let retry = if tries & 32 > 0 { retry.jitter(0.5) } else { retry };
        builder.delayed_retry(match tries >> 6 {
            0 => retry.only_failed(),
            1 => retry.only_returned(),
            _ => retry,
        })
    }
}

fn is_bound_to_fanout(slot: usize) -> bool {
    slot < 3
}

fn is_bound_to_topic(slot: usize) -> bool {
    slot == 1 || slot == 2
}
