//! What a store has been told and has not looked at yet.

use std::{mem, time::Duration};

use super::{position::Position, record::Record, sabotage};
use crate::sync::{
    Condvar, Mutex, MutexGuard, Rank,
    atomic::{AtomicU64, Ordering},
};

/// What a record counts for beside the message in it.
const RECORD_BYTES: u64 = 32;

/// How long what nobody waits for may lie, settlements above all, before it is written without
/// anything else.
const PATIENCE: Duration = Duration::from_millis(5);

/// A list that was longer than this gives its memory back once it is empty.
const RECORDS_KEPT_MAX: usize = 16 * 1_024;

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

/// Groups in the order in which they were told.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) records: Vec<Record>,
    pub(super) groups: Vec<Group>,
    /// Of the last group; of the one before the first, if there is none.
    pub(super) last: Position,
}

/// What was told at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    /// Where its records end in the batch; those of the next one begin there.
    pub(super) end: usize,
    /// What it counts for.
    pub(super) bytes: u64,
    pub(super) position: Position,
}

/// What a group comes to.
#[derive(Clone, Copy, Debug)]
struct Added {
    bytes: u64,
    /// Whether somebody may wait for it.
    is_urgent: bool,
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

    /// Adds a group. An empty one is where the last one is.
    pub(super) fn append(&self, group: impl Iterator<Item = Record>) -> Position {
        let mut group = sabotage::take_in(group).peekable();
        let mut gathered = self.gathered.lock();
        if group.peek().is_none() {
            return gathered.batch.last;
        }
        gathered.batch.last.0 += 1;
        let position = gathered.batch.last;
        if gathered.phase == Phase::Ended {
            // Dropping a message is other people's code.
            drop(gathered);
            return position;
        }
        let Added { bytes, is_urgent } = gathered.batch.add(group, position);
        self.count(bytes);
        let wakes = gathered.note(is_urgent);
        drop(gathered);
        if wakes {
            self.wake.notify_one();
        }
        position
    }

    /// The place of a group that begins now.
    pub(super) fn reserve(&self) -> Slot {
        let mut gathered = self.gathered.lock();
        gathered.batch.last.0 += 1;
        gathered.open += 1;
        Slot { position: gathered.batch.last, epoch: gathered.epoch }
    }

    /// Adds the group that a place was kept for.
    #[expect(clippy::needless_pass_by_value, reason = "it is used up")]
    pub(super) fn fill(&self, slot: Slot, group: impl Iterator<Item = Record>) -> Position {
        let Slot { position, epoch } = slot;
        let group = sabotage::take_in(group);
        let mut gathered = self.gathered.lock();
        if gathered.phase == Phase::Ended {
            drop(gathered);
            return position;
        }
        if epoch == gathered.epoch {
            let Added { bytes, is_urgent } = gathered.batch.add(group, position);
            self.count(bytes);
            gathered.open -= 1;
            let wakes = gathered.note(is_urgent);
            drop(gathered);
            if wakes {
                self.wake.notify_one();
            }
        } else if let Some(sealed) = &mut gathered.sealed {
            let Added { bytes, .. } = sealed.add(group, position);
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

    /// Somebody waits for what has gathered.
    pub(super) fn hurry(&self) {
        let wakes = {
            let mut gathered = self.gathered.lock();
            !gathered.batch.groups.is_empty() && gathered.note(true)
        };
        if wakes {
            self.wake.notify_one();
        }
    }

    /// Sets apart all that has gathered, with the memory of another batch for what comes, and waits
    /// until all slots of it are filled. No lock may be held: whoever fills one may need any.
    pub(super) fn seal(&self, mut spare: Batch) {
        spare.clear();
        let mut gathered = self.gathered.lock();
        debug_assert!(gathered.sealed.is_none(), "it was taken");
        gathered.is_urgent = false;
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

    /// Shows what has gathered, the latest first, until something is found.
    pub(super) fn look<T>(&self, look: impl FnMut(&Batch) -> Option<T>) -> Option<T> {
        let gathered = self.gathered.lock();
        [&gathered.batch].into_iter().chain(&gathered.sealed).find_map(look)
    }

    /// Whether nothing has gathered.
    pub(super) fn is_empty(&self) -> bool {
        self.look(|batch| (!batch.groups.is_empty()).then_some(())).is_none()
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
                mem::replace(&mut gathered.batch, Batch { last, ..Batch::default() })
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

    /// Counts what has come. The lock is held, so nobody else does.
    fn count(&self, bytes: u64) {
        let told = self.told_bytes.load(Ordering::Relaxed);
        self.told_bytes.store(told + bytes, Ordering::Relaxed);
    }
}

impl Gathered {
    /// Notes that something has come. Says whether the thread that writes is to be woken.
    fn note(&mut self, is_urgent: bool) -> bool {
        self.is_urgent |= is_urgent;
        let wakes = match self.attention {
            Attention::Nothing => false,
            Attention::Urgent => is_urgent,
            Attention::Anything => true,
        };
        if wakes {
            self.attention = Attention::Nothing;
        }
        wakes
    }
}

impl Batch {
    fn add(&mut self, group: impl Iterator<Item = Record>, position: Position) -> Added {
        let mut added = Added { bytes: 0, is_urgent: false };
        self.records.extend(group.inspect(|record| {
            added.bytes += record.bytes();
            added.is_urgent |= record.is_urgent();
        }));
        let group = Group { end: self.records.len(), bytes: added.bytes, position };
        self.groups.push(group);
        added
    }

    /// Puts groups in the order of their places. Those that had a slot came in later than they
    /// began.
    fn put_in_order(&mut self) {
        if self.groups.is_sorted_by_key(|group| group.position) {
            return;
        }
        let mut records = mem::take(&mut self.records).into_iter();
        let mut start = 0;
        let groups = self.groups.drain(..).map(|group| {
            let of_group: Vec<_> = records.by_ref().take(group.end - start).collect();
            start = group.end;
            (group, of_group)
        });
        let mut groups: Vec<_> = groups.collect();
        groups.sort_unstable_by_key(|(group, _)| group.position);
        for (Group { position, .. }, of_group) in groups {
            self.add(of_group.into_iter(), position);
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.groups.iter().map(|group| group.bytes).sum()
    }

    pub(super) fn clear(&mut self) {
        self.records.clear();
        self.groups.clear();
        if self.records.capacity() > RECORDS_KEPT_MAX {
            *self = Self::default();
        }
    }
}

impl Record {
    /// Whether somebody may wait for it.
    fn is_urgent(&self) -> bool {
        match self {
            Self::Settled(_) | Self::Amended(..) | Self::Moved(..) => false,
            Self::Entity(..) | Self::Message(_) | Self::QueueEnded(_) => true,
        }
    }

    /// What it counts for until it is durable.
    fn bytes(&self) -> u64 {
        match self {
            Self::Message(record) => RECORD_BYTES + u64::from(record.message.bytes()),
            Self::Entity(..)
            | Self::Settled(_)
            | Self::Amended(..)
            | Self::Moved(..)
            | Self::QueueEnded(_) => RECORD_BYTES,
        }
    }
}
