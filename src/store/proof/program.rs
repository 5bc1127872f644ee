//! What a broker might tell a store, by chance.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use super::dice::Dice;
use crate::{
    Message, Name, Table, Value,
    engine::queue::Reason,
    message::Label,
    store::{
        proof::model::Model,
        record::{Amendment, ENTITIES, End, Entity, ItemId, MessageRecord, Record, Serial},
    },
};

/// So many queues are in use at a time.
const QUEUES: u64 = 5;

/// Tells group after group. What it believes is what the store should hold.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) truth: Model,
    queues: Vec<Line>,
    /// Messages of which news was told before them: threads may be that quick.
    late: VecDeque<Record>,
    /// Where messages are of which a move was told before they were.
    pub(super) hasty: BTreeSet<ItemId>,
    made: u64,
}

/// The places of one queue.
#[derive(Debug)]
struct Line {
    queue: Serial,
    next: u64,
}

impl Program {
    /// Goes on with what there is.
    pub(super) fn new(truth: Model) -> Self {
        Self { truth, queues: Vec::new(), late: VecDeque::new(), hasty: BTreeSet::new(), made: 0 }
    }

    /// The next group. Serials are those of the store.
    pub(super) fn group(
        &mut self,
        dice: &mut Dice,
        serial: &mut dyn FnMut() -> Serial,
    ) -> Vec<Record> {
        while self.queues.len() < usize::try_from(QUEUES).unwrap() {
            self.queues.push(Line { queue: serial(), next: 1 });
        }
        let mut group = Vec::new();
        if !self.late.is_empty() && dice.one_in(2) {
            group.extend(self.late.pop_front());
        } else {
            match dice.below(20) {
                0..8 => self.fan_out(dice, &mut group),
                8 => self.entity(dice, serial, &mut group),
                9 => self.quick(dice, &mut group),
                10 => self.end(dice, &mut group),
                11 => self.letter(dice, &mut group),
                12 | 13 => self.amend(dice, &mut group),
                14 => self.relocate(dice, &mut group),
                15 => self.settle(dice, 30, &mut group),
                _ => self.settle(dice, 3, &mut group),
            }
        }
        if group.is_empty() {
            self.fan_out(dice, &mut group);
        }
        self.truth.tell_all(&group);
        group
    }

    fn fan_out(&mut self, dice: &mut Dice, group: &mut Vec<Record>) {
        for _ in 0..=dice.below(3) {
            let message = self.message(dice);
            for at in 0..self.queues.len() {
                if dice.one_in(2) {
                    let id = self.place(at, dice);
                    group.push(told(id, amendment(dice, 0), message.clone()));
                }
            }
        }
    }

    fn entity(&self, dice: &mut Dice, serial: &mut dyn FnMut() -> Serial, group: &mut Vec<Record>) {
        let known: Vec<_> = self.truth.entities.keys().copied().collect();
        if !known.is_empty() && dice.one_in(2) {
            let seq = known[dice.index(known.len())];
            group.push(Record::Settled(ItemId { queue: ENTITIES, seq }));
        }
        let other = serial();
        let name = Name::from(format!("entity {other}"));
        let entity = match dice.below(4) {
            0 => Entity::VirtualHost { name },
            1 => Entity::Used { queue: other, below: None },
            2 => Entity::Used { queue: other, below: Some(dice.below(100)) },
            _ => Entity::Binding {
                vhost: None,
                source: End::Predeclared("amq.topic".into()),
                destination: End::Queue(other),
                key: name,
                arguments: Table::from_iter([("x-match", Value::from("all"))]),
            },
        };
        group.push(Record::Entity(serial(), Box::new(entity)));
    }

    /// A message whose news are told before it.
    fn quick(&mut self, dice: &mut Dice, group: &mut Vec<Record>) {
        let at = dice.index(self.queues.len());
        let id = self.place(at, dice);
        let message = self.message(dice);
        match dice.below(3) {
            0 => group.push(Record::Settled(id)),
            1 => group.push(Record::Amended(id, amendment(dice, 2))),
            _ => {
                let to = self.place(at, dice);
                group.push(Record::Amended(id, amendment(dice, 1)));
                group.push(Record::Moved(id, to.seq));
                self.hasty.insert(to);
            }
        }
        self.late.push_back(told(id, Amendment::default(), message));
    }

