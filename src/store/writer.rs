//! The thread that writes.
//!
//! It takes all groups that have gathered, writes them as one commit, makes that durable, and
//! tells. Nothing of it happens under a lock that anybody waits for but those who fetch a body, and
//! they wait for no disk.
//!
//! Without space it writes first what gives some back, and tries the rest again when somebody
//! appends, and about every second. After any other failure it never writes again: what a disk has
//! of a commit whose sync failed nobody knows.

use std::{mem, sync::Arc, time::Duration};

use super::{
    codec::{self, Entry},
    compaction::Compaction,
    economy::Economy,
    engine::{Engine, EngineError, Key, Place},
    failure::{StoreFailure, text},
    intake::{Batch, Group, Intake, Phase},
    ledger::{Changes, Ledger},
    part::{Draft, Packer},
    plan::{Content, Plan},
    position::{Level, Position},
    progress::Progress,
    record::{Amendment, ENTITIES, ItemId},
    sabotage,
    shelf::{Shelf, payloads},
};
use crate::sync::{
    Mutex, Rank,
    atomic::{AtomicU64, Ordering},
};

/// How long it waits for space before it tries again.
const RETRY: Duration = Duration::from_secs(1);

/// Items are written anew when all takes more than so many times what is needed, and some more.
const WASTE_TIMES_MAX: u64 = 4;

/// So many bytes of blocks are written anew at a time.
const REWRITTEN_BYTES_MAX: u64 = 256 * 1_024;

/// So many blocks are looked at for that at a time.
const LOOKS_MAX: usize = 1_024;

/// What the writer shares with those who tell and ask.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) level: Level,
    pub(super) intake: Intake,
    pub(super) progress: Progress,
    pub(super) desk: Mutex<Desk>,
    pub(super) shelf: Shelf,
    pub(super) next_serial: AtomicU64,
    pub(super) live_bytes: AtomicU64,
    pub(super) disk_bytes: AtomicU64,
}

/// What is written, and what is being written.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) ledger: Ledger,
    /// What was taken up and is not durable.
    pub(super) backlog: Batch,
    /// None once the store is closed.
    pub(super) home: Option<Home>,
}

/// What the store owns as long as it is open. The engine goes first.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) place: Arc<dyn Place>,
}

/// Who writes.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    place: Arc<dyn Place>,
    engine: Arc<dyn Engine>,
    packer: Packer,
    spare: Batch,
    /// Values that belong to no commit and are to be taken away.
    stale: Vec<Key>,
    compaction: Compaction,
    economy: Economy,
    is_full: bool,
    /// How many blocks were looked at in vain since the last commit.
    looks: usize,
}

/// What a step has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There may be more to do.
    Done,
    Idle,
    /// There is no space.
    Full,
    /// Nothing will be written any more.
    Failed,
}

impl Shared {
    pub(super) fn new(level: Level, ledger: Ledger, home: Home, serial: u64) -> Self {
        let desk = Desk { ledger, backlog: Batch::default(), home: Some(home) };
        Self {
            level,
            intake: Intake::new(),
            progress: Progress::new(),
            live_bytes: AtomicU64::new(desk.ledger.needed_bytes()),
            desk: Mutex::new(Rank::Store, desk),
            shelf: Shelf::new(),
            next_serial: AtomicU64::new(serial),
            disk_bytes: AtomicU64::new(0),
        }
    }

    /// Drops all that is not durable, and what comes.
    fn drop_backlog(&self) {
        self.intake.enter(Phase::Ended);
        let backlog = mem::take(&mut self.desk.lock().backlog);
        self.intake.forget(backlog.bytes());
    }

