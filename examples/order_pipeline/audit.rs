//! The check that nothing was lost and nothing was done twice.

use std::{collections::BTreeMap, sync::Arc};

use leveret::{CloseReport, Delivery, Queue, QueueStats, WorkersReport};

use super::{
    book::Book,
    ledger::Ledger,
    letters::{Death, Letter},
};

/// What one service says about itself when it has stopped.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) queue: Queue,
    pub(crate) pool: WorkersReport,
    pub(crate) ledger: Arc<Ledger>,
    /// What was noted on disk, by this process and those before it.
    pub(crate) book: Option<Book>,
}

/// What the queues account for, and where they do not agree with the workers.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    /// Over the queues of the services.
    pub(crate) enqueued: u64,
    pub(crate) acked: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) held: u64,
    /// How many orders were given up, by where and why.
    pub(crate) dead: BTreeMap<Death, u64>,
    /// Empty if nothing was lost and nothing was done twice.
    pub(crate) problems: Vec<String>,
}

impl Audit {
    /// Compares what was published, what the workers say, what the queues say, and what came to the
    /// queue of the dead letters, which is emptied unless it outlives the process: of each service,
    /// every order has to be done or to be a dead letter, once.
    pub(crate) fn new(orders: u32, accounts: &[Account], dead: &Queue) -> leveret::Result<Self> {
        let mut audit = Self::default();
        let letters = audit.read_dead_letters(accounts, dead)?;
        for account in accounts {
            match &account.book {
                None => audit.check(account, orders.into()),
                Some(book) => {
                    book.read(&account.ledger)?;
                    audit.check_book(account);
                }
            }
        }
        let (stats, name) = (dead.stats(), dead.name());
        audit.expect(stats.is_conserved(), || format!("{name} does not add up: {stats:?}"));
        if accounts.iter().all(|account| account.book.is_none()) {
            audit.expect_equal(audit.dead_lettered, stats.enqueued, || format!("{name} got"));
            letters.into_iter().try_for_each(Delivery::ack)?;
        }
        Ok(audit)
    }

    /// Nobody had a message in hand any more, and no queue had one left.
    pub(crate) fn check_close(&mut self, close: &CloseReport) {
        let is_empty = close.is_clean() && close.messages_lost == 0;
        self.expect(is_empty, || format!("the broker was not empty when it closed: {close:?}"));
    }

    /// A dead letter is where an order of a service may end instead of being done. Dropped, the
    /// letters go back to where they were.
    fn read_dead_letters(
        &mut self,
        accounts: &[Account],
        dead: &Queue,
    ) -> leveret::Result<Vec<Delivery>> {
        let mut letters = Vec::new();
        while let Some(delivery) = dead.get()? {
            let problem = match Letter::read(&delivery) {
                Ok(Letter { number, death }) => {
                    let of = accounts.iter().find(|account| account.queue.name() == death.queue);
                    *self.dead.entry(death).or_default() += 1;
                    match of {
                        Some(account) => {
                            account.ledger.gave_up(number);
                            None
                        }
                        None => Some("of a queue that nobody serves"),
                    }
                }
                Err(problem) => Some(problem),
            };
            if let Some(problem) = problem {
                self.problems.push(format!("{} has a letter {problem}", dead.name()));
            }
            letters.push(delivery);
        }
        Ok(letters)
    }

    /// The same for a service of which other processes have done a part: what the queues count is
    /// of this one alone.
    fn check_book(&mut self, account: &Account) {
        let Account { queue, ledger, .. } = account;
        let (stats, name) = (queue.stats(), queue.name());
        self.enqueued += stats.enqueued;
        self.acked += stats.acked;
        self.dead_lettered += stats.dead_lettered;
        self.held += stats.held();
        self.expect(stats.is_conserved(), || format!("{name} does not add up: {stats:?}"));
        self.expect_equal(0, stats.held(), || format!("{name} still has"));
        let problems = ledger.problems();
        self.problems.extend(problems.into_iter().map(|problem| format!("{name} {problem}")));
    }

    fn check(&mut self, account: &Account, orders: u64) {
        let Account { queue, pool, ledger, .. } = account;
        let (stats, name) = (queue.stats(), queue.name());
        self.enqueued += stats.enqueued;
        self.acked += stats.acked;
        self.dead_lettered += stats.dead_lettered;
        self.held += stats.held();
        self.expect(stats.is_conserved(), || format!("{name} does not add up: {stats:?}"));
        self.expect_equal(orders, stats.enqueued, || format!("{name} got"));
        self.expect_equal(orders, stats.acked + stats.dead_lettered, || format!("{name} ended"));
        self.expect_equal(pool.acked, stats.acked, || format!("{name} saw done"));
        let by_limit = self.letters_of(name, Death::is_by_limit);
        let given_up = pool.rejected + by_limit;
        self.expect_equal(given_up, stats.dead_lettered, || format!("{name} saw given up"));
        // A panic returns an order; only the last one of an order that is given up does not.
        let came_back = (pool.requeued + pool.retried + pool.panicked).saturating_sub(by_limit);
        self.expect_equal(came_back, retries(&stats), || format!("{name} saw tried again"));
        let letters = self.letters_of(name, |_| true);
        self.expect_equal(stats.dead_lettered, letters, || format!("dead letters of {name} are"));
        let problems = ledger.problems();
        self.problems.extend(problems.into_iter().map(|problem| format!("{name} {problem}")));
    }

    fn letters_of(&self, queue: &str, is_meant: impl Fn(&Death) -> bool) -> u64 {
        let of_queue = self.dead.iter().filter(|(death, _)| death.queue == queue);
        of_queue.filter(|(death, _)| is_meant(death)).map(|(_, count)| count).sum()
    }

    fn expect_equal(&mut self, expected: u64, found: u64, what: impl FnOnce() -> String) {
        self.expect(expected == found, || format!("{} {found}, not {expected}", what()));
    }

    fn expect(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.problems.push(otherwise());
        }
    }
}

/// How often an order was handed out that had been handed out before.
pub(crate) fn retries(stats: &QueueStats) -> u64 {
    stats.delivered.saturating_sub(stats.enqueued)
}
