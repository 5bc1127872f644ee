//! One thread hands messages over to itself, so many under way at a time.
//!
//! The way through leveret is: make, publish, route by a direct exchange, deliver, ack. That of a
//! channel without bounds is: make, send, receive, drop. Both closures take a multiple of `burst`.

use std::time::Duration;

use super::{
    stopwatch::worked,
    way::{drop_message, finish, message, publish, way},
};

pub(crate) fn leveret(burst: u64) -> impl FnMut(u64) -> Duration {
    let (exchange, consumer) = way();
    move |messages| {
        worked(|| {
            for _ in 0..messages / burst {
                for _ in 0..burst {
                    publish(&exchange);
                }
                for _ in 0..burst {
                    finish(consumer.try_recv().expect("one was published"));
                }
            }
        })
    }
}

pub(crate) fn channel(burst: u64) -> impl FnMut(u64) -> Duration {
    let (sender, receiver) = crossbeam_channel::unbounded();
    move |messages| {
        worked(|| {
            for _ in 0..messages / burst {
                for _ in 0..burst {
                    sender.send(message()).expect("the receiver is alive");
                }
                for _ in 0..burst {
                    drop_message(receiver.recv().expect("one was sent"));
                }
            }
        })
    }
}
