//! What a broker tells its store.
//!
//! Queues note what happens to their messages while they are locked; nothing there waits. What one
//! call does to several queues is one [step](Journal::step), of which a crash leaves all or
//! nothing. Whatever waits for the disk does so afterwards and holds nothing.

mod opening;
mod restoring;
mod step;
#[cfg(test)]
mod tests;
mod topology;

use std::sync::{Arc, OnceLock};

use super::{
    confirm::Durability, context::Context, publish_error::PublishReason, store_stats::StoreStats,
};
use crate::{
    Error, ErrorKind, Message,
    clock::HostDeadline,
    engine::{
        ids::Seq,
        queue::{Held, Kept, Staged},
    },
    store::{
        Store,
        position::{Level, State},
        record::{Amendment, ItemId, Record},
    },
    time::Moment,
};

pub(crate) use self::{
    opening::{Opened, StoreOptions},
    topology::{StoredExchange, StoredQueue, StoredVhost, Story},
};
pub(crate) use crate::store::{position::Position, record::Serial};

/// The store of a broker, as the broker sees it.
#[derive(Debug)]
pub(crate) struct Journal {
    store: Arc<Store>,
    level: Level,
    /// When the broker's clock began, in milliseconds since 1970.
    origin_ms: u64,
    /// Distinguishes it from those of other brokers of the process.
    number: u64,
    /// What could not be read, if that has happened.
    fault: OnceLock<String>,
}

impl Journal {
    /// Has the broker told when something has become durable, or never will.
    pub(crate) fn tell(&self, context: &Arc<Context>) {
        let context = Arc::downgrade(context);
        self.store.on_progress(Box::new(move || {
            if let Some(context) = context.upgrade() {
                context.durable.made();
                context.room.made();
            }
        }));
    }

    /// Notes what has happened to messages of a queue, which is locked. Says when it will be
    /// durable, unless it is told with the step that this thread is at.
    pub(crate) fn note(&self, queue: &StoredQueue, staged: &[Staged]) -> Position {
        let id = |seq: Seq| ItemId { queue: queue.serial(), seq: seq.0 };
        step::note(self, |told| {
            for staged in staged {
                match staged {
                    Staged::Added(kept, Held::Resident(message)) => {
                        told.message(id(kept.seq), self.amendment(kept), message);
                    }
                    Staged::Amended(kept) => told.amended(id(kept.seq), self.amendment(kept)),
                    Staged::Renumbered(from, to) => told.moved(id(*from), to.0),
                    Staged::Settled(seq) => told.settled(id(*seq)),
                }
            }
        })
    }

    /// Notes that a message of a queue is gone.
    #[inline]
    pub(crate) fn note_settled(&self, queue: &StoredQueue, seq: Seq) {
        let id = ItemId { queue: queue.serial(), seq: seq.0 };
        step::note(self, |told| told.settled(id));
    }

    /// Whether this thread is at a step, with which is told what is noted.
    pub(crate) fn is_at_step(&self) -> bool {
        step::is_at(self)
    }

    /// Does something as one step, and says when it will be durable. What others do meanwhile on
    /// this thread as a step of their own is none of it.
    pub(crate) fn step<R>(&self, act: impl FnOnce() -> R) -> (R, Position) {
        step::run(self, act)
    }

    /// Ends the steps that this thread is at, before it waits for the disk.
    #[expect(clippy::unused_self, reason = "without a journal there are no steps")]
    pub(crate) fn let_go(&self) {
        step::let_go();
    }

    /// Tells what is one step by itself.
    pub(crate) fn append(&self, records: &[Record]) -> Position {
        self.store.append(records)
    }

    /// Whether messages are taken that are to be stored.
    #[inline]
    pub(crate) fn check_accepts(&self, unwritten_max: u64) -> Result<(), PublishReason> {
        match self.state() {
            State::Working if self.store.unwritten_bytes() < unwritten_max => Ok(()),
            State::Working => Err(PublishReason::Full { limit: "unwritten_bytes" }),
            State::Full => Err(PublishReason::Full { limit: "disk" }),
            State::Failed => Err(PublishReason::Refused(self.failure())),
        }
    }

    /// Whether anything new can be stored.
    pub(crate) fn check_works(&self) -> Result<(), Error> {
        match self.state() {
            State::Working => Ok(()),
            State::Full => Err(Error::plain(ErrorKind::Full { limit: "disk" })),
            State::Failed => Err(self.failure()),
        }
    }

    /// Whether it is durable by now; `None` if that is open.
    #[inline]
    pub(crate) fn poll(&self, position: Position) -> Option<Result<(), Error>> {
        if position <= self.store.durable() {
            return Some(Ok(()));
        }
        Some(self.store.poll(position)?.map_err(|_| self.failure()))
    }

    /// A message that the store has. If it cannot be read, the store counts as failed from now on.
    pub(crate) fn fetch(&self, queue: &StoredQueue, seq: Seq) -> Option<Message> {
        match self.store.fetch(ItemId { queue: queue.serial(), seq: seq.0 }) {
            Ok(found) => found,
            Err(error) => {
                self.fault.get_or_init(|| format!("a message cannot be read: {error:?}"));
                None
            }
        }
    }

    /// Whether everything could be read so far that somebody wanted.
    pub(crate) fn check_readable(&self) -> Result<(), Error> {
        if self.fault.get().is_some() { Err(self.failure()) } else { Ok(()) }
    }

    /// When all that was told so far is durable.
    pub(crate) fn position(&self) -> Position {
        self.store.hurry()
    }

    pub(crate) fn stats(&self) -> StoreStats {
        StoreStats {
            unwritten_bytes: self.store.unwritten_bytes(),
            live_bytes: self.store.live_bytes(),
            disk_bytes: self.store.disk_bytes(),
        }
    }

    /// What a message has got to when it is durable.
    pub(crate) fn durability(&self) -> Durability {
        match self.level {
            Level::Process => Durability::Process,
            Level::Power => Durability::Power,
        }
    }

    /// Writes what was told, and ends. Says how many steps were not written in time.
    pub(crate) fn close(&self, until: HostDeadline) -> u64 {
        let told = self.position();
        match self.store.close(until) {
            Ok(()) => 0,
            Err(_) => told.0.saturating_sub(self.store.durable().0),
        }
    }

    fn amendment(&self, kept: &Kept) -> Amendment {
        let Kept { returns, is_redelivered, ends, until, death, .. } = *kept;
        let (end, until) = (ends.map(|at| self.unix_ms(at)), until.map(|at| self.unix_ms(at)));
        Amendment { returns, is_redelivered, end, until, death }
    }

    fn unix_ms(&self, moment: Moment) -> u64 {
        self.origin_ms.saturating_add(millis(moment))
    }

    fn failure(&self) -> Error {
        let text = match self.fault.get() {
            Some(text) => text.clone(),
            None => self.store.failure().map_or_else(String::new, |failure| failure.to_string()),
        };
        Error::plain(ErrorKind::StoreFailed { text })
    }

    #[inline]
    fn state(&self) -> State {
        if self.fault.get().is_some() { State::Failed } else { self.store.state() }
    }
}

fn millis(moment: Moment) -> u64 {
    u64::try_from(moment.since(Moment::ORIGIN).as_millis()).unwrap_or(u64::MAX)
}