    fn end(&mut self, dice: &mut Dice, group: &mut Vec<Record>) {
        if !dice.one_in(3) {
            return self.settle(dice, 5, group);
        }
        let line = self.queues.swap_remove(dice.index(self.queues.len()));
        group.push(Record::QueueEnded(line.queue));
    }

    /// A message dies and goes to another queue.
    fn letter(&mut self, dice: &mut Dice, group: &mut Vec<Record>) {
        let Some(id) = self.known(dice) else { return };
        let message = self.truth.messages[&id].message.clone().with_header("x-death", 1);
        group.push(Record::Settled(id));
        let at = dice.index(self.queues.len());
        let to = self.place(at, dice);
        group.push(told(to, Amendment::default(), message));
    }

    fn amend(&self, dice: &mut Dice, group: &mut Vec<Record>) {
        let Some(id) = self.known(dice) else { return };
        let returns = self.truth.messages[&id].state.returns;
        let later = returns + u32::try_from(dice.below(3)).unwrap();
        group.push(Record::Amended(id, amendment(dice, later)));
        if dice.one_in(3) {
            // From another thread, which was slow.
            group.push(Record::Amended(id, amendment(dice, returns)));
        }
    }

    fn relocate(&mut self, dice: &mut Dice, group: &mut Vec<Record>) {
        let Some(id) = self.known(dice) else { return };
        let Some(at) = self.queues.iter().position(|line| line.queue == id.queue) else { return };
        let to = self.place(at, dice);
        group.push(Record::Moved(id, to.seq));
        if self.hasty.remove(&id) {
            self.hasty.insert(to);
        }
        if dice.one_in(2) {
            group.push(Record::Amended(to, amendment(dice, 9)));
        }
    }

    fn settle(&self, dice: &mut Dice, most: u64, group: &mut Vec<Record>) {
        let ids: Vec<_> = self.truth.messages.keys().copied().collect();
        let from = dice.index(ids.len() + 1);
        let times = usize::try_from(1 + dice.below(most)).unwrap();
        group.extend(ids.iter().skip(from).take(times).map(|id| Record::Settled(*id)));
    }

    fn known(&self, dice: &mut Dice) -> Option<ItemId> {
        let ids: Vec<_> = self.truth.messages.keys().copied().collect();
        if ids.is_empty() { None } else { Some(ids[dice.index(ids.len())]) }
    }

    /// The next place of a queue. One that is empty may begin again at any.
    fn place(&mut self, at: usize, dice: &mut Dice) -> ItemId {
        let line = &mut self.queues[at];
        let id = ItemId { queue: line.queue, seq: line.next };
        line.next += if dice.one_in(20) { 1 + dice.below(10_000) } else { 1 };
        id
    }

    fn message(&mut self, dice: &mut Dice) -> Message {
        self.made += 1;
        let len = match dice.below(40) {
            0 => 20_000 + dice.index(20_000),
            1..4 => dice.index(7_000),
            _ => dice.index(200),
        };
        let mut body = self.made.to_le_bytes().to_vec();
        body.extend(dice.bytes(len));
        let mut message = Message::new(body).persistent();
        if dice.one_in(4) {
            message = message.with_priority(3).with_header("number", self.made.cast_signed());
        }
        if dice.one_in(8) {
            message = message.expires_in(Duration::from_mins(1)).with_correlation_id("one");
        }
        message
            .put_label(&Label::new("exchange".into(), Name::from(format!("k{}", self.made % 3))));
        message
    }
}

fn told(id: ItemId, state: Amendment, message: Message) -> Record {
    Record::Message(MessageRecord { id, state, message })
}

fn amendment(dice: &mut Dice, returns: u32) -> Amendment {
    Amendment {
        returns,
        is_redelivered: dice.one_in(2),
        end: dice.one_in(4).then(|| dice.roll()),
        until: dice.one_in(4).then(|| dice.roll()),
        death: dice.one_in(8).then_some(Reason::Rejected),
    }
}
