//! What one commit writes of what was told.
//!
//! A plan changes nothing: if there is no space for it, it is forgotten, and another one is made of
//! the same groups later.

use std::{
    collections::{HashMap, HashSet},
    mem,
};

use foldhash::fast::RandomState;

use super::{
    codec::{self, EntityBytes, HEADS_MAX, RUN_BYTES, Run},
    engine::{Key, VALUE_BYTES_MAX},
    intake::Batch,
    ledger::{Changes, EarlyNews, Ledger, has_room},
    part::{Kind, Packer, Summary},
    record::{Amendment, ENTITIES, Entity, ItemId, Record, Serial},
};
use crate::Message;

/// So many runs go into one record.
const RUNS_MAX: usize = VALUE_BYTES_MAX / 2 / RUN_BYTES;

/// What one commit writes.
#[derive(Debug, Default)]
pub(super) struct Plan {
    adds: Vec<Add>,
    ended: Vec<Serial>,
    settled: Vec<ItemId>,
    moved: Vec<(ItemId, u64)>,
    amended: Vec<(ItemId, Amendment)>,
    /// What is known after it of items that have not come, if that changes.
    pub(super) early: Option<EarlyNews>,
    /// Blocks that leave.
    pub(super) doomed: Vec<u32>,
    base: Base,
    /// How many groups it is made of, and what they count for.
    pub(super) groups: usize,
    pub(super) bytes: u64,
}

/// What the plan has to know of what is written.
#[derive(Debug, Default)]
struct Base {
    number: u64,
    attempt: u64,
    /// What is there before it, and stays.
    live: Summary,
    /// What is leaving.
    runs: Vec<Run>,
}

/// An item that is written.
#[derive(Debug)]
pub(super) struct Add {
    pub(super) id: ItemId,
    pub(super) state: Amendment,
    pub(super) content: Content,
    /// Whether it has the content of the one before, in a further place.
    is_joined: bool,
    /// Whether it has gone before it was written.
    is_cancelled: bool,
    /// Whether it was amended before.
    is_amended: bool,
}

/// What an item is.
#[derive(Debug)]
pub(super) enum Content {
    Message(Message),
    Entity(Box<Entity>),
    /// As it was read from a block.
    MessageCopy(Vec<u8>),
    EntityCopy(Vec<u8>),
}

impl Plan {
    /// Plans the first groups of a batch, as many as fit a commit.
    pub(super) fn of(ledger: &Ledger, batch: &Batch, bytes_max: u64) -> Self {
        let mut planner = Planner::new(ledger);
        let mut start = 0;
        for group in &batch.groups {
            planner.plan.groups += 1;
            planner.plan.bytes += group.bytes;
            planner.group_start = planner.plan.adds.len();
            for record in batch.records.get(start..group.end).unwrap_or_default() {
                planner.record(record);
            }
            start = group.end;
            if planner.plan.bytes >= bytes_max {
                break;
            }
        }
        planner.plan
    }

    /// Plans only what gives space back: what has gone and is written, of groups that add nothing.
    pub(super) fn of_ends(ledger: &Ledger, batch: &Batch) -> Self {
        let (mut plan, mut start) = (Self::default(), 0);
        for group in &batch.groups {
            let records = batch.records.get(start..group.end).unwrap_or_default();
            let adds = records
                .iter()
                .any(|record| matches!(record, Record::Message(_) | Record::Entity(..)));
            for record in records.iter().filter(|_| !adds) {
                match record {
                    Record::Settled(id) if ledger.block_of(*id).is_some() => {
                        plan.settled.push(*id);
                    }
                    Record::QueueEnded(queue) if ledger.has_queue(*queue) => {
                        plan.ended.push(*queue);
                    }
                    _ => {}
                }
            }
            start = group.end;
        }
        plan
    }

    /// Plans to write items anew.
    pub(super) fn of_copies(copies: impl Iterator<Item = (ItemId, Amendment, Content)>) -> Self {
        let add = |(id, state, content)| Add {
            id,
            state,
            content,
            is_joined: false,
            is_cancelled: false,
            is_amended: false,
        };
        Self { adds: copies.map(add).collect(), ..Self::default() }
    }

