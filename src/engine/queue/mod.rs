//! One queue as a state machine: messages come in, are handed out, and are settled.
//!
//! It knows no delivery tags, no channels and no names. Everything that happens outside of it
//! leaves through [`Effects`]. This file is the path that every message takes; what only some
//! queues do has a file of its own and is reached through one optional box.
//!
//! Invariant: a message is ready only while no consumer in the round has credit for it.

mod consumers;
mod counts;
mod death;
mod delayed;
mod effect;
mod entry;
mod idle;
mod inspection;
mod lapse;
mod latency;
mod leases;
mod limit;
mod line;
#[cfg(any(test, fuzzing))]
#[allow(clippy::indexing_slicing, reason = "a model may panic: that is its way to speak")]
pub(crate) mod model;
mod notes;
mod options;
mod overflow;
mod paging;
mod ready;
mod recipient;
mod resting;
mod restoring;
mod ring;
mod settling;
#[cfg(test)]
mod tests;
mod unacked;

use std::time::Duration;

pub(crate) use consumers::{
    AckMode, ConsumerCounts, ConsumerId, ConsumerTerms, Custody, Flow, InExclusiveUse, Sharing,
};
pub(crate) use counts::Counts;
pub(crate) use death::{Burial, Dead, Reason};
pub(crate) use effect::{Bodies, Effects, Kept, Outward, Staged, Staging};
pub(crate) use entry::{Held, Past};
pub(crate) use inspection::Peeked;
pub use latency::Latency;
pub(crate) use paging::More;
pub(crate) use recipient::{Attention, HandOver, Handed, Received, Recipient};
pub(crate) use unacked::UnackedKey;

use self::{
    consumers::{Consumers, Turn},
    death::Moving,
    delayed::Delayed,
    entry::{Entry, Stamp},
    options::{Needs, Options},
    ready::Ready,
    unacked::Unacked,
};
use super::{
    definition::{QueueDefaults, QueueDefinition},
    ids::Seq,
};
use crate::time::Moment;

/// How a hand-out ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settlement {
    /// Done: the message is gone.
    Accept,
    /// Done by being received.
    AcceptOnReceipt,
    /// Back to its place: whoever had it has gone.
    Abandon,
    /// It gives way at a limit: the message is gone.
    Drop,
    /// Back to its place: whoever had it failed at it.
    Fail,
    /// Not wanted: the message dies.
    Reject,
    /// Back to its place, on purpose.
    Requeue,
    /// Back to its place after a time.
    RetryIn(Duration),
    /// Back to its place from a mailbox: nobody saw it, so it counts as no attempt.
    ReturnUnseen,
}

/// What a deletion insists on: each that is set has to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeleteConditions {
    pub(crate) unused: bool,
    pub(crate) empty: bool,
    /// Only if the queue has been unused for too long by then.
    pub(crate) expired_by: Option<Moment>,
}

/// Why a queue was not deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeleteRefused {
    InUse,
    NotEmpty,
}

/// What is left of a deleted queue, for the caller to tell and to drop.
#[derive(Debug)]
pub(crate) struct Remains<C> {
    /// How many messages were ready.
    pub(crate) ready: u64,
    /// Its consumers, oldest first.
    pub(crate) consumers: Vec<C>,
    messages: (Ready, Unacked, Delayed),
}

impl<C> Remains<C> {
    /// What it held, to be dropped one by one where no lock is held.
    pub(crate) fn into_messages(self) -> impl Iterator<Item = Held> {
        let (ready, unacked, delayed) = self.messages;
        ready.into_messages().chain(unacked.into_messages()).chain(delayed.into_messages())
    }
}

/// A message that the queue did not take. It comes back.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The queue has been deleted.
    Deleted(Held),
    /// Boxed, since the result of every enqueue has room for it.
    Full(Box<NoRoom>),
}

/// A declared bound left no room.
#[derive(Debug)]
pub(crate) struct NoRoom {
    pub(crate) held: Held,
    /// The argument that sets it.
    pub(crate) bound: &'static str,
    pub(crate) fate: Fate,
}

