//! The thread that writes.
//!
//! It takes all groups that have gathered, writes them as one commit, makes that durable, and
//! tells. While a long commit is synced, it packs the next one. Nothing of it happens under a lock
//! that anybody waits for but those who fetch a body, and they wait for no disk.
//!
//! Without space it writes first what gives some back, and tries the rest again when somebody
//! appends, and about every second. After any other failure it writes nothing more of what it is
//! told: what a disk has of a commit whose sync failed nobody knows.

use std::{mem, sync::Arc, time::Duration};

use super::{
    backlog::{Backlog, Finished},
    batch::{Batch, Content},
    codec::{self, Entry},
    compaction::Compaction,
    economy::Economy,
    engine::{Engine, EngineError, Key, Place},
    failure::{StoreFailure, text},
    intake::{Intake, Phase},
    ledger::Ledger,
    part::{Draft, Packer},
    plan::{Commit, Plan},
    position::Level,
    progress::Progress,
    record::{Amendment, ENTITIES, ItemId},
    sabotage,
    shelf::{Shelf, payloads},
    syncer::{Syncer, Written},
};
use crate::{
    shield::shielded,
    sync::{
        Mutex, Rank,
        atomic::{AtomicU64, Ordering},
    },
};

/// How long it waits for space before it tries again.
const RETRY: Duration = Duration::from_secs(1);

/// Items are written anew when all takes more than so many times what is needed, and some more.
const WASTE_TIMES_MAX: u64 = 4;

/// So many bytes of blocks are written anew at a time.
const REWRITTEN_BYTES_MAX: u64 = 256 * 1_024;

