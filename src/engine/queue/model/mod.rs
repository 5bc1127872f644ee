//! A queue's life, whatever happens in it, beside a reference that is too simple to be wrong.
//!
//! Property tests and a fuzz target feed it with steps. After each, everything that the queue did
//! and everything that it says about itself is compared. The queue is driven as the shell drives
//! it: it is told the time before whatever happens to it, and what dies leaves it later.

mod comparison;
mod config;
mod reference;
mod step;
#[cfg(test)]
mod tests;

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    time::Duration,
};

pub(crate) use config::CONFIG_BYTES;
use config::Config;
use reference::{Estate, Fresh, Outcome, Reference, Refusal, Sight};
pub(crate) use step::Step;
use step::{Letter, Pick, Returning, Terms, WINDOWS};

use super::{
    AckMode, Attention, Burial, ConsumerId, ConsumerTerms, Custody, Dead, DeleteConditions,
    Effects, HandOver, Held, Kept, NoRoom, QueueCore, Received, Recipient, Refused, Settlement,
    Staging, UnackedKey,
};
use crate::{Message, engine::ids::Seq, message::Label, time::Moment};

/// What whoever rejects a message says about that.
const CAUSE: &str = "not now";

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

/// One hand-out, as whoever got it knows it.
#[derive(Debug)]
struct Hand {
    key: UnackedKey,
    /// Whether it brings the message along if it gives it back.
    custody: Custody,
    /// What it would bring.
    held: Option<Held>,
}

/// A queue and its reference.
#[derive(Debug)]
pub(crate) struct Life {
    config: Config,
    core: QueueCore<Outlet>,
    reference: Reference,
    effects: Effects,
    /// What was handed over and nobody has looked at.
    received: Rc<RefCell<Vec<HandOver>>>,
    /// What was handed over in the latest step, in order.
    pushed: Vec<(usize, Sight)>,
    windows: [Rc<Window>; WINDOWS as usize],
    /// By the number of the consumer.
    ids: Vec<ConsumerId>,
    /// What each consumer asked for.
    custodies: Vec<Custody>,
    /// By the number of the hand-out.
    hands: Vec<Hand>,
    /// Dead letters that nobody has taken away.
    dead: VecDeque<Dead>,
    /// What a store has of the queue: by number, what it was told last.
    stored: BTreeMap<Seq, (Kept, usize)>,
    now: Duration,
}

impl Life {
    /// Any bytes describe a queue.
    pub(crate) fn new(config: [u8; CONFIG_BYTES]) -> Self {
        let config = Config::decode(config);
        let definition = config.definition();
        let mut core = QueueCore::new(&definition, config.defaults(), Moment::ORIGIN);
        let staging = if config.is_stored {
            core.begin_options(Moment::ORIGIN);
            Staging::Persistent
        } else {
            Staging::Off
        };
        Self {
            config,
            core,
            reference: Reference::new(config, definition.parsed.retry),
            effects: Effects::new(staging),
            received: Rc::default(),
            pushed: Vec::new(),
            windows: Default::default(),
            ids: Vec::new(),
            custodies: Vec::new(),
            hands: Vec::new(),
            dead: VecDeque::new(),
            stored: BTreeMap::new(),
            now: Duration::ZERO,
        }
    }

    /// Does one step on both sides and compares them.
    pub(crate) fn step(&mut self, step: Step) {
        let mut outcome = Outcome::default();
        match step {
            Step::Advance { ms } => self.now += Duration::from_millis(ms.into()),
            Step::Due { most } => self.run_due(most, &mut outcome),
            Step::Limit { window, limit } => {
                self.windows[usize::from(window)].limit.set(limit);
                self.reference.limit(window, limit);
            }
            Step::Publish(letter) => self.publish(letter, &mut outcome),
            _ => {
                self.begin_time_for(step);
                self.tell_time(&mut outcome);
                self.act(step, &mut outcome);
                self.look();
            }
        }
        self.compare_effects(&outcome);
        self.compare_state();
        self.core.check_invariants();
    }

    /// Ends the queue, buries its dead, and compares for the last time.
    pub(crate) fn end(mut self) {
        self.step(Step::Delete { unused: false, empty: false, expired: false });
        self.step(Step::Bury { most: 1, has_exchange: false });
        self.step(Step::Bury { most: u8::MAX, has_exchange: true });
    }

