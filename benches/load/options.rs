//! What makes a publish dearer: large bodies, confirms, headers, the flag for persistence. One
//! thread, one message under way, as in [`hand_over`](super::hand_over) with a burst of one.

use std::{hint::black_box, time::Duration};

use bytes::Bytes;
use leveret::{Consumer, Message};

use super::{
    stopwatch::worked,
    way::{KEY, finish, message, way},
};

const LARGE_BYTES: usize = 16 << 10;

/// Nothing of it all, for the others to be held against: the same work as
/// [`hand_over`](super::hand_over) does, in the same code as theirs.
pub(crate) fn plain() -> impl FnMut(u64) -> Duration {
    each(message)
}

/// A large body that is given as shared bytes: the message takes part in it and copies nothing.
pub(crate) fn shared_body() -> impl FnMut(u64) -> Duration {
    let body = Bytes::from(vec![7; LARGE_BYTES]);
    each(move || Message::new(body.clone()))
}

/// Two headers, set on each message anew.
pub(crate) fn with_headers() -> impl FnMut(u64) -> Duration {
    each(|| message().with_header("tenant", "hare").with_header("attempt", 1))
}

/// The flag for persistence. There is no store, so nothing is written.
pub(crate) fn persistent() -> impl FnMut(u64) -> Duration {
    each(|| message().persistent())
}

/// A publisher that waits for each confirm.
pub(crate) fn with_confirms() -> impl FnMut(u64) -> Duration {
    let (exchange, consumer) = way();
    let publisher = exchange.publisher().open().expect("the broker is open");
    move |messages| {
        worked(|| {
            for _ in 0..messages {
                let confirm = publisher.publish(KEY, message()).expect("there is room");
                black_box(confirm.wait().expect("it is confirmed"));
                take(&consumer);
            }
        })
    }
}

fn each(make: impl Fn() -> Message) -> impl FnMut(u64) -> Duration {
    let (exchange, consumer) = way();
    move |messages| {
        worked(|| {
            for _ in 0..messages {
                exchange.publish(KEY, make()).expect("there is room");
                take(&consumer);
            }
        })
    }
}

fn take(consumer: &Consumer) {
    finish(consumer.try_recv().expect("one was published"));
}
