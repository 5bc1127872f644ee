//! The services, as pools of workers: a handler per order, whose outcome settles it.

use std::{
    panic,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use leveret::{Delivery, Queue, Workers};

use crate::{
    chance::{Accident, Chance},
    inventory::Crew,
    ledger::Ledger,
};

/// How long the mail server takes for one mail.
const MAIL_TIME: Duration = Duration::from_millis(5);

const MAIL_WORKERS: u16 = 32;
const ANALYTICS_WORKERS: u16 = 2;

/// How often analytics panics, in a thousand attempts.
const PANICS_PER_MILLE: u64 = 10;

/// How long running handlers get when a service stops.
const STOP_TIME: Duration = Duration::from_secs(10);

/// What a deliberate panic carries, to be told from others.
pub(crate) struct Mishap;

/// A service at work.
pub(crate) struct Service {
    pub(crate) queue: Queue,
    pub(crate) workers: u16,
    pub(crate) busy: Arc<Busy>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) staff: Staff,
}

/// Who works for a service.
pub(crate) enum Staff {
    /// Threads of its own, which receive and settle by themselves.
    Crew(Crew),
    /// A pool of the broker's, which settles by what the handler returns.
    Pool(Workers),
}

/// What a service did, counted by its workers.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) name: String,
    pub(crate) workers: u16,
    pub(crate) done: u64,
    /// Attempts that put the order back, panics included.
    pub(crate) retried: u64,
    /// Orders given up.
    pub(crate) failed: u64,
    pub(crate) panicked: u64,
    pub(crate) time_per_attempt: Duration,
    pub(crate) ledger: Arc<Ledger>,
}

/// Sends a mail for each order, and takes its time.
pub(crate) fn start_mail(queue: &Queue, orders: u32) -> leveret::Result<Service> {
    let (busy, ledger) = (Arc::new(Busy::default()), Arc::new(Ledger::new(orders)));
    let (watch, book) = (Arc::clone(&busy), Arc::clone(&ledger));
    let pool = queue.workers(MAIL_WORKERS, move |order: &Delivery| {
        let _at_work = watch.start();
        let n = number(order);
        book.came(n, order.is_redelivered());
        thread::sleep(MAIL_TIME);
        book.done(n);
    })?;
    let staff = Staff::Pool(pool);
    Ok(Service { queue: queue.clone(), workers: MAIL_WORKERS, busy, ledger, staff })
}

/// Adds each order to the figures, and panics now and then.
pub(crate) fn start_analytics(
    queue: &Queue,
    orders: u32,
    chance: Chance,
) -> leveret::Result<Service> {
    let (busy, ledger) = (Arc::new(Busy::default()), Arc::new(Ledger::new(orders)));
    let (watch, book) = (Arc::clone(&busy), Arc::clone(&ledger));
    let pool = queue.workers(ANALYTICS_WORKERS, move |order: &Delivery| {
        let _at_work = watch.start();
        let n = number(order);
        book.came(n, order.is_redelivered());
        if chance.strikes(Accident::Panic, n, order.attempts(), PANICS_PER_MILLE) {
            panic::panic_any(Mishap);
        }
        book.done(n);
    })?;
    let staff = Staff::Pool(pool);
    Ok(Service { queue: queue.clone(), workers: ANALYTICS_WORKERS, busy, ledger, staff })
}

/// The number that the shop gave to an order.
pub(crate) fn number(order: &Delivery) -> u64 {
    let number = order.header("n").and_then(leveret::Value::as_i64);
    number.and_then(|number| u64::try_from(number).ok()).expect("the shop numbers its orders")
}

impl Service {
    /// Stops the workers and says what they did.
    pub(crate) fn stop(self) -> leveret::Result<Report> {
        let mut report = Report {
            name: self.queue.name().to_owned(),
            workers: self.workers,
            done: 0,
            retried: 0,
            failed: 0,
            panicked: 0,
            time_per_attempt: Duration::ZERO,
            ledger: self.ledger,
        };
        match self.staff {
            Staff::Crew(crew) => {
                let tally = crew.stop()?;
                report.done = tally.done.load(Ordering::Relaxed);
                report.retried = tally.retried.load(Ordering::Relaxed);
                report.failed = tally.failed.load(Ordering::Relaxed);
            }
            Staff::Pool(workers) => {
                let pool = workers.stop(STOP_TIME);
                report.done = pool.acked;
                report.retried = pool.requeued + pool.panicked;
                report.failed = pool.rejected;
                report.panicked = pool.panicked;
            }
        }
        report.time_per_attempt = self.busy.mean();
        Ok(report)
    }
}

/// How long the workers of a service were busy.
#[derive(Debug, Default)]
pub(crate) struct Busy {
    attempts: AtomicU64,
    nanoseconds: AtomicU64,
}

/// One attempt, which ends when this is dropped: a panic ends it too.
pub(crate) struct AtWork<'b> {
    busy: &'b Busy,
    since: Instant,
}

impl Busy {
    pub(crate) fn start(&self) -> AtWork<'_> {
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