/// What has become of a message that was refused for want of room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its publisher still has it, and nobody else.
    Returned,
    /// A copy is a dead letter.
    DeadLettered,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Alive,
    Deleted,
}

/// The state of one queue. `C` is the far end of its consumers.
#[derive(Debug)]
pub(crate) struct QueueCore<C> {
    ready: Ready,
    unacked: Unacked,
    consumers: Consumers<C>,
    next_seq: u64,
    /// Invariant: the byte sizes of everything that the queue has, in whatever state.
    bytes: u64,
    /// What is on its way to where dead letters go.
    moving: Moving,
    counts: Counts,
    life: Life,
    /// Whether losing the last consumer ends the queue.
    auto_delete: bool,
    /// `None` for a plain queue: all that it pays for options is to look here.
    options: Option<Box<Options>>,
}

impl<C: Recipient> QueueCore<C> {
    /// An empty queue, in use from `now` on.
    pub(crate) fn new(definition: &QueueDefinition, defaults: QueueDefaults, now: Moment) -> Self {
        let parsed = &definition.parsed;
        let options = Options::new(definition, defaults, now);
        let mut consumers = Consumers::new();
        if parsed.single_active_consumer {
            consumers.select_single_active();
        }
        Self {
            ready: Ready::new(parsed.priority_max.unwrap_or_default()),
            unacked: Unacked::default(),
            consumers,
            next_seq: options.as_ref().map_or(0, |options| options.first_seq()),
            bytes: 0,
            moving: Moving::default(),
            counts: Counts::default(),
            life: Life::Alive,
            auto_delete: definition.auto_delete,
            options,
        }
    }

    /// Adds a message at the end, and hands it out if anyone has credit.
    #[expect(clippy::inline_always, reason = "the path of every publish, with few callers")]
    #[inline(always)]
    pub(crate) fn enqueue(&mut self, held: Held, effects: &mut Effects) -> Result<(), Refused> {
        if self.life == Life::Deleted {
            return Err(Refused::Deleted(held));
        }
        if self.options.is_some() {
            return self.enqueue_with_options(held, effects);
        }
        let stamp = self.accept(&held);
        let is_set_going = self.consumers.set_going();
        // The entry is made where it goes: one that is made first and copied then makes the
        // processor wait for its own writes.
        if self.ready.is_empty()
            && let Some(turn) = self.consumers.next()
        {
            self.hand_over(Entry { stamp, held }, turn, effects);
        } else {
            self.ready.push(Entry { stamp, held });
            if is_set_going {
                self.serve(effects);
            }
        }
        Ok(())
    }

    /// Like [`enqueue`](Self::enqueue), whatever bounds are declared.
    pub(crate) fn enqueue_anyway(
        &mut self,
        held: Held,
        effects: &mut Effects,
    ) -> Result<(), Refused> {
        if self.life == Life::Alive && self.options.is_some() {
            self.take_in(held, effects);
            return Ok(());
        }
        self.enqueue(held, effects)
    }

    /// Whether an [`enqueue`](Self::enqueue) comes out differently if settlements that have been
    /// made and not told are told before it. While messages wait it does not: they are handed out
    /// in the same order, before or after one more has joined them.
    #[inline]
    pub(crate) fn depends_on_settlements(&self) -> bool {
        self.needs_care() || self.ready.is_empty() && self.consumers.anyone_is_full()
    }