    /// Takes out of a batch what it has written of it, and what has no sense after that.
    pub(super) fn strip(&self, batch: &mut Batch) {
        let settled: HashSet<&ItemId, RandomState> = self.settled.iter().collect();
        let is_over = |id: &ItemId| settled.contains(id) || self.ended.contains(&id.queue);
        let is_left = |record: &Record| match record {
            Record::Amended(id, _) | Record::Moved(id, _) | Record::Settled(id) => !is_over(id),
            Record::QueueEnded(queue) => !self.ended.contains(queue),
            Record::Entity(..) | Record::Message(_) => true,
        };
        let mut records = mem::take(&mut batch.records).into_iter();
        let mut start = 0;
        for group in &mut batch.groups {
            let of_group = records.by_ref().take(group.end - start);
            start = group.end;
            batch.records.extend(of_group.filter(is_left));
            group.end = batch.records.len();
        }
    }

    /// Whether nothing would be written.
    pub(super) fn is_empty(&self) -> bool {
        self.doomed.is_empty()
            && self.ended.is_empty()
            && self.settled.is_empty()
            && self.moved.is_empty()
            && self.amended.is_empty()
            && self.adds.iter().all(|add| add.is_cancelled)
    }

    /// Lets blocks leave that nobody needs, and makes the plan ready to be packed.
    pub(super) fn rest_on(&mut self, ledger: &Ledger) {
        self.doomed = ledger.doomed();
        let leaving = ledger.drafts(ledger.leaving()).chain(ledger.drafts(&self.doomed));
        let remnants = ledger.remnants().iter().map(|key| (*key, 1));
        self.base = Base {
            number: ledger.number + 1,
            attempt: ledger.attempt + 1,
            live: ledger.live_without(&self.doomed),
            runs: runs(leaving.map(|draft| (draft.first, draft.pieces)).chain(remnants)),
        };
    }

    /// Packs it, and says what it changes.
    pub(super) fn pack(&self, next_serial: Serial, packer: &mut Packer) -> Changes {
        packer.begin(self.base.number, self.base.attempt);
        for runs in self.base.runs.chunks(RUNS_MAX) {
            packer.record(Kind::Control, |to| codec::put_leaving(runs, to));
        }
        let mut changes = Changes::default();
        let mut control = |put: &dyn Fn(&mut Vec<u8>)| packer.record(Kind::Control, put);
        for queue in &self.ended {
            changes.ended.push((*queue, control(&|to| codec::put_ended(*queue, to))));
        }
        changes.settled.reserve(self.settled.len());
        for id in &self.settled {
            changes.settled.push((*id, control(&|to| codec::put_settled(*id, to))));
        }
        for (id, place) in &self.moved {
            changes.moved.push((*id, *place, control(&|to| codec::put_moved(*id, *place, to))));
        }
        for (id, state) in &self.amended {
            let block = control(&|to| codec::put_amended(*id, *state, to));
            changes.amended.push((*id, *state, block));
        }
        self.pack_entities(packer, &mut changes);
        self.pack_messages(packer, &mut changes);
        let amended = self.adds.iter().filter(|add| add.is_amended && !add.is_cancelled);
        changes.known.extend(amended.map(|add| (add.id, add.state)));
        packer.finish(next_serial, self.base.live);
        changes.blocks.clone_from(&packer.blocks);
        changes
    }

    fn pack_entities(&self, packer: &mut Packer, changes: &mut Changes) {
        for add in self.adds.iter().filter(|add| !add.is_cancelled) {
            let serial = add.id.seq;
            let write = |to: &mut Vec<u8>| match &add.content {
                Content::Entity(entity) => codec::put_entity(serial, entity, to),
                Content::EntityCopy(bytes) => {
                    codec::put_entity_copy(serial, EntityBytes(bytes), to);
                }
                Content::Message(_) | Content::MessageCopy(_) => {}
            };
            if add.id.queue == ENTITIES {
                changes.added.push((add.id, packer.record(Kind::Entities, write)));
            }
        }
    }

    fn pack_messages(&self, packer: &mut Packer, changes: &mut Changes) {
        changes.added.reserve(self.adds.len());
        let mut adds = self.adds.iter().peekable();
        let mut heads = Vec::new();
        while let Some(first) = adds.next() {
            heads.clear();
            let mut next = Some(first);
            while let Some(add) = next {
                if !add.is_cancelled {
                    heads.push((add.id, add.state));
                }
                next = adds.next_if(|add| add.is_joined);
            }
            let block = match &first.content {
                _ if heads.is_empty() => continue,
                Content::Message(message) => {
                    packer.record(Kind::Messages, |to| codec::put_message(&heads, message, to))
                }
                Content::MessageCopy(content) => {
                    packer.record(Kind::Messages, |to| codec::put_copy(&heads, content, to))
                }
                Content::Entity(_) | Content::EntityCopy(_) => continue,
            };
            changes.added.extend(heads.iter().map(|(id, _)| (*id, block)));
        }
    }
}

