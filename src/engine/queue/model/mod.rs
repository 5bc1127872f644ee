//! A queue's life, whatever happens in it, beside a reference that is too simple to be wrong.
//!
//! Property tests and a fuzz target feed it with steps. After each, everything that the queue did
//! and everything that it says about itself is compared.

mod reference;
mod step;
#[cfg(test)]
mod tests;

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    rc::Rc,
    time::Duration,
};

use reference::{Config, Outcome, Reference, Sight};
pub(crate) use step::Step;
use step::{Pick, Returning, Terms, WINDOWS};

use super::{
    AckMode, Attention, ConsumerId, ConsumerTerms, Counts, Custody, DeleteConditions, Effects,
    HandOver, Handed, Held, Outward, QueueCore, Received, Recipient, Settlement, Staging,
    UnackedKey, effect::Staged,
};
use crate::{
    Message, Table, Value,
    engine::definition::{QueueDeclaration, QueueDefaults, QueueDefinition},
    message::Label,
    time::Moment,
};

/// Credit that several consumers share.
#[derive(Debug, Default)]
struct Window {
    limit: Cell<Option<u8>>,
    taken: Cell<u32>,
}

/// The end of one consumer.
#[derive(Debug)]
struct Outlet {
    consumer: usize,
    custody: Custody,
    window: Rc<Window>,
    received: Rc<RefCell<Vec<HandOver>>>,
}

impl Recipient for Outlet {
    fn try_take(&self, mode: AckMode) -> bool {
        let taken = self.window.taken.get();
        if self.window.limit.get().is_some_and(|limit| taken >= u32::from(limit)) {
            return false;
        }
        if mode == AckMode::Manual {
            self.window.taken.set(taken + 1);
        }
        true
    }

    fn receive(&mut self, hand_over: HandOver) -> Received {
        self.received.borrow_mut().push(hand_over);
        Received { attention: Attention::Nobody, displaced: None }
    }
}

/// A queue and its reference.
#[derive(Debug)]
pub(crate) struct Life {
    core: QueueCore<Outlet>,
    reference: Reference,
    effects: Effects,
    /// What was handed over in the latest step, in order.
    received: Rc<RefCell<Vec<HandOver>>>,
    windows: [Rc<Window>; WINDOWS as usize],
    /// By the number of the consumer.
    ids: Vec<ConsumerId>,
    /// By the number of the hand-out, with the message that its holder has.
    keys: Vec<(UnackedKey, Option<Held>)>,
    now_ms: u64,
}

impl Life {
    /// Any byte describes a queue.
    pub(crate) fn new(config: u8) -> Self {
        let config = Config {
            auto_delete: config & 1 > 0,
            single_active: config & 6 == 6,
            expires_ms: (config & 8 > 0).then_some(100),
        };
        let mut arguments = Table::new();
        if config.single_active {
            arguments.insert("x-single-active-consumer", Value::Bool(true));
        }
        if let Some(after) = config.expires_ms {
            arguments.insert("x-expires", Value::U32(after));
        }
        let auto_delete = config.auto_delete;
        let declaration = QueueDeclaration { auto_delete, arguments, ..Default::default() };
        let definition = QueueDefinition::new(declaration).expect("its arguments are valid");
        Self {
            core: QueueCore::new(&definition, QueueDefaults::default(), Moment::ORIGIN),
            reference: Reference::new(config),
            effects: Effects::new(Staging::On),
            received: Rc::default(),
            windows: Default::default(),
            ids: Vec::new(),
            keys: Vec::new(),
            now_ms: 0,
        }
    }

    /// Does one step on both sides and compares them.
    pub(crate) fn step(&mut self, step: Step) {
        let mut outcome = Outcome::default();
        match step {
            Step::AcceptThrough(last) => self.accept_through(last, &mut outcome),
            Step::Advance { ms } => {
                self.now_ms += u64::from(ms);
                let off = self.core.tell_time(self.now(), usize::MAX, &mut self.effects);
                assert!(off.is_empty(), "nobody has a timeout");
            }
            Step::Cancel { consumer, returning } => {
                self.cancel(consumer, returning, &mut outcome);
            }
            Step::Consume(terms) => self.consume(terms, &mut outcome),
            Step::Delete { unused, empty, expired } => self.delete(unused, empty, expired),
            Step::Get(mode, custody) => self.get(mode, custody, &mut outcome),
            Step::Limit { window, limit } => {
                self.windows[usize::from(window)].limit.set(limit);
                self.reference.limit(window, limit);
            }
            Step::Publish { bytes } => self.publish(bytes, &mut outcome),
            Step::Purge => {
                let purged = self.core.purge(u64::MAX, &mut self.effects);
                assert_eq!(purged, self.reference.purge(&mut outcome), "how much was purged");
            }
            Step::Resume => self.resume(&mut outcome),
            Step::Settle { first, stride, count, settlement } => {
                let picks = (0..count).filter_map(|nth| self.pick(first.plus(nth * stride)));
                let hand_outs: Vec<usize> = picks.collect();
                self.settle(&hand_outs, settlement, &mut outcome);
                self.resume(&mut outcome);
            }
            Step::Touch => {
                self.core.touch();
                self.reference.touch(self.now_ms);
            }
        }
        self.compare_effects(&outcome);
        self.compare_state();
        self.core.check_invariants();
    }