    /// Takes the message that is first in line; with it comes the key if it has to be settled.
    pub(crate) fn get(
        &mut self,
        mode: AckMode,
        custody: Custody,
        effects: &mut Effects,
    ) -> Option<(Handed, Option<UnackedKey>)> {
        self.touch();
        if self.consumers.flow() == Flow::Paused {
            return None;
        }
        let entry = self.pop_ready()?;
        debug_assert!(!entry.is_on_disk(), "it was read before");
        let timeout = self.timeout_of(None);
        let custody = self.custody(custody, timeout);
        if let Some(options) = &mut self.options {
            options.measure(entry.stamp);
        }
        let (mut handed, stamp, kept) = Handed::out_of(entry, mode.custody(custody));
        let key = match mode {
            AckMode::Auto => {
                self.settle_by_delivery(stamp, effects);
                None
            }
            AckMode::Manual => Some(self.unacked.insert_got(stamp, kept)),
        };
        if let Some(options) = &mut self.options {
            if options.is_quorum {
                handed.show_returns();
            }
            options.begin_lease(key, timeout, &mut handed);
            self.expire(usize::MAX, effects);
        }
        Some((handed, key))
    }

    /// Registers a consumer. Dispatches nothing, so that the caller can note the id first: a call
    /// of [`dispatch`](Self::dispatch) has to follow. One that grants its deliveries a time of its
    /// own is preceded by [`begin_time`](Self::begin_time).
    pub(crate) fn consume(
        &mut self,
        mut terms: ConsumerTerms,
        recipient: C,
    ) -> Result<ConsumerId, InExclusiveUse> {
        debug_assert!(terms.timeout.is_none() || self.options.is_some(), "its time has begun");
        terms.custody =
            self.custody(terms.custody, terms.timeout.or_else(|| self.timeout_of(None)));
        let id = self.consumers.add(terms, recipient)?;
        self.touch();
        Ok(id)
    }

    /// Takes a consumer off the queue. What it was handed stays handed out. Dispatches nothing, so
    /// that the caller can return its messages first. If it was the single active one, the next is
    /// chosen, which is served only after a message or a consumer comes, or messages return, be it
    /// none: see [`settle`](Self::settle).
    pub(crate) fn remove_consumer(
        &mut self,
        consumer: ConsumerId,
        effects: &mut Effects,
    ) -> Option<C> {
        let recipient = self.consumers.remove(consumer)?;
        self.touch();
        if self.auto_delete && self.consumers.is_empty() {
            effects.outward.push(Outward::Abandoned);
        }
        Some(recipient)
    }

    /// Credit that consumers share with others has come back.
    pub(crate) fn resume(&mut self, effects: &mut Effects) {
        self.consumers.resume();
        self.serve(effects);
    }

    /// Sets a chosen consumer going, and hands out what is ready, as far as there is credit.
    pub(crate) fn dispatch(&mut self, effects: &mut Effects) {
        self.consumers.set_going();
        self.serve(effects);
    }

    /// Stops handing out, or goes on with it.
    pub(crate) fn set_flow(&mut self, flow: Flow, effects: &mut Effects) {
        self.consumers.set_flow(flow);
        self.serve(effects);
    }

    pub(crate) fn flow(&self) -> Flow {
        self.consumers.flow()
    }

    /// Forgets what is ready, so much at most, and says how much that was. The caller drops the
    /// messages.
    pub(crate) fn purge(&mut self, most: u64, effects: &mut Effects) -> u64 {
        let mut purged = 0;
        while purged < most
            && let Some(entry) = self.pop_ready()
        {
            self.leave(entry.stamp, effects);
            effects.freed.push(entry.held);
            purged += 1;
        }
        self.counts.purged += purged;
        self.expire(usize::MAX, effects);
        purged
    }

    /// Ends the queue with all it holds. From now on it takes no message, and settling what it
    /// had handed out does nothing.
    pub(crate) fn delete(
        &mut self,
        conditions: DeleteConditions,
    ) -> Result<Remains<C>, DeleteRefused> {
        if conditions.empty && !(self.ready.is_empty() && self.delayed_messages() == 0) {
            return Err(DeleteRefused::NotEmpty);
        }
        let is_fresh = conditions.expired_by.is_some_and(|now| !self.is_expired(now));
        if is_fresh || conditions.unused && !self.consumers.is_empty() {
            return Err(DeleteRefused::InUse);
        }
        let ready = self.ready_messages();
        self.counts.handed_settled += self.unacked.handed();
        self.counts.deleted += ready + self.unacked_messages() + self.delayed_messages();
        self.life = Life::Deleted;
        self.bytes = self.moving.bytes;
        let delayed = self.options.take().map(|options| options.delayed).unwrap_or_default();
        let (ready_ones, unacked) =
            (std::mem::take(&mut self.ready), std::mem::take(&mut self.unacked));
        let messages = (ready_ones, unacked, delayed);
        Ok(Remains { ready, consumers: self.consumers.remove_all(), messages })
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.life == Life::Deleted
    }

