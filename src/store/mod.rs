//! What outlives the process.
//!
//! A store is told what has happened, in groups: after a crash, all of a group is there or nothing.
//! It never calls the broker, except to say that something has become durable. Told is not durable:
//! a group gets a [`Position`], and a thread of the store's own writes what has gathered, syncs it,
//! and moves the durable position on. Nobody waits for that under a lock, and while it happens the
//! next groups gather.
//!
//! What gathers is bounded by whoever tells: [`Store::unwritten_bytes`] says how much it is.

mod backlog;
mod batch;
mod bodies;
mod codec;
mod compaction;
#[cfg(test)]
mod conformance;
mod economy;
#[allow(clippy::type_complexity, reason = "the callback of a scan")]
pub(crate) mod engine;
mod failure;
mod intake;
mod ledger;
#[cfg(test)]
pub(crate) mod memory;
pub(crate) mod open_error;
mod part;
#[cfg(test)]
pub(crate) mod place_simulated;
pub(crate) mod place_sled;
mod places;
mod plan;
pub(crate) mod position;
mod progress;
#[cfg(test)]
pub(crate) mod proof;
mod reading;
pub(crate) mod record;
mod recovery;
mod sabotage;
pub(crate) mod salvage;
mod shelf;
mod syncer;
mod told;
mod writer;

use std::{
    io, mem,
    sync::Arc,
    thread::{self, JoinHandle, ThreadId},
};

use self::{
    batch::{Content, Excerpt},
    codec::Malformed,
    economy::Economy,
    engine::{EngineError, Key, Place},
    intake::{Intake, Phase},
    position::{Level, Position, State},
    record::{ItemId, Record, Recovered, Serial},
    recovery::Found,
    syncer::Syncer,
    writer::{Desk, Home, Shared, Step, Writer},
};
pub(crate) use self::{
    failure::{StoreError, StoreFailure},
    intake::Slot,
    told::Told,
};
use crate::{
    Message,
    clock::HostDeadline,
    sync::{Mutex, Rank, atomic::Ordering},
};

/// Where the durable part of a broker is kept.
#[derive(Debug)]
pub(crate) struct Store {
    shared: Arc<Shared>,
    attendance: Mutex<Attendance>,
}

/// Who writes.
#[derive(Debug)]
enum Attendance {
    /// The thread that writes, and the one that syncs for it.
    Threads(JoinHandle<()>, Option<ThreadId>),
    /// Whoever calls `Store::run_once`.
    Caller(Box<Writer>),
    /// Nobody any more, or somebody who is just doing it.
    Nobody,
}

impl Store {
    /// Reads what is there, and starts the thread that writes. Bodies are kept in memory up to so
    /// many bytes.
    pub(crate) fn open(
        place: Box<dyn Place>,
        level: Level,
        resident_bytes: u64,
    ) -> Result<(Arc<Self>, Recovered), StoreError> {
        Self::open_attended(place, level, resident_bytes, Economy::default())
    }

    fn open_attended(
        place: Box<dyn Place>,
        level: Level,
        resident_bytes: u64,
        economy: Economy,
    ) -> Result<(Arc<Self>, Recovered), StoreError> {
        let (shared, writer, recovered) = Self::read(place, level, resident_bytes, economy)?;
        let failed = |error: io::Error| StoreError::Thread(error.to_string());
        // Without it the other thread does all syncs itself.
        let syncer = if level == Level::Power { Syncer::start().ok() } else { None };
        let syncing = syncer.as_ref().and_then(Syncer::thread);
        let writer = thread::Builder::new()
            .name("leveret-store".into())
            .spawn(|| writer.run(syncer))
            .map_err(failed)?;
        Ok((Self::attended(shared, Attendance::Threads(writer, syncing)), recovered))
    }

    /// The same without a thread: what it would do happens in [`run_once`](Self::run_once).
    pub(crate) fn open_unattended(
        place: Box<dyn Place>,
        level: Level,
        resident_bytes: u64,
    ) -> Result<(Arc<Self>, Recovered), StoreError> {
        Self::open_with(place, level, resident_bytes, Economy::default())
    }

    fn open_with(
        place: Box<dyn Place>,
        level: Level,
        resident_bytes: u64,
        economy: Economy,
    ) -> Result<(Arc<Self>, Recovered), StoreError> {
        let (shared, writer, recovered) = Self::read(place, level, resident_bytes, economy)?;
        Ok((Self::attended(shared, Attendance::Caller(Box::new(writer))), recovered))
    }