/// Blocks as runs of values.
fn runs(blocks: impl Iterator<Item = (Key, u32)>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (first, pieces) in blocks {
        match runs.last_mut() {
            Some(last)
                if last.first.group == first.group
                    && last.first.part + last.values == first.part =>
            {
                last.values += pieces;
            }
            _ => runs.push(Run { first, values: pieces }),
        }
    }
    runs
}

/// Makes a plan, record by record.
struct Planner<'l> {
    ledger: &'l Ledger,
    plan: Plan,
    /// Where the items of the present group begin.
    group_start: usize,
    /// How many the last content has.
    heads: usize,
    /// Which of the items is which. It is made when somebody asks.
    known: Option<HashMap<ItemId, usize, RandomState>>,
    /// Which of the moves has brought an item to its place.
    arrivals: HashMap<ItemId, usize, RandomState>,
    amendments: HashMap<ItemId, usize, RandomState>,
    ended: HashSet<Serial, RandomState>,
}

impl<'l> Planner<'l> {
    fn new(ledger: &'l Ledger) -> Self {
        Self {
            ledger,
            plan: Plan::default(),
            group_start: 0,
            heads: 0,
            known: None,
            arrivals: HashMap::default(),
            amendments: HashMap::default(),
            ended: HashSet::default(),
        }
    }

    fn record(&mut self, record: &Record) {
        match record {
            Record::Message(record) => {
                self.add(record.id, record.state, &record.message);
            }
            Record::Entity(serial, entity) => {
                let id = ItemId { queue: ENTITIES, seq: *serial };
                if let Some((id, state)) = self.arrive(id, Amendment::default()) {
                    self.push(id, state, Content::Entity(entity.clone()));
                }
            }
            Record::Settled(id) => self.settle(*id),
            Record::Amended(id, state) => self.amend(*id, *state),
            Record::Moved(id, place) => self.relocate(*id, *place),
            Record::QueueEnded(queue) => self.end_queue(*queue),
        }
    }

    fn add(&mut self, id: ItemId, state: Amendment, message: &Message) {
        let Some((id, arrived)) = self.arrive(id, state) else { return };
        let is_joined = self.plan.adds.len() > self.group_start
            && self.heads < HEADS_MAX
            && self.plan.adds.last().is_some_and(|last| match &last.content {
                Content::Message(last) => last.is_same(message),
                Content::Entity(_) | Content::MessageCopy(_) | Content::EntityCopy(_) => false,
            });
        self.heads = if is_joined { self.heads + 1 } else { 1 };
        self.push(id, arrived, Content::Message(message.clone()));
        if let Some(add) = self.plan.adds.last_mut() {
            (add.is_joined, add.is_amended) = (is_joined, arrived != state);
        }
    }

    fn push(&mut self, id: ItemId, state: Amendment, content: Content) {
        let at = self.plan.adds.len();
        self.plan.adds.push(Add {
            id,
            state,
            content,
            is_joined: false,
            is_cancelled: false,
            is_amended: false,
        });
        if let Some(known) = &mut self.known
            && let Some(former) = known.insert(id, at)
        {
            self.cancel(former);
        }
    }

    /// An item comes. What was told of it before is done to it now: it may have gone, or changed.
    fn arrive(&mut self, id: ItemId, state: Amendment) -> Option<(ItemId, Amendment)> {
        let is_over = |planner: &Self, queue| {
            planner.ledger.has_ended(queue) || planner.ended.contains(&queue)
        };
        if id.queue != ENTITIES && is_over(self, id.queue) {
            return None;
        }
        let (mut id, mut state) = (id, state);
        while !self.early().is_empty() && self.early().contains_key(&id) {
            let Some(news) = self.early_mut().remove(&id) else { break };
            if news.is_settled {
                return None;
            }
            state = news.state.map_or(state, |told| newer(state, told));
            match news.place {
                Some(seq) => id.seq = seq,
                None => break,
            }
        }
        Some((id, state))
    }

