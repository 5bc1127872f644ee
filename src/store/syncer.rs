//! Making durable what was written.
//!
//! A commit of a few messages is synced by who wrote it. A long sync is another thread's business:
//! meanwhile the next commit is packed. There is one sync of a commit at a time, and nothing of the
//! next is put or written before it has come to an end.

use std::{
    io, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::{self, JoinHandle, ThreadId},
};

use super::{
    engine::{Engine, EngineError, Place},
    plan::Share,
    writer::Shared,
};
use crate::sync::{
    Condvar, Mutex, Rank,
    atomic::{AtomicBool, Ordering},
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

    /// Nobody waits for it any more.
    pub(super) fn forget(&self) {
        self.shared.intake.forget(self.share.bytes);
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
            let synced = caught(|| written.sync());
            written.forget();
            let result = synced.and_then(|()| {
                caught(|| {
                    written.tell();
                    Ok(())
                })
            });
            let shared = Arc::clone(&written.shared);
            // A generation may end with it that was replaced meanwhile.
            let dropped = caught(|| {
                drop(written);
                Ok(())
            });
            let mut turn = self.turn.lock();
            self.is_done.store(true, Ordering::Release);
            *turn = Turn::Done(result.and(dropped));
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

fn caught(act: impl FnOnce() -> Result<(), EngineError>) -> Result<(), EngineError> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|panic| {
        // What it drops may panic, too.
        mem::forget(panic);
        Err(EngineError::Failed("a sync has panicked".to_owned()))
    })
}
