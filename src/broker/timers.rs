//! What falls due when: one list, in order, of everything that waits for time.
//!
//! An entry says that something of a queue *may* be due at a moment; the queue itself knows
//! whether it is. So nothing has to be found and changed when a deadline is put off: the entry
//! that is there fires, and the queue schedules the next one. A queue has at most one entry that
//! counts, its earliest, and takes it along when it goes: an entry keeps the memory of its queue.
//!
//! Due work runs in the order of deadlines, with each deadline as its "now": on the thread that
//! advances a manual clock, on the caller of `poll_timers`, or on a thread that starts at the
//! first deadline. What panics there, the destructor of a message, is no matter of the next queue.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    thread::{self, JoinHandle},
    time::Duration,
};

use super::cell::QueueCell;
use crate::{
    clock::Clock,
    shield::{self, shielded},
    sync::{Condvar, Mutex, Rank},
    time::Moment,
};

/// Who runs what is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    /// Whoever moves the clock or polls.
    Caller,
    /// A thread of the broker's own.
    Thread,
}

/// The deadlines of one broker.
#[derive(Debug)]
pub(crate) struct Timers {
    driver: Driver,
    state: Mutex<State>,
    changed: Condvar,
}

/// One entry: by moment, and those of one moment in the order in which they were scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Deadline {
    pub(crate) at: Moment,
    /// Unique.
    serial: u64,
}

#[derive(Debug)]
struct State {
    deadlines: BTreeMap<Deadline, Weak<QueueCell>>,
    next_serial: u64,
    thread: Option<JoinHandle<()>>,
    stopped: bool,
}

impl Timers {
    pub(crate) fn new(driver: Driver) -> Self {
        let deadlines = BTreeMap::new();
        let state = State { deadlines, next_serial: 0, thread: None, stopped: false };
        Self { driver, state: Mutex::new(Rank::Signal, state), changed: Condvar::default() }
    }

    /// Notes that something of a queue may be due at a moment, in place of a former deadline.
    pub(crate) fn schedule(
        self: &Arc<Self>,
        at: Moment,
        former: Option<Deadline>,
        cell: &Arc<QueueCell>,
        clock: &Arc<Clock>,
    ) -> Deadline {
        let mut state = self.state.lock();
        let deadline = Deadline { at, serial: state.next_serial };
        state.next_serial += 1;
        if state.stopped {
            return deadline;
        }
        if let Some(former) = former {
            state.deadlines.remove(&former);
        }
        state.deadlines.insert(deadline, Arc::downgrade(cell));
        if self.driver == Driver::Thread && state.thread.is_none() {
            state.thread = start(Arc::clone(self), Arc::clone(clock));
        }
        drop(state);
        self.changed.notify_one();
        deadline
    }

    /// Forgets a deadline, unless it has fired.
    pub(crate) fn unschedule(&self, deadline: Deadline) {
        self.state.lock().deadlines.remove(&deadline);
    }

    /// The earliest moment at which anything may be due.
    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        self.state.lock().earliest()
    }

    /// Runs everything that is due by `now`, in the order of deadlines, each at its own.
    pub(crate) fn run_due(&self, now: Moment) {
        while let Some((at, cell)) = self.pop_due(now) {
            let _ = shielded(|| {
                if let Some(cell) = cell.upgrade() {
                    cell.run_due(at);
                }
            });
        }
    }

    /// Has the thread end, without waiting for it. A broker always stops its timers.
    pub(crate) fn stop(&self) {
        {
            let mut state = self.state.lock();
            state.stopped = true;
            state.deadlines.clear();
        }
        self.changed.notify_all();
    }

    /// Waits for the thread to end, unless it is the caller.
    pub(crate) fn join(&self) {
        let thread = self.state.lock().thread.take();
        if let Some(thread) = thread
            && thread.thread().id() != thread::current().id()
        {
            shield::join(thread);
        }
    }

    fn pop_due(&self, now: Moment) -> Option<(Moment, Weak<QueueCell>)> {
        let mut state = self.state.lock();
        if state.earliest()? > now {
            return None;
        }
        state.deadlines.pop_first().map(|(deadline, cell)| (deadline.at, cell))
    }

    /// Waits until something is due. Says whether to go on.
    fn wait(&self, clock: &Clock) -> bool {
        let mut state = self.state.lock();
        if state.stopped {
            return false;
        }
        match state.earliest().map(|at| at.since(clock.now())) {
            None => self.changed.wait(&mut state),
            Some(Duration::ZERO) => {}
            Some(left) => self.changed.wait_for(&mut state, left),
        }
        !state.stopped
    }
}

impl State {
    fn earliest(&self) -> Option<Moment> {
        self.deadlines.first_key_value().map(|(deadline, _)| deadline.at)
    }
}

/// The one thread that the broker itself starts.
fn start(timers: Arc<Timers>, clock: Arc<Clock>) -> Option<JoinHandle<()>> {
    let run = move || {
        loop {
            timers.run_due(clock.now());
            if !timers.wait(&clock) {
                break;
            }
        }
    };
    thread::Builder::new().name("leveret-timers".into()).spawn(run).ok()
}
