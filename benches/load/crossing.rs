//! One thread publishes and another consumes.
//!
//! Where the backlog is bounded, a channel bounds it itself. In front of leveret, which refuses
//! and never waits, stands a counter: the consumer tells it every [`TOLD_EVERY`] messages how far
//! it has got, and the producer looks only when what it knew last is no longer enough. Neither
//! touches the other's cache line more often than that.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use super::{
    stopwatch::timed,
    way::{drop_message, finish, message, publish, way},
};

/// How far a producer may be ahead of its consumer.
pub(crate) const UNDER_WAY_MAX: u16 = 1_024;

/// How often a consumer tells how far it has got. A power of two that is small against the bound.
const TOLD_EVERY: u64 = 32;

/// What a producer may leave to its consumer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Backlog {
    /// [`UNDER_WAY_MAX`] messages.
    Bounded,
    Unlimited,
}

/// What holds back a producer that is too far ahead.
pub(crate) struct Throttle {
    /// What has been consumed, as told last. Released and acquired, though nothing hangs on it:
    /// messages travel by other ways.
    told: AtomicU64,
    under_way_max: u64,
}

impl Throttle {
    pub(crate) fn new(under_way_max: u64) -> Self {
        Self { told: AtomicU64::new(0), under_way_max }
    }

    /// Says that so many have been consumed in all.
    pub(crate) fn tell(&self, consumed: u64) {
        if consumed.is_multiple_of(TOLD_EVERY) {
            self.told.store(consumed, Ordering::Release);
        }
    }

    /// Waits until one more than so many may be published. `known` is the producer's memory.
    pub(crate) fn wait(&self, published: u64, known: &mut u64) {
        while published - *known >= self.under_way_max {
            let told = self.told.load(Ordering::Acquire);
            if told == *known {
                thread::yield_now();
            }
            *known = told;
        }
    }
}

pub(crate) fn leveret(backlog: Backlog) -> impl FnMut(u64) -> Duration {
    let (exchange, consumer) = way();
    let under_way_max = match backlog {
        Backlog::Bounded => UNDER_WAY_MAX.into(),
        Backlog::Unlimited => u64::MAX,
    };
    move |messages| {
        let throttle = Throttle::new(under_way_max);
        timed(|| {
            thread::scope(|scope| {
                scope.spawn(|| {
                    let mut known = 0;
                    for published in 0..messages {
                        throttle.wait(published, &mut known);
                        publish(&exchange);
                    }
                });
                for consumed in 1..=messages {
                    finish(consumer.recv().expect("the queue is there"));
                    throttle.tell(consumed);
                }
            });
        })
    }
}

pub(crate) fn channel(backlog: Backlog) -> impl FnMut(u64) -> Duration {
    let (sender, receiver) = match backlog {
        Backlog::Bounded => crossbeam_channel::bounded(UNDER_WAY_MAX.into()),
        Backlog::Unlimited => crossbeam_channel::unbounded(),
    };
    move |messages| {
        timed(|| {
            thread::scope(|scope| {
                scope.spawn(|| {
                    for _ in 0..messages {
                        sender.send(message()).expect("the receiver is alive");
                    }
                });
                for _ in 0..messages {
                    drop_message(receiver.recv().expect("more is sent"));
                }
            });
        })
    }
}
