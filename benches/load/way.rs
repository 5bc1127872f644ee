//! The plain way of a message: a direct exchange, one queue, one consumer.

use std::hint::black_box;

use leveret::{Broker, Consumer, Delivery, Exchange, Message, Queue};

/// The body of every message that is not about its body.
pub(crate) const BODY: [u8; 64] = [7; 64];

/// What is published with.
pub(crate) const KEY: &str = "created";

/// What a consumer may hold unsettled.
pub(crate) const PREFETCH: u16 = 100;

/// A new message with a body of its own, as programs make them.
pub(crate) fn message() -> Message {
    Message::new(BODY)
}

/// An exchange and the consumer of the queue behind it. What is dropped here stays: an exchange
/// holds its broker, and a broker its queues.
pub(crate) fn way() -> (Exchange, Consumer) {
    let (exchange, queue) = shared_way();
    let consumer = consumer(&queue);
    (exchange, consumer)
}

/// An exchange and the queue behind it.
pub(crate) fn shared_way() -> (Exchange, Queue) {
    let broker = Broker::new();
    let exchange = broker.declare_exchange("orders").direct().declare().expect("a new name");
    let queue = broker.declare_queue("billing").declare().expect("a new name");
    exchange.bind(&queue, KEY).expect("both are there");
    (exchange, queue)
}

pub(crate) fn consumer(queue: &Queue) -> Consumer {
    queue.consume().prefetch(PREFETCH).start().expect("the queue is there")
}

/// Publishes one message the plain way.
pub(crate) fn publish(exchange: &Exchange) {
    exchange.publish(KEY, message()).expect("there is room");
}

/// Looks at a delivery and acks it.
pub(crate) fn finish(delivery: Delivery) {
    black_box(delivery.body());
    delivery.ack().expect("the broker is open");
}

/// Looks at a message of a rival and drops it, which is all that a channel has for an ack.
pub(crate) fn drop_message(message: Message) {
    black_box(message.body());
    drop(message);
}