    /// Whether a consumer could be handed one more, as far as its own prefetch goes.
    #[inline]
    pub(crate) fn has_room(&self, consumer: ConsumerId) -> bool {
        self.consumers.has_room(consumer)
    }

    pub(crate) fn recipient(&mut self, consumer: ConsumerId) -> Option<&mut C> {
        self.consumers.recipient(consumer)
    }

    /// Its consumers, oldest first.
    pub(crate) fn consumer_ids(&self) -> Vec<ConsumerId> {
        self.consumers.ids()
    }

    pub(crate) fn ready_messages(&self) -> u64 {
        self.ready.len() as u64
    }

    pub(crate) fn unacked_messages(&self) -> u64 {
        self.unacked.len() as u64
    }

    /// Messages that are to be tried again later.
    pub(crate) fn delayed_messages(&self) -> u64 {
        self.options.as_ref().map_or(0, |options| options.delayed.len() as u64)
    }

    /// Dead letters that have not arrived.
    pub(crate) fn moving_messages(&self) -> u64 {
        self.moving.messages
    }

    pub(crate) fn consumer_count(&self) -> usize {
        self.consumers.len()
    }

    /// How many consumers AMQP's methods tell of. Of a quorum queue these are also those who have
    /// got a message and not settled it, each for as long, and those who have been cancelled with
    /// unsettled ones; those who stand by are none.
    pub(crate) fn told_consumers(&self) -> usize {
        if !self.is_quorum() {
            return self.consumers.len();
        }
        self.consumers.taking_part() + self.unacked.holders(|id| !self.consumers.has(id))
    }

    /// What a consumer was handed, and what became of that.
    pub(crate) fn consumer_counts(&self, consumer: ConsumerId) -> Option<ConsumerCounts> {
        self.consumers.counts(consumer)
    }

    /// How long messages have waited, if that is measured.
    pub(crate) fn latency(&self) -> Option<&Latency> {
        self.options.as_ref()?.latency.as_deref()
    }

    /// The byte sizes of everything that the queue has.
    #[inline]
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn counts(&self) -> Counts {
        let delivered = self.unacked.handed() + self.counts.handed_settled;
        Counts { delivered, handed_settled: 0, ..self.counts }
    }

    /// Counts a message in, and says what the queue knows of it.
    #[inline]
    fn accept(&mut self, held: &Held) -> Stamp {
        let stamp = Stamp::fresh(Seq(self.next_seq), held);
        self.bytes += stamp.bytes_in_hand();
        self.next_seq += 1;
        self.counts.enqueued += 1;
        stamp
    }

    /// Kept out of the way of queues without options.
    #[inline(never)]
    fn enqueue_with_options(&mut self, held: Held, effects: &mut Effects) -> Result<(), Refused> {
        let held = self.admit(held, effects)?;
        self.take_in(held, effects);
        Ok(())
    }

