//! One message for many: a fanout exchange with so many queues, each with a consumer that acks;
//! beside as many channels, each given a clone. The closures count published messages.

use std::time::Duration;

use leveret::Broker;

use super::{
    stopwatch::worked,
    way::{consumer, drop_message, finish, message},
};

pub(crate) fn leveret(copies: u64) -> impl FnMut(u64) -> Duration {
    let broker = Broker::new();
    let exchange = broker.declare_exchange("news").fanout().declare().expect("a new name");
    let consumers: Vec<_> = (0..copies)
        .map(|_| {
            let queue = broker.declare_queue("").declare().expect("the broker is open");
            exchange.bind(&queue, "").expect("both are there");
            consumer(&queue)
        })
        .collect();
    move |messages| {
        worked(|| {
            for _ in 0..messages {
                exchange.publish("", message()).expect("there is room");
                for consumer in &consumers {
                    finish(consumer.try_recv().expect("a copy was published"));
                }
            }
        })
    }
}

pub(crate) fn channels(copies: u64) -> impl FnMut(u64) -> Duration {
    let channels: Vec<_> = (0..copies).map(|_| crossbeam_channel::unbounded()).collect();
    move |messages| {
        worked(|| {
            for _ in 0..messages {
                let message = message();
                for (sender, _) in &channels {
                    sender.send(message.clone()).expect("the receiver is alive");
                }
                drop(message);
                for (_, receiver) in &channels {
                    drop_message(receiver.recv().expect("one was sent"));
                }
            }
        })
    }
}
