//! Batches: publishing, receiving and settling many messages at once.
//!
//! `cargo run --release --example batching`
//!
//! A batch is published whole or not at all, and takes each queue's lock once. A consumer takes
//! what is there up to a maximum, and acks through the last of it with one call. The times say
//! what that saves.
#![allow(clippy::disallowed_methods, reason = "the program measures real time")]

use std::time::{Duration, Instant};

use leveret::{Broker, Consumer, Delivery, Exchange, Limits, Message, PublishReason};

const MESSAGES: usize = 50_000;
const BATCH: usize = 500;
const SECOND: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = Broker::new();
    let readings = broker.declare_exchange("readings").topic().declare()?;
    let queue = broker.declare_queue("storage").declare()?;
    readings.bind(&queue, "sensor.*")?;
    let consumer = queue.consume().prefetch(1_000).start()?;

    let one_by_one = one_by_one(&readings, &consumer)?;
    let in_batches = in_batches(&readings, &consumer)?;
    println!("{MESSAGES} messages one by one:         {one_by_one:>8.1?}");
    println!("{MESSAGES} messages in batches of {BATCH}:  {in_batches:>8.1?}");
    let stats = queue.stats();
    assert_eq!(stats.acked, 2 * MESSAGES as u64);
    assert_eq!(stats.ready + stats.unacked, 0);
    assert!(stats.is_conserved());

    all_or_nothing()?;
    Ok(())
}

fn one_by_one(exchange: &Exchange, consumer: &Consumer) -> leveret::Result<Duration> {
    let start = Instant::now();
    for n in 0..MESSAGES {
        exchange.publish("sensor.1", reading(n))?;
        let delivery = consumer.recv()?;
        check(&delivery, n);
        delivery.ack()?;
    }
    Ok(start.elapsed())
}

fn in_batches(
    exchange: &Exchange,
    consumer: &Consumer,
) -> Result<Duration, Box<dyn std::error::Error>> {
    let start = Instant::now();
    let mut out = Vec::with_capacity(BATCH);
    let mut deliveries = Vec::with_capacity(BATCH);
    let mut received = 0;
    for first in (0..MESSAGES).step_by(BATCH) {
        out.extend((first..first + BATCH).map(reading));
        // Empties the vector, which the next batch fills again.
        exchange.publish_batch("sensor.1", &mut out)?;
        while received < first + BATCH {
            consumer.recv_batch(&mut deliveries, BATCH, 10 * SECOND)?;
            for delivery in &deliveries {
                check(delivery, received);
                received += 1;
            }
            // This and all before it; the others have nothing left to settle.
            if let Some(last) = deliveries.pop() {
                last.ack_through()?;
            }
            deliveries.clear();
        }
    }
    Ok(start.elapsed())
}

/// A batch that does not fit leaves every message with the caller.
fn all_or_nothing() -> leveret::Result<()> {
    let mut limits = Limits::default();
    limits.memory_bytes = 64 << 10;
    let broker = Broker::builder().limits(limits).open()?;
    let queue = broker.declare_queue("small").declare()?;
    let mut messages: Vec<_> = (0..1_000).map(reading).collect();
    let refused = broker.default_exchange().publish_batch("small", &mut messages).unwrap_err();
    assert!(matches!(refused, PublishReason::Full { .. }));
    assert_eq!((messages.len(), queue.stats().enqueued), (1_000, 0));
    println!("a batch beyond the bound on memory: {refused}, and nothing was published");

    messages.truncate(10);
    assert_eq!(broker.default_exchange().publish_batch("small", &mut messages)?.queues, 10);
    assert!(messages.is_empty());
    Ok(())
}

fn reading(n: usize) -> Message {
    Message::new(n.to_string())
}

fn check(delivery: &Delivery, n: usize) {
    assert_eq!(delivery.text().and_then(|text| text.parse().ok()), Some(n));
}
