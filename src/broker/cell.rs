//! A queue in its lock.
//!
//! Every call takes the lock once, changes the queue, carries out the leaf effects (hand-overs),
//! lets go, and then does what is left: wake who waits, drop messages, delete an abandoned queue.

use std::sync::{Arc, Weak};

use super::{
    budget::Allowance,
    consumer::EndReason,
    context::Context,
    few::Few,
    outlet::{Delivered, Outlet, Wake},
    vhost_state::VhostState,
};
use crate::{
    Name,
    engine::{
        definition::QueueDefinition,
        queue::{
            AckMode, ConsumerId, ConsumerTerms, Counts, DeleteConditions, DeleteRefused, Deleted,
            Effects, Handed, Held, InExclusiveUse, Outward, QueueCore, Remains, Settlement,
            Staging, UnackedKey,
        },
    },
    sync::{Mutex, Rank},
    time::Moment,
};

/// Effect buffers that grew beyond this many items are given back.
const KEPT_EFFECTS: usize = 1_024;

/// One queue of a virtual host.
#[derive(Debug)]
pub(crate) struct QueueCell {
    pub(crate) name: Name,
    pub(crate) definition: QueueDefinition,
    /// Distinguishes it from all other targets of routing that are alive.
    slot: usize,
    context: Arc<Context>,
    /// Weak, since the virtual host owns its queues.
    vhost: Weak<VhostState>,
    /// Whether anything about the queue depends on time; otherwise the clock is never read for it.
    is_timed: bool,
    state: Mutex<CellState>,
}

#[derive(Debug)]
struct CellState {
    core: QueueCore<Outlet>,
    /// Empty between calls.
    effects: Effects,
    allowance: Allowance,
    /// The earliest moment for which this queue has a timer.
    scheduled: Option<Moment>,
}

/// What is left to do once the queue is let go. Nothing of it allocates in the common case of one
/// message and one waiter.
#[derive(Debug, Default)]
#[must_use = "somebody may have to be woken"]
pub(crate) struct Aftermath {
    wakes: Few<Wake>,
    outward: Vec<Outward>,
    /// Messages that are dropped.
    freed: Few<Held>,
    /// Whether bytes were given back that a publisher may wait for.
    made_room: bool,
}

/// The counts of a queue at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snapshot {
    pub(crate) ready: u64,
    pub(crate) unacked: u64,
    pub(crate) bytes: u64,
    pub(crate) consumers: usize,
    pub(crate) counts: Counts,
}

impl QueueCell {
    pub(crate) fn new(
        name: Name,
        definition: QueueDefinition,
        vhost: &Arc<VhostState>,
    ) -> Arc<Self> {
        let context = &vhost.context;
        let is_timed = definition.parsed.expires_ms.is_some();
        let now = if is_timed { context.clock.now() } else { Moment::ORIGIN };
        let state = CellState {
            core: QueueCore::new(&definition, now),
            effects: Effects::new(Staging::Off),
            allowance: Allowance::default(),
            scheduled: None,
        };
        let cell = Arc::new(Self {
            name,
            definition,
            slot: vhost.take_slot(),
            context: Arc::clone(context),
            vhost: Arc::downgrade(vhost),
            is_timed,
            state: Mutex::new(Rank::Queue, state),
        });
        cell.with(|_, _| ());
        cell
    }

    /// Adds a message. It comes back if the queue has been deleted meanwhile.
    pub(crate) fn enqueue(self: &Arc<Self>, held: Held) -> Result<(), Held> {
        self.with(|core, effects| core.enqueue(held, effects)).map_err(|Deleted(held)| held)
    }

    /// Adds messages in order, under one lock, and says how many were taken: all, or none if the
    /// queue has been deleted meanwhile.
    pub(crate) fn enqueue_all(self: &Arc<Self>, messages: Vec<Held>) -> u32 {
        let all = u32::try_from(messages.len()).unwrap_or(u32::MAX);
        let refused: Vec<_> = self.with(|core, effects| {
            let refused = messages.into_iter().map(|held| core.enqueue(held, effects).err());
            refused.flatten().collect()
        });
        if refused.is_empty() { all } else { 0 }
    }

    /// Ends hand-outs; see [`QueueCore::settle`].
    pub(crate) fn settle(self: &Arc<Self>, keys: &[UnackedKey], settlement: Settlement) -> usize {
        self.with(|core, effects| core.settle(keys, settlement, effects))
    }

    pub(crate) fn accept_through(
        self: &Arc<Self>,
        last: UnackedKey,
        consumer: ConsumerId,
    ) -> usize {
        self.with(|core, effects| core.accept_through(last, consumer, effects))
    }

