//! What a message costs on its way through a direct exchange and one queue to its consumer and
//! back as an ack, beside a bare channel that carries the same messages.
//!
//! One thread hands over to itself, with one message under way or a hundred. Of two threads one
//! publishes and one consumes, with about [`UNDER_WAY_MAX`] messages between them at most.
#![allow(clippy::disallowed_methods, reason = "a bench measures real time")]

use std::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use criterion::{Criterion, Throughput};
use leveret::{Broker, Consumer, Exchange, Message};

/// What a producer may be ahead of its consumer.
const UNDER_WAY_MAX: u16 = 1_024;

/// How often the consumer of two threads tells how far it has got.
const TOLD_EVERY: u64 = 32;

const BODY: [u8; 64] = [7; 64];

const KEY: &str = "created";

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    one_thread(&mut criterion, "one thread, 1 under way", 1);
    one_thread(&mut criterion, "one thread, 100 under way", 100);
    two_threads(&mut criterion);
    criterion.final_summary();
}

fn one_thread(criterion: &mut Criterion, name: &str, burst: u64) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(burst));
    let (sender, receiver) = crossbeam_channel::unbounded();
    group.bench_function("channel", |bencher| {
        bencher.iter(|| {
            for _ in 0..burst {
                sender.send(message()).expect("the receiver is alive");
            }
            for _ in 0..burst {
                drop(black_box(receiver.recv().expect("one was sent")));
            }
        });
    });
    let (exchange, consumer) = way();
    group.bench_function("leveret", |bencher| {
        bencher.iter(|| {
            for _ in 0..burst {
                exchange.publish(KEY, message()).expect("there is room");
            }
            for _ in 0..burst {
                let delivery = consumer.try_recv().expect("one was published");
                black_box(delivery.body());
                delivery.ack().expect("the broker is open");
            }
        });
    });
    group.finish();
}

fn two_threads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("two threads");
    group.throughput(Throughput::Elements(1));
    let (sender, receiver) = crossbeam_channel::bounded(UNDER_WAY_MAX.into());
    group.bench_function("channel", |bencher| {
        bencher.iter_custom(|messages| {
            let send = || sender.send(message()).expect("the receiver is alive");
            let receive = || drop(black_box(receiver.recv().expect("more is sent")));
            timed(|| {
                thread::scope(|scope| {
                    scope.spawn(|| (0..messages).for_each(|_| send()));
                    (0..messages).for_each(|_| receive());
                });
            })
        });
    });
    let (exchange, consumer) = way();
    group.bench_function("leveret", |bencher| {
        bencher.iter_custom(|messages| timed(|| hand_across(&exchange, &consumer, messages)));
    });
    group.finish();
}

/// Publishes in one thread and acks in another.
fn hand_across(exchange: &Exchange, consumer: &Consumer, messages: u64) {
    let acked = AtomicU64::new(0);
    let is_ahead = |published: u64| {
        published.saturating_sub(acked.load(Ordering::Acquire)) >= UNDER_WAY_MAX.into()
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            for published in 0..messages {
                while is_ahead(published) {
                    thread::yield_now();
                }
                exchange.publish(KEY, message()).expect("there is room");
            }
        });
        for received in 1..=messages {
            let delivery = consumer.recv().expect("the queue is there");
            black_box(delivery.body());
            delivery.ack().expect("the broker is open");
            if received.is_multiple_of(TOLD_EVERY) {
                acked.store(received, Ordering::Release);
            }
        }
    });
}

/// A new message with a body of its own, as programs make them.
fn message() -> Message {
    Message::new(BODY)
}

/// The way from an exchange to a consumer. What is dropped here stays: an exchange holds its
/// broker, and a broker its queues.
fn way() -> (Exchange, Consumer) {
    let broker = Broker::new();
    let exchange = broker.declare_exchange("orders").direct().declare().expect("a new name");
    let queue = broker.declare_queue("billing").declare().expect("a new name");
    exchange.bind(&queue, KEY).expect("both are there");
    let consumer = queue.consume().prefetch(100).start().expect("the queue is there");
    (exchange, consumer)
}

fn timed(act: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    act();
    begun.elapsed()
}
