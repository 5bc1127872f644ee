//! The check that nothing was lost and nothing was done twice.

use std::collections::BTreeMap;

use leveret::{CloseReport, Queue};

use crate::{
    ledger::Ledger,
    service::{Report, number},
};

/// What the queues account for, and where they do not agree with the workers.
#[derive(Debug)]
pub(crate) struct Audit {
    /// Over the queues of the services.
    pub(crate) enqueued: u64,
    pub(crate) acked: u64,
    pub(crate) ready: u64,
    pub(crate) unacked: u64,
    /// How many orders were given up, by cause.
    pub(crate) dead: BTreeMap<String, u64>,
    /// Empty if nothing was lost and nothing was done twice.
    pub(crate) problems: Vec<String>,
}

impl Audit {
    /// Compares what was published, what the workers say, and what the queues say. Empties the
    /// queue of the dead letters.
    pub(crate) fn new(
        published: u32,
        reports: &[Report],
        queues: &[Queue],
        dead: &Queue,
    ) -> leveret::Result<Self> {
        let mut audit = Self {
            enqueued: 0,
            acked: 0,
            ready: 0,
            unacked: 0,
            dead: BTreeMap::new(),
            problems: Vec::new(),
        };
        let orders = u64::from(published);
        for (report, queue) in reports.iter().zip(queues) {
            let (stats, name) = (queue.stats(), queue.name());
            audit.enqueued += stats.enqueued;
            audit.acked += stats.acked;
            audit.ready += stats.ready;
            audit.unacked += stats.unacked;
            audit.expect(stats.is_conserved(), || format!("{name} does not add up: {stats:?}"));
            audit.expect_equal(orders, stats.enqueued, || format!("{name} got"));
            audit.expect_equal(orders, stats.acked, || format!("{name} settled"));
            let through = report.done + report.failed;
            audit.expect_equal(orders, through, || format!("the workers of {name} finished"));
            audit.expect_all(name, report.ledger.problems(|_| true));
        }
        let letters = audit.read_dead_letters(dead, published)?;
        let is_given_up = |n| reports.iter().any(|report| report.ledger.has_given_up(n));
        audit.expect_all(dead.name(), letters.problems(is_given_up));
        let failed = reports.iter().map(|report| report.failed).sum();
        audit.expect_equal(failed, dead.stats().enqueued, || format!("{} got", dead.name()));
        Ok(audit)
    }

    /// Nobody had a message in hand any more, and no queue had one left.
    pub(crate) fn check_close(&mut self, close: &CloseReport) {
        let is_empty = close.is_clean() && close.messages_lost == 0;
        self.expect(is_empty, || format!("the broker was not empty when it closed: {close:?}"));
    }

    fn read_dead_letters(&mut self, dead: &Queue, published: u32) -> leveret::Result<Ledger> {
        let letters = Ledger::new(published);
        while let Some(letter) = dead.get()? {
            let cause = letter.header("cause").and_then(leveret::Value::as_str);
            *self.dead.entry(cause.unwrap_or("no cause").to_owned()).or_default() += 1;
            let n = number(&letter);
            letters.came(n, letter.is_redelivered());
            letters.done(n);
            letter.ack()?;
        }
        self.expect(dead.stats().is_conserved(), || "dead letters do not add up".into());
        Ok(letters)
    }

    fn expect_equal(&mut self, expected: u64, found: u64, what: impl FnOnce() -> String) {
        self.expect(expected == found, || format!("{} {found}, not {expected}", what()));
    }

    /// Takes over what a ledger found.
    fn expect_all(&mut self, name: &str, problems: Vec<String>) {
        self.problems.extend(problems.into_iter().map(|problem| format!("{name} {problem}")));
    }

    fn expect(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.problems.push(otherwise());
        }
    }
}
