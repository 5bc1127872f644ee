//! Many queues, each with a consumer, of which few are busy.
//!
//! Two threads poll all consumers, as the tasks of an async runtime would: a consumer that wakes
//! rings its *bell*, its thread hears which one it was and takes what is there. So a consumer
//! that nothing happens to is never looked at, and costs what its being there costs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender};
use leveret::{Broker, Consumer, Exchange};

use super::{
    stopwatch::timed,
    way::{consumer, finish, message},
};

/// Queues that messages go to.
pub(crate) const BUSY: usize = 100;

/// Threads that poll.
const POLLERS: usize = 2;

/// How far the publisher may be ahead of all consumers together.
const UNDER_WAY_MAX: u64 = 1_024;

/// So many queues behind the default exchange, each with a consumer.
pub(crate) fn furnish(queues: usize) -> (Exchange, Vec<Consumer>) {
    let broker = Broker::new();
    let consumers = (0..queues)
        .map(|nth| consumer(&broker.declare_queue(&name(nth)).declare().expect("a new name")))
        .collect();
    (broker.default_exchange(), consumers)
}

/// Publishes to [`BUSY`] of so many queues in turn. Takes a multiple of [`BUSY`] messages.
pub(crate) fn leveret(queues: usize) -> impl FnMut(u64) -> Duration {
    let (exchange, consumers) = furnish(queues);
    let names: Vec<_> = (0..BUSY).map(|nth| name(nth * (queues / BUSY))).collect();
    let mut pollers: Vec<_> = (0..POLLERS).map(|_| Poller::new()).collect();
    for (nth, consumer) in consumers.into_iter().enumerate() {
        // The busy queues lie so far apart; each second of them goes to each poller.
        pollers[nth / (queues / BUSY) % POLLERS].add(consumer);
    }
    move |messages| {
        let done = AtomicU64::new(0);
        timed(|| {
            thread::scope(|scope| {
                for poller in &pollers {
                    scope.spawn(|| poller.run(messages / POLLERS as u64, &done));
                }
                for (published, name) in (0..messages).zip(names.iter().cycle()) {
                    while published.saturating_sub(done.load(Ordering::Acquire)) >= UNDER_WAY_MAX {
                        thread::yield_now();
                    }
                    exchange.publish(name, message()).expect("there is room");
                }
            });
        })
    }
}

fn name(nth: usize) -> String {
    format!("queue{nth}")
}

/// A thread's consumers, and where it hears of them.
struct Poller {
    consumers: Vec<(Consumer, Waker)>,
    bells: Sender<usize>,
    rung: Receiver<usize>,
}

impl Poller {
    fn new() -> Self {
        let (bells, rung) = crossbeam_channel::unbounded();
        Self { consumers: Vec::new(), bells, rung }
    }

    /// Takes over an idle consumer, and lets it ring.
    fn add(&mut self, consumer: Consumer) {
        let bell = Bell { nth: self.consumers.len(), to: self.bells.clone() };
        let waker = Waker::from(Arc::new(bell));
        let polled = consumer.poll_recv(&mut Context::from_waker(&waker));
        assert!(polled.is_pending(), "nothing was published");
        self.consumers.push((consumer, waker));
    }

    /// Acks so many messages, and leaves all consumers waiting.
    fn run(&self, messages: u64, done: &AtomicU64) {
        let mut acked = 0;
        while acked < messages {
            let nth = self.rung.recv().expect("the bells are there");
            let (consumer, waker) = &self.consumers[nth];
            let before = acked;
            while let Poll::Ready(delivery) = consumer.poll_recv(&mut Context::from_waker(waker)) {
                finish(delivery.expect("the queue is there"));
                acked += 1;
            }
            done.fetch_add(acked - before, Ordering::Release);
        }
    }
}

/// Tells a poller which consumer has something for it.
struct Bell {
    nth: usize,
    to: Sender<usize>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // A poller that is gone needs no waking.
        let _ = self.to.send(self.nth);
    }
}
