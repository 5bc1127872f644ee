//! Hello world: one program part sends a message through a queue, another receives it.
//!
//! `cargo run --example hello`
//!
//! The queue is durable and the message persistent, as in the first tutorial of every broker; they
//! outlive the process as soon as the broker has a store to keep them in.

use leveret::{Broker, Message};

fn main() -> leveret::Result<()> {
    let broker = Broker::new();
    let queue = broker.declare_queue("hello").durable().declare()?;

    // The default exchange routes to the queue that the key names.
    let routed =
        broker.default_exchange().publish("hello", Message::new("Hello World!").persistent())?;
    assert_eq!(routed.queues, 1);
    println!("sent \"Hello World!\"");

    let consumer = queue.consume().start()?;
    let delivery = consumer.recv()?;
    println!("received {:?}", delivery.text().unwrap_or_default());
    assert_eq!(delivery.text(), Some("Hello World!"));

    // Until then the message is the queue's: had we panicked, it would have gone back.
    delivery.ack()?;
    assert_eq!(queue.stats().acked, 1);
    Ok(())
}