    fn settle(&mut self, id: ItemId) {
        if let Some(at) = self.arrivals.remove(&id) {
            // It is written under its former place.
            if let Some((from, _)) = self.plan.moved.get(at).copied() {
                self.plan.settled.push(from);
            }
        } else if self.ledger.block_of(id).is_some() {
            self.plan.settled.push(id);
        } else if let Some(at) = self.position(id) {
            self.cancel(at);
            if let Some(known) = &mut self.known {
                known.remove(&id);
            }
        } else if has_room(self.early()) {
            self.early_mut().entry(id).or_default().is_settled = true;
        }
    }

    fn amend(&mut self, id: ItemId, state: Amendment) {
        if self.ledger.block_of(id).is_some() || self.arrivals.contains_key(&id) {
            let at = *self.amendments.entry(id).or_insert(self.plan.amended.len());
            if let Some((_, known)) = self.plan.amended.get_mut(at) {
                *known = newer(*known, state);
            } else {
                let known = self.ledger.state(id);
                let state = known.map_or(state, |known| newer(known, state));
                self.plan.amended.push((id, state));
            }
        } else if let Some(add) = self.position(id).and_then(|at| self.plan.adds.get_mut(at)) {
            (add.state, add.is_amended) = (newer(add.state, state), true);
        } else if has_room(self.early()) {
            let news = self.early_mut().entry(id).or_default();
            news.state = Some(news.state.map_or(state, |known| newer(known, state)));
        }
    }

    fn relocate(&mut self, from: ItemId, place: u64) {
        let to = ItemId { seq: place, ..from };
        let news = if self.early().is_empty() { None } else { self.early_mut().remove(&to) };
        if let Some(at) = self.arrivals.remove(&from) {
            if let Some((_, known)) = self.plan.moved.get_mut(at) {
                *known = place;
            }
            self.arrivals.insert(to, at);
        } else if self.ledger.block_of(from).is_some() {
            self.arrivals.insert(to, self.plan.moved.len());
            self.plan.moved.push((from, place));
        } else if let Some(at) = self.position(from) {
            if let Some(add) = self.plan.adds.get_mut(at) {
                add.id = to;
            }
            if let Some(known) = &mut self.known {
                known.remove(&from);
                known.insert(to, at);
            }
        } else {
            if has_room(self.early()) {
                self.early_mut().entry(from).or_default().place = Some(place);
            }
            if let Some(news) = news {
                self.early_mut().insert(to, news);
            }
            return;
        }
        if let Some(at) = self.amendments.remove(&from) {
            if let Some((id, _)) = self.plan.amended.get_mut(at) {
                *id = to;
            }
            self.amendments.insert(to, at);
        } else if let Some(state) = self.ledger.state(from) {
            // Later ones are compared with it under the new place.
            self.amend(to, state);
        }
        let Some(news) = news else { return };
        if news.is_settled {
            self.settle(to);
        } else {
            if let Some(state) = news.state {
                self.amend(to, state);
            }
            if let Some(place) = news.place {
                self.relocate(to, place);
            }
        }
    }

    fn end_queue(&mut self, queue: Serial) {
        if !self.ended.insert(queue) {
            return;
        }
        self.plan.ended.push(queue);
        for add in self.plan.adds.iter_mut().filter(|add| add.id.queue == queue) {
            add.is_cancelled = true;
        }
        if self.early().keys().any(|id| id.queue == queue) {
            self.early_mut().retain(|id, _| id.queue != queue);
        }
    }

    fn cancel(&mut self, at: usize) {
        if let Some(add) = self.plan.adds.get_mut(at) {
            add.is_cancelled = true;
        }
    }

    /// Where an item is among those that are added.
    fn position(&mut self, id: ItemId) -> Option<usize> {
        if self.known.is_none() {
            let mut known = HashMap::default();
            known.reserve(self.plan.adds.len());
            for at in 0..self.plan.adds.len() {
                let add = self.plan.adds.get(at).filter(|add| !add.is_cancelled);
                if let Some(former) = add.and_then(|add| known.insert(add.id, at)) {
                    self.cancel(former);
                }
            }
            self.known = Some(known);
        }
        self.known.as_ref()?.get(&id).copied()
    }

    fn early(&self) -> &EarlyNews {
        self.plan.early.as_ref().unwrap_or(&self.ledger.early)
    }

    fn early_mut(&mut self) -> &mut EarlyNews {
        self.plan.early.get_or_insert_with(|| self.ledger.early.clone())
    }
}

/// Which of two states of an item is the later one: threads may tell of them in another order.
fn newer(known: Amendment, told: Amendment) -> Amendment {
    if told.returns < known.returns { known } else { told }
}