    /// Takes the oldest message, and says how many are ready behind it.
    pub(crate) fn get(
        self: &Arc<Self>,
        mode: AckMode,
    ) -> Option<(Handed, Option<UnackedKey>, u64)> {
        let now = self.now();
        self.with(|core, effects| {
            let (handed, key) = core.get(mode, now, effects)?;
            Some((handed, key, core.ready_messages()))
        })
    }

    /// Registers a consumer. `started` runs under the lock of the queue, before the first message
    /// is handed over: it may take locks of a later rank, and nothing else.
    pub(crate) fn consume(
        self: &Arc<Self>,
        terms: ConsumerTerms,
        outlet: Outlet,
        started: impl FnOnce(ConsumerId),
    ) -> Result<ConsumerId, ConsumeRefused> {
        let now = self.now();
        self.with(|core, effects| {
            if core.is_deleted() {
                return Err(ConsumeRefused::Deleted);
            }
            if core.consumer_count() >= self.context.limits.consumers {
                return Err(ConsumeRefused::Limit);
            }
            let id = core
                .consume(terms, outlet, now)
                .map_err(|InExclusiveUse| ConsumeRefused::InExclusiveUse)?;
            started(id);
            core.dispatch(effects);
            Ok(id)
        })
    }

    /// Ends a consumer. What it was handed stays unacked, and nobody is handed anything.
    pub(crate) fn cancel(self: &Arc<Self>, consumer: ConsumerId) {
        let now = self.now();
        let outlet = self.with(|core, effects| core.remove_consumer(consumer, now, effects));
        drop(outlet);
    }

    /// Ends consumers and returns messages to the queue in one step, so that no other consumer
    /// gets a younger message before an older one is back; whoever is left is served. `returned`
    /// runs under the lock of the queue, when nothing more can be handed to these consumers: it may
    /// take locks of a later rank, and nothing else.
    pub(crate) fn withdraw(
        self: &Arc<Self>,
        consumers: &[ConsumerId],
        settlement: Settlement,
        returned: impl FnOnce() -> Vec<UnackedKey>,
    ) {
        let now = self.now();
        let outlets: Vec<_> = self.with(|core, effects| {
            let outlets =
                consumers.iter().filter_map(|id| core.remove_consumer(*id, now, effects)).collect();
            core.settle(&returned(), settlement, effects);
            outlets
        });
        // They may be the last to hold their channel, so they go where no lock is held.
        drop(outlets);
    }

    /// Credit has come back to consumers that share it with others.
    pub(crate) fn resume(self: &Arc<Self>) {
        self.with(QueueCore::resume);
    }

    /// Drops what is ready.
    pub(crate) fn purge(self: &Arc<Self>) -> u64 {
        self.with(QueueCore::purge)
    }

    /// Ends the queue itself. Its name and bindings are the business of the virtual host, which
    /// holds a lock meanwhile: so whoever has to be told is told by [`Deletion::finish`], after
    /// the aftermath, which there is either way.
    pub(crate) fn delete(
        self: &Arc<Self>,
        conditions: DeleteConditions,
        reason: EndReason,
    ) -> (Result<Deletion, DeleteRefused>, Aftermath) {
        let mut after = Aftermath::default();
        let remains = self.with_aftermath(&mut after, |core, _| core.delete(conditions));
        if remains.is_ok() {
            // It holds nothing from now on, so what it kept in hand is room for others, too.
            self.state.lock().allowance.release(&self.context.budget);
            after.made_room = true;
        }
        (remains.map(|remains| Deletion { reason, remains }), after)
    }

    /// Someone uses the queue by declaring it again.
    pub(crate) fn touch(self: &Arc<Self>) {
        if self.is_timed {
            let now = self.now();
            self.with(|core, _| core.touch(now));
        }
    }