    /// Ends the queue and compares for the last time.
    pub(crate) fn end(mut self) {
        self.step(Step::Delete { unused: false, empty: false, expired: false });
    }

    fn publish(&mut self, bytes: u8, outcome: &mut Outcome) {
        let held = message(self.reference.enqueued(), bytes);
        let byte_size = u64::from(held.bytes());
        let is_taken = self.core.enqueue(held, &mut self.effects).is_ok();
        assert_ne!(is_taken, self.reference.is_deleted(), "whether a message is taken");
        if is_taken {
            self.reference.publish(byte_size, outcome);
        }
    }

    fn consume(&mut self, terms: Terms, outcome: &mut Outcome) {
        // The shell asks beforehand, under the same lock.
        if self.core.is_deleted() {
            return;
        }
        let window = Rc::clone(&self.windows[usize::from(terms.window)]);
        let received = Rc::clone(&self.received);
        let outlet = Outlet { consumer: self.ids.len(), custody: terms.custody, window, received };
        let asked = ConsumerTerms {
            mode: terms.mode,
            custody: terms.custody,
            sharing: terms.sharing,
            priority: terms.priority.into(),
            prefetch: terms.prefetch.map(u32::from),
            timeout: None,
        };
        let started = self.core.consume(asked, outlet);
        let expected = self.reference.consume(terms, self.now_ms);
        assert_eq!(started.is_ok(), expected.is_ok(), "whether the queue is in exclusive use");
        if let Ok(id) = started {
            assert!(!self.ids.contains(&id), "{id:?} comes twice");
            self.ids.push(id);
            self.core.dispatch(&mut self.effects);
            self.reference.start(outcome);
        }
    }

    fn cancel(&mut self, consumer: Pick, returning: Returning, outcome: &mut Outcome) {
        let present: Vec<usize> = self.reference.present().collect();
        let count = if consumer.is_of_all() { self.ids.len() } else { present.len() };
        let Some(at) = consumer.of(count) else { return };
        let consumer = if consumer.is_of_all() { at } else { present[at] };
        let outlet = self.core.remove_consumer(self.ids[consumer], &mut self.effects);
        let removed = outlet.map(|outlet| outlet.consumer);
        assert_eq!(removed, present.contains(&consumer).then_some(consumer), "who was removed");
        if removed.is_none() {
            return;
        }
        self.reference.cancel(consumer, self.now_ms, outcome);
        if let Returning::All(settlement) = returning {
            let hand_outs = self.reference.hand_outs_of(|of| of == Some(consumer));
            self.settle(&hand_outs, settlement, outcome);
            self.resume(outcome);
        }
    }

    fn settle(&mut self, hand_outs: &[usize], settlement: Settlement, outcome: &mut Outcome) {
        let is_with_holder = |of: &&usize| self.keys[**of].1.is_some();
        let (mut returned, kept) = hand_outs.iter().partition::<Vec<_>, _>(is_with_holder);
        // A holder brings a message back once.
        let mut is_first = HashSet::new();
        returned.retain(|of| is_first.insert(*of) && self.reference.is_unacked(*of));
        self.release(&returned);
        self.reference.settle(&returned, settlement, outcome);
        let returned = returned.iter().map(|of| self.keys[*of].clone());
        let returned: Vec<_> = returned.filter_map(|(key, held)| Some((key, held?))).collect();
        self.core.give_back(returned, settlement, &mut self.effects);
        self.release(&kept);
        let keys: Vec<_> = kept.iter().map(|of| self.keys[*of].0).collect();
        let settled = self.core.settle(&keys, settlement, &mut self.effects);
        let expected = self.reference.settle(&kept, settlement, outcome);
        assert_eq!(settled, expected, "how many hand-outs ended");
    }

    fn accept_through(&mut self, last: Pick, outcome: &mut Outcome) {
        let Some(last) = self.pick(last) else { return };
        let Some(consumer) = self.reference.consumer_of(last) else { return };
        let mut hand_outs = self.reference.hand_outs_of(|of| of == Some(consumer));
        hand_outs.retain(|hand_out| *hand_out <= last);
        self.release(&hand_outs);
        let accepted = self.core.accept_through(self.keys[last].0, &mut self.effects);
        assert_eq!(accepted as usize, hand_outs.len(), "how many were accepted");
        self.reference.settle(&hand_outs, Settlement::Accept, outcome);
        // What holders have is theirs to drop.
        let with_holders = hand_outs.iter().filter_map(|of| self.keys[*of].1.as_ref());
        let with_holders: Vec<_> = with_holders.map(number).collect();
        outcome.freed.retain(|message| !with_holders.contains(message));
        self.resume(outcome);
    }

