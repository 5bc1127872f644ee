//! What a store should hold, and random things that happen to it.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Message, Name,
    message::Label,
    store::record::{
        Amendment, ENTITIES, Entity, ItemId, MessageRecord, Record, Recovered, RecoveredBody,
    },
};

/// `SplitMix64`.
#[derive(Clone, Debug)]
pub(super) struct Chance(pub(super) u64);

impl Chance {
    /// A number below the bound.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let number = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (number ^ number >> 31) % bound.max(1)
    }
}

/// What is there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Content {
    pub(super) messages: BTreeMap<ItemId, (Amendment, Message)>,
    pub(super) entities: BTreeMap<u64, Entity>,
    /// What was told before its item.
    early: BTreeMap<ItemId, (bool, Option<Amendment>)>,
}

impl Content {
    pub(super) fn of(recovered: &Recovered, fetch: impl Fn(ItemId) -> Message) -> Self {
        let messages = recovered.messages.iter().map(|found| {
            let message = match &found.message {
                RecoveredBody::Resident(message) => message.clone(),
                RecoveredBody::OnDisk(_) => fetch(found.id),
            };
            (found.id, (found.state(), message))
        });
        Self {
            messages: messages.collect(),
            entities: recovered.entities.iter().cloned().collect(),
            early: BTreeMap::new(),
        }
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.messages == other.messages && self.entities == other.entities
    }

    pub(super) fn apply(&mut self, group: &[Record]) {
        for record in group {
            match record {
                Record::Entity(serial, entity) => {
                    self.entities.insert(*serial, (**entity).clone());
                }
                Record::Message(record) => {
                    let news = self.early.remove(&record.id);
                    let state = match news {
                        Some((true, _)) => continue,
                        Some((false, Some(told))) => newer(record.state, told),
                        Some((false, None)) | None => record.state,
                    };
                    self.messages.insert(record.id, (state, record.message.clone()));
                }
                Record::Settled(id) if id.queue == ENTITIES => {
                    self.entities.remove(&id.seq);
                }
                Record::Settled(id) => {
                    if self.messages.remove(id).is_none() {
                        self.early.entry(*id).or_default().0 = true;
                    }
                }
                Record::Amended(id, state) => {
                    if let Some((known, _)) = self.messages.get_mut(id) {
                        *known = newer(*known, *state);
                    } else {
                        let news = &mut self.early.entry(*id).or_default().1;
                        *news = Some(news.map_or(*state, |known| newer(known, *state)));
                    }
                }
                Record::Moved(id, place) => {
                    if let Some(message) = self.messages.remove(id) {
                        self.messages.insert(ItemId { seq: *place, ..*id }, message);
                    }
                }
                Record::QueueEnded(queue) => self.messages.retain(|id, _| id.queue != *queue),
            }
        }
    }
}

fn newer(known: Amendment, told: Amendment) -> Amendment {
    if told.returns < known.returns { known } else { told }
}

/// Makes groups up.
#[derive(Clone, Debug)]
pub(super) struct Teller {
    pub(super) chance: Chance,
    next_seq: u64,
    next_queue: u64,
    queues: Vec<u64>,
    /// What is told later than what is told of it.
    held_back: Vec<Record>,
    /// What was amended by this process.
    amended: BTreeSet<ItemId>,
    /// The longest body, now and then.
    pub(super) long: u64,
}

impl Teller {
    pub(super) fn new(seed: u64) -> Self {
        let queues = vec![1, 2, 3];
        let (chance, held_back, amended) = (Chance(seed), Vec::new(), BTreeSet::new());
        Self { chance, next_seq: 0, next_queue: 4, queues, held_back, amended, long: 30_000 }
    }

    /// What has not been told never will be.
    pub(super) fn forget(&mut self) {
        self.held_back.clear();
        self.amended.clear();
    }

    /// What somebody tells next, as the things are.
    pub(super) fn group(&mut self, content: &Content) -> Vec<Record> {
        let mut group = std::mem::take(&mut self.held_back);
        for _ in 0..=self.chance.below(3) {
            self.one(content, &mut group);
        }
        // Nobody tells twice of one end.
        let mut ended = Vec::new();
        group.retain(|record| match record {
            Record::Settled(id) | Record::Moved(id, _) | Record::Amended(id, _) => {
                let is_first = !ended.contains(id);
                ended.push(*id);
                is_first
            }
            _ => true,
        });
        let amended = group.iter().filter_map(|record| match record {
            Record::Amended(id, _) => Some(*id),
            _ => None,
        });
        self.amended.extend(amended);
        group
    }

