//! Finding where a message of a topic exchange goes.
//!
//! What is measured of leveret is a whole publish: a message is made and checked, its key is
//! routed, nothing is found to deliver to, and the message is dropped. Rivals match a key and do
//! nothing else. So that routing is all that a publish has to do,
//!
//! - either all patterns lead to an exchange without bindings, which is one more exchange to visit;
//! - or, where each pattern shall have a target of its own, to queues of a broker that has no room
//!   for any message: it routes first, and then hands the message back.
//!
//! What a publish costs without the matching, [`unmatched`] says.

use std::{hint::black_box, time::Duration};

use leveret::{Broker, Exchange, Limits, Message};
use mqtt_topic_engine::{CacheStrategy, QoS, TopicPath, TopicPatternPath, TopicRouter};

use super::{
    linear::LinearTopics,
    stopwatch::worked,
    way::{KEY, consumer, finish, message},
};

/// All patterns lead to one exchange, and that leads nowhere.
pub(crate) fn leveret(
    patterns: &[String],
    keys: Vec<String>,
) -> impl FnMut(u64) -> Duration + use<> {
    let broker = Broker::new();
    let exchange = broker.declare_exchange("events").topic().declare().expect("a new name");
    let nowhere = broker.declare_exchange("nowhere").fanout().declare().expect("a new name");
    for pattern in patterns {
        exchange.bind(&nowhere, pattern).expect("both are there");
    }
    in_turn(keys, move |key| publish(&exchange, key))
}

/// Each pattern leads to a queue of its own, for which there is no room.
pub(crate) fn refused(
    patterns: &[String],
    keys: Vec<String>,
) -> impl FnMut(u64) -> Duration + use<> {
    let mut limits = Limits::default();
    limits.memory_bytes = 0;
    let broker = Broker::builder().limits(limits).open().expect("the limits are valid");
    let exchange = broker.declare_exchange("events").topic().declare().expect("a new name");
    for pattern in patterns {
        let queue = broker.declare_queue("").declare().expect("the broker is open");
        exchange.bind(&queue, pattern).expect("both are there");
    }
    in_turn(keys, move |key| {
        let refused = exchange.publish(key, Message::new(""));
        drop(black_box(refused.expect_err("there is no room")));
    })
}

/// One key again and again, which the thread remembers: published by a topic exchange with these
/// patterns and one more, received and acked.
pub(crate) fn hot(patterns: &[String]) -> impl FnMut(u64) -> Duration + use<> {
    let broker = Broker::new();
    let exchange = broker.declare_exchange("events").topic().declare().expect("a new name");
    let nowhere = broker.declare_exchange("nowhere").fanout().declare().expect("a new name");
    for pattern in patterns {
        exchange.bind(&nowhere, pattern).expect("both are there");
    }
    let queue = broker.declare_queue("billing").declare().expect("a new name");
    exchange.bind(&queue, KEY).expect("both are there");
    let consumer = consumer(&queue);
    move |messages| {
        worked(|| {
            for _ in 0..messages {
                exchange.publish(KEY, message()).expect("there is room");
                finish(consumer.try_recv().expect("one was published"));
            }
        })
    }
}

/// The same message straight to its queue, which nothing has to be found for.
pub(crate) fn unrouted() -> impl FnMut(u64) -> Duration {
    let queue = Broker::new().declare_queue("billing").declare().expect("a new name");
    let consumer = consumer(&queue);
    move |messages| {
        worked(|| {
            for _ in 0..messages {
                queue.send(message()).expect("there is room");
                finish(consumer.try_recv().expect("one was sent"));
            }
        })
    }
}

/// A publish through a direct exchange that has one binding, for another key.
pub(crate) fn unmatched(keys: Vec<String>) -> impl FnMut(u64) -> Duration {
    let broker = Broker::new();
    let exchange = broker.declare_exchange("events").direct().declare().expect("a new name");
    let queue = broker.declare_queue("").declare().expect("the broker is open");
    exchange.bind(&queue, "no key").expect("both are there");
    in_turn(keys, move |key| publish(&exchange, key))
}

/// One pattern after the other.
pub(crate) fn linear(
    patterns: &[String],
    keys: Vec<String>,
) -> impl FnMut(u64) -> Duration + use<> {
    let patterns = LinearTopics::new(patterns);
    let mut matched = Vec::new();
    in_turn(keys, move |key| {
        patterns.find(key, &mut matched);
        black_box(&matched);
    })
}

/// The best published matcher that we know, for MQTT: `/` and `+` instead of `.` and `*`, and `#`
/// only as the last word.
pub(crate) fn published(
    patterns: &[String],
    keys: Vec<String>,
) -> impl FnMut(u64) -> Duration + use<> {
    let mut router = TopicRouter::new();
    for (nth, pattern) in patterns.iter().enumerate() {
        let pattern = pattern.replace('.', "/").replace('*', "+");
        let pattern = TopicPatternPath::new_from_string(pattern, CacheStrategy::NoCache)
            .expect("a valid pattern");
        router.add_subscription(pattern, QoS::AtMostOnce, nth);
    }
    let keys = keys.into_iter().map(|key| key.replace('.', "/")).collect();
    in_turn(keys, move |key| {
        let path = TopicPath::new(key).expect("a valid topic");
        black_box(router.get_subscribers(&path));
    })
}

/// How many patterns a key matches on average.
pub(crate) fn hits(patterns: &[String], keys: &[String]) -> f64 {
    let patterns = LinearTopics::new(patterns);
    let mut matched = Vec::new();
    let hits = keys.iter().map(|key| {
        patterns.find(key, &mut matched);
        u32::try_from(matched.len()).expect("fewer patterns than that")
    });
    let keys = u32::try_from(keys.len()).expect("fewer keys than that");
    f64::from(hits.sum::<u32>()) / f64::from(keys)
}

fn publish(exchange: &Exchange, key: &str) {
    let routed = exchange.publish(key, Message::new("")).expect("it leads nowhere");
    debug_assert_eq!(routed.queues, 0, "{key} is delivered to nobody");
}

/// Does something with each key in turn, and goes on where it stopped.
fn in_turn(keys: Vec<String>, mut act: impl FnMut(&str)) -> impl FnMut(u64) -> Duration {
    let mut next = 0;
    move |times| {
        worked(|| {
            for _ in 0..times {
                act(&keys[next]);
                next = (next + 1) % keys.len();
            }
        })
    }
}