    fn get(&mut self, mode: AckMode, custody: Custody, outcome: &mut Outcome) {
        let got = self.core.get(mode, custody, &mut self.effects);
        let sight = got.map(|(handed, key)| self.sight(handed, key, custody));
        assert_eq!(sight, self.reference.get(mode, self.now_ms, outcome), "what was got");
    }

    fn resume(&mut self, outcome: &mut Outcome) {
        self.core.resume(&mut self.effects);
        self.reference.resume(outcome);
    }

    fn delete(&mut self, unused: bool, empty: bool, expired: bool) {
        if self.core.is_deleted() {
            return;
        }
        let conditions =
            DeleteConditions { unused, empty, expired_by: expired.then_some(self.now()) };
        let ready = self.reference.ready() as u64;
        let result = self.core.delete(conditions).map(|remains| {
            assert_eq!(remains.ready, ready, "how many were ready at the end");
            remains.consumers.iter().map(|outlet| outlet.consumer).collect()
        });
        assert_eq!(result, self.reference.delete(conditions, self.now_ms), "whom it leaves behind");
    }

    /// Gives back what these hand-outs took from windows, as a channel does before it settles.
    fn release(&self, hand_outs: &[usize]) {
        let mut hand_outs = hand_outs.to_vec();
        hand_outs.sort_unstable();
        hand_outs.dedup();
        for consumer in hand_outs.iter().filter_map(|of| self.reference.consumer_of(*of)) {
            let window = &self.windows[usize::from(self.reference.window_of(consumer))];
            window.taken.set(window.taken.get() - 1);
        }
    }

    fn pick(&self, pick: Pick) -> Option<usize> {
        if pick.is_of_all() {
            return pick.of(self.keys.len());
        }
        let unacked = self.reference.hand_outs_of(|_| true);
        pick.of(unacked.len()).map(|at| unacked[at])
    }

    /// What is seen of a message, and notes its key.
    fn sight(&mut self, handed: Handed, key: Option<UnackedKey>, custody: Custody) -> Sight {
        let (message, redelivered) = (number(&handed.held), handed.is_redelivered());
        let returns = handed.returns();
        let hand_out = key.map(|key| {
            assert!(self.keys.iter().all(|(known, _)| *known != key), "{key:?} comes twice");
            self.keys.push((key, (custody == Custody::Holder).then_some(handed.held)));
            self.keys.len() - 1
        });
        Sight { message, redelivered, returns, hand_out }
    }

    fn compare_effects(&mut self, expected: &Outcome) {
        let hand_overs = self.received.take();
        let pushed = hand_overs
            .into_iter()
            .map(|hand_over| {
                let outlet = self.core.recipient(hand_over.consumer).expect("it is registered");
                let (consumer, custody) = (outlet.consumer, outlet.custody);
                (consumer, self.sight(hand_over.message, hand_over.key, custody))
            })
            .collect();
        let staged = self.effects.staged.drain(..).map(|staged| match staged {
            Staged::Enqueued(seq) | Staged::Renumbered(_, seq) => (true, seq.0),
            Staged::Settled(seq) => (false, seq.0),
        });
        let staged: Vec<_> = staged.collect();
        let freed = self.effects.freed.drain(..).map(|held| number(&held)).collect();
        let abandoned = self.effects.outward.drain(..).map(|Outward::Abandoned| ()).count();
        assert!(abandoned <= 1, "a queue is abandoned once at a time");
        let outcome = Outcome { pushed, freed, staged, abandoned: abandoned == 1 };
        assert_eq!(outcome, *expected, "what the step led to, and what it should have");
    }

    fn compare_state(&self) {
        let Self { core, reference, .. } = self;
        let counts = Counts { delivered: 0, returned: 0, handed_settled: 0, ..core.counts() };
        assert_eq!(counts, reference.counts());
        assert_eq!(core.ready_messages(), reference.ready() as u64, "ready");
        let unacked = reference.hand_outs_of(|_| true).len();
        assert_eq!(core.unacked_messages(), unacked as u64, "unacked");
        assert_eq!(core.bytes(), reference.bytes(), "bytes");
        assert_eq!(core.consumer_count(), reference.present().count(), "consumers");
        assert_eq!(core.is_deleted(), reference.is_deleted(), "whether it is deleted");
        assert_eq!(core.next_deadline(), reference.expiry_ms().map(moment), "when it expires");
        let is_due = reference.expiry_ms().is_some_and(|expiry| expiry <= self.now_ms);
        assert_eq!(core.is_expired(self.now()), is_due, "whether it is expired");
    }

    fn now(&self) -> Moment {
        moment(self.now_ms)
    }
}

fn moment(ms: u64) -> Moment {
    Moment::ORIGIN.after(Duration::from_millis(ms))
}

/// A message that knows its number.
fn message(number: usize, bytes: u8) -> Held {
    let mut body = number.to_be_bytes().to_vec();
    body.resize(body.len() + usize::from(bytes), 0);
    let mut message = Message::new(body);
    message.put_label(&Label::default());
    Held::Resident(message)
}

fn number(Held::Resident(message): &Held) -> usize {
    let (number, _) = message.body().split_first_chunk().expect("it has a number");
    usize::from_be_bytes(*number)
}
