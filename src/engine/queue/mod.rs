//! One queue as a state machine: messages come in, are handed out, and are settled.
//!
//! It knows no delivery tags, no channels and no names. Everything that happens outside of it
//! leaves through [`Effects`]. This file is the path that every message takes; what only some
//! queues do has a file of its own and is reached through one optional box.
//!
//! Invariant: a message is ready only while no consumer in the round has credit for it.

mod consumers;
mod counts;
mod effect;
mod entry;
mod idle;
#[cfg(any(test, fuzzing))]
#[allow(clippy::indexing_slicing, reason = "a model may panic: that is its way to speak")]
pub(crate) mod model;
mod ready;
mod recipient;
mod ring;
#[cfg(test)]
mod tests;
mod unacked;

use std::time::Duration;

pub(crate) use consumers::{AckMode, ConsumerId, ConsumerTerms, Custody, InExclusiveUse, Sharing};
pub(crate) use counts::Counts;
pub(crate) use effect::{Effects, Outward, Staging};
pub(crate) use entry::Held;
pub(crate) use recipient::{Attention, HandOver, Handed, Received, Recipient};
pub(crate) use unacked::UnackedKey;

use self::{
    consumers::{Consumers, Turn},
    effect::Staged,
    entry::{Entry, Stamp},
    idle::Idle,
    ready::Ready,
    unacked::{HandOut, Unacked},
};
use super::{definition::QueueDefinition, ids::Seq};
use crate::time::Moment;

/// How a hand-out ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settlement {
    /// Done: the message is gone.
    Accept,
    /// Done by being received.
    AcceptOnReceipt,
    /// It gives way at a limit: the message is gone.
    Drop,
    /// Not wanted: the message is gone.
    Reject,
    /// Back to its place, having been seen.
    Requeue,
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
    messages: (Ready, Unacked),
}

impl<C> Remains<C> {
    /// What it held, to be dropped one by one where no lock is held.
    pub(crate) fn into_messages(self) -> impl Iterator<Item = Held> {
        let (ready, unacked) = self.messages;
        ready.into_messages().chain(unacked.into_messages())
    }
}

/// The queue has been deleted. The message comes back.
#[derive(Debug)]
pub(crate) struct Deleted(pub(crate) Held);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Alive,
    Deleted,
}

/// What some queues do and most do not.
#[derive(Debug, Default)]
struct Options {
    /// `x-expires`: the queue goes when nobody has used it for a time.
    idle: Option<Idle>,
}

/// The state of one queue. `C` is the far end of its consumers.
#[derive(Debug)]
pub(crate) struct QueueCore<C> {
    ready: Ready,
    unacked: Unacked,
    consumers: Consumers<C>,
    next_seq: u64,
    /// Invariant: the byte sizes of what is ready and unacked.
    bytes: u64,
    counts: Counts,
    life: Life,
    /// Whether losing the last consumer ends the queue.
    auto_delete: bool,
    options: Option<Box<Options>>,
}

impl<C: Recipient> QueueCore<C> {
    /// An empty queue, in use from `now` on.
    pub(crate) fn new(definition: &QueueDefinition, now: Moment) -> Self {
        let mut queue = Self {
            ready: Ready::default(),
            unacked: Unacked::default(),
            consumers: Consumers::new(),
            next_seq: 0,
            bytes: 0,
            counts: Counts::default(),
            life: Life::Alive,
            auto_delete: false,
            options: None,
        };
        queue.reconfigure(definition, now);
        queue
    }

    /// Takes over what the definition says about behaviour.
    pub(crate) fn reconfigure(&mut self, definition: &QueueDefinition, now: Moment) {
        self.auto_delete = definition.auto_delete;
        if definition.parsed.single_active_consumer {
            self.consumers.select_single_active();
        }
        self.options = definition.parsed.expires_ms.map(|after_ms| {
            let idle = Idle::new(Duration::from_millis(after_ms), now);
            Box::new(Options { idle: Some(idle) })
        });
    }

    /// Adds a message at the end, and hands it out if anyone has credit.
    #[inline]
    pub(crate) fn enqueue(&mut self, held: Held, effects: &mut Effects) -> Result<(), Deleted> {
        if self.life == Life::Deleted {
            return Err(Deleted(held));
        }
        let seq = Seq(self.next_seq);
        self.next_seq += 1;
        let entry = Entry::fresh(seq, held);
        self.bytes += entry.stamp.bytes();
        self.counts.enqueued += 1;
        effects.stage(Staged::Enqueued(seq));
        let is_set_going = self.consumers.set_going();
        if self.ready.is_empty()
            && let Some(turn) = self.consumers.next()
        {
            self.hand_over(entry, turn, effects);
        } else {
            self.ready.push(entry);
            if is_set_going {
                self.serve(effects);
            }
        }
        Ok(())
    }

    /// Whether an [`enqueue`](Self::enqueue) comes out differently if settlements that have been
    /// made and not told are told before it. While messages wait it does not: they are handed out
    /// in the same order, before or after one more has joined them.
    #[inline]
    pub(crate) fn depends_on_settlements(&self) -> bool {
        self.ready.is_empty() && self.consumers.anyone_is_full()
    }

