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
    /// Whether the thread that wrote is about to end.
    is_over: bool,
}

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
        if self.state.swap(FULL, Ordering::AcqRel) != FULL {
            self.tell();
        }
    }

    pub(super) fn set_working(&self) {
        if self.state.swap(WORKING, Ordering::AcqRel) != WORKING {
            self.tell();
        }
    }

    /// For good; the first reason counts.
    pub(super) fn finish(&self, failure: StoreFailure) {
        self.end.lock().reason.get_or_insert(failure);
        self.state.store(FAILED, Ordering::Release);
        self.tell();
    }

    /// Nobody writes any more.
    pub(super) fn note_end(&self) {
        self.end.lock().is_over = true;
        self.changed.notify_all();
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

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress")
            .field("durable", &self.durable())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