    /// Does what the thread would do once: writes one commit of what has gathered, or puts things
    /// in order. It says whether there may be more to do.
    pub(crate) fn run_once(&self) -> bool {
        let Some(mut writer) = self.take_writer() else { return false };
        let step = writer.step();
        *self.attendance.lock() = Attendance::Caller(writer);
        step == Step::Done
    }

    /// Adds a group. It never waits for a disk; a store that has failed or is closed drops it.
    #[inline]
    pub(crate) fn tell(&self, tell: impl FnOnce(&mut Told)) -> Position {
        self.shared.intake.append(tell)
    }

    /// The same with a list.
    pub(crate) fn append(&self, group: &[Record]) -> Position {
        self.tell(|told| told.records(group))
    }

    /// The place of a group that begins now and is told later: what is told in between is not
    /// written without it.
    pub(crate) fn reserve(&self) -> Slot {
        self.shared.intake.reserve()
    }

    /// Adds the group that a place was kept for.
    pub(crate) fn fill(&self, slot: Slot, group: &mut Told) -> Position {
        self.shared.intake.fill(slot, |told| told.append(group))
    }

    /// Where the last group is, which somebody waits for from now on.
    pub(crate) fn hurry(&self) -> Position {
        self.shared.intake.hurry()
    }

    /// A serial that no entity ever had.
    pub(crate) fn next_serial(&self) -> Serial {
        self.shared.next_serial.fetch_add(1, Ordering::Relaxed)
    }

    /// Gives none out that is less than this.
    pub(crate) fn keep_serials_below(&self, serial: Serial) {
        self.shared.next_serial.fetch_max(serial, Ordering::Relaxed);
    }

    /// The last group that is durable, with all that were told before it.
    pub(crate) fn durable(&self) -> Position {
        self.shared.progress.durable()
    }

    pub(crate) fn state(&self) -> State {
        self.shared.progress.state()
    }

    /// Why nothing becomes durable any more, if that is so.
    pub(crate) fn failure(&self) -> Option<StoreFailure> {
        self.shared.progress.failure()
    }

    /// Whether a group is durable; nothing, if that is not decided yet.
    pub(crate) fn poll(&self, position: Position) -> Option<Result<(), StoreFailure>> {
        self.shared.progress.poll(position)
    }

    /// Waits for that; nothing, if the time is up before.
    #[cfg_attr(not(test), expect(dead_code, reason = "whoever waits waits with the whole broker"))]
    pub(crate) fn wait(
        &self,
        position: Position,
        until: HostDeadline,
    ) -> Option<Result<(), StoreFailure>> {
        self.shared.progress.wait(position, until)
    }

    /// Has something called each time that [`durable`](Self::durable) or [`state`](Self::state) has
    /// changed, by the threads of the store, which hold no lock then.
    pub(crate) fn on_progress(&self, told: Box<dyn Fn() + Send + Sync>) {
        self.shared.progress.on_change(told);
    }

    /// What the groups count for that are not durable: bodies, and something for each record.
    /// Whoever tells keeps it within bounds, since nothing else does.
    pub(crate) fn unwritten_bytes(&self) -> u64 {
        self.shared.intake.unwritten_bytes()
    }

    /// A message that is in the store, written or not; nothing, if it is not.
    pub(crate) fn fetch(&self, id: ItemId) -> Result<Option<Message>, EngineError> {
        let mut missed = None;
        loop {
            let (engine, block, origin) = {
                let desk = self.shared.desk.lock();
                let id = match find_unwritten(&desk, &self.shared.intake, id) {
                    Ok(excerpt) => {
                        drop(desk);
                        let unreadable = |of: Malformed| EngineError::Damaged(of.0.to_owned());
                        return excerpt.message().map(Some).map_err(unreadable);
                    }
                    Err(id) => id,
                };
                let block = desk.ledger.block_of(id);
                let Some(block) = block.and_then(|block| desk.ledger.draft(block)) else {
                    return Ok(None);
                };
                let closed = || EngineError::Failed("the store is closed".to_owned());
                let home = desk.home.as_ref().ok_or_else(closed)?;
                (Arc::clone(&home.engine), block, desk.ledger.origin(id))
            };
            if let Some(message) = self.shared.shelf.find(&*engine, block, origin)? {
                return Ok(Some(message));
            }
            // It may have been written anew just now.
            if missed.replace(block.first) == Some(block.first) {
                let Key { group, part } = block.first;
                return Err(EngineError::Damaged(format!(
                    "value {part} of commit {group} is missing"
                )));
            }
        }
    }

