//! Who waits for something behind a lock: threads and tasks.
//!
//! The owner keeps a [`Waiting`] under its own lock beside what is waited for, and a condition
//! variable beside the lock. Whoever changes the state learns from [`Waiting::anyone`] whether to
//! wake, and wakes after letting go of all locks, because a waker is somebody else's code.
//!
//! A task that was dropped leaves its waker behind, and waking it would help nobody. So all tasks
//! are woken at once: the wake-up that counts is never lost to one that is gone.

use std::task::Waker;

use crate::shield::shielded;

/// How many tasks may wait for one thing. Tasks that were dropped count until the next wake-up, so
/// there has to be a bound; beyond it the task that has waited longest is woken, to ask again if
/// it is still there.
const WAKERS_MAX: usize = 1_024;

/// The threads and tasks that wait for one thing.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// How many threads are inside the wait.
    pub(crate) threads: usize,
    /// One per task, the longest waiting first. Invariant: no two wake the same task, and there
    /// are at most [`WAKERS_MAX`].
    wakers: Vec<Waker>,
}

/// What registering a task leaves to do once no lock is held, by dropping this.
#[derive(Debug)]
#[must_use = "it is dropped where no lock is held"]
pub(crate) enum Registered {
    /// One more task waits.
    Added,
    /// The waker is not needed: the task waits already, or does not have to wait.
    Spare(#[expect(dead_code, reason = "only to be dropped")] Waker),
    /// The task waits in the place of another one.
    Instead(#[expect(dead_code, reason = "dropping it wakes that one")] Displaced),
}

/// A task that has to ask again.
#[derive(Debug)]
pub(crate) struct Displaced(Option<Waker>);

impl Waiting {
    pub(crate) fn anyone(&self) -> bool {
        self.threads > 0 || !self.wakers.is_empty()
    }

    /// Has a task woken at the next change.
    pub(crate) fn register(&mut self, waker: Waker) -> Registered {
        if self.wakers.iter().any(|known| known.will_wake(&waker)) {
            return Registered::Spare(waker);
        }
        let displaced = (self.wakers.len() >= WAKERS_MAX).then(|| self.wakers.remove(0));
        self.wakers.push(waker);
        match displaced {
            Some(displaced) => Registered::Instead(Displaced(Some(displaced))),
            None => Registered::Added,
        }
    }

    /// The tasks to wake, now that something has changed.
    pub(crate) fn take_wakers(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.wakers)
    }
}

impl Drop for Displaced {
    fn drop(&mut self) {
        wake_all(self.0.take());
    }
}

/// Wakes tasks. Runs other people's code, so no lock may be held.
///
/// A waker that panics is its task's trouble: neither the others nor whoever wakes may suffer.
pub(crate) fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    for waker in wakers {
        let _ = shielded(|| waker.wake());
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
    };

    use super::*;

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    struct Broken;

    impl Wake for Broken {
        fn wake(self: Arc<Self>) {
            panic!("the task is broken");
        }
    }

    #[test]
    fn beyond_the_bound_the_longest_waiting_asks_again() {
        let mut waiting = Waiting::default();
        let bells: Vec<_> = (0..=WAKERS_MAX).map(|_| Arc::new(Bell::default())).collect();
        for bell in &bells {
            let waker = Waker::from(Arc::clone(bell));
            drop(waiting.register(waker.clone()));
            assert!(matches!(waiting.register(waker), Registered::Spare(_)));
        }
        let woken = |bell: &Arc<Bell>| bell.0.load(Ordering::Relaxed);
        assert_eq!(bells.iter().map(woken).sum::<usize>(), 1);
        assert_eq!(woken(&bells[0]), 1);
        wake_all(waiting.take_wakers());
        assert!(bells.iter().all(|bell| woken(bell) == 1), "each is woken once");
        assert!(!waiting.anyone());
    }

    #[test]
    fn a_waker_that_panics_keeps_no_other_from_being_woken() {
        let bell = Arc::new(Bell::default());
        wake_all([Waker::from(Arc::new(Broken)), Waker::from(Arc::clone(&bell))]);
        assert_eq!(bell.0.load(Ordering::Relaxed), 1);
    }
}