    /// Lets go of the place and what is in it.
    pub(super) fn leave(&self) {
        let home = self.desk.lock().home.take();
        if let Some(Home { engine, place }) = home {
            drop(engine);
            drop(place);
        }
    }
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        place: Arc<dyn Place>,
        stale: Vec<Key>,
        economy: Economy,
    ) -> Self {
        let engine = place.engine();
        Self {
            shared,
            place,
            engine,
            packer: Packer::default(),
            spare: Batch::default(),
            stale,
            compaction: Compaction::new(economy),
            economy,
            is_full: false,
            looks: 0,
        }
    }

    /// Writes until it is told to end, or fails.
    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let steps = std::panic::AssertUnwindSafe(|| self.run_to_end());
        if std::panic::catch_unwind(steps).is_err() {
            shared.drop_backlog();
            let text = "its thread has panicked".to_owned();
            shared.progress.finish(StoreFailure::Failed(text));
        }
    }

    fn run_to_end(&mut self) {
        loop {
            let (step, within) = match self.step() {
                Step::Done => {
                    self.shared.intake.wait_if_patient();
                    continue;
                }
                Step::Failed => return,
                Step::Idle => (Step::Idle, None),
                Step::Full => (Step::Full, Some(RETRY)),
            };
            match self.shared.intake.wait(within) {
                Phase::Open => {}
                Phase::Closing | Phase::Ended => {
                    if step == Step::Full || self.shared.intake.is_empty() {
                        return self.end(step);
                    }
                }
            }
        }
    }

    /// Writes all that has gathered, as far as there is space, and ends.
    pub(super) fn close(&mut self) {
        loop {
            match self.step() {
                Step::Done => {}
                Step::Failed => return,
                step @ (Step::Idle | Step::Full) => return self.end(step),
            }
        }
    }

    fn end(&self, step: Step) {
        self.shared.drop_backlog();
        self.shared.leave();
        self.shared.progress.finish(match step {
            Step::Full => StoreFailure::Full,
            Step::Done | Step::Idle | Step::Failed => StoreFailure::Closed,
        });
    }

    /// Writes one commit of what has gathered; if nothing has, puts things in order.
    pub(super) fn step(&mut self) -> Step {
        if self.shared.progress.failure().is_some() {
            return Step::Failed;
        }
        match self.write_next() {
            Ok(step) => step,
            Err(EngineError::Full) => {
                self.is_full = true;
                self.shared.progress.set_full();
                Step::Full
            }
            Err(error) => {
                self.shared.drop_backlog();
                self.shared.progress.finish(StoreFailure::Failed(text(&error).to_owned()));
                Step::Failed
            }
        }
    }

    fn write_next(&mut self) -> Result<Step, EngineError> {
        if self.is_full {
            self.gather();
            self.write_ends()?;
        }
        let plan = self.plan();
        let was_full = self.is_full;
        let step = if plan.groups > 0 || self.is_untidy() {
            self.commit(&plan)?;
            self.looks = 0;
            Step::Done
        } else {
            Step::Idle
        };
        if was_full {
            self.is_full = false;
            self.shared.progress.set_working();
        }
        let goes_on = self.engine.tidy()? | self.rewrite()? | self.compact()?;
        Ok(if goes_on { Step::Done } else { step })
    }

    /// Takes up what has gathered.
    fn gather(&mut self) {
        self.shared.intake.seal(mem::take(&mut self.spare));
        let mut desk = self.shared.desk.lock();
        let batch = self.shared.intake.take();
        self.spare = desk.backlog.join(batch);
    }

    fn plan(&mut self) -> Plan {
        self.gather();
        let desk = self.shared.desk.lock();
        let mut plan = Plan::of(&desk.ledger, &desk.backlog, self.economy.commit_bytes_max);
        plan.rest_on(&desk.ledger);
        plan
    }

    /// Writes only what gives space back.
    fn write_ends(&mut self) -> Result<(), EngineError> {
        let plan = {
            let desk = self.shared.desk.lock();
            let mut plan = Plan::of_ends(&desk.ledger, &desk.backlog);
            plan.rest_on(&desk.ledger);
            if plan.is_empty() && desk.ledger.leaving().is_empty() {
                return Ok(());
            }
            plan
        };
        self.commit(&plan)?;
        plan.strip(&mut self.shared.desk.lock().backlog);
        Ok(())
    }

    fn is_untidy(&self) -> bool {
        self.shared.desk.lock().ledger.garbage_bytes() > self.economy.garbage_bytes_max
    }

    /// Writes a plan, makes it durable, and tells.
    fn commit(&mut self, plan: &Plan) -> Result<(), EngineError> {
        if plan.is_empty() && plan.groups > 0 {
            // Everything has gone before it was written.
            self.conclude(plan, None);
            return Ok(());
        }
        let serial = self.shared.next_serial.load(Ordering::Relaxed);
        let changes = plan.pack(serial, &mut self.packer);
        if let Err(error) = self.put() {
            self.shared.desk.lock().ledger.attempt += 1;
            let put = self.packer.values().map(|(key, _)| key);
            self.stale.extend(put);
            return Err(error);
        }
        self.stale.clear();
        self.conclude(plan, Some(&changes));
        Ok(())
    }

    /// Puts all values, and makes them durable.
    fn put(&mut self) -> Result<(), EngineError> {
        sabotage::begin_commit(&self.shared);
        // First of all, since it gives space back.
        let (keys, mut bytes) = self.to_remove();
        for key in keys {
            self.engine.remove(key)?;
            self.compaction.remove(key);
        }
        for (key, value) in self.packer.values() {
            self.engine.put(key, value)?;
            self.compaction.put(key, value);
            bytes += value.len() as u64;
        }
        match self.shared.level {
            Level::Process => self.engine.write()?,
            Level::Power => {
                self.engine.sync()?;
                // An older note is true, too.
                match self.place.note(self.packer.group()) {
                    Ok(()) | Err(EngineError::Full) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        self.compaction.note_changed(bytes);
        Ok(())
    }

    /// What the commit before has announced, with how many bytes it is, and what belongs to no
    /// commit.
    fn to_remove(&self) -> (Vec<Key>, u64) {
        let (group, values) = (self.packer.group(), self.packer.value_count());
        let is_stale = |key: &&Key| key.group != group || key.part >= values;
        let stale = self.stale.iter().filter(is_stale).copied();
        let desk = self.shared.desk.lock();
        let leaving = desk.ledger.drafts(desk.ledger.leaving());
        let mut bytes = 0;
        let leaving = leaving.inspect(|draft| bytes += draft.bytes);
        let keys = stale.chain(leaving.flat_map(Draft::keys)).collect();
        (keys, bytes)
    }

    /// Notes that a plan is written, and tells.
    fn conclude(&mut self, plan: &Plan, changes: Option<&Changes>) {
        let mut desk = self.shared.desk.lock();
        let Desk { ledger, backlog, .. } = &mut *desk;
        if let Some(changes) = changes {
            ledger.number += 1;
            ledger.attempt += 1;
            ledger.apply(changes);
            ledger.announce(&plan.doomed);
        }
        if let Some(early) = &plan.early {
            ledger.early.clone_from(early);
        }
        self.shared.live_bytes.store(ledger.needed_bytes(), Ordering::Relaxed);
        let (done, durable) = backlog.split(plan.groups);
        drop(desk);
        self.shared.intake.forget(plan.bytes);
        if plan.groups > 0 {
            self.shared.progress.advance(durable);
        }
        // Bodies are dropped here, whose destructors are other people's code.
        self.spare = done;
        self.spare.clear();
    }

    /// Writes some items anew whose blocks hold little else that is needed.
    fn rewrite(&mut self) -> Result<bool, EngineError> {
        let blocks = {
            let ledger = &mut self.shared.desk.lock().ledger;
            let used = ledger.bytes() - ledger.garbage_bytes();
            if used <= WASTE_TIMES_MAX * ledger.needed_bytes() + self.economy.waste_bytes_min
                || self.looks > ledger.block_count()
            {
                return Ok(false);
            }
            self.looks += LOOKS_MAX;
            let mut bytes = 0;
            let blocks = ledger.wasteful(LOOKS_MAX).into_iter();
            let blocks = blocks.filter_map(|block| Some((block, ledger.draft(block)?)));
            blocks
                .take_while(|(_, draft)| {
                    bytes += draft.bytes;
                    bytes <= REWRITTEN_BYTES_MAX
                })
                .collect::<Vec<_>>()
        };
        let mut read = Vec::new();
        for (block, draft) in blocks {
            if let Some(payloads) = payloads(&*self.engine, draft)? {
                read.push((block, payloads));
            }
        }
        if read.is_empty() {
            return Ok(true);
        }
        let plan = {
            let desk = self.shared.desk.lock();
            let copies = read.iter().flat_map(|(block, payloads)| {
                payloads.iter().flat_map(|payload| copies(&desk.ledger, *block, payload))
            });
            let mut plan = Plan::of_copies(copies);
            plan.rest_on(&desk.ledger);
            plan
        };
        match self.commit(&plan) {
            // It can wait.
            Err(EngineError::Full) => Ok(false),
            Err(error) => Err(error),
            Ok(()) => Ok(true),
        }
    }

    /// Copies a little of what is there into a smaller generation, if that is worth it.
    fn compact(&mut self) -> Result<bool, EngineError> {
        let place = Arc::clone(&self.place);
        let goes_on = self.compaction.advance(&*place, &*self.engine, &self.shared)?;
        if let Some(engine) = self.compaction.switched() {
            self.engine = engine;
        }
        Ok(goes_on)
    }
}

/// The items of a record that are live in its block, to be written anew.
fn copies(ledger: &Ledger, block: u32, payload: &[u8]) -> Vec<(ItemId, Amendment, Content)> {
    let present = |(id, state): (ItemId, Amendment)| {
        let id = ledger.present(block, id)?;
        Some((id, ledger.state(id).unwrap_or(state)))
    };
    match codec::entry(payload) {
        Ok(Entry::Message(stored)) => {
            let heads = stored.heads().filter_map(present);
            heads
                .map(|(id, state)| (id, state, Content::MessageCopy(stored.content.to_vec())))
                .collect()
        }
        Ok(Entry::Entity(serial, bytes)) => {
            let id = ItemId { queue: ENTITIES, seq: serial };
            present((id, Amendment::default()))
                .map(|(id, state)| (id, state, Content::EntityCopy(bytes.0.to_vec())))
                .into_iter()
                .collect()
        }
        Ok(
            Entry::Settled(_)
            | Entry::Amended(..)
            | Entry::Moved(..)
            | Entry::Ended(_)
            | Entry::Leaving(_),
        )
        | Err(_) => Vec::new(),
    }
}

impl Batch {
    /// Adds another one, and gives back one that is of use no more.
    fn join(&mut self, mut other: Self) -> Self {
        if self.groups.is_empty() {
            return mem::replace(self, other);
        }
        let start = self.records.len();
        self.records.append(&mut other.records);
        let groups = other.groups.drain(..);
        self.groups.extend(groups.map(|group| Group { end: group.end + start, ..group }));
        self.last = other.last;
        other
    }

    /// Takes the first groups out, and says where the last of them is.
    fn split(&mut self, groups: usize) -> (Self, Position) {
        if groups == self.groups.len() {
            let last = self.last;
            return (mem::replace(self, Self { last, ..Self::default() }), last);
        }
        let end = groups.checked_sub(1).and_then(|at| self.groups.get(at)).map_or(0, |of| of.end);
        let records = self.records.drain(..end).collect();
        let taken = self.groups.drain(..groups).collect();
        for group in &mut self.groups {
            group.end -= end;
        }
        // They are in the order of their places, some of which nothing was told at.
        let next = self.groups.first().map_or(self.last, |group| group.position);
        let last = Position(next.0 - 1);
        (Self { records, groups: taken, last }, last)
    }
}
