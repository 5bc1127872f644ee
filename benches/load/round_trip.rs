//! A message to another thread and one back, both threads waiting for each other. The closures
//! give the time of each round trip.

use std::{thread, time::Duration};

use leveret::Message;

use super::{
    postbox::Postbox,
    stopwatch::timed_each,
    way::{drop_message, finish, message, publish, way},
};

/// Each way is published, delivered and acked through a queue of its own, by a blocking `recv`.
pub(crate) fn leveret() -> impl FnMut(u64) -> Vec<Duration> {
    let (there, arrived) = way();
    let (back, returned) = way();
    move |trips| {
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..trips {
                    finish(arrived.recv().expect("the queue is there"));
                    publish(&back);
                }
            });
            timed_each(trips, || {
                publish(&there);
                finish(returned.recv().expect("the queue is there"));
            })
        })
    }
}

/// Two channels without bounds.
pub(crate) fn channel() -> impl FnMut(u64) -> Vec<Duration> {
    let (there, arrived) = crossbeam_channel::unbounded();
    let (back, returned) = crossbeam_channel::unbounded();
    between(
        move |message| there.send(message).expect("the receiver is alive"),
        move || arrived.recv().expect("the sender is alive"),
        move |message| back.send(message).expect("the receiver is alive"),
        move || returned.recv().expect("the sender is alive"),
    )
}

/// Two deques, each with a mutex and a condition.
pub(crate) fn postbox() -> impl FnMut(u64) -> Vec<Duration> {
    let boxes = [Postbox::default(), Postbox::default()].map(std::sync::Arc::new);
    let [there, back] = boxes;
    let (arrived, returned) = (there.clone(), back.clone());
    between(
        move |message| there.send(message),
        move || arrived.recv(),
        move |message| back.send(message),
        move || returned.recv(),
    )
}

/// The same trips over any two ways of a rival.
fn between(
    there: impl Fn(Message),
    arrived: impl Fn() -> Message + Sync,
    back: impl Fn(Message) + Sync,
    returned: impl Fn() -> Message,
) -> impl FnMut(u64) -> Vec<Duration> {
    move |trips| {
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..trips {
                    drop_message(arrived());
                    back(message());
                }
            });
            timed_each(trips, || {
                there(message());
                drop_message(returned());
            })
        })
    }
}