    /// Does what is due at a moment.
    pub(crate) fn run_due(self: &Arc<Self>, now: Moment) {
        let is_expired = {
            let mut state = self.state.lock();
            state.scheduled = None;
            state.core.is_expired(now)
        };
        match self.vhost.upgrade() {
            Some(vhost) if is_expired => vhost.delete_expired_queue(self, now),
            // What was due has been put off: there is a new deadline to wait for.
            Some(_) | None => self.with(|_, _| ()),
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = self.state.lock();
        Snapshot {
            ready: state.core.ready_messages(),
            unacked: state.core.unacked_messages(),
            bytes: state.core.bytes(),
            consumers: state.core.consumer_count(),
            counts: state.core.counts(),
        }
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.state.lock().core.is_deleted()
    }

    /// See [`QueueCore::check_invariants`].
    #[cfg(any(fuzzing, all(test, loom)))]
    pub(crate) fn check_invariants(&self) {
        self.state.lock().core.check_invariants();
    }

    pub(crate) fn slot(&self) -> usize {
        self.slot
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    pub(crate) fn vhost(&self) -> Option<Arc<VhostState>> {
        self.vhost.upgrade()
    }

    fn now(&self) -> Moment {
        if self.is_timed { self.context.clock.now() } else { Moment::ORIGIN }
    }

    fn with<R>(self: &Arc<Self>, act: impl FnOnce(&mut QueueCore<Outlet>, &mut Effects) -> R) -> R {
        let mut after = Aftermath::default();
        let result = self.with_aftermath(&mut after, act);
        after.run(self);
        result
    }

    /// What is left to do is the caller's to run, once no lock is held.
    #[inline]
    fn with_aftermath<R>(
        self: &Arc<Self>,
        after: &mut Aftermath,
        act: impl FnOnce(&mut QueueCore<Outlet>, &mut Effects) -> R,
    ) -> R {
        let mut state = self.state.lock();
        let CellState { core, effects, allowance, scheduled } = &mut *state;
        let result = act(core, effects);
        if !effects.hand_overs.is_empty() {
            self.hand_over(core, effects, &mut after.wakes);
        }
        if !effects.outward.is_empty() {
            after.outward.append(&mut effects.outward);
        }
        if !effects.freed.is_empty() {
            after.freed.append(&mut effects.freed);
            effects.freed.shrink_to(KEPT_EFFECTS);
        }
        after.made_room = allowance.cover(core.bytes(), &self.context.budget);
        if let Some(deadline) = core.next_deadline()
            && scheduled.is_none_or(|scheduled| deadline < scheduled)
        {
            *scheduled = Some(deadline);
            self.context.timers.schedule(deadline, self, &self.context.clock);
        }
        result
    }

    /// Carries out the hand-overs, and adds whom to wake.
    fn hand_over(
        self: &Arc<Self>,
        core: &mut QueueCore<Outlet>,
        effects: &mut Effects,
        wakes: &mut Few<Wake>,
    ) {
        let mut displaced = Vec::new();
        // Turned around, because taking from the end is cheaper than a drain.
        effects.hand_overs.reverse();
        while let Some(hand_over) = effects.hand_overs.pop() {
            let outlet = core.credit(hand_over.consumer).expect("it was handed over just now");
            let Delivered { wake, displaced: lost } = outlet.deliver(hand_over, self);
            if let Some(wake) = wake {
                wakes.push(wake);
            }
            if let Some(lost) = lost {
                displaced.push(lost);
            }
        }
        effects.hand_overs.shrink_to(KEPT_EFFECTS);
        if !displaced.is_empty() {
            // Only consumers without a prefetch lag, so this makes room for nothing.
            core.settle(&displaced, Settlement::Drop, effects);
        }
    }
}

impl Aftermath {
    /// Does it. Runs other people's code, so no lock may be held.
    #[inline]
    pub(crate) fn run(self, cell: &Arc<QueueCell>) {
        if self.made_room {
            cell.context.room.made();
        }
        cell.context.progress.made();
        self.wakes.for_each(Wake::wake);
        for outward in self.outward {
            match outward {
                Outward::Abandoned => {
                    if let Some(vhost) = cell.vhost.upgrade() {
                        vhost.delete_abandoned_queue(cell);
                    }
                }
            }
        }
        drop(self.freed);
    }
}

impl Drop for QueueCell {
    fn drop(&mut self) {
        self.state.get_mut().allowance.release(&self.context.budget);
        if let Some(vhost) = self.vhost.upgrade() {
            vhost.free_slot(self.slot);
        }
    }
}

/// Why nobody new may consume from a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConsumeRefused {
    Deleted,
    InExclusiveUse,
    Limit,
}

/// A queue that has just ended. It has to be finished once no lock is held.
#[derive(Debug)]
#[must_use = "consumers are told when it is finished"]
pub(crate) struct Deletion {
    reason: EndReason,
    remains: Remains<Outlet>,
}

impl Deletion {
    /// Tells the consumers, drops the messages, and says how many were ready. Those of a channel
    /// are told in the order of their tags.
    pub(crate) fn finish(mut self) -> u64 {
        self.remains.consumers.sort_by(|one, other| one.tag().cmp(&other.tag()));
        for outlet in &self.remains.consumers {
            outlet.end(self.reason);
        }
        self.remains.ready
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use crate::{Broker, Message};

    #[test]
    fn a_deleted_queue_keeps_no_room_whoever_holds_it() {
        let broker = Broker::new();
        let queue = broker.declare_queue("q").declare().unwrap();
        queue.send(Message::new("x")).unwrap();
        assert!(broker.memory_bytes() > 0);
        queue.delete().unwrap();
        assert_eq!(broker.memory_bytes(), 0);
        drop(queue);
        assert_eq!(broker.memory_bytes(), 0, "it is given back once");
    }
}
