//! How long a publish takes when many publish at once, calm or disturbed.
//!
//! Eight threads publish to one queue, which a consumer in a thread of its own acks. *Disturbed*,
//! the queue has a second consumer, which never takes what it was handed, and bindings of the same
//! exchange come and go a thousand times a second. The closures give the time of each publish;
//! what has piled up is purged outside of it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use leveret::{Consumer, Exchange, Queue};

use super::{
    stopwatch::timed_each,
    way::{consumer, finish, publish, shared_way},
};

const PUBLISHERS: u64 = 8;

/// From one change of the bindings to the next.
const CHANGE_EVERY: Duration = Duration::from_millis(1);

pub(crate) fn calm() -> impl FnMut(u64) -> Vec<Duration> {
    let (exchange, queue) = shared_way();
    move |publishes| publish_all(&exchange, &queue, publishes)
}

pub(crate) fn disturbed() -> impl FnMut(u64) -> Vec<Duration> {
    let (exchange, queue) = shared_way();
    let stuck = consumer(&queue);
    move |publishes| {
        let is_over = AtomicBool::new(false);
        let times = thread::scope(|scope| {
            scope.spawn(|| change_bindings(&exchange, &queue, &is_over));
            let times = publish_all(&exchange, &queue, publishes);
            is_over.store(true, Ordering::Relaxed);
            times
        });
        assert!(stuck.end().is_none(), "the stuck consumer is still there");
        times
    }
}

/// Publishes so many messages from all threads together.
fn publish_all(exchange: &Exchange, queue: &Queue, publishes: u64) -> Vec<Duration> {
    let consumer = consumer(queue);
    let times = thread::scope(|scope| {
        scope.spawn(|| finish_all(&consumer));
        let threads: Vec<_> = (0..PUBLISHERS)
            .map(|_| scope.spawn(|| timed_each(publishes / PUBLISHERS, || publish(exchange))))
            .collect();
        let times = threads.into_iter().flat_map(|thread| thread.join().expect("no panic"));
        let times = times.collect();
        consumer.cancel();
        times
    });
    queue.purge().expect("the queue is there");
    times
}

/// Acks what comes until the consumer is cancelled.
fn finish_all(consumer: &Consumer) {
    consumer.iter().for_each(finish);
}

/// Binds and unbinds by turns.
fn change_bindings(exchange: &Exchange, queue: &Queue, is_over: &AtomicBool) {
    let mut next = Instant::now();
    for change in 0_u64.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let key = format!("key{}", change / 2 % 64);
        match change % 2 {
            0 => drop(exchange.bind(queue, &key).expect("both are there")),
            _ => exchange.unbind(queue, &key).expect("both are there"),
        }
        next += CHANGE_EVERY;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}
