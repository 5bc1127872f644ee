//! How whoever waits for something of the whole broker learns that it may have happened.

use std::task::Waker;

use super::waiting::{Registered, Waiting, wake_all};
use crate::{
    clock::HostDeadline,
    sync::{
        Condvar, Mutex, Rank,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Counts steps towards something that threads and tasks wait for. While nobody does, a step costs
/// one load.
#[derive(Debug)]
pub(crate) struct Progress {
    /// How many wait, or are about to. Sequentially consistent: whoever waits announces it before
    /// it looks at what it waits for, and whoever changes that looks here afterwards.
    interested: AtomicUsize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    steps: u64,
    waiting: Waiting,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            interested: AtomicUsize::new(0),
            state: Mutex::new(Rank::Signal, State::default()),
            changed: Condvar::default(),
        }
    }

    /// A step is made. Runs other people's wakers, so no lock may be held.
    #[inline]
    pub(crate) fn made(&self) {
        if self.is_awaited() {
            self.tell_all();
        }
    }

    /// Whether anyone waits, or is about to. What was changed under a lock before this is asked is
    /// seen by those who announce themselves afterwards.
    pub(crate) fn is_awaited(&self) -> bool {
        self.interested.load(Ordering::SeqCst) > 0
    }

    /// Has everyone look again, also who is only about to wait: for what is not ordered with
    /// `interested`. Runs other people's wakers, so no lock may be held.
    pub(crate) fn tell_all(&self) {
        let wakers = {
            let mut state = self.state.lock();
            state.steps += 1;
            let wakers = state.waiting.take_wakers();
            self.interested.fetch_sub(wakers.len(), Ordering::SeqCst);
            wakers
        };
        self.changed.notify_all();
        wake_all(wakers);
    }

    /// Starts to watch, before looking at what is waited for.
    pub(crate) fn watch(&self) -> Watch<'_> {
        self.interested.fetch_add(1, Ordering::SeqCst);
        Watch { progress: self, seen: self.state.lock().steps }
    }

    /// Has a task woken at the next step. To be called before looking at what is waited for.
    pub(crate) fn register(&self, waker: Waker) {
        let registered = {
            let mut state = self.state.lock();
            let registered = state.waiting.register(waker);
            if let Registered::Added = registered {
                self.interested.fetch_add(1, Ordering::SeqCst);
            }
            registered
        };
        drop(registered);
    }
}

/// A thread that watches for steps.
#[derive(Debug)]
pub(crate) struct Watch<'p> {
    progress: &'p Progress,
    seen: u64,
}

impl Watch<'_> {
    /// Waits for a step since the last wait. `false` when the time is over first.
    pub(crate) fn wait(&mut self, until: HostDeadline) -> bool {
        let mut state = self.progress.state.lock();
        while state.steps == self.seen {
            let Some(left) = until.left() else { return false };
            self.progress.changed.wait_for(&mut state, left);
        }
        self.seen = state.steps;
        true
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.progress.interested.fetch_sub(1, Ordering::SeqCst);
    }
}
