//! How far a store has got, and those who wait for it.

use std::{fmt, sync::Arc};

use super::{
    failure::StoreFailure,
    position::{Position, State},
};
use crate::{
    clock::HostDeadline,
    sync::{
        Condvar, Mutex, Rank,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
};

/// What is told that something has changed.
type Told = Box<dyn Fn() + Send + Sync>;

/// How far a store has got. Only who writes changes it, and who syncs for it.
pub(super) struct Progress {
    /// The last group that is durable. Released after what makes it so.
    durable: AtomicU64,
    /// One of the constants below.
    state: AtomicU8,
    end: Mutex<End>,
    changed: Condvar,
    told: Mutex<Option<Arc<Told>>>,
}

/// How it has come to an end.
#[derive(Debug, Default)]
struct End {
    /// Why nothing becomes durable any more.
    reason: Option<StoreFailure>,
    /// Whether nobody writes any more.
    is_over: bool,
}

/// Notes that nobody writes any more, also when something panics.
#[must_use = "it is noted when this is dropped"]
pub(super) struct Ending<'p>(&'p Progress);

const WORKING: u8 = 0;
const FULL: u8 = 1;
const FAILED: u8 = 2;

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            durable: AtomicU64::new(0),
            state: AtomicU8::new(WORKING),
            end: Mutex::new(Rank::Intake, End::default()),
            changed: Condvar::default(),
            told: Mutex::new(Rank::Intake, None),
        }
    }

    pub(super) fn durable(&self) -> Position {
        Position(self.durable.load(Ordering::Acquire))
    }

    pub(super) fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            WORKING => State::Working,
            FULL => State::Full,
            _ => State::Failed,
        }
    }

    /// Why nothing becomes durable any more.
    pub(super) fn failure(&self) -> Option<StoreFailure> {
        self.end.lock().reason.clone()
    }

    pub(super) fn poll(&self, position: Position) -> Option<Result<(), StoreFailure>> {
        if position <= self.durable() {
            return Some(Ok(()));
        }
        match self.state() {
            State::Working | State::Full => None,
            // It may have become durable at last.
            State::Failed if position <= self.durable() => Some(Ok(())),
            State::Failed => self.failure().map(Err),
        }
    }

    pub(super) fn wait(
        &self,
        position: Position,
        until: HostDeadline,
    ) -> Option<Result<(), StoreFailure>> {
        loop {
            if let Some(result) = self.poll(position) {
                return Some(result);
            }
            let left = until.left()?;
            let mut end = self.end.lock();
            // Whoever changes it takes this lock before it tells, so nothing is missed.
            if position > self.durable() && end.reason.is_none() {
                self.changed.wait_for(&mut end, left);
            }
        }
    }

    /// Waits until nobody writes any more, and says whether that is so in time. A disk may hold up
    /// who writes for long after it has failed.
    pub(super) fn wait_for_end(&self, until: HostDeadline) -> bool {
        let mut end = self.end.lock();
        while !end.is_over {
            match until.left() {
                Some(left) => self.changed.wait_for(&mut end, left),
                None => return false,
            }
        }
        true
    }

    pub(super) fn on_change(&self, told: Told) {
        *self.told.lock() = Some(Arc::new(told));
    }

    pub(super) fn advance(&self, durable: Position) {
        self.durable.store(durable.0, Ordering::Release);
        self.tell();
    }

    pub(super) fn set_full(&self) {
        self.change(WORKING, FULL);
    }

    pub(super) fn set_working(&self) {
        self.change(FULL, WORKING);
    }

    /// For good; the first reason counts.
    pub(super) fn finish(&self, failure: StoreFailure) {
        self.end.lock().reason.get_or_insert(failure);
        self.state.store(FAILED, Ordering::Release);
        self.tell();
    }

    /// Nobody writes any more once what this gives is dropped.
    pub(super) fn ending(&self) -> Ending<'_> {
        Ending(self)
    }

    /// Goes over from one state to another, if it is that one: failed it is for good, and it is not
    /// only who writes who finds out.
    fn change(&self, from: u8, to: u8) {
        if self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.tell();
        }
    }

    fn tell(&self) {
        drop(self.end.lock());
        self.changed.notify_all();
        let told = self.told.lock().clone();
        if let Some(told) = told {
            told();
        }
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.end.lock().is_over = true;
        self.0.changed.notify_all();
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress")
            .field("durable", &self.durable())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It may be found out by who syncs while who writes notes that there is space again.
    #[test]
    fn a_failure_is_final() {
        let progress = Progress::new();
        progress.set_full();
        progress.finish(StoreFailure::Full);
        progress.set_working();
        assert_eq!(progress.state(), State::Failed);
        progress.set_full();
        progress.finish(StoreFailure::Closed);
        assert_eq!(progress.state(), State::Failed);
        assert_eq!(progress.poll(Position(1)), Some(Err(StoreFailure::Full)));
    }

    #[test]
    fn an_end_is_noted_also_in_a_panic() {
        let progress = Progress::new();
        let at_once = HostDeadline::within(std::time::Duration::ZERO);
        assert!(!progress.wait_for_end(at_once));
        let ended = crate::shield::shielded(|| {
            let _ending = progress.ending();
            std::panic::resume_unwind(Box::new("it was told to"));
        });
        assert!(ended.is_err());
        assert!(progress.wait_for_end(at_once));
    }
}
