//! Threads that serve a queue.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    broker_state::BrokerState, consumer::Consumer, context::Context, delivery::Delivery,
    outcome::Outcome,
};
use crate::{
    Error, ErrorKind, Result,
    clock::HostDeadline,
    shield::{self, Panicked, shielded},
    sync::{Condvar, Mutex, Rank},
};

/// Threads that serve a queue.
///
/// Dropping it takes no new deliveries and does not wait; the handlers that run finish.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// use std::time::Duration;
/// use leveret::{Broker, Message};
///
/// let queue = Broker::new().declare_queue("tasks").declare()?;
/// let workers = queue.workers(2, |task| println!("{:?}", task.text()))?;
/// queue.send(Message::new("sweep"))?;
/// let report = workers.stop(Duration::from_secs(10));
/// assert_eq!(report.running, 0);
/// assert_eq!(report.acked + queue.stats().ready, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping the workers stops them"]
pub struct Workers {
    pool: Arc<Pool>,
    consumer: Consumer,
}

/// What workers did, by outcome, and how many handlers still run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkersReport {
    /// Handlers that said `Ack`.
    pub acked: u64,
    /// Handlers that said `Reject`.
    pub rejected: u64,
    /// Handlers that said `Requeue`.
    pub requeued: u64,
    /// Handlers that said `RetryIn`.
    pub retried: u64,
    /// Handlers that panicked, whose delivery went back; and deliveries with a message whose
    /// destructor panicked when they were settled.
    pub panicked: u64,
    /// Handlers that still run.
    pub running: u32,
}

/// What the threads of one pool share.
#[derive(Debug)]
pub(crate) struct Pool {
    context: Arc<Context>,
    /// Plain counters: they order nothing else.
    acked: AtomicU64,
    rejected: AtomicU64,
    requeued: AtomicU64,
    retried: AtomicU64,
    panicked: AtomicU64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Threads that are not at their end.
    alive: u32,
    /// Handlers that run.
    running: u32,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    pub(crate) fn start<R: Into<Outcome>>(
        n: u16,
        consumer: Consumer,
        handler: impl Fn(&Delivery) -> R + Send + Sync + 'static,
        broker: &BrokerState,
    ) -> Result<Self> {
        let pool = Arc::new(Pool::new(Arc::clone(&broker.context)));
        broker.add_pool(&pool);
        let workers = Self { pool, consumer };
        let handler = Arc::new(handler);
        for _ in 0..n {
            let (pool, consumer) = (Arc::clone(&workers.pool), workers.consumer.clone());
            let handler = Arc::clone(&handler);
            workers.pool.spawn(move || {
                // The destructor of the handler, too, is somebody's code.
                let _ = shielded(move || pool.serve(&consumer, &*handler));
            })?;
        }
        Ok(workers)
    }

    /// Waits until the consumer ends, because its queue is deleted or the broker closed, and the
    /// handlers have returned.
    #[must_use]
    pub fn join(self) -> WorkersReport {
        self.pool.wait(HostDeadline::NEVER);
        self.pool.join_finished();
        self.report()
    }

    /// Takes no new deliveries, and waits for running handlers, at most so long in the host's
    /// time. What was not received goes back to the queue.
    #[expect(clippy::must_use_candidate, reason = "the report is for those who want it")]
    pub fn stop(self, within: Duration) -> WorkersReport {
        self.consumer.cancel();
        self.pool.wait(HostDeadline::within(within));
        self.pool.join_finished();
        self.report()
    }

    /// The counts so far.
    #[must_use]
    pub fn report(&self) -> WorkersReport {
        WorkersReport {
            acked: self.pool.acked.load(Ordering::Relaxed),
            rejected: self.pool.rejected.load(Ordering::Relaxed),
            requeued: self.pool.requeued.load(Ordering::Relaxed),
            retried: self.pool.retried.load(Ordering::Relaxed),
            panicked: self.pool.panicked.load(Ordering::Relaxed),
            running: self.pool.running(),
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.consumer.cancel();
    }
}

impl Pool {
    fn new(context: Arc<Context>) -> Self {
        Self {
            context,
            acked: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            requeued: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            panicked: AtomicU64::new(0),
            state: Mutex::new(Rank::Signal, State::default()),
            changed: Condvar::default(),
        }
    }