    /// What happens to a queue that has been told the time.
    fn act(&mut self, step: Step, outcome: &mut Outcome) {
        match step {
            Step::AcceptThrough(last) => self.accept_through(last, outcome),
            Step::Bury { most, has_exchange } => self.bury(most, has_exchange, outcome),
            Step::Cancel { consumer, returning } => self.cancel(consumer, returning, outcome),
            Step::Consume(terms) => self.consume(terms, outcome),
            Step::Delete { unused, empty, expired } => self.delete(unused, empty, expired),
            Step::Extend { hand_out, ms } => self.extend(hand_out, ms),
            Step::Get(mode, custody) => self.get(mode, custody, outcome),
            Step::Purge { most } => {
                let purged = self.core.purge(most, &mut self.effects);
                assert_eq!(purged, self.reference.purge(most, outcome), "how much was purged");
            }
            Step::Resume => self.resume(outcome),
            Step::SetFlow(flow) => {
                self.core.set_flow(flow, &mut self.effects);
                self.reference.set_flow(flow, outcome);
            }
            Step::Settle { first, stride, count, settlement } => {
                let picks = (0..count).filter_map(|nth| self.pick(first.plus(nth * stride)));
                let hand_outs: Vec<usize> = picks.collect();
                self.settle(&hand_outs, settlement, outcome);
                self.resume(outcome);
            }
            Step::Touch => {
                self.core.touch();
                self.reference.touch();
            }
            Step::Advance { .. } | Step::Due { .. } | Step::Limit { .. } | Step::Publish(_) => {
                unreachable!("done already")
            }
        }
    }

    /// Has a queue begin to follow the time if a step needs that.
    fn begin_time_for(&mut self, step: Step) {
        let needs_time = match step {
            Step::Consume(terms) => terms.timeout_ms.is_some(),
            Step::Settle { settlement: Settlement::RetryIn(_), .. } => true,
            Step::Publish(letter) => letter.expiration_ms.is_some(),
            _ => false,
        };
        if needs_time && self.config.has_lapses && !self.core.watches_time() {
            self.core.begin_time(self.now());
        }
    }

    /// Tells a queue that wants to know what time it is.
    fn tell_time(&mut self, outcome: &mut Outcome) {
        self.tell(self.now, usize::MAX, outcome);
    }

    fn tell(&mut self, at: Duration, most: usize, outcome: &mut Outcome) {
        if !self.core.watches_time() {
            return;
        }
        let outlets = self.core.tell_time(moment(at), most, &mut self.effects);
        let lapsed = self.reference.tell_time(at, most, outcome);
        for consumer in lapsed.hand_outs.iter().filter_map(|(_, consumer)| *consumer) {
            self.release_one(consumer);
        }
        let taken_off: Vec<usize> = outlets.iter().map(|outlet| outlet.consumer).collect();
        assert_eq!(taken_off, lapsed.consumers, "who was taken off");
        for outlet in outlets.iter().filter(|outlet| outlet.custody == Custody::Holder) {
            // A part of what its holders have is still unseen in a tray.
            let mut unseen = self.reference.hand_outs_of(|of| of == Some(outlet.consumer));
            unseen.retain(|of| of.is_multiple_of(2) && self.hands[*of].held.is_some());
            self.give_back(&unseen, Settlement::ReturnUnseen, outcome);
        }
        self.core.go_on(&mut self.effects);
        self.reference.go_on(outcome);
        self.note_received();
    }

    /// A timer goes off at its moment, or late.
    fn run_due(&mut self, most: usize, outcome: &mut Outcome) {
        let deadline = self.reference.next_deadline().unwrap_or(self.now);
        self.tell(deadline.min(self.now), most, outcome);
    }

    fn look(&mut self) {
        self.core.look();
        self.reference.look();
    }

    fn publish(&mut self, letter: Letter, outcome: &mut Outcome) {
        self.begin_time_for(Step::Publish(letter));
        let expiration_ms = letter.expiration_ms.filter(|_| self.config.has_lapses);
        let held = message(self.reference.enqueued(), Letter { expiration_ms, ..letter });
        self.tell_time(outcome);
        let fresh = Fresh {
            bytes: held.bytes().into(),
            body_bytes: letter.bytes.into(),
            priority: letter.priority.unwrap_or(0),
            expiration: expiration_ms.map(|ms| Duration::from_millis(ms.into())),
        };
        let number = self.reference.enqueued();
        let result = if letter.is_bounded {
            self.core.enqueue(held, &mut self.effects)
        } else {
            self.core.enqueue_anyway(held, &mut self.effects)
        };
        let result = result.map_err(|refused| {
            let (held, refusal) = match refused {
                Refused::Deleted(held) => (held, Refusal::Deleted),
                Refused::Full(full) => {
                    let NoRoom { held, bound, fate } = *full;
                    (held, Refusal::Full { bound, fate })
                }
            };
            assert_eq!(comparison::number(&held), number, "what comes back is what was published");
            refusal
        });
        let expected = self.reference.publish(fresh, letter.is_bounded, outcome);
        assert_eq!(result, expected, "whether a message is taken");
        self.look();
    }