    fn take_in(&mut self, held: Held, effects: &mut Effects) {
        let mut stamp = self.accept(&held);
        if effects.keeps(&held) {
            stamp.past = stamp.past.stored();
        }
        let mut entry = Entry { stamp, held };
        if let Some(options) = &mut self.options {
            let ends = options.note_arrival(entry.stamp.seq, &entry.held);
            if entry.stamp.past.is_stored() {
                let kept = Kept::new(entry.stamp, ends, None);
                effects.staged.push(Staged::Added(kept, entry.held.clone()));
            }
        }
        let needs_care = self.needs_care();
        let is_set_going = self.consumers.set_going();
        if self.ready.is_empty()
            && let Some(turn) = self.consumers.next()
        {
            self.hand_over(entry, turn, effects);
        } else {
            self.page_out(&mut entry, effects);
            if needs_care {
                self.line_up(entry);
                self.make_way(effects);
                self.expire(usize::MAX, effects);
            } else {
                self.ready.push(entry);
            }
            if is_set_going {
                self.serve(effects);
            }
        }
        self.look();
    }

    /// Puts a message that was never handed out where it is to wait.
    fn line_up(&mut self, entry: Entry) {
        let Some(options) = &mut self.options else { return self.ready.push(entry) };
        options.entered(&entry, self.ready.level_of(&entry.held));
        // What may leave from the middle does not wait in the ring.
        if options.notes.is_exact() { self.ready.put_back(entry) } else { self.ready.push(entry) }
    }

    /// Takes the message that is first in line.
    #[inline]
    fn pop_ready(&mut self) -> Option<Entry> {
        let entry = self.ready.pop()?;
        if let Some(options) = &mut self.options {
            options.left(&entry);
        }
        Some(entry)
    }

    fn is_quorum(&self) -> bool {
        self.options.as_ref().is_some_and(|options| options.is_quorum)
    }

    /// Who is to keep a message while it is handed out: the queue, where a hand-out may end by
    /// itself or shows what the queue counts.
    fn custody(&self, asked: Custody, timeout: Option<Duration>) -> Custody {
        if timeout.is_some() || self.is_quorum() { Custody::Queue } else { asked }
    }

    #[inline]
    fn serve(&mut self, effects: &mut Effects) {
        if !self.ready.is_empty() {
            self.serve_ready(effects);
        }
    }

    fn serve_ready(&mut self, effects: &mut Effects) {
        while !self.ready.is_empty() {
            if self.options.is_some() && self.waits_for_body(effects) {
                break;
            }
            let Some(turn) = self.consumers.next() else { break };
            let entry = self.pop_ready().expect("it is not empty");
            self.hand_over(entry, turn, effects);
            if self.needs_care() {
                self.expire(usize::MAX, effects);
            }
        }
    }

    #[inline]
    fn hand_over(&mut self, entry: Entry, turn: Turn, effects: &mut Effects) {
        let Turn { consumer, mode, custody } = turn;
        let timeout =
            if self.needs_care() { self.begin_hand_out(entry.stamp, consumer) } else { None };
        let (mut message, stamp, kept) = Handed::out_of(entry, mode.custody(custody));
        if mode == AckMode::Auto {
            self.settle_by_delivery(stamp, effects);
        }
        let (newest, recipient) = self.consumers.on_turn(turn);
        let key = match mode {
            AckMode::Auto => None,
            AckMode::Manual => Some(self.unacked.push(stamp, kept, consumer, newest)),
        };
        if let Some(options) = &mut self.options
            && options.needs != Needs::Nothing
        {
            options.note_hand_out(&mut message, key, timeout);
        }
        let received = recipient.receive(HandOver { consumer, key, message });
        if received.attention == Attention::Somebody {
            effects.alerts.push(consumer);
        }
        if let Some((key, held)) = received.displaced {
            self.end(key, Some(held), Settlement::Drop, effects);
        }
    }

    /// What queues with options note of a message before it is handed to a consumer, and how long
    /// it may be unsettled.
    #[cold]
    fn begin_hand_out(&mut self, stamp: Stamp, consumer: ConsumerId) -> Option<Duration> {
        if let Some(options) = &mut self.options {
            options.measure(stamp);
        }
        self.timeout_of(Some(consumer))
    }

    #[inline]
    fn settle_by_delivery(&mut self, stamp: Stamp, effects: &mut Effects) {
        self.leave(stamp, effects);
        self.counts.auto_acked += 1;
        self.counts.handed_settled += 1;
    }
}
