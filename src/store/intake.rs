//! What a store has been told and has not looked at yet.

use std::{mem, time::Duration};

use super::{
    batch::Batch,
    position::Position,
    told::{Told, Weight},
};
use crate::sync::{
    Condvar, Mutex, MutexGuard, Rank,
    atomic::{AtomicU64, Ordering},
};

/// How long what nobody waits for may lie, settlements above all, before it is written without
/// anything else.
const PATIENCE: Duration = Duration::from_millis(5);

/// Where groups gather while others are written.
///
/// A group that takes a while to come about has a [slot](Slot) from its beginning on. What others
/// tell meanwhile, which may follow from it, is behind it: it is written in the same commit or in a
/// later one, and never without it.
#[derive(Debug)]
pub(super) struct Intake {
    gathered: Mutex<Gathered>,
    /// For the thread that writes, when something comes or it is to end.
    wake: Condvar,
    /// For the same, when the last slot is filled of what it is about to take.
    filled: Condvar,
    /// What all groups counted for that have come, and those of them that are durable or dropped.
    /// The former changes only in the lock.
    told_bytes: AtomicU64,
    forgotten_bytes: AtomicU64,
}

#[derive(Debug)]
struct Gathered {
    batch: Batch,
    /// Slots of it that are not filled.
    open: usize,
    /// What the thread that writes is about to take, and the slots of that which are not filled.
    sealed: Option<Batch>,
    sealed_open: usize,
    /// What counted for so much was taken before.
    taken_bytes: u64,
    /// How many batches there have been.
    epoch: u64,
    phase: Phase,
    /// Whether somebody may wait for something of it.
    is_urgent: bool,
    attention: Attention,
}

/// What the thread that writes is to be woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attention {
    /// It is awake.
    Nothing,
    /// It has seen that something is there that can wait.
    Urgent,
    /// All that has come counts for at least so much.
    Bytes(u64),
    Anything,
}

/// What becomes of what is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// The writer is to come to an end, and what comes meanwhile may be written or not.
    Closing,
    /// It is dropped.
    Ended,
}

/// The place of a group that comes about. It has to be filled: nothing behind it is written before.
#[derive(Debug)]
#[must_use = "what comes later waits for it"]
pub(crate) struct Slot {
    position: Position,
    epoch: u64,
}

impl Intake {
    pub(super) fn new() -> Self {
        let batch = Batch::default();
        let gathered = Gathered {
            batch,
            open: 0,
            sealed: None,
            sealed_open: 0,
            taken_bytes: 0,
            epoch: 0,
            phase: Phase::Open,
            is_urgent: false,
            attention: Attention::Nothing,
        };
        Self {
            gathered: Mutex::new(Rank::Intake, gathered),
            wake: Condvar::default(),
            filled: Condvar::default(),
            told_bytes: AtomicU64::new(0),
            forgotten_bytes: AtomicU64::new(0),
        }
    }

    /// Adds a group.
    pub(super) fn append(&self, tell: impl FnOnce(&mut Told)) -> Position {
        let mut gathered = self.gathered.lock();
        gathered.batch.last = gathered.batch.last.next();
        let position = gathered.batch.last;
        if gathered.phase == Phase::Ended {
            return position;
        }
        let Weight { bytes, is_urgent, .. } = gathered.batch.add(position, tell);
        let told_bytes = self.count(bytes);
        let wakes = gathered.note(is_urgent, told_bytes);
        drop(gathered);
        if wakes {
            self.wake.notify_one();
        }
        position
    }

    /// The place of a group that begins now.
    pub(super) fn reserve(&self) -> Slot {
        let mut gathered = self.gathered.lock();
        gathered.batch.last = gathered.batch.last.next();
        gathered.open += 1;
        Slot { position: gathered.batch.last, epoch: gathered.epoch }
    }

    /// Adds the group that a place was kept for.
    #[expect(clippy::needless_pass_by_value, reason = "it is used up")]
    pub(super) fn fill(&self, slot: Slot, tell: impl FnOnce(&mut Told)) -> Position {
        let Slot { position, epoch } = slot;
        let mut gathered = self.gathered.lock();
        if gathered.phase == Phase::Ended {
            return position;
        }
        if epoch == gathered.epoch {
            let Weight { bytes, is_urgent, .. } = gathered.batch.add(position, tell);
            let told_bytes = self.count(bytes);
            gathered.open -= 1;
            let wakes = gathered.note(is_urgent, told_bytes);
            drop(gathered);
            if wakes {
                self.wake.notify_one();
            }
        } else if let Some(sealed) = &mut gathered.sealed {
            let Weight { bytes, .. } = sealed.add(position, tell);
            self.count(bytes);
            gathered.sealed_open -= 1;
            let is_whole = gathered.sealed_open == 0;
            drop(gathered);
            if is_whole {
                self.filled.notify_one();
            }
        }
        position
    }

    /// Somebody waits for what has gathered. It says where the last group of it is.
    pub(super) fn hurry(&self) -> Position {
        let mut gathered = self.gathered.lock();
        let last = gathered.batch.last;
        let told_bytes = self.told_bytes.load(Ordering::Relaxed);
        let wakes = !gathered.batch.groups.is_empty() && gathered.note(true, told_bytes);
        drop(gathered);
        if wakes {
            self.wake.notify_one();
        }
        last
    }

