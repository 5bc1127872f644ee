//! Who waits for something behind a lock: threads and tasks.
//!
//! The owner keeps a [`Waiting`] under its own lock beside what is waited for, and a condition
//! variable beside the lock. Whoever changes the state learns from [`Waiting::anyone`] whether to
//! wake, and wakes after letting go of all locks, because a waker is somebody else's code.
//!
//! A task that was dropped leaves its waker behind, and waking it would help nobody. So all tasks
//! are woken at once: the wake-up that counts is never lost to one that is gone.

use std::task::Waker;

/// The threads and tasks that wait for one thing.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// How many threads are inside the wait.
    pub(crate) threads: usize,
    /// One per task. Invariant: no two wake the same task.
    wakers: Vec<Waker>,
}

impl Waiting {
    pub(crate) fn anyone(&self) -> bool {
        self.threads > 0 || !self.wakers.is_empty()
    }

    /// Has a task woken at the next change. Hands the waker back if the task is known already, to
    /// be dropped where no lock is held.
    #[must_use]
    pub(crate) fn register(&mut self, waker: Waker) -> Option<Waker> {
        if self.wakers.iter().any(|known| known.will_wake(&waker)) {
            return Some(waker);
        }
        self.wakers.push(waker);
        None
    }

    /// The tasks to wake, now that something has changed.
    pub(crate) fn take_wakers(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.wakers)
    }
}
