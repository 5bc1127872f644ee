//! A queue in its lock.
//!
//! Every call takes the lock once, changes the queue, carries out the leaf effects (hand-overs),
//! lets go, and then does what is left: wake who waits, drop messages, delete an abandoned queue.

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Weak},
    time::Duration,
};

use super::{
    acks::Acks,
    aftermath::{Aftermath, Deletion},
    budget::Allowance,
    consumer::EndReason,
    context::Context,
    dead_letters::DeadLetters,
    intake::Intake,
    journal::{Position, StoredQueue},
    mailbox::Tray,
    outlet::Outlet,
    timers::Deadline,
    vhost_state::VhostState,
};
use crate::{
    Name, Result,
    engine::{
        definition::{Overflow, QueueDefinition},
        queue::{
            ConsumerId, DeleteConditions, DeleteRefused, Effects, Flow, Handed, Held, Latency,
            Peeked, QueueCore, Refused, Settlement, Staging, UnackedKey,
        },
    },
    sync::{Condvar, Mutex, MutexGuard, Rank},
};

/// Whoever adds a message looks after acks once in so many times. A power of two, well below the
/// acks that are told by whoever makes them.
const ADDED_BETWEEN_ACKS: u32 = 32;

/// Effect buffers that grew beyond this many items are given back.
pub(super) const KEPT_EFFECTS: usize = 1_024;

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
    /// Whether a declared bound may keep messages out, so that publishers may wait for it.
    may_refuse: bool,
    /// What the store of the broker knows it by, if it is durable and there is one.
    pub(crate) stored: Option<StoredQueue>,
    state: Mutex<CellState>,
    /// What the queue has not been told.
    pub(crate) acks: Acks,
}

#[derive(Debug)]
pub(crate) struct CellState {
    pub(super) core: QueueCore<Outlet>,
    /// Empty between calls.
    pub(super) effects: Effects,
    /// Acks on their way to the core. Empty between calls.
    told: Vec<UnackedKey>,
    /// How many messages have been added one by one.
    added: u32,
    allowance: Allowance,
    pub(super) dead: DeadLetters,
    /// When the store will have what it was told last.
    told_at: Position,
    /// The earliest deadline for which this queue has a timer.
    pub(super) scheduled: Option<Deadline>,
}

impl QueueCell {
    pub(crate) fn new(
        name: Name,
        definition: QueueDefinition,
        vhost: &Arc<VhostState>,
        stored: Option<StoredQueue>,
    ) -> Arc<Self> {
        let context = &vhost.context;
        let now = context.clock.now();
        let mut core = QueueCore::new(&definition, context.queue_defaults, now);
        let acks = Acks::new();
        if stored.is_some() {
            // What a store is told is among the things that plain queues know nothing of.
            core.begin_options(now);
        }
        if core.needs_care() {
            // An ack may decide what becomes of other messages.
            let _nothing_yet = acks.begin_urgency();
        }
        let state = CellState {
            core,
            effects: Effects::new(stored.as_ref().map_or(Staging::Off, StoredQueue::staging)),
            told: Vec::new(),
            added: 0,
            allowance: Allowance::default(),
            dead: DeadLetters::default(),
            told_at: Position::NONE,
            scheduled: None,
        };
        if definition.parsed.dead_letter_exchange.is_some() {
            context.note_dead_letters();
        }
        let cell = Arc::new(Self {
            name,
            may_refuse: definition.parsed.overflow != Overflow::DropHead,
            definition,
            stored,
            slot: vhost.take_slot(),
            context: Arc::clone(context),
            vhost: Arc::downgrade(vhost),
            state: Mutex::new(Rank::Queue, state),
            acks,
        });
        cell.with(|_, _| ());
        cell
    }

    /// Adds a message. It comes back if the queue does not take it.
    pub(crate) fn enqueue(self: &Arc<Self>, held: Held) -> Result<(), Refused> {
        if held.expires() {
            self.begin_time(&mut self.state.lock());
        }
        self.enqueue_lasting(held)
    }

    /// Adds a message that does not expire by itself.
    #[expect(clippy::inline_always, reason = "the path of every publish, with few callers")]
    #[inline(always)]
    pub(crate) fn enqueue_lasting(self: &Arc<Self>, held: Held) -> Result<(), Refused> {
        self.enqueue_told(held).0
    }