    /// About how many bytes of what is written are needed.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.shared.live_bytes.load(Ordering::Relaxed)
    }

    /// How many bytes all of it took, when that was last looked at.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.shared.disk_bytes.load(Ordering::Relaxed)
    }

    /// Writes all that has gathered, and ends the thread. What is told later is dropped.
    pub(crate) fn close(&self, until: HostDeadline) -> Result<(), StoreFailure> {
        self.shared.intake.enter(Phase::Closing);
        if self.is_thread_of_store() {
            // It ends by itself, when whoever calls this has returned.
            return Err(StoreFailure::Unfinished);
        }
        if let Some(mut writer) = self.take_writer() {
            let _ending = self.shared.progress.ending();
            writer.close();
        } else if !self.shared.progress.wait_for_end(until) {
            return Err(StoreFailure::Unfinished);
        }
        let attendance = mem::replace(&mut *self.attendance.lock(), Attendance::Nobody);
        match attendance {
            // If it has panicked, it has told of that.
            Attendance::Threads(writer, _) => drop(writer.join()),
            Attendance::Caller(_) | Attendance::Nobody => {}
        }
        // A store that has failed is read until it is closed.
        self.shared.leave();
        match self.failure() {
            None | Some(StoreFailure::Closed) => Ok(()),
            Some(failure) => Err(failure),
        }
    }

    fn read(
        place: Box<dyn Place>,
        level: Level,
        resident_bytes: u64,
        economy: Economy,
    ) -> Result<(Arc<Shared>, Writer, Recovered), StoreError> {
        let place: Arc<dyn Place> = place.into();
        let engine = place.engine();
        let Found { ledger, stale, recovered } =
            recovery::recover(&*engine, place.noted(), resident_bytes)?;
        place.accept();
        let home = Home { engine, place: Arc::clone(&place) };
        let shared = Arc::new(Shared::new(level, ledger, home, recovered.next_serial));
        let writer = Writer::new(Arc::clone(&shared), place, stale, economy);
        Ok((shared, writer, recovered))
    }

    fn attended(shared: Arc<Shared>, attendance: Attendance) -> Arc<Self> {
        Arc::new(Self { shared, attendance: Mutex::new(Rank::Intake, attendance) })
    }

    fn is_thread_of_store(&self) -> bool {
        match &*self.attendance.lock() {
            Attendance::Threads(writer, syncing) => {
                let current = thread::current().id();
                writer.thread().id() == current || *syncing == Some(current)
            }
            Attendance::Caller(_) | Attendance::Nobody => false,
        }
    }

    fn take_writer(&self) -> Option<Box<Writer>> {
        let mut attendance = self.attendance.lock();
        match mem::replace(&mut *attendance, Attendance::Nobody) {
            Attendance::Caller(writer) => Some(writer),
            other @ (Attendance::Threads(..) | Attendance::Nobody) => {
                *attendance = other;
                None
            }
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Nobody is left who could be told.
        let _ = self.close(HostDeadline::NEVER);
    }
}

/// Looks for a message in what is not written; if it is not there, what it is known by in what is.
fn find_unwritten(desk: &Desk, intake: &Intake, id: ItemId) -> Result<Excerpt, ItemId> {
    let Desk { ledger, backlog, .. } = desk;
    if ledger.block_of(id).is_some() {
        return Err(id);
    }
    let mut sought = id;
    let found = if backlog.has_moved() || intake.has_moved() {
        // The last that was said of it comes first.
        let newest =
            intake.look_back(|batch| batch.find_back(0, &mut sought).map(Content::excerpt));
        newest.or_else(|| backlog.find(&mut sought).map(Content::excerpt))
    } else {
        // What is read is what was told before anything else, as a rule.
        let oldest = backlog.find(&mut sought).map(Content::excerpt);
        oldest.or_else(|| intake.look(|batch| batch.find(0, sought).map(Content::excerpt)))
    };
    found.ok_or(sought)
}

#[cfg(test)]
mod tests;