    fn consume(&mut self, terms: Terms, outcome: &mut Outcome) {
        // The shell asks beforehand, under the same lock.
        if self.core.is_deleted() {
            return;
        }
        let timeout_ms = terms.timeout_ms.filter(|_| self.config.has_lapses);
        let terms = Terms { timeout_ms, ..terms };
        let window = Rc::clone(&self.windows[usize::from(terms.window)]);
        let received = Rc::clone(&self.received);
        let outlet = Outlet { consumer: self.ids.len(), custody: terms.custody, window, received };
        let asked = ConsumerTerms {
            mode: terms.mode,
            custody: terms.custody,
            sharing: terms.sharing,
            priority: terms.priority.into(),
            prefetch: terms.prefetch.map(u32::from),
            timeout: timeout_ms.map(|ms| Duration::from_millis(ms.into())),
        };
        let started = self.core.consume(asked, outlet);
        let expected = self.reference.consume(terms);
        assert_eq!(started.is_ok(), expected.is_ok(), "whether the queue is in exclusive use");
        if let Ok(id) = started {
            assert!(!self.ids.contains(&id), "{id:?} comes twice");
            self.ids.push(id);
            self.custodies.push(terms.custody);
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
        self.reference.cancel(consumer, outcome);
        if let Returning::All(settlement) = returning {
            let hand_outs = self.reference.hand_outs_of(|of| of == Some(consumer));
            self.settle(&hand_outs, settlement, outcome);
            self.resume(outcome);
        }
    }

    /// Ends hand-outs: who has the message brings it along, unless there is no need to.
    fn settle(&mut self, hand_outs: &[usize], settlement: Settlement, outcome: &mut Outcome) {
        let settlement = match settlement {
            Settlement::RetryIn(_) if !self.config.has_lapses => Settlement::Requeue,
            settlement => settlement,
        };
        let needs_none = matches!(settlement, Settlement::Accept | Settlement::AcceptOnReceipt);
        let (mut brought, mut others) = (Vec::new(), Vec::new());
        for hand_out in hand_outs {
            let hand = &mut self.hands[*hand_out];
            match hand.custody {
                Custody::Holder if needs_none => {
                    hand.held = None;
                    others.push(*hand_out);
                }
                Custody::Holder if hand.held.is_none() => {}
                Custody::Holder if brought.contains(hand_out) => {}
                Custody::Holder => brought.push(*hand_out),
                Custody::Queue => others.push(*hand_out),
            }
        }
        if settlement == Settlement::ReturnUnseen {
            self.give_back(&brought, settlement, outcome);
        } else {
            for hand_out in brought {
                self.tell_time(outcome);
                if settlement == Settlement::Reject && hand_out.is_multiple_of(2) {
                    self.reject(hand_out, outcome);
                } else {
                    self.give_back(&[hand_out], settlement, outcome);
                }
            }
        }
        self.release(&others);
        let keys: Vec<_> = others.iter().map(|of| self.hands[*of].key).collect();
        let settled = self.core.settle(&keys, settlement, &mut self.effects);
        let expected = self.reference.settle(&others, settlement, outcome);
        assert_eq!(settled, expected, "how many hand-outs ended");
    }

    /// Gives back what holders have.
    fn give_back(&mut self, hand_outs: &[usize], settlement: Settlement, outcome: &mut Outcome) {
        self.release(hand_outs);
        let handed: Vec<_> = hand_outs.iter().map(|of| self.take_of(*of)).collect();
        let ended = self.core.give_back(handed, settlement, &mut self.effects);
        let expected = self.reference.give_back(hand_outs, settlement, outcome);
        assert_eq!(ended, expected, "how many hand-outs ended");
        self.note_received();
    }

    fn reject(&mut self, hand_out: usize, outcome: &mut Outcome) {
        self.release(&[hand_out]);
        let (key, held) = self.take_of(hand_out);
        let has_ended = self.core.reject(key, held, CAUSE.into(), &mut self.effects);
        let expected = self.reference.reject(hand_out, CAUSE, outcome);
        assert_eq!(has_ended, expected, "whether the hand-out ended");
    }

    fn accept_through(&mut self, last: Pick, outcome: &mut Outcome) {
        let Some(last) = self.pick(last) else { return };
        let Some(consumer) = self.reference.consumer_of(last) else { return };
        let mut hand_outs = self.reference.hand_outs_of(|of| of == Some(consumer));
        hand_outs.retain(|hand_out| *hand_out <= last);
        self.release(&hand_outs);
        for hand_out in &hand_outs {
            self.hands[*hand_out].held = None;
        }
        let accepted = self.core.accept_through(self.hands[last].key, &mut self.effects);
        assert_eq!(accepted as usize, hand_outs.len(), "how many were accepted");
        self.reference.settle(&hand_outs, Settlement::Accept, outcome);
        self.resume(outcome);
    }

    fn get(&mut self, mode: AckMode, custody: Custody, outcome: &mut Outcome) {
        let got = self.core.get(mode, custody, &mut self.effects);
        let sight = got.map(|(handed, key)| self.sight(handed, key, custody));
        let expected = self.reference.get(mode, custody == Custody::Queue, outcome);
        assert_eq!(sight, expected, "what was got");
    }

    fn extend(&mut self, hand_out: Pick, ms: u8) {
        let Some(hand_out) = self.pick(hand_out) else { return };
        let by = Duration::from_millis(ms.into());
        let is_extended = self.core.extend(self.hands[hand_out].key, by);
        assert_eq!(is_extended, self.reference.extend(hand_out, by), "whether it has a lease");
    }

    fn bury(&mut self, most: u8, has_exchange: bool, outcome: &mut Outcome) {
        let burial = if has_exchange { Burial::Routed } else { Burial::NoExchange };
        for _ in 0..most {
            let Some(dead) = self.dead.pop_front() else { return };
            self.core.buried(&dead, burial, &mut self.effects);
            if dead.stamp.is_some() {
                self.reference.bury(comparison::number(&dead.held), has_exchange, outcome);
            }
        }
    }

    /// A channel does so in a call of its own, after what it has settled.
    fn resume(&mut self, outcome: &mut Outcome) {
        self.tell_time(outcome);
        self.core.resume(&mut self.effects);
        self.reference.resume(outcome);
    }

    fn delete(&mut self, unused: bool, empty: bool, expired: bool) {
        if self.core.is_deleted() {
            return;
        }
        let conditions =
            DeleteConditions { unused, empty, expired_by: expired.then_some(self.now()) };
        let estate = self.core.delete(conditions).map(|remains| {
            let ready = remains.ready;
            let consumers = remains.consumers.iter().map(|outlet| outlet.consumer).collect();
            let mut messages: Vec<_> =
                remains.into_messages().map(|held| comparison::number(&held)).collect();
            messages.sort_unstable();
            Estate { ready, consumers, messages }
        });
        let expected = self.reference.delete(conditions, self.now);
        assert_eq!(estate, expected, "what it leaves behind");
    }

    /// Gives back what these hand-outs took from windows, as a channel does before it settles.
    fn release(&self, hand_outs: &[usize]) {
        let mut hand_outs = hand_outs.to_vec();
        hand_outs.sort_unstable();
        hand_outs.dedup();
        for consumer in hand_outs.iter().filter_map(|of| self.reference.consumer_of(*of)) {
            self.release_one(consumer);
        }
    }

    fn release_one(&self, consumer: usize) {
        let window = &self.windows[usize::from(self.reference.window_of(consumer))];
        window.taken.set(window.taken.get() - 1);
    }

    /// What a holder brings along, once.
    fn take_of(&mut self, hand_out: usize) -> (UnackedKey, Held) {
        let hand = &mut self.hands[hand_out];
        (hand.key, hand.held.take().expect("its holder has it"))
    }

    fn pick(&self, pick: Pick) -> Option<usize> {
        if pick.is_of_all() {
            return pick.of(self.hands.len());
        }
        let unacked = self.reference.hand_outs_of(|_| true);
        pick.of(unacked.len()).map(|at| unacked[at])
    }

    fn now(&self) -> Moment {
        moment(self.now)
    }
}

fn moment(since_origin: Duration) -> Moment {
    Moment::ORIGIN.after(since_origin)
}

/// Whether a message outlives the process: two of three do.
fn is_kept(number: usize) -> bool {
    !number.is_multiple_of(3)
}

/// A message that is known by its number.
fn message(number: usize, letter: Letter) -> Held {
    let body = vec![0; letter.bytes.into()];
    let mut message = Message::new(body).with_message_id(number.to_string());
    if let Some(priority) = letter.priority {
        message = message.with_priority(priority);
    }
    if let Some(ms) = letter.expiration_ms {
        message = message.expires_in(Duration::from_millis(ms.into()));
    }
    if is_kept(number) {
        message = message.persistent();
    }
    message.put_label(&Label::default());
    Held::Resident(message)
}