    /// The same, and says what [`enqueue_stored`](Self::enqueue_stored) does.
    #[expect(clippy::inline_always, reason = "the path of every publish, with few callers")]
    #[inline(always)]
    pub(super) fn enqueue_told(self: &Arc<Self>, held: Held) -> (Result<(), Refused>, Position) {
        let mut after = Aftermath::default();
        let mut state = self.state.lock();
        if self.stored.is_some() {
            state.told_at = Position::NONE;
            self.place_bodies(&mut state, &held);
        }
        if state.is_turn_of_acks() || state.core.depends_on_settlements() {
            self.tell_time(&mut state, &mut after);
            self.apply_acks(&mut state);
        }
        let result = self.act(&mut state, &mut after, |core, effects| core.enqueue(held, effects));
        let told_at = state.told_at;
        drop(state);
        after.run(self);
        (result, told_at)
    }

    /// Adds a message, whatever bounds are declared.
    pub(crate) fn enqueue_anyway(self: &Arc<Self>, held: Held) -> Result<(), Refused> {
        if held.expires() {
            self.begin_time(&mut self.state.lock());
        }
        if self.stored.is_some() {
            self.place_bodies(&mut self.state.lock(), &held);
        }
        self.with(|core, effects| core.enqueue_anyway(held, effects))
    }

    /// Adds messages in order, under one lock, and says what has become of them. If the queue has
    /// been deleted meanwhile, it takes none.
    pub(crate) fn enqueue_all(
        self: &Arc<Self>,
        messages: impl ExactSizeIterator<Item = Held>,
    ) -> Intake {
        let mut after = Aftermath::default();
        let mut intake = Intake::default();
        let mut state = self.state.lock();
        if state.core.is_deleted() {
            drop(state);
            return intake;
        }
        self.tell_time(&mut state, &mut after);
        self.apply_acks(&mut state);
        for held in messages {
            if held.expires() {
                self.begin_time(&mut state);
            }
            if self.stored.is_some() {
                self.place_bodies(&mut state, &held);
            }
            let CellState { core, effects, .. } = &mut *state;
            intake.add(self, core.enqueue(held, effects));
        }
        self.carry_out(&mut state, &mut after);
        drop(state);
        after.run(self);
        intake
    }

    /// Ends hand-outs; see [`QueueCore::settle`].
    pub(crate) fn settle(self: &Arc<Self>, keys: &[UnackedKey], settlement: Settlement) -> usize {
        self.with(|core, effects| core.settle(keys, settlement, effects))
    }

    /// Accepts a hand-out that does not end by itself. The queue may be told later, which nobody
    /// can see; see [`Acks`]. A store is told now: what is told it later may follow from the ack.
    #[inline]
    pub(crate) fn accept(self: &Arc<Self>, key: UnackedKey, handed: &Handed) {
        if self.stored.is_some() {
            self.tell_accepted(handed);
        }
        if self.acks.note(key, handed.bytes(), self) {
            self.tell_acks();
        }
    }

    /// Has the queue told of all acks that were made.
    pub(crate) fn tell_acks(self: &Arc<Self>) {
        let mut after = Aftermath::default();
        drop(self.lock(&mut after));
        after.run(self);
    }

    /// Ends a hand-out whose holder has the message; see [`QueueCore::give_back`]. `false` if it
    /// has ended before.
    pub(crate) fn give_back(
        self: &Arc<Self>,
        key: UnackedKey,
        held: Held,
        settlement: Settlement,
    ) -> bool {
        if let Settlement::RetryIn(_) = settlement {
            self.begin_time(&mut self.state.lock());
        }
        self.with(|core, effects| core.give_back([(key, held)], settlement, effects)) > 0
    }

    /// Rejects what its holder has, and says why; see [`QueueCore::reject`].
    pub(crate) fn reject(self: &Arc<Self>, key: UnackedKey, held: Held, cause: Box<str>) -> bool {
        self.with(|core, effects| core.reject(key, held, cause, effects))
    }

    /// Credit has come back to consumers that share it with others.
    pub(crate) fn resume(self: &Arc<Self>) {
        self.with(QueueCore::resume);
    }

    /// Drops what is ready, so much at most.
    pub(crate) fn purge(self: &Arc<Self>, most: u64) -> u64 {
        self.with(|core, effects| core.purge(most, effects))
    }

    /// What would be handed out next, so much at most.
    pub(crate) fn browse(self: &Arc<Self>, most: usize) -> Vec<Peeked> {
        let mut seen = self.with(|core, _| core.browse(most));
        seen.retain_mut(|peeked| self.read_peeked(peeked));
        seen
    }

    pub(crate) fn set_flow(self: &Arc<Self>, flow: Flow) {
        self.with(|core, effects| core.set_flow(flow, effects));
    }

