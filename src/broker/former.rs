//! What queues leave behind that are there no more: their part of the sums.

use std::sync::Arc;

use super::{cell::QueueCell, queue_stats::QueueStats};
use crate::sync::{Mutex, Rank};

/// The counts of queues that are deleted.
#[derive(Debug)]
pub(crate) struct Former(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    sum: QueueStats,
    /// Queues whose dead letters were still on their way when they were deleted: their counts
    /// change until the last of them is there.
    leaving: Vec<Arc<QueueCell>>,
}

impl Former {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Rank::Signal, Counts::default()))
    }

    /// The sums over all of them.
    pub(crate) fn stats(&self) -> QueueStats {
        let (mut sum, leaving) = {
            let counts = self.0.lock();
            (counts.sum, counts.leaving.clone())
        };
        for cell in leaving {
            sum.add(&cell.stats());
        }
        sum
    }

    /// A queue has been deleted.
    pub(crate) fn add(&self, cell: &Arc<QueueCell>) {
        self.0.lock().leaving.push(Arc::clone(cell));
        self.retire(cell);
    }

    /// A deleted queue may have come to its last counts.
    pub(crate) fn retire(&self, cell: &Arc<QueueCell>) {
        let last = cell.stats();
        if last.moving > 0 {
            return;
        }
        let retired = {
            let mut counts = self.0.lock();
            let Counts { sum, leaving } = &mut *counts;
            let found = leaving.iter().position(|known| Arc::ptr_eq(known, cell));
            found.map(|index| {
                sum.add(&last);
                leaving.swap_remove(index)
            })
        };
        drop(retired);
    }

    /// Takes over what another one has counted.
    pub(crate) fn join(&self, other: &Self) {
        let Counts { sum, leaving } = std::mem::take(&mut *other.0.lock());
        {
            let mut counts = self.0.lock();
            counts.sum.add(&sum);
            counts.leaving.extend(leaving.iter().cloned());
        }
        // Their last letters may have come there meanwhile.
        for cell in leaving {
            self.retire(&cell);
        }
    }
}
