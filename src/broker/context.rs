//! What every part of one broker shares: its bounds, its clock, its memory, and whether it is
//! still open.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64},
};

use super::{
    acks::Backlog,
    budget::Budget,
    former::Former,
    journal::Journal,
    limits::Limits,
    progress::Progress,
    timers::{Driver, Timers},
};
use crate::{
    clock::Clock,
    engine::definition::QueueDefaults,
    sync::atomic::{AtomicU8, Ordering},
};

/// How far a broker has got in closing. It only ever goes on to a later phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Open,
    /// No new consumers and declarations; publishing and settling go on.
    Draining,
    /// Nothing but settling goes on.
    Closed,
}

/// The shared parts of one broker. It refers to no entity, so entities may refer to it.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) limits: Limits,
    /// What holds for queues whose own arguments say nothing of it.
    pub(crate) queue_defaults: QueueDefaults,
    pub(crate) clock: Arc<Clock>,
    pub(crate) timers: Arc<Timers>,
    pub(crate) budget: Budget,
    /// Told when memory comes back, or places among the events of a channel that was full.
    pub(crate) room: Progress,
    /// Told when something has happened in a queue, or a handler has returned.
    pub(crate) progress: Progress,
    /// Told when something has become durable, or never will.
    pub(crate) durable: Progress,
    /// What outlives the process, if anything does.
    pub(crate) journal: Option<Journal>,
    /// What queues have not been told yet.
    pub(crate) backlog: Backlog,
    /// What was in virtual hosts that are deleted.
    pub(crate) former: Former,
    /// Whether any queue ever had a place for dead letters. Set before the queue can be published
    /// to.
    has_dead_letters: AtomicBool,
    /// A [`Phase`]. Stored with release and loaded with acquire, so that who sees a phase sees
    /// what was done before it.
    phase: AtomicU8,
    /// Gives numbers that are unique in the broker: owners, stamps, generated names.
    next_number: AtomicU64,
}

impl Context {
    pub(crate) fn new(
        limits: Limits,
        queue_defaults: QueueDefaults,
        clock: Clock,
        driver: Driver,
        journal: Option<Journal>,
    ) -> Self {
        let timers = Arc::new(Timers::new(driver));
        clock.drive(&timers);
        Self {
            budget: Budget::new(limits.memory_bytes),
            room: Progress::new(),
            progress: Progress::new(),
            durable: Progress::new(),
            journal,
            backlog: Backlog::new(),
            limits,
            queue_defaults,
            clock: Arc::new(clock),
            timers,
            former: Former::new(),
            has_dead_letters: AtomicBool::new(false),
            phase: AtomicU8::new(Phase::Open as u8),
            next_number: AtomicU64::new(1),
        }
    }

    #[inline]
    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Open,
            1 => Phase::Draining,
            _ => Phase::Closed,
        }
    }

    /// Goes on to a phase, unless it has got there already.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
    }

    /// A queue has a place for dead letters.
    pub(crate) fn note_dead_letters(&self) {
        self.has_dead_letters.store(true, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn has_dead_letters(&self) -> bool {
        self.has_dead_letters.load(Ordering::Relaxed)
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }
}
