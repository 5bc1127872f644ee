//! Messages that nobody takes for a while.

use leveret::{Broker, Consumer, Exchange, Limits};

use super::way::{KEY, PREFETCH, finish, message};

/// A queue that takes any number of messages, and a consumer that has not started.
pub(crate) struct Backlog {
    exchange: Exchange,
    queue: leveret::Queue,
}

impl Backlog {
    pub(crate) fn new() -> Self {
        let mut limits = Limits::default();
        limits.memory_bytes = u64::MAX;
        let broker = Broker::builder().limits(limits).open().expect("the limits are valid");
        let exchange = broker.declare_exchange("orders").direct().declare().expect("a new name");
        let queue = broker.declare_queue("billing").declare().expect("a new name");
        exchange.bind(&queue, KEY).expect("both are there");
        Self { exchange, queue }
    }

    /// Publishes so many messages.
    pub(crate) fn fill(&self, messages: u64) {
        for _ in 0..messages {
            self.exchange.publish(KEY, message()).expect("there is room");
        }
    }

    /// Receives and acks so many messages.
    pub(crate) fn drain(&self, messages: u64) {
        let consumer: Consumer =
            self.queue.consume().prefetch(PREFETCH).start().expect("the queue is there");
        for _ in 0..messages {
            finish(consumer.recv().expect("the queue is there"));
        }
    }
}