    pub(crate) fn latency(&self) -> Option<Latency> {
        self.state.lock().core.latency().cloned()
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
        let mut state = self.state.lock();
        self.tell_time(&mut state, &mut after);
        self.apply_acks(&mut state);
        // What has died by now goes where its dead letters go: the options end with the queue.
        self.carry_out(&mut state, &mut after);
        let remains = self.act(&mut state, &mut after, |core, _| {
            let remains = core.delete(conditions)?;
            remains.consumers.iter().for_each(|outlet| outlet.note_end(reason));
            Ok(remains)
        });
        if remains.is_ok() {
            // It holds nothing from now on, so what it kept in hand is room for others, too.
            state.leave(&self.context);
            after.made_room = true;
        }
        drop(state);
        (remains.map(|remains| Deletion { remains }), after)
    }

    /// How much is ready and how many consumers there are, as AMQP's methods tell it.
    pub(crate) fn declared_counts(self: &Arc<Self>) -> (u64, usize) {
        self.with(|core, _| (core.ready_messages(), core.told_consumers()))
    }

    /// How many consumers there are, for who needs to know nothing else.
    pub(crate) fn consumer_count(&self) -> usize {
        self.state.lock().core.consumer_count()
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.state.lock().core.is_deleted()
    }

    /// See [`QueueCore::check_invariants`].
    #[cfg(any(fuzzing, all(test, loom)))]
    pub(crate) fn check_invariants(&self) {
        self.state.lock().core.check_invariants();
    }

    /// Whether a bound that it declares may keep messages out.
    pub(crate) fn may_refuse(&self) -> bool {
        self.may_refuse
    }

    /// Whether its deliveries have a time to be settled in, whoever consumes.
    pub(crate) fn grants_time(&self) -> bool {
        self.definition.parsed.consumer_timeout_ms.is_some()
            || self.context.queue_defaults.consumer_timeout.is_some()
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

    pub(super) fn with<R>(
        self: &Arc<Self>,
        act: impl FnOnce(&mut QueueCore<Outlet>, &mut Effects) -> R,
    ) -> R {
        let mut after = Aftermath::default();
        let result = self.with_aftermath(&mut after, act);
        after.run(self);
        result
    }

    /// What is left to do is the caller's to run, once no lock is held.
    #[inline]
    pub(crate) fn with_aftermath<R>(
        self: &Arc<Self>,
        after: &mut Aftermath,
        act: impl FnOnce(&mut QueueCore<Outlet>, &mut Effects) -> R,
    ) -> R {
        let mut state = self.state.lock();
        self.tell_time(&mut state, after);
        self.apply_acks(&mut state);
        self.act(&mut state, after, act)
    }

    /// Changes the queue in its lock. It has been told what time it is.
    #[inline]
    pub(crate) fn act<R>(
        self: &Arc<Self>,
        state: &mut CellState,
        after: &mut Aftermath,
        act: impl FnOnce(&mut QueueCore<Outlet>, &mut Effects) -> R,
    ) -> R {
        let CellState { core, effects, .. } = &mut *state;
        let result = act(core, effects);
        self.carry_out(state, after);
        result
    }

    /// The queue in its lock, told of all acks, for who waits with the lock.
    pub(crate) fn lock<'c>(self: &'c Arc<Self>, after: &mut Aftermath) -> Locked<'c> {
        let mut state = self.state.lock();
        if !self.acks.is_empty() {
            self.tell_time(&mut state, after);
            self.apply_acks(&mut state);
            self.carry_out(&mut state, after);
        }
        Locked(state)
    }

    /// The queue in its lock, perhaps not told of all acks: for what they have no say in.
    #[inline]
    pub(crate) fn untold(&self) -> Locked<'_> {
        Locked(self.state.lock())
    }

    /// Notes that somebody waits at a tray, so that acks are told at once. Says whether some have
    /// come since the queue was told.
    #[must_use = "acks that have come meanwhile have to be told"]
    pub(crate) fn begin_urgency(&self, tray: &mut Tray) -> bool {
        debug_assert!(tray.waiting.anyone() || tray.token.is_some(), "somebody waits");
        !std::mem::replace(&mut tray.is_urgent, true) && self.acks.begin_urgency()
    }

    /// Notes that nobody waits at a tray any more, if that is so.
    pub(crate) fn relax(&self, tray: &mut Tray) {
        if tray.is_urgent && !tray.waiting.anyone() && tray.token.is_none() {
            self.end_urgency(tray);
        }
    }

    /// The tray goes.
    pub(super) fn end_urgency(&self, tray: &mut Tray) {
        if std::mem::take(&mut tray.is_urgent) {
            self.acks.end_urgency();
        }
    }

    /// Tells the queue of acks that were made. It has been told the time before: room that an ack
    /// makes is for nobody whose time is over.
    #[inline(never)]
    pub(super) fn apply_acks(&self, state: &mut CellState) {
        let CellState { core, effects, told, .. } = state;
        self.acks.take(told);
        if !told.is_empty() {
            core.accept_told(told, effects);
            told.clear();
        }
    }

    /// Notes what is left to do once the queue is let go, and what the queue draws of the broker's.
    #[inline]
    pub(super) fn carry_out(self: &Arc<Self>, state: &mut CellState, after: &mut Aftermath) {
        after.has_changed = true;
        let CellState { core, effects, allowance, told_at, .. } = &mut *state;
        if !effects.is_quiet() {
            self.note(core, effects, after);
        }
        if self.stored.is_some() && !effects.staged.is_empty() {
            *told_at = self.tell_store(&mut effects.staged, after);
        }
        after.made_room |= allowance.cover(core.bytes(), &self.context.budget);
        if core.needs_care() {
            self.carry_out_options(state, after);
        }
    }

    /// The same for what only queues with options have.
    #[inline(never)]
    fn carry_out_options(self: &Arc<Self>, state: &mut CellState, after: &mut Aftermath) {
        let CellState { core, effects, dead, scheduled, .. } = state;
        core.look();
        after.has_dead |= dead.add(&mut effects.dead);
        // A refusal makes none: who waits for room would wake itself by trying.
        after.made_room |= self.may_refuse && core.has_made_room();
        if let Some(deadline) = core.next_deadline()
            && scheduled.is_none_or(|scheduled| deadline < scheduled.at)
        {
            let timers = &self.context.timers;
            let former = scheduled.take();
            *scheduled = Some(timers.schedule(deadline, former, self, &self.context.clock));
        }
    }

    fn note(&self, core: &mut QueueCore<Outlet>, effects: &mut Effects, after: &mut Aftermath) {
        for consumer in effects.alerts.drain(..) {
            // One that has ended since is told of its end.
            let Some(outlet) = core.recipient(consumer) else { continue };
            let Some(wake) = outlet.wake() else { continue };
            after.wake(wake);
            // Tasks that are woken do not wait any more.
            if let Some(tray) = outlet.tray() {
                self.relax(tray);
            }
        }
        effects.alerts.shrink_to(KEPT_EFFECTS);
        after.add(&mut effects.outward);
        after.free(&mut effects.freed);
        effects.freed.shrink_to(KEPT_EFFECTS);
    }
}