    /// Ends hand-outs, in this order, and then hands out what that made room for; what returns sets
    /// a chosen consumer going, too. A key whose hand-out has ended already is passed over; the
    /// answer counts the others.
    ///
    /// What goes back has to be in the custody of the queue; see [`give_back`](Self::give_back).
    pub(crate) fn settle(
        &mut self,
        keys: &[UnackedKey],
        settlement: Settlement,
        effects: &mut Effects,
    ) -> usize {
        let settled = keys.iter().filter(|key| self.end(**key, None, settlement, effects)).count();
        self.go_on_after(settlement, effects);
        settled
    }

    /// Like [`settle`](Self::settle), for hand-outs whose holders have the messages.
    pub(crate) fn give_back(
        &mut self,
        handed: impl IntoIterator<Item = (UnackedKey, Held)>,
        settlement: Settlement,
        effects: &mut Effects,
    ) {
        for (key, held) in handed {
            self.end(key, Some(held), settlement, effects);
        }
        self.go_on_after(settlement, effects);
    }

    /// Accepts a hand-out and all earlier ones of the same consumer.
    pub(crate) fn accept_through(&mut self, last: UnackedKey, effects: &mut Effects) -> u32 {
        let Self { unacked, consumers, bytes, counts, .. } = self;
        let (mut accepted, mut whose) = (0, None);
        unacked.remove_through(
            last,
            |of| consumers.newest(of),
            |HandOut { stamp, held, consumer, .. }| {
                accepted += 1;
                whose = consumer;
                *bytes -= stamp.bytes();
                effects.stage(Staged::Settled(stamp.seq));
                effects.freed.extend(held);
            },
        );
        counts.acked += u64::from(accepted);
        if let Some(consumer) = whose {
            consumers.settled(consumer, accepted);
        }
        self.serve(effects);
        accepted
    }

    /// Takes the oldest ready message; with it comes the key if it has to be settled.
    pub(crate) fn get(
        &mut self,
        mode: AckMode,
        custody: Custody,
        now: Moment,
        effects: &mut Effects,
    ) -> Option<(Handed, Option<UnackedKey>)> {
        self.touch(now);
        let entry = self.ready.pop()?;
        let (handed, stamp, kept) = Handed::out_of(entry, mode.custody(custody));
        let key = match mode {
            AckMode::Auto => {
                self.leave(stamp, effects);
                self.counts.auto_acked += 1;
                None
            }
            AckMode::Manual => Some(self.unacked.insert_got(stamp, kept)),
        };
        Some((handed, key))
    }

    /// Registers a consumer. Dispatches nothing, so that the caller can note the id first: a call
    /// of [`dispatch`](Self::dispatch) has to follow.
    pub(crate) fn consume(
        &mut self,
        terms: ConsumerTerms,
        recipient: C,
        now: Moment,
    ) -> Result<ConsumerId, InExclusiveUse> {
        let id = self.consumers.add(terms, recipient)?;
        self.touch(now);
        Ok(id)
    }

