//! A service: a queue, a pool of workers, and an account of what they did.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use leveret::{Delivery, Outcome, Queue, Workers};

use super::{
    audit::Account,
    book::Book,
    ledger::{Ledger, Repeats},
    order,
};

/// How long running handlers get when a service stops.
const STOP_TIME: Duration = Duration::from_secs(10);

/// A service at work.
pub(crate) struct Service {
    pub(crate) queue: Queue,
    workers: u16,
    pool: Workers,
    busy: Arc<Busy>,
    ledger: Arc<Ledger>,
    book: Option<Book>,
}

/// What a service did.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) workers: u16,
    pub(crate) time_per_attempt: Duration,
}

impl Service {
    /// Starts workers whose handler gets an order with its number, and keeps the books for them. In
    /// a shop that outlives the process there is a book on disk.
    pub(crate) fn start(
        queue: &Queue,
        workers: u16,
        orders: u32,
        book: Option<Book>,
        handler: impl Fn(u64, &Delivery) -> Outcome + Send + Sync + 'static,
    ) -> leveret::Result<Self> {
        let repeats = if book.is_some() { Repeats::Flagged } else { Repeats::Never };
        let (busy, ledger) = (Arc::<Busy>::default(), Arc::new(Ledger::new(orders, repeats)));
        let (watch, own, notes) = (Arc::clone(&busy), Arc::clone(&ledger), book.clone());
        let pool = queue.workers(workers, move |order: &Delivery| {
            let _at_work = watch.start();
            let n = order::number(order).expect("the shop numbers its orders");
            let outcome = match &notes {
                None => {
                    own.came(n, order.is_redelivered());
                    handler(n, order)
                }
                Some(_) => handler(n, order),
            };
            match (&outcome, &notes) {
                (Outcome::Ack, None) => own.done(n),
                (Outcome::Ack, Some(notes)) => {
                    if let Err(problem) = notes.note(n, order) {
                        eprintln!("order {n} is done again, since that was not noted: {problem}");
                        return Outcome::Requeue;
                    }
                }
                _ => {}
            }
            outcome
        })?;
        Ok(Self { queue: queue.clone(), workers, pool, busy, ledger, book })
    }

    /// Stops the workers and says what they did.
    pub(crate) fn stop(self) -> (Report, Account) {
        let pool = self.pool.stop(STOP_TIME);
        let report = Report { workers: self.workers, time_per_attempt: self.busy.mean() };
        let Self { queue, ledger, book, .. } = self;
        (report, Account { queue, pool, ledger, book })
    }
}

/// How long the workers of a service were busy.
#[derive(Debug, Default)]
struct Busy {
    attempts: AtomicU64,
    nanoseconds: AtomicU64,
}

/// One attempt, which ends when this is dropped: a panic ends it too.
struct AtWork<'b> {
    busy: &'b Busy,
    since: Instant,
}

impl Busy {
    fn start(&self) -> AtWork<'_> {
        AtWork { busy: self, since: Instant::now() }
    }

    fn mean(&self) -> Duration {
        let attempts = self.attempts.load(Ordering::Relaxed).max(1);
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed) / attempts)
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        let nanoseconds = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.busy.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
        self.busy.attempts.fetch_add(1, Ordering::Relaxed);
    }
}
