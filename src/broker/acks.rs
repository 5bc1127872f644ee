//! Acks that have been made and that their queue has not been told yet.
//!
//! A consumer that acked each message under the lock of its queue would meet the publishers there
//! twice per message. So acks are noted here, and told together. Nobody can see the difference:
//! whoever looks at a queue, or changes it in a way that acks could have a say in, has them told
//! first, in the order in which they were made; and nothing is put off while somebody waits for
//! what an ack may lead to.

use std::sync::{Arc, Weak};

use super::{cell::QueueCell, context::Context};
use crate::{
    engine::queue::UnackedKey,
    sync::{Mutex, Rank},
};

/// So many acks are told at the latest.
const ACKS_MAX: usize = 128;

/// Or those of messages of so many accounted bytes together.
const BYTES_MAX: u64 = 1_024 * 1_024;

/// The acks of one queue. Under a lock of its own, which lies apart from what publishers touch.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Acks(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    keys: Vec<UnackedKey>,
    bytes: u64,
    /// How many consumers have somebody waiting, for whom an ack may let a message through.
    urgent: usize,
    /// Whether the queue is among those that [`Backlog`] knows. Never taken back.
    is_listed: bool,
}

/// The queues of a broker whose acks were ever put off, and which may have some that they have not
/// been told.
#[derive(Debug)]
pub(crate) struct Backlog(Mutex<Vec<Weak<QueueCell>>>);

impl Acks {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Rank::Outlet, State::default()))
    }

    /// Notes an ack, and says whether it has to be told at once.
    #[inline]
    pub(crate) fn note(&self, key: UnackedKey, bytes: u64, cell: &Arc<QueueCell>) -> bool {
        let context = cell.context();
        let mut state = self.0.lock();
        state.keys.push(key);
        state.bytes += bytes;
        if state.urgent > 0 || state.keys.len() >= ACKS_MAX || state.bytes > BYTES_MAX {
            return true;
        }
        if !state.is_listed {
            state.is_listed = true;
            context.backlog.add(cell);
        }
        // Looked at under the lock: whoever starts to wait later than this has the acks told.
        context.is_watched()
    }

    /// Moves what there is into an empty list.
    pub(crate) fn take(&self, into: &mut Vec<UnackedKey>) {
        debug_assert!(into.is_empty(), "nothing is lost");
        let mut state = self.0.lock();
        std::mem::swap(&mut state.keys, into);
        state.bytes = 0;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().keys.is_empty()
    }

    /// One consumer more has somebody waiting. Says whether acks have come since the queue was told
    /// of all there were: they have to be told now.
    #[must_use]
    pub(crate) fn begin_urgency(&self) -> bool {
        let mut state = self.0.lock();
        state.urgent += 1;
        !state.keys.is_empty()
    }

    /// One consumer less has somebody waiting.
    pub(crate) fn end_urgency(&self) {
        self.0.lock().urgent -= 1;
    }
}

impl Backlog {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Rank::Signal, Vec::new()))
    }

    /// Has all queues told. No lock may be held.
    ///
    /// Each is locked, also one whose acks somebody else is telling it just now: they were made
    /// before, so they have to count for whoever asks.
    pub(crate) fn tell(&self) {
        let listed: Vec<_> = self.0.lock().iter().filter_map(Weak::upgrade).collect();
        listed.iter().for_each(QueueCell::tell_acks);
    }

    fn add(&self, cell: &Arc<QueueCell>) {
        let mut listed = self.0.lock();
        if listed.len() == listed.capacity() {
            listed.retain(|known| known.strong_count() > 0);
        }
        listed.push(Arc::downgrade(cell));
    }
}

impl Context {
    /// Whether so many bytes more would fit now, after all that has been acked. No lock may be
    /// held.
    #[inline]
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        self.budget.has_room(bytes) || {
            self.backlog.tell();
            self.budget.has_room(bytes)
        }
    }

    /// The accounted bytes, without what has been acked. No lock may be held.
    pub(crate) fn drawn_bytes(&self) -> u64 {
        self.backlog.tell();
        self.budget.drawn()
    }

    /// Whether anyone waits for what an ack may bring: room, or the last message to be settled.
    #[inline]
    fn is_watched(&self) -> bool {
        self.progress.is_awaited() || self.room.is_awaited() || self.budget.is_tight()
    }
}
