//! Which orders came through a service, by number: sums agree also where one order is lost and
//! another is done twice.

use std::sync::atomic::{AtomicU32, Ordering};

/// How many numbers a text names, so that it stays one line.
const NAMED_MAX: usize = 10;

/// What became of each order in one service. Plain counters: they order nothing else.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// By number, from 1.
    orders: Box<[Record]>,
    /// How often a number came that no order has.
    strange: AtomicU32,
}

#[derive(Debug, Default)]
struct Record {
    /// How often it came without the flag that it has come before.
    fresh: AtomicU32,
    /// How often it was done or given up.
    finished: AtomicU32,
    given_up: AtomicU32,
}

impl Ledger {
    pub(crate) fn new(orders: u32) -> Self {
        let orders = (0..orders).map(|_| Record::default()).collect();
        Self { orders, strange: AtomicU32::new(0) }
    }

    /// An attempt at an order begins.
    pub(crate) fn came(&self, number: u64, redelivered: bool) {
        match self.record(number) {
            Some(record) if !redelivered => {
                record.fresh.fetch_add(1, Ordering::Relaxed);
            }
            Some(_) => {}
            None => {
                self.strange.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn done(&self, number: u64) {
        if let Some(record) = self.record(number) {
            record.finished.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn gave_up(&self, number: u64) {
        if let Some(record) = self.record(number) {
            record.finished.fetch_add(1, Ordering::Relaxed);
            record.given_up.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn has_given_up(&self, number: u64) -> bool {
        self.record(number).is_some_and(|record| record.given_up.load(Ordering::Relaxed) > 0)
    }

    /// Says which orders did not come through exactly once, of those that had to, and which did
    /// that had not to.
    pub(crate) fn problems(&self, has_to: impl Fn(u64) -> bool) -> Vec<String> {
        let (mut lost, mut doubled, mut strange) = (Vec::new(), Vec::new(), Vec::new());
        for (record, number) in self.orders.iter().zip(1..) {
            let fresh = record.fresh.load(Ordering::Relaxed);
            let finished = record.finished.load(Ordering::Relaxed);
            if fresh > 1 || finished > 1 {
                doubled.push(number);
            } else if finished == 0 && has_to(number) {
                lost.push(number);
            } else if finished > 0 && !has_to(number) {
                strange.push(number);
            }
        }
        let groups = [("lost", lost), ("doubled", doubled), ("did not expect", strange)];
        let mut problems: Vec<_> = groups
            .iter()
            .filter(|(_, numbers)| !numbers.is_empty())
            .map(|(verb, numbers)| format!("{verb} {}", named(numbers)))
            .collect();
        match self.strange.load(Ordering::Relaxed) {
            0 => {}
            times => problems.push(format!("got {times} times what nobody ordered")),
        }
        problems
    }

    fn record(&self, number: u64) -> Option<&Record> {
        self.orders.get(usize::try_from(number).ok()?.checked_sub(1)?)
    }
}

fn named(numbers: &[u64]) -> String {
    let named: Vec<_> = numbers.iter().take(NAMED_MAX).map(u64::to_string).collect();
    let more = match numbers.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let orders = if numbers.len() == 1 { "order" } else { "orders" };
    format!("{} {orders}: {}{more}", numbers.len(), named.join(", "))
}