    fn one(&mut self, content: &Content, group: &mut Vec<Record>) {
        match self.chance.below(20) {
            0..7 => self.publish(group),
            7..12 => {
                if let Some(id) = self.any(content) {
                    group.push(Record::Settled(id));
                }
            }
            12..14 => {
                if let Some(id) = self.any(content) {
                    let known = content.messages.get(&id).map_or(0, |(state, _)| state.returns);
                    // Two threads tell in the wrong order, of what both have done since the start.
                    let is_late = self.amended.contains(&id) && self.chance.below(3) == 0;
                    let returns = if is_late { 0 } else { known + self.chance.below(3) as u32 };
                    group.push(Record::Amended(id, Amendment { returns, ..self.state() }));
                }
            }
            14 => {
                if let Some(id) = self.any(content) {
                    self.next_seq += 1;
                    if self.amended.contains(&id) {
                        self.amended.insert(ItemId { seq: self.next_seq, ..id });
                    }
                    group.push(Record::Moved(id, self.next_seq));
                }
            }
            15 => {
                // Somebody is quicker than who publishes.
                let mut published = Vec::new();
                self.publish(&mut published);
                if let Some(Record::Message(record)) = published.first() {
                    group.push(Record::Amended(record.id, self.state()));
                    if self.chance.below(2) == 0 {
                        let is_settled = Record::Settled(record.id);
                        group.pop();
                        group.push(is_settled);
                    }
                }
                self.held_back.append(&mut published);
            }
            16 if self.chance.below(4) == 0 => {
                let at = self.chance.below(self.queues.len() as u64) as usize;
                let queue = std::mem::replace(&mut self.queues[at], self.next_queue);
                self.next_queue += 1;
                let is_told = |record: &Record| match record {
                    Record::Message(record) => record.id.queue == queue,
                    Record::Settled(id) | Record::Amended(id, _) | Record::Moved(id, _) => {
                        id.queue == queue
                    }
                    _ => false,
                };
                self.held_back.retain(|record| !is_told(record));
                group.retain(|record| !is_told(record));
                group.push(Record::QueueEnded(queue));
            }
            17 => {
                self.next_seq += 1;
                let entity =
                    Entity::VirtualHost { name: Name::from(format!("v{}", self.next_seq)) };
                group.push(Record::Entity(self.next_seq, Box::new(entity)));
            }
            18 => {
                let at = self.chance.below(content.entities.len() as u64) as usize;
                if let Some(serial) = content.entities.keys().nth(at) {
                    group.push(Record::Settled(ItemId { queue: ENTITIES, seq: *serial }));
                }
            }
            _ => {}
        }
    }

    fn publish(&mut self, group: &mut Vec<Record>) {
        let bytes = match self.chance.below(20) {
            0 => self.chance.below(self.long),
            _ => self.chance.below(300),
        };
        let mut message = Message::new(vec![self.chance.below(256) as u8; bytes as usize]);
        message = message.persistent();
        if self.chance.below(3) == 0 {
            message = message.with_header("number", self.next_seq as i64);
        }
        message.put_label(&Label::new(Name::from("exchange"), Name::from("key")));
        let first = self.chance.below(self.queues.len() as u64) as usize;
        for at in 0..=self.chance.below(3) as usize {
            self.next_seq += 1;
            let queue = self.queues[(first + at) % self.queues.len()];
            let id = ItemId { queue, seq: self.next_seq };
            let state = if self.chance.below(5) == 0 { self.state() } else { Amendment::default() };
            let state = Amendment { returns: 0, ..state };
            group.push(Record::Message(MessageRecord { id, state, message: message.clone() }));
        }
    }

    fn state(&mut self) -> Amendment {
        Amendment {
            returns: self.chance.below(4) as u32,
            is_redelivered: self.chance.below(2) == 0,
            end: (self.chance.below(3) == 0).then(|| self.chance.below(1_000)),
            until: None,
            death: None,
        }
    }

    fn any(&mut self, content: &Content) -> Option<ItemId> {
        let at = self.chance.below(content.messages.len() as u64) as usize;
        content.messages.keys().nth(at).copied()
    }
}
