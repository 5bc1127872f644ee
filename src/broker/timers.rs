//! What falls due when: one heap for everything that waits for time.
//!
//! An entry says that something of a queue *may* be due at a moment; the queue itself knows
//! whether it is. So nothing has to be found and removed when a deadline is put off: the entry
//! that is there fires, and the queue schedules the next one. A queue has at most one entry that
//! counts, its earliest.
//!
//! Due work runs in the order of deadlines, with each deadline as its "now": on the thread that
//! advances a manual clock, on the caller of `poll_timers`, or on a thread that starts at the
//! first deadline.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{Arc, Weak},
    thread::{self, JoinHandle},
    time::Duration,
};

use super::cell::QueueCell;
use crate::{
    clock::Clock,
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

#[derive(Debug)]
struct State {
    /// The serial keeps entries of one moment in the order in which they were scheduled.
    heap: BinaryHeap<Reverse<(Moment, u64, ByIdentity)>>,
    next_serial: u64,
    thread: Option<JoinHandle<()>>,
    stopped: bool,
}

impl Timers {
    pub(crate) fn new(driver: Driver) -> Self {
        let state = State { heap: BinaryHeap::new(), next_serial: 0, thread: None, stopped: false };
        Self { driver, state: Mutex::new(Rank::Signal, state), changed: Condvar::default() }
    }

    /// Notes that something of a queue may be due at a moment.
    pub(crate) fn schedule(
        self: &Arc<Self>,
        at: Moment,
        cell: &Arc<QueueCell>,
        clock: &Arc<Clock>,
    ) {
        let mut state = self.state.lock();
        if state.stopped {
            return;
        }
        let serial = state.next_serial;
        state.next_serial += 1;
        state.heap.push(Reverse((at, serial, ByIdentity(Arc::downgrade(cell)))));
        if self.driver == Driver::Thread && state.thread.is_none() {
            state.thread = start(Arc::clone(self), Arc::clone(clock));
        }
        drop(state);
        self.changed.notify_one();
    }

    /// The earliest moment at which anything may be due.
    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        self.state.lock().heap.peek().map(|Reverse((at, ..))| *at)
    }

    /// Runs everything that is due by `now`, in the order of deadlines, each at its own.
    pub(crate) fn run_due(&self, now: Moment) {
        while let Some((at, cell)) = self.pop_due(now) {
            if let Some(cell) = cell.upgrade() {
                cell.run_due(at);
            }
        }
    }

    /// Has the thread end, without waiting for it. A broker always stops its timers.
    pub(crate) fn stop(&self) {
        let heap = {
            let mut state = self.state.lock();
            state.stopped = true;
            std::mem::take(&mut state.heap)
        };
        self.changed.notify_all();
        // A queue may be held by nothing else, and its messages have destructors.
        drop(heap);
    }

    /// Waits for the thread to end, unless it is the caller.
    pub(crate) fn join(&self) {
        let thread = self.state.lock().thread.take();
        if let Some(thread) = thread
            && thread.thread().id() != thread::current().id()
        {
            thread.join().expect("due work does not panic");
        }
    }

    fn pop_due(&self, now: Moment) -> Option<(Moment, Weak<QueueCell>)> {
        let mut state = self.state.lock();
        let Reverse((at, ..)) = state.heap.peek()?;
        if *at > now {
            return None;
        }
        state.heap.pop().map(|Reverse((at, _, cell))| (at, cell.0))
    }

    /// Waits until something is due. Says whether to go on.
    fn wait(&self, clock: &Clock) -> bool {
        let mut state = self.state.lock();
        if state.stopped {
            return false;
        }
        match state.heap.peek().map(|Reverse((at, ..))| at.since(clock.now())) {
            None => self.changed.wait(&mut state),
            Some(Duration::ZERO) => {}
            Some(left) => self.changed.wait_for(&mut state, left),
        }
        !state.stopped
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

/// A queue as an item of the heap: compared by nothing, since moment and serial decide.
#[derive(Debug)]
struct ByIdentity(Weak<QueueCell>);

impl PartialEq for ByIdentity {
    fn eq(&self, other: &Self) -> bool {
        Weak::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for ByIdentity {}

impl PartialOrd for ByIdentity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByIdentity {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}
