//! Two threads publish and two consume, from one queue or channel without bounds.
//!
//! A message without a body ends a consumer. There is one for each, published when all others are,
//! so no consumer counts what the other has done. A consumer of leveret that ends gives back what
//! it was handed and has not received, the other's end among it.

use std::{thread, time::Duration};

use leveret::{Consumer, Message};

use super::{
    stopwatch::timed,
    way::{KEY, consumer, drop_message, finish, message, publish, shared_way},
};

/// Threads that publish, and threads that consume.
const EACH: u64 = 2;

pub(crate) fn leveret() -> impl FnMut(u64) -> Duration {
    let (exchange, queue) = shared_way();
    move |messages| {
        timed(|| {
            thread::scope(|scope| {
                for _ in 0..EACH {
                    let consumer = consumer(&queue);
                    scope.spawn(move || consume(&consumer));
                }
                thread::scope(|scope| {
                    for _ in 0..EACH {
                        scope.spawn(|| (0..messages / EACH).for_each(|_| publish(&exchange)));
                    }
                });
                for _ in 0..EACH {
                    exchange.publish(KEY, end()).expect("there is room");
                }
            });
        })
    }
}

pub(crate) fn channel() -> impl FnMut(u64) -> Duration {
    let (sender, receiver) = crossbeam_channel::unbounded::<Message>();
    move |messages| {
        let send = |message| sender.send(message).expect("the receiver is alive");
        timed(|| {
            thread::scope(|scope| {
                for _ in 0..EACH {
                    scope.spawn(|| {
                        let messages = receiver.iter().take_while(|message| !is_end(message));
                        messages.for_each(drop_message);
                    });
                }
                thread::scope(|scope| {
                    for _ in 0..EACH {
                        scope.spawn(|| (0..messages / EACH).for_each(|_| send(message())));
                    }
                });
                for _ in 0..EACH {
                    send(end());
                }
            });
        })
    }
}

fn consume(consumer: &Consumer) {
    let mut is_over = false;
    while !is_over {
        let delivery = consumer.recv().expect("the queue is there");
        is_over = is_end(&delivery);
        finish(delivery);
    }
}

fn end() -> Message {
    Message::new("")
}

fn is_end(message: &Message) -> bool {
    message.body().is_empty()
}
