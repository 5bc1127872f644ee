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
    repeats: Repeats,
}

/// Whether an order may be done more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeats {
    Never,
    /// By a crash between doing it and its ack, and then it was flagged.
    Flagged,
}

#[derive(Debug, Default)]
struct Record {
    /// How often it came without the flag that it has come before.
    fresh: AtomicU32,
    /// How often it was done or became a dead letter.
    finished: AtomicU32,
}

impl Ledger {
    pub(crate) fn new(orders: u32, repeats: Repeats) -> Self {
        let orders = (0..orders).map(|_| Record::default()).collect();
        Self { orders, strange: AtomicU32::new(0), repeats }
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
        self.finish(number);
    }

    /// It is among the dead letters.
    pub(crate) fn gave_up(&self, number: u64) {
        self.finish(number);
    }

    /// Says which orders did not come through exactly once.
    pub(crate) fn problems(&self) -> Vec<String> {
        let (mut lost, mut doubled) = (Vec::new(), Vec::new());
        for (record, number) in self.orders.iter().zip(1..) {
            let fresh = record.fresh.load(Ordering::Relaxed);
            let finished = record.finished.load(Ordering::Relaxed);
            if fresh > 1 || finished > 1 && self.repeats == Repeats::Never {
                doubled.push(number);
            } else if finished == 0 {
                lost.push(number);
            }
        }
        let groups = [("lost", lost), ("doubled", doubled)];
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

    fn finish(&self, number: u64) {
        match self.record(number) {
            Some(record) => record.finished.fetch_add(1, Ordering::Relaxed),
            None => self.strange.fetch_add(1, Ordering::Relaxed),
        };
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
