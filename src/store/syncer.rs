//! Making durable what was written.
//!
//! A commit of a few messages is synced by who wrote it. A long sync is another thread's business:
//! meanwhile the next commit is packed. There is one sync of a commit at a time, and nothing of the
//! next is put or written before it has come to an end.

use std::{
    io, mem,
    sync::Arc,
    thread::{self, JoinHandle, ThreadId},
};

use super::{
    engine::{Engine, EngineError, Place},
    failure::{StoreFailure, text},
    plan::Share,
    writer::Shared,
};
use crate::{
    shield::{Panicked, shielded},
    sync::{
        Condvar, Mutex, Rank,
        atomic::{AtomicBool, Ordering},
    },
};

/// A commit that is written.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) shared: Arc<Shared>,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) place: Arc<dyn Place>,
    pub(super) number: u64,
    pub(super) share: Share,
}

/// The thread for long syncs, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Syncer {
    turns: Arc<Turns>,
    thread: Option<JoinHandle<()>>,
    /// What the commit counts for that is being synced.
    under_way: Option<u64>,
}

#[derive(Debug)]
struct Turns {
    turn: Mutex<Turn>,
    changed: Condvar,
    /// Whether the sync that was begun last has come to an end.
    is_done: AtomicBool,
}

/// Whose turn it is.
#[derive(Debug)]
enum Turn {
    Idle,
    /// The thread is to sync something.
    Begun(Written),
    /// It does.
    Busy,
    Done(Result<(), EngineError>),
    /// The thread is to end.
    Over,
}

impl Written {
    /// Makes it durable. After a failure nothing is known of it, whatever that was.
    pub(super) fn sync(&self) -> Result<(), EngineError> {
        match self.engine.sync() {
            Ok(()) => {}
            Err(EngineError::Full) => {
                let text = "there was no space for what had been written".to_owned();
                return Err(EngineError::Failed(text));
            }
            Err(error) => return Err(error),
        }
        // An older note is true, too.
        match self.place.note(self.number) {
            Ok(()) | Err(EngineError::Full) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// It does not count any more as what is to be written, whether it has become durable or not.
    pub(super) fn forget(&self) {
        self.shared.intake.forget(self.share.bytes);
    }

    /// Tells that neither it nor anything later becomes durable.
    fn fail(&self, error: &EngineError) {
        self.shared.progress.finish(StoreFailure::Failed(text(error).to_owned()));
    }

    /// Tells that it is as durable as it will be.
    pub(super) fn tell(&self) {
        if self.share.groups > 0 {
            self.shared.progress.advance(self.share.last);
        }
    }
}

impl Syncer {
    pub(super) fn start() -> io::Result<Self> {
        let turns = Arc::new(Turns {
            turn: Mutex::new(Rank::Intake, Turn::Idle),
            changed: Condvar::default(),
            is_done: AtomicBool::new(true),
        });
        let its = Arc::clone(&turns);
        let thread = thread::Builder::new().name("leveret-sync".into()).spawn(move || its.run())?;
        Ok(Self { turns, thread: Some(thread), under_way: None })
    }

    pub(super) fn thread(&self) -> Option<ThreadId> {
        self.thread.as_ref().map(|thread| thread.thread().id())
    }

    /// Begins a sync of what counts for so many bytes. There is none under way.
    pub(super) fn begin(&mut self, written: Written, bytes: u64) {
        self.under_way = Some(bytes);
        self.turns.is_done.store(false, Ordering::Relaxed);
        *self.turns.turn.lock() = Turn::Begun(written);
        self.turns.changed.notify_all();
    }

    /// What the commit counts for that is being synced, if one is.
    pub(super) fn under_way(&self) -> Option<u64> {
        self.under_way
    }

    /// Whether the sync that was begun last has come to an end.
    pub(super) fn is_done(&self) -> bool {
        self.turns.is_done.load(Ordering::Acquire)
    }

    /// Waits for the sync that is under way, if one is.
    pub(super) fn end(&mut self) -> Result<(), EngineError> {
        if self.under_way.take().is_none() {
            return Ok(());
        }
        let mut turn = self.turns.turn.lock();
        loop {
            match mem::replace(&mut *turn, Turn::Idle) {
                Turn::Done(result) => return result,
                other => *turn = other,
            }
            self.turns.changed.wait(&mut turn);
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        // What it has to say of a sync that is under way nobody asks any more.
        let _ = self.end();
        *self.turns.turn.lock() = Turn::Over;
        self.turns.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Turns {
    fn run(&self) {
        while let Some(written) = self.next() {
            let result = caught("a sync", || written.sync()).and_then(|synced| synced);
            written.forget();
            let told = caught("somebody who waits for a store", || match &result {
                Ok(()) => written.tell(),
                // Who writes may be held up by the same disk.
                Err(error) => written.fail(error),
            });
            let shared = Arc::clone(&written.shared);
            // A generation may end with it that was replaced meanwhile.
            let dropped = caught("the end of a generation", || drop(written));
            let mut turn = self.turn.lock();
            self.is_done.store(true, Ordering::Release);
            *turn = Turn::Done(result.and(told).and(dropped));
            drop(turn);
            self.changed.notify_all();
            shared.intake.nudge();
        }
    }

    fn next(&self) -> Option<Written> {
        let mut turn = self.turn.lock();
        loop {
            match mem::replace(&mut *turn, Turn::Busy) {
                Turn::Begun(written) => return Some(written),
                Turn::Over => return None,
                other => *turn = other,
            }
            self.changed.wait(&mut turn);
        }
    }
}

/// Does something, whose panic is a failure.
fn caught<R>(what: &str, act: impl FnOnce() -> R) -> Result<R, EngineError> {
    shielded(act).map_err(|Panicked| EngineError::Failed(format!("{what} has panicked")))
}