/// A sync of so many bytes takes long enough for something else to be done meanwhile, and for
/// waking the thread that does it.
const LONG_BYTES_MIN: usize = 128 * 1_024;

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
    /// What was taken up and is not written.
    pub(super) backlog: Backlog,
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
    /// None, if who writes waits for each sync, or nothing is synced.
    syncer: Option<Syncer>,
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
        let desk = Desk { ledger, backlog: Backlog::default(), home: Some(home) };
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

    /// Packs what was planned of what is written.
    fn pack(&self, plan: Plan<'_>, ledger: &Ledger, packer: &mut Packer) -> Commit {
        let next_serial = self.next_serial.load(Ordering::Relaxed);
        plan.pack(ledger, next_serial, packer)
    }

    /// Drops all that is not written, and what comes.
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
            syncer: None,
            is_full: false,
            looks: 0,
        }
    }

    /// Writes until it is told to end, or fails.
    pub(super) fn run(mut self, syncer: Option<Syncer>) {
        self.syncer = syncer;
        let shared = Arc::clone(&self.shared);
        let _ending = shared.progress.ending();
        if shielded(|| self.run_to_end()).is_err() {
            // What it makes durable becomes so before nothing does any more.
            let _ = self.end_sync();
            shared.drop_backlog();
            let text = "its thread has panicked".to_owned();
            let _ = shielded(|| shared.progress.finish(StoreFailure::Failed(text)));
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

    fn end(&mut self, step: Step) {
        if let Err(error) = self.end_sync() {
            return self.fail(&error);
        }
        self.shared.drop_backlog();
        self.shared.leave();
        self.shared.progress.finish(match step {
            Step::Full => StoreFailure::Full,
            Step::Done | Step::Idle | Step::Failed => StoreFailure::Closed,
        });
    }

    /// Writes one commit of what has gathered; if nothing has, puts things in order.
    pub(super) fn step(&mut self) -> Step {
        if let Some(failure) = self.shared.progress.failure() {
            // Whoever synced has told of it, and nobody yet that what was left is dropped.
            self.give_up(failure);
            return Step::Failed;
        }
        match self.write_next() {
            Ok(step) => step,
            Err(EngineError::Full) => {
                if let Err(error) = self.end_sync() {
                    self.fail(&error);
                    return Step::Failed;
                }
                self.is_full = true;
                self.shared.progress.set_full();
                Step::Full
            }
            Err(error) => {
                self.fail(&error);
                Step::Failed
            }
        }
    }

    /// Nothing becomes durable any more once the sync that is under way has ended.
    fn fail(&mut self, error: &EngineError) {
        self.give_up(StoreFailure::Failed(text(error).to_owned()));
    }

    fn give_up(&mut self, failure: StoreFailure) {
        let _ = self.end_sync();
        self.shared.drop_backlog();
        self.shared.progress.finish(failure);
    }

    fn write_next(&mut self) -> Result<Step, EngineError> {
        if self.is_full {
            self.gather();
            self.write_ends()?;
        }
        let was_full = self.is_full;
        self.wait_for_as_much();
        let step = if let Some(commit) = self.pack_next() {
            self.commit(&commit)?;
            self.looks = 0;
            Step::Done
        } else {
            self.end_sync()?;
            Step::Idle
        };
        if was_full {
            self.is_full = false;
            self.shared.progress.set_working();
        }
        let goes_on = self.engine.tidy()? | self.rewrite()? | self.compact()?;
        Ok(if goes_on { Step::Done } else { step })
    }

    /// While a commit is being synced, waits until as much has gathered as that one has. It is
    /// packed then, and is written once the sync has ended. With less it would not be worth a sync
    /// of its own yet, and commits would become ever smaller.
    fn wait_for_as_much(&self) {
        if let Some(syncer) = &self.syncer
            && let Some(bytes) = syncer.under_way()
            && self.shared.desk.lock().backlog.is_empty()
        {
            self.shared.intake.wait_for(bytes, || syncer.is_done());
        }
    }

    /// Waits for the sync that is under way, if one is.
    fn end_sync(&mut self) -> Result<(), EngineError> {
        self.syncer.as_mut().map_or(Ok(()), Syncer::end)
    }

    /// Takes up what has gathered.
    fn gather(&mut self) {
        self.shared.intake.seal(mem::take(&mut self.spare));
        let mut desk = self.shared.desk.lock();
        let batch = self.shared.intake.take();
        self.spare = desk.backlog.take_up(batch);
    }

    /// Packs one commit of what has gathered, or of nothing where that puts things in order.
    fn pack_next(&mut self) -> Option<Commit> {
        self.gather();
        let desk = self.shared.desk.lock();
        let is_untidy = desk.ledger.garbage_bytes() > self.economy.garbage_bytes_max;
        if desk.backlog.is_empty() && !is_untidy {
            return None;
        }
        let plan = Plan::of(&desk.ledger, &desk.backlog, self.economy.commit_bytes_max);
        Some(self.shared.pack(plan, &desk.ledger, &mut self.packer))
    }

    /// Writes only what gives space back.
    fn write_ends(&mut self) -> Result<(), EngineError> {
        let commit = {
            let desk = self.shared.desk.lock();
            let plan = Plan::of_ends(&desk.ledger, &desk.backlog);
            let Desk { ledger, .. } = &*desk;
            if plan.is_empty() && ledger.leaving().is_empty() && ledger.doomed().is_empty() {
                return Ok(());
            }
            self.shared.pack(plan, ledger, &mut self.packer)
        };
        self.commit(&commit)?;
        self.shared.desk.lock().backlog.strip(&commit);
        Ok(())
    }

    /// Writes what was packed, has it made durable, which may take longer than this, and books it.
    fn commit(&mut self, commit: &Commit) -> Result<(), EngineError> {
        self.end_sync()?;
        let written = Written {
            shared: Arc::clone(&self.shared),
            engine: Arc::clone(&self.engine),
            place: Arc::clone(&self.place),
            number: self.packer.group(),
            share: commit.share,
        };
        if commit.changes.is_some() {
            if let Err(error) = self.put() {
                self.shared.desk.lock().ledger.attempt += 1;
                let put = self.packer.values().map(|(key, _)| key);
                self.stale.extend(put);
                return Err(error);
            }
            self.stale.clear();
        }
        let is_to_sync = commit.changes.is_some() && self.shared.level == Level::Power;
        if is_to_sync
            && self.packer.bytes() >= LONG_BYTES_MIN
            && let Some(syncer) = &mut self.syncer
        {
            // One that copies counts for nothing that anybody told.
            let bytes = match commit.share.bytes {
                0 => self.packer.bytes() as u64,
                bytes => bytes,
            };
            syncer.begin(written, bytes);
            self.book(commit);
        } else {
            if is_to_sync {
                written.sync()?;
            }
            self.book(commit);
            written.forget();
            written.tell();
        }
        Ok(())
    }

    /// Puts all values, and writes them.
    fn put(&mut self) -> Result<(), EngineError> {
        sabotage::begin_commit(&self.shared);
        self.engine.make_way(self.packer.bytes());
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
        self.engine.write()?;
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

    /// Books a commit that is written, durable or not. Nobody sees the difference: before, messages
    /// are found where they gathered, and if it never becomes durable, nothing else does.
    fn book(&mut self, commit: &Commit) {
        let Commit { share, changes, early, doomed } = commit;
        let mut desk = self.shared.desk.lock();
        let Desk { ledger, backlog, .. } = &mut *desk;
        if let Some(changes) = changes {
            ledger.number += 1;
            ledger.attempt += 1;
            ledger.apply(changes);
            ledger.announce(doomed);
        }
        if let Some(early) = early {
            ledger.early.clone_from(early);
        }
        self.shared.live_bytes.store(ledger.needed_bytes(), Ordering::Relaxed);
        let Finished { mut batches, bodies } = backlog.finish(share.groups);
        drop(desk);
        drop(bodies);
        if let Some(batch) = batches.pop() {
            self.spare = batch;
            self.spare.clear();
        }
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
        let commit = {
            let desk = self.shared.desk.lock();
            let copies = read.iter().flat_map(|(block, payloads)| {
                payloads.iter().flat_map(|payload| copies(&desk.ledger, *block, payload))
            });
            self.shared.pack(Plan::of_copies(copies), &desk.ledger, &mut self.packer)
        };
        match self.commit(&commit) {
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
fn copies<'p>(
    ledger: &Ledger,
    block: u32,
    payload: &'p [u8],
) -> Vec<(ItemId, Amendment, Content<'p>)> {
    let present = |(id, state): (ItemId, Amendment)| {
        let id = ledger.present(block, id)?;
        Some((id, ledger.state(id).unwrap_or(state)))
    };
    match codec::entry(payload) {
        Ok(Entry::Message(stored)) => {
            let heads = stored.heads().filter_map(present);
            heads.map(|(id, state)| (id, state, Content::of(stored.content))).collect()
        }
        Ok(Entry::Entity(serial, bytes)) => {
            let id = ItemId { queue: ENTITIES, seq: serial };
            present((id, Amendment::default()))
                .map(|(id, state)| (id, state, Content::of(bytes.0)))
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