    /// Sets apart all that has gathered, with the memory of another batch for what comes, and waits
    /// until all slots of it are filled. No lock may be held: whoever fills one may need any.
    pub(super) fn seal(&self, mut spare: Batch) {
        spare.clear();
        let mut gathered = self.gathered.lock();
        debug_assert!(gathered.sealed.is_none(), "it was taken");
        gathered.is_urgent = false;
        gathered.taken_bytes = self.told_bytes.load(Ordering::Relaxed);
        spare.last = gathered.batch.last;
        let batch = mem::replace(&mut gathered.batch, spare);
        gathered.sealed = Some(batch);
        gathered.sealed_open = mem::take(&mut gathered.open);
        gathered.epoch += 1;
        while gathered.sealed_open > 0 {
            self.filled.wait(&mut gathered);
        }
    }

    /// Takes what was set apart, in the order of places.
    pub(super) fn take(&self) -> Batch {
        let mut batch = self.gathered.lock().sealed.take().unwrap_or_default();
        batch.put_in_order();
        batch
    }

    /// Shows what has gathered, the oldest first, until something is found.
    pub(super) fn look<T>(&self, look: impl FnMut(&Batch) -> Option<T>) -> Option<T> {
        let gathered = self.gathered.lock();
        gathered.sealed.iter().chain([&gathered.batch]).find_map(look)
    }

    /// The same with the latest first.
    pub(super) fn look_back<T>(&self, look: impl FnMut(&Batch) -> Option<T>) -> Option<T> {
        let gathered = self.gathered.lock();
        gathered.sealed.iter().chain([&gathered.batch]).rev().find_map(look)
    }

    /// Whether nothing has gathered.
    pub(super) fn is_empty(&self) -> bool {
        self.look(|batch| (!batch.groups.is_empty()).then_some(())).is_none()
    }

    /// Whether something has that says of messages that they have moved.
    pub(super) fn has_moved(&self) -> bool {
        self.look(|batch| batch.has_moved().then_some(())).is_some()
    }

    /// Waits until something has gathered, it is to end, or so much time has passed. What nobody
    /// waits for is let lie for a moment: the next that somebody waits for takes it along.
    pub(super) fn wait(&self, within: Option<Duration>) -> Phase {
        let mut gathered = self.gathered.lock();
        if gathered.batch.groups.is_empty() && gathered.phase == Phase::Open {
            gathered.attention = Attention::Anything;
            match within {
                Some(within) => self.wake.wait_for(&mut gathered, within),
                None => self.wake.wait(&mut gathered),
            }
        }
        self.let_lie(&mut gathered);
        gathered.phase
    }

    /// Waits until what has gathered counts for so much, it is to end, or it is over, of which a
    /// [nudge](Self::nudge) tells.
    pub(super) fn wait_for(&self, bytes: u64, is_over: impl Fn() -> bool) {
        let mut gathered = self.gathered.lock();
        let enough = gathered.taken_bytes + bytes;
        while gathered.phase == Phase::Open
            && self.told_bytes.load(Ordering::Relaxed) < enough
            && !is_over()
        {
            gathered.attention = Attention::Bytes(enough);
            self.wake.wait(&mut gathered);
        }
        gathered.attention = Attention::Nothing;
    }

    /// What the thread that writes waits for beside what comes may be over.
    pub(super) fn nudge(&self) {
        let waits = matches!(self.gathered.lock().attention, Attention::Bytes(_));
        if waits {
            self.wake.notify_one();
        }
    }

    /// Lets lie for a moment what nobody waits for, if there is nothing else.
    pub(super) fn wait_if_patient(&self) {
        self.let_lie(&mut self.gathered.lock());
    }

    fn let_lie(&self, gathered: &mut MutexGuard<'_, Gathered>) {
        let is_patient = !gathered.batch.groups.is_empty() && !gathered.is_urgent;
        if is_patient && gathered.phase == Phase::Open {
            gathered.attention = Attention::Urgent;
            self.wake.wait_for(gathered, PATIENCE);
        }
        gathered.attention = Attention::Nothing;
    }

    /// Goes on to a later phase. What has gathered is dropped at the end.
    pub(super) fn enter(&self, phase: Phase) {
        let mut gathered = self.gathered.lock();
        if gathered.phase != Phase::Ended {
            gathered.phase = phase;
        }
        gathered.attention = Attention::Nothing;
        let left = match gathered.phase {
            Phase::Open | Phase::Closing => Batch::default(),
            Phase::Ended => {
                let last = gathered.batch.last;
                let sealed = gathered.sealed.take().map_or(0, |batch| batch.bytes());
                self.forget(sealed);
                mem::replace(&mut gathered.batch, Batch::behind(last))
            }
        };
        drop(gathered);
        self.wake.notify_one();
        self.forget(left.bytes());
    }

    /// So much of what was told is durable, or dropped.
    pub(super) fn forget(&self, bytes: u64) {
        self.forgotten_bytes.fetch_add(bytes, Ordering::Release);
    }

    /// What the groups count for that are not durable, taken up or not.
    pub(super) fn unwritten_bytes(&self) -> u64 {
        // In this order: what is forgotten was told before.
        let forgotten = self.forgotten_bytes.load(Ordering::Acquire);
        self.told_bytes.load(Ordering::Relaxed).saturating_sub(forgotten)
    }

    /// Counts what has come, and says how much that makes. The lock is held, so nobody else does.
    fn count(&self, bytes: u64) -> u64 {
        let told = self.told_bytes.load(Ordering::Relaxed) + bytes;
        self.told_bytes.store(told, Ordering::Relaxed);
        told
    }
}

impl Gathered {
    /// Notes that something has come. Says whether the thread that writes is to be woken.
    fn note(&mut self, is_urgent: bool, told_bytes: u64) -> bool {
        self.is_urgent |= is_urgent;
        let wakes = match self.attention {
            Attention::Nothing => false,
            Attention::Urgent => is_urgent,
            Attention::Bytes(bytes) => told_bytes >= bytes,
            Attention::Anything => true,
        };
        if wakes {
            self.attention = Attention::Nothing;
        }
        wakes
    }
}