/// A queue in its lock.
pub(crate) struct Locked<'c>(MutexGuard<'c, CellState>);

impl Locked<'_> {
    /// Lets go of the queue until somebody notifies or the time is over.
    pub(crate) fn wait(&mut self, condition: &Condvar, left: Duration) {
        if left == Duration::MAX {
            condition.wait(&mut self.0);
        } else {
            condition.wait_for(&mut self.0, left);
        }
    }
}

impl Deref for Locked<'_> {
    type Target = CellState;

    fn deref(&self) -> &CellState {
        &self.0
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut CellState {
        &mut self.0
    }
}

impl CellState {
    /// Whether whoever adds a message is to look after the acks as well. Where one thread publishes
    /// and another acks, what the queue notes of hand-outs stays with the publisher that way,
    /// instead of travelling between their processors.
    #[inline]
    fn is_turn_of_acks(&mut self) -> bool {
        self.added = self.added.wrapping_add(1);
        self.added.is_multiple_of(ADDED_BETWEEN_ACKS)
    }

    /// Gives back what the queue holds of the broker's.
    pub(super) fn leave(&mut self, context: &Context) {
        self.allowance.release(&context.budget);
        if let Some(deadline) = self.scheduled.take() {
            context.timers.unschedule(deadline);
        }
    }

    /// The tray of a consumer of the handle tier, unless it has ended, and whether the consumer
    /// could be handed more.
    #[inline]
    pub(crate) fn tray_with_credit(&mut self, consumer: ConsumerId) -> Option<(&mut Tray, bool)> {
        let has_credit = self.core.has_room(consumer);
        Some((self.tray(consumer)?, has_credit))
    }

    /// The tray of a consumer of the handle tier, unless it has ended.
    pub(crate) fn tray(&mut self, consumer: ConsumerId) -> Option<&mut Tray> {
        tray_of(&mut self.core, consumer)
    }
}

/// The tray of a consumer of the handle tier, unless it has ended.
pub(crate) fn tray_of(core: &mut QueueCore<Outlet>, consumer: ConsumerId) -> Option<&mut Tray> {
    core.recipient(consumer).and_then(Outlet::tray)
}

impl Drop for QueueCell {
    fn drop(&mut self) {
        self.state.get_mut().leave(&self.context);
        if let Some(vhost) = self.vhost.upgrade() {
            vhost.free_slot(self.slot);
        }
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
