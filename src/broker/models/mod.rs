//! Models of what threads do to one another in here, explored by loom: `.ci/run loom`.
//!
//! Each model runs the real code in every order that three preemptions can bring about (or as many
//! as `LOOM_MAX_PREEMPTIONS` says). A lost wake-up is a deadlock, which loom reports; everything
//! else the model asserts when its threads are done. Lock ranks are checked all along, also where
//! the code of others runs: see [`Bell`] and [`Body`].
//!
//! Loom has no time, so a wait ends only when somebody ends it.

mod call;
mod channel;
mod closing;
mod consumer;
mod dead_letters;
mod exchange;
mod mailbox;
mod progress;

use std::{
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use bytes::Bytes;

use crate::{
    Broker, Limits, Message, Queue,
    sync::{Condvar, Mutex, Rank},
};

/// For ever, as callers say it.
const EVER: Duration = Duration::MAX;

/// Explores a model.
fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(3);
    // Opening and closing a whole broker takes some hundred steps.
    builder.max_branches = 100_000;
    builder.check(model);
}

/// Polls until it is ready, and waits to be woken in between.
fn block_on<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let bell = Arc::new(Bell::new());
    let waker = Waker::from(Arc::clone(&bell));
    loop {
        if let Poll::Ready(ready) = poll(&mut Context::from_waker(&waker)) {
            return ready;
        }
        bell.wait();
    }
}

/// A waker that rings. Its lock is of the first rank, so ringing it under any lock of the broker
/// is found.
struct Bell {
    has_rung: Mutex<bool>,
    rung: Condvar,
}

impl Bell {
    fn new() -> Self {
        Self { has_rung: Mutex::new(Rank::Broker, false), rung: Condvar::default() }
    }

    fn wait(&self) {
        let mut has_rung = self.has_rung.lock();
        while !*has_rung {
            self.rung.wait(&mut has_rung);
        }
        *has_rung = false;
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.has_rung.lock() = true;
        self.rung.notify_one();
    }
}

/// The bytes of a message, which know when they are dropped. Their lock is of the first rank, so
/// dropping them under any lock of the broker is found.
struct Body {
    text: &'static str,
    dropped: Arc<Mutex<u32>>,
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        *self.dropped.lock() += 1;
    }
}

/// Counts the bodies that are dropped.
#[derive(Clone)]
struct Dropped(Arc<Mutex<u32>>);

impl Dropped {
    fn none() -> Self {
        Self(Arc::new(Mutex::new(Rank::Broker, 0)))
    }

    fn message(&self, text: &'static str) -> Message {
        Message::new(Bytes::from_owner(Body { text, dropped: Arc::clone(&self.0) }))
    }

    fn count(&self) -> u32 {
        *self.0.lock()
    }
}

/// A broker that starts no thread.
fn broker() -> Broker {
    broker_within(Limits::default())
}

fn broker_within(limits: Limits) -> Broker {
    Broker::builder().limits(limits).caller_timers().open().expect("nothing can fail")
}

fn queue(broker: &Broker, name: &str) -> Queue {
    broker.declare_queue(name).declare().expect("the name is free")
}

/// What was published is ready, unacked or gone, and nothing is unacked any more.
#[track_caller]
fn check_settled(queue: &Queue, ready: u64) {
    let stats = queue.stats();
    assert!(stats.is_conserved(), "{stats:?}");
    assert_eq!((stats.ready, stats.unacked), (ready, 0), "{stats:?}");
    queue.cell().check_invariants();
}
