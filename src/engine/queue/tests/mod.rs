//! The rules of the pure queue, one by one. What random sequences of them lead to is the business
//! of the model beside it.

mod lapses;
mod messages;
mod turns;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

use super::*;
use crate::{Message, Table, engine::definition::QueueDeclaration, message::Label, time::Moment};

const START: Moment = Moment::ORIGIN;

/// Shared credit that remembers how often it was asked for.
#[derive(Clone, Debug, Default)]
struct Purse(Rc<PurseState>);

/// What was handed over, in order.
type Hands = Rc<RefCell<Vec<HandOver>>>;

/// A consumer, who puts all that it receives with the others' on one list.
#[derive(Clone, Debug)]
struct Hand {
    purse: Purse,
    received: Hands,
}

#[derive(Debug)]
struct PurseState {
    asked: Cell<usize>,
    left: Cell<usize>,
}

impl Default for PurseState {
    fn default() -> Self {
        Self { asked: Cell::new(0), left: Cell::new(usize::MAX) }
    }
}

impl Purse {
    fn of(left: usize) -> Self {
        let purse = Self::default();
        purse.0.left.set(left);
        purse
    }

    fn asked(&self) -> usize {
        self.0.asked.take()
    }
}

impl Recipient for Hand {
    fn try_take(&self, _: AckMode) -> bool {
        let PurseState { asked, left } = &*self.purse.0;
        asked.set(asked.get() + 1);
        let Some(rest) = left.get().checked_sub(1) else { return false };
        left.set(rest);
        true
    }

    fn receive(&mut self, hand_over: HandOver) -> Received {
        self.received.borrow_mut().push(hand_over);
        Received { attention: Attention::Nobody, displaced: None }
    }
}

/// A queue whose messages are words and whose consumers are known by the order they came in.
struct Desk {
    queue: QueueCore<Hand>,
    effects: Effects,
    received: Hands,
    consumers: Vec<ConsumerId>,
    /// The latest hand-out of each word.
    keys: BTreeMap<String, UnackedKey>,
}

impl Desk {
    fn new() -> Self {
        Self::declared(QueueDeclaration::default())
    }

    /// One of whose persistent messages a store is told.
    fn stored() -> Self {
        let mut desk = Self::new();
        desk.queue.begin_time(START);
        desk.effects = Effects::new(Staging::Persistent);
        desk
    }

    fn with_argument(name: &str, value: impl Into<crate::Value>) -> Self {
        let arguments = Table::from([(name, value.into())]);
        Self::declared(QueueDeclaration { arguments, ..Default::default() })
    }

    fn declared(declaration: QueueDeclaration) -> Self {
        let definition = QueueDefinition::new(declaration).unwrap();
        Self {
            queue: QueueCore::new(&definition, QueueDefaults::default(), START),
            effects: Effects::new(Staging::Off),
            received: Hands::default(),
            consumers: Vec::new(),
            keys: BTreeMap::new(),
        }
    }

    /// With so many consumers that take what they get, without a bound.
    fn with_consumers(count: usize) -> Self {
        let mut desk = Self::new();
        (0..count).for_each(|_| desk.consume(TERMS));
        desk
    }

    fn publish(&mut self, words: &str) {
        for word in words.split_whitespace() {
            self.queue.enqueue(held(word), &mut self.effects).unwrap();
        }
    }

    fn consume(&mut self, terms: ConsumerTerms) {
        self.consume_with(terms, Purse::default());
    }

    fn consume_with(&mut self, terms: ConsumerTerms, purse: Purse) {
        let id = self.queue.consume(terms, self.hand(purse)).unwrap();
        self.queue.dispatch(&mut self.effects);
        self.consumers.push(id);
    }

    fn refuses(&mut self, terms: ConsumerTerms) -> bool {
        self.queue.consume(terms, self.hand(Purse::default())).is_err()
    }

    fn hand(&self, purse: Purse) -> Hand {
        Hand { purse, received: Hands::clone(&self.received) }
    }

    /// Cancels a consumer and gives nothing back.
    fn cancel(&mut self, consumer: usize) {
        let id = self.consumers[consumer];
        self.queue.remove_consumer(id, &mut self.effects).unwrap();
    }

    fn settle(&mut self, words: &str, settlement: Settlement) -> usize {
        let keys: Vec<_> = words.split_whitespace().map(|word| self.keys[word]).collect();
        self.queue.settle(&keys, settlement, &mut self.effects)
    }

    /// Compares what was handed over since the last time: `1:b!` is the word `b` for consumer 1,
    /// not for the first time.
    #[track_caller]
    fn check(&mut self, expected: &str) {
        assert_eq!(self.handed_over(), expected);
        self.queue.check_invariants();
    }

    fn handed_over(&mut self) -> String {
        let mut found = Vec::new();
        for hand_over in self.received.borrow_mut().drain(..) {
            let known = |id: &ConsumerId| *id == hand_over.consumer;
            let consumer = self.consumers.iter().position(known).unwrap_or(self.consumers.len());
            let word = word(&hand_over.message.held);
            self.keys.extend(hand_over.key.map(|key| (word.clone(), key)));
            let mark = if hand_over.message.is_redelivered() { "!" } else { "" };
            found.push(format!("{consumer}:{word}{mark}"));
        }
        found.join(" ")
    }

    /// Gets everything that is ready, and compares.
    #[track_caller]
    fn check_ready(&mut self, expected: &str) {
        let mut found = Vec::new();
        while let Some((handed, key)) =
            self.queue.get(AckMode::Manual, Custody::Queue, &mut self.effects)
        {
            let word = word(&handed.held);
            let mark = if handed.is_redelivered() { "!" } else { "" };
            found.push(format!("{word}{mark}"));
            self.keys.insert(word, key.unwrap());
        }
        assert_eq!(found.join(" "), expected);
        self.queue.check_invariants();
    }
}

const TERMS: ConsumerTerms = ConsumerTerms {
    mode: AckMode::Manual,
    custody: Custody::Queue,
    sharing: Sharing::Shared,
    priority: 0,
    prefetch: None,
    timeout: None,
};

const EXCLUSIVE: ConsumerTerms = ConsumerTerms { sharing: Sharing::Exclusive, ..TERMS };

fn prefetch(most: u32) -> ConsumerTerms {
    ConsumerTerms { prefetch: Some(most), ..TERMS }
}

fn priority(priority: i32) -> ConsumerTerms {
    ConsumerTerms { priority, ..TERMS }
}

fn held(word: &str) -> Held {
    let mut message = Message::new(word.to_owned()).persistent();
    message.put_label(&Label::default());
    Held::Resident(message)
}

fn word(Held::Resident(message): &Held) -> String {
    message.text().unwrap().to_owned()
}

fn after_ms(ms: u64) -> Moment {
    START.after(Duration::from_millis(ms))
}