    /// How many handlers run.
    pub(crate) fn running(&self) -> u32 {
        self.state.lock().running
    }

    /// Joins the threads that are at their end, except the one that asks.
    pub(crate) fn join_finished(&self) {
        let threads = std::mem::take(&mut self.state.lock().threads);
        let this = thread::current().id();
        let is_over = self.is_over();
        let (ended, others): (Vec<_>, Vec<_>) = threads
            .into_iter()
            .partition(|thread| (is_over || thread.is_finished()) && thread.thread().id() != this);
        self.state.lock().threads.extend(others);
        for thread in ended {
            shield::join(thread);
        }
    }

    fn spawn(&self, run: impl FnOnce() + Send + 'static) -> Result<()> {
        self.state.lock().alive += 1;
        match thread::Builder::new().name("leveret-worker".into()).spawn(run) {
            Ok(thread) => {
                self.state.lock().threads.push(thread);
                Ok(())
            }
            Err(error) => {
                self.state.lock().alive -= 1;
                Err(Error::plain(ErrorKind::Thread { text: error.to_string() }))
            }
        }
    }

    /// Serves the consumer until it ends. Whatever panics, the next delivery is served.
    fn serve<R: Into<Outcome>>(&self, consumer: &Consumer, handler: &impl Fn(&Delivery) -> R) {
        let _alive = Alive(self);
        loop {
            match shielded(|| consumer.recv()) {
                Ok(Ok(delivery)) => self.handle(delivery, handler),
                Ok(Err(_ended)) => return,
                // The waker of somebody who was to be told.
                Err(Panicked) => {}
            }
        }
    }

    fn handle<R: Into<Outcome>>(&self, delivery: Delivery, handler: &impl Fn(&Delivery) -> R) {
        let _running = Running::new(self);
        let Ok(outcome) = shielded(|| handler(&delivery).into()) else {
            // Counted once, also if the message panics in turn.
            let _ = shielded(|| drop(delivery));
            self.panicked.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let counter = match outcome {
            Outcome::Ack => &self.acked,
            Outcome::Reject(_) => &self.rejected,
            Outcome::Requeue => &self.requeued,
            Outcome::RetryIn(_) => &self.retried,
        };
        let counter = match shielded(|| delivery.settle(outcome)) {
            Ok(Ok(())) => counter,
            // Closed in the meantime means that the broker has taken the delivery back.
            Ok(Err(_closed)) => return,
            Err(Panicked) => &self.panicked,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells those who wait for the broker, whose wakers are their own.
    fn made_progress(&self) {
        let _ = shielded(|| self.context.progress.made());
    }

    /// Whether every thread is at its end.
    pub(crate) fn is_over(&self) -> bool {
        self.state.lock().alive == 0
    }

    /// Whether no thread is left that would have to be waited for.
    pub(crate) fn has_ended(&self) -> bool {
        self.state.lock().threads.iter().all(JoinHandle::is_finished)
    }

    /// Waits until every thread is at its end.
    fn wait(&self, until: HostDeadline) {
        let mut state = self.state.lock();
        while state.alive > 0 {
            let Some(left) = until.left() else { return };
            self.changed.wait_for(&mut state, left);
        }
    }
}

/// A thread of a pool before its end, counted as such when it was about to start.
struct Alive<'p>(&'p Pool);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.state.lock().alive -= 1;
        self.0.changed.notify_all();
        self.0.made_progress();
    }
}

/// A handler that runs.
struct Running<'p>(&'p Pool);

impl<'p> Running<'p> {
    fn new(pool: &'p Pool) -> Self {
        pool.state.lock().running += 1;
        Self(pool)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state.lock().running -= 1;
        self.0.made_progress();
    }
}