    /// Takes a consumer off the queue. What it was handed stays handed out. Dispatches nothing, so
    /// that the caller can return its messages first. If it was the single active one, the next is
    /// chosen, which is served only after a message or a consumer comes, or messages return, be it
    /// none: see [`settle`](Self::settle).
    pub(crate) fn remove_consumer(
        &mut self,
        consumer: ConsumerId,
        now: Moment,
        effects: &mut Effects,
    ) -> Option<C> {
        let recipient = self.consumers.remove(consumer)?;
        self.touch(now);
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

    fn go_on_after(&mut self, settlement: Settlement, effects: &mut Effects) {
        match settlement {
            Settlement::Accept
            | Settlement::AcceptOnReceipt
            | Settlement::Drop
            | Settlement::Reject => self.serve(effects),
            Settlement::Requeue | Settlement::ReturnUnseen => self.dispatch(effects),
        }
    }

    fn serve(&mut self, effects: &mut Effects) {
        while !self.ready.is_empty() {
            let Some(turn) = self.consumers.next() else { break };
            let entry = self.ready.pop().expect("it is not empty");
            self.hand_over(entry, turn, effects);
        }
    }

    /// Forgets what is ready and says how much that was. The caller drops the messages.
    pub(crate) fn purge(&mut self, effects: &mut Effects) -> u64 {
        let mut purged = 0;
        while let Some(entry) = self.ready.pop() {
            self.leave(entry.stamp, effects);
            effects.freed.push(entry.held);
            purged += 1;
        }
        self.counts.purged += purged;
        purged
    }

    /// Ends the queue with all it holds. From now on it takes no message, and settling what it
    /// had handed out does nothing.
    pub(crate) fn delete(
        &mut self,
        conditions: DeleteConditions,
    ) -> Result<Remains<C>, DeleteRefused> {
        if conditions.empty && !self.ready.is_empty() {
            return Err(DeleteRefused::NotEmpty);
        }
        let is_fresh = conditions.expired_by.is_some_and(|now| !self.is_expired(now));
        if is_fresh || conditions.unused && !self.consumers.is_empty() {
            return Err(DeleteRefused::InUse);
        }
        let ready = self.ready_messages();
        self.counts.deleted += ready + self.unacked_messages();
        self.life = Life::Deleted;
        self.bytes = 0;
        self.options = None;
        let messages = (std::mem::take(&mut self.ready), std::mem::take(&mut self.unacked));
        Ok(Remains { ready, consumers: self.consumers.remove_all(), messages })
    }

    /// Someone uses the queue, which puts off its expiry.
    pub(crate) fn touch(&mut self, now: Moment) {
        if let Some(idle) = self.options.as_mut().and_then(|options| options.idle.as_mut()) {
            idle.touch(now);
        }
    }

    /// Whether the queue has been unused for so long that it goes.
    pub(crate) fn is_expired(&self, now: Moment) -> bool {
        self.next_deadline().is_some_and(|deadline| deadline <= now)
    }

    /// When something falls due unless the queue is used before: asked for after each call.
    #[must_use]
    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        let idle = self.options.as_ref()?.idle.as_ref()?;
        self.consumers.is_empty().then(|| idle.deadline())
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

    pub(crate) fn consumer_count(&self) -> usize {
        self.consumers.len()
    }

    /// The byte sizes of what is ready and unacked.
    #[inline]
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// Checks every invariant of this layer. Takes time in proportion to the messages held.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn check_invariants(&self) {
        self.ready.check_invariants();
        self.consumers.check_invariants(|id, newest| {
            self.unacked.check_chain(id, newest);
            let handed = self.unacked.iter().filter(|handed| handed.consumer == Some(id));
            u32::try_from(handed.count()).expect("fewer than a consumer may have")
        });
        let held = self.ready_messages() + self.unacked_messages();
        assert_eq!(
            self.counts.enqueued,
            held + self.counts.gone(),
            "conservation: {:?}",
            self.counts
        );
        let ready = self.ready.iter().map(|entry| entry.stamp.bytes());
        let unacked = self.unacked.iter().map(|handed| handed.stamp.bytes());
        assert_eq!(self.bytes, ready.sum::<u64>() + unacked.sum::<u64>(), "bytes held");
        if !self.ready.is_empty() {
            assert!(self.consumers.all_parked(), "nobody with credit is kept waiting");
        }
    }

    #[inline]
    fn hand_over(&mut self, entry: Entry, turn: Turn, effects: &mut Effects) {
        let Turn { consumer, mode, custody } = turn;
        let (message, stamp, kept) = Handed::out_of(entry, mode.custody(custody));
        if mode == AckMode::Auto {
            self.leave(stamp, effects);
            self.counts.auto_acked += 1;
        }
        let (newest, recipient) = self.consumers.on_turn(turn);
        let key = match mode {
            AckMode::Auto => None,
            AckMode::Manual => Some(self.unacked.push(stamp, kept, consumer, newest)),
        };
        let received = recipient.receive(HandOver { consumer, key, message });
        if received.attention == Attention::Somebody {
            effects.alerts.push(consumer);
        }
        if let Some((key, held)) = received.displaced {
            self.end(key, Some(held), Settlement::Drop, effects);
        }
    }

    /// Ends one hand-out, with the message if its holder has it. `false` if it has ended before.
    fn end(
        &mut self,
        key: UnackedKey,
        returned: Option<Held>,
        settlement: Settlement,
        effects: &mut Effects,
    ) -> bool {
        let consumers = &mut self.consumers;
        let Some(handed) = self.unacked.remove(key, |of| consumers.newest(of)) else {
            effects.freed.extend(returned);
            return false;
        };
        let HandOut { mut stamp, held, consumer, .. } = handed;
        let held = returned.or(held);
        match settlement {
            Settlement::Accept => self.counts.acked += 1,
            Settlement::AcceptOnReceipt => self.counts.auto_acked += 1,
            Settlement::Drop => self.counts.dropped += 1,
            Settlement::Reject => self.counts.rejected += 1,
            Settlement::Requeue => stamp.past = stamp.past.returned(),
            Settlement::ReturnUnseen => stamp.past = stamp.past.unseen(),
        }
        match settlement {
            Settlement::Accept
            | Settlement::AcceptOnReceipt
            | Settlement::Drop
            | Settlement::Reject => {
                self.leave(stamp, effects);
                effects.freed.extend(held);
            }
            Settlement::Requeue | Settlement::ReturnUnseen => {
                let held = held.expect("what goes back is brought along or was kept");
                self.ready.put_back(Entry { stamp, held });
            }
        }
        if let Some(consumer) = consumer {
            self.consumers.settled(consumer, 1);
        }
        true
    }

    /// The message is gone for good.
    #[inline]
    fn leave(&mut self, stamp: Stamp, effects: &mut Effects) {
        self.bytes -= stamp.bytes();
        effects.stage(Staged::Settled(stamp.seq));
    }
}
