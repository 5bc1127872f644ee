//! What one commit writes of what was told.
//!
//! A plan changes nothing: if there is no space for it, it is forgotten, and another one is made of
//! the same groups later.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use super::{
    backlog::Backlog,
    batch::{Content, Note, Unity},
    codec::{self, HEADS_MAX, ID_BYTES, RUN_BYTES, Run},
    engine::{Key, VALUE_BYTES_MAX},
    ledger::{Changes, EarlyNews, Ledger, has_room},
    part::{Kind, Packer},
    places::Look,
    position::Position,
    record::{Amendment, ENTITIES, ItemId, Serial},
};

/// So many runs go into one record, and so many items that are settled.
const RUNS_MAX: usize = VALUE_BYTES_MAX / 2 / RUN_BYTES;
const SETTLED_MAX: usize = VALUE_BYTES_MAX / 2 / ID_BYTES;

/// Room is made for so many notes before they are looked at.
const NOTES_MAX: usize = 1_024;

/// What one commit writes.
#[derive(Debug, Default)]
pub(super) struct Plan<'b> {
    adds: Vec<Add<'b>>,
    ended: Vec<Serial>,
    settled: Vec<ItemId>,
    moved: Vec<(ItemId, u64)>,
    amended: Vec<(ItemId, Amendment)>,
    /// What is known after it of items that have not come, if that changes.
    early: Option<EarlyNews>,
    share: Share,
}

/// What of a backlog a plan is of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Share {
    /// So many groups of it, the first ones.
    pub(super) groups: usize,
    /// Where the last of them is.
    pub(super) last: Position,
    /// What they count for.
    pub(super) bytes: u64,
}

/// What has been packed.
#[derive(Debug, Default)]
pub(super) struct Commit {
    pub(super) share: Share,
    /// Nothing, if there is nothing to write.
    pub(super) changes: Option<Changes>,
    /// What is known after it of items that have not come, if that changes.
    pub(super) early: Option<EarlyNews>,
    /// Blocks that leave.
    pub(super) doomed: Vec<u32>,
}

/// An item that is written.
#[derive(Debug)]
struct Add<'b> {
    id: ItemId,
    state: Amendment,
    content: Content<'b>,
    /// Whether it has the content of the one before, in a further place.
    is_joined: bool,
    /// Whether it has gone before it was written.
    is_cancelled: bool,
    since: Since,
}

/// What has become of an item since it was told, and before it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    Nothing,
    Moved,
    /// And perhaps moved.
    Amended,
}

impl<'b> Plan<'b> {
    /// Plans the first groups of a backlog, as many as fit a commit.
    pub(super) fn of(ledger: &Ledger, backlog: &'b Backlog, bytes_max: u64) -> Self {
        let mut planner = Planner::new(ledger);
        // Mostly there are messages that come, and as many that go.
        let notes = backlog.notes_min().min(NOTES_MAX);
        planner.plan.adds.reserve(notes);
        planner.plan.settled.reserve(notes);
        let mut groups = backlog.groups();
        planner.plan.share.last = loop {
            let Some((group, notes)) = groups.next() else { break backlog.last() };
            let share = &mut planner.plan.share;
            if share.bytes >= bytes_max {
                break group.before();
            }
            share.groups += 1;
            share.bytes += group.bytes;
            notes.for_each(|note| planner.note(note));
        };
        planner.plan
    }

    /// Plans only what gives space back: what has gone and is written, of groups that add nothing.
    pub(super) fn of_ends(ledger: &Ledger, backlog: &Backlog) -> Self {
        let mut plan = Self::default();
        for (group, notes) in backlog.groups() {
            let notes: Vec<Note<'_>> = notes.collect();
            if group.unity == Unity::All && notes.iter().any(Note::adds) {
                continue;
            }
            for note in notes {
                match note {
                    Note::Settled(id) if ledger.block_of(id).is_some() => plan.settled.push(id),
                    Note::Ended(queue) if ledger.has_queue(queue) => plan.ended.push(queue),
                    _ => {}
                }
            }
        }
        plan
    }

    /// Plans to write items anew.
    pub(super) fn of_copies(
        copies: impl Iterator<Item = (ItemId, Amendment, Content<'b>)>,
    ) -> Self {
        let add = |(id, state, content)| Add {
            id,
            state,
            content,
            is_joined: false,
            is_cancelled: false,
            since: Since::Moved,
        };
        Self { adds: copies.map(add).collect(), ..Self::default() }
    }

    /// Whether nothing would be written.
    pub(super) fn is_empty(&self) -> bool {
        self.ended.is_empty()
            && self.settled.is_empty()
            && self.moved.is_empty()
            && self.amended.is_empty()
            && self.adds.iter().all(|add| add.is_cancelled)
    }

    /// Packs it to follow what is written, with blocks that nobody needs leaving. Nothing is packed
    /// if everything has gone before it was written.
    pub(super) fn pack(self, ledger: &Ledger, next_serial: Serial, packer: &mut Packer) -> Commit {
        let doomed = ledger.doomed();
        let is_void = self.share.groups > 0 && self.is_empty() && doomed.is_empty();
        let changes = if is_void {
            None
        } else {
            packer.begin(ledger.number + 1, ledger.attempt + 1);
            pack_leaving(ledger, &doomed, packer);
            let changes = self.pack_changes(packer);
            packer.finish(next_serial, ledger.live_without(&doomed));
            Some(Changes { blocks: packer.blocks.clone(), ..changes })
        };
        Commit { share: self.share, changes, early: self.early, doomed }
    }

    fn pack_changes(&self, packer: &mut Packer) -> Changes {
        let mut changes = Changes::default();
        let mut control = |put: &dyn Fn(&mut Vec<u8>)| packer.record(Kind::Control, put);
        for queue in &self.ended {
            changes.ended.push((*queue, control(&|to| codec::put_ended(*queue, to))));
        }
        changes.settled.reserve(self.settled.len());
        for ids in self.settled.chunks(SETTLED_MAX) {
            let block = control(&|to| codec::put_settled(ids, to));
            changes.settled.extend(ids.iter().map(|id| (*id, block)));
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
        let is_amended = |add: &&Add<'_>| add.since == Since::Amended && !add.is_cancelled;
        let amended = self.adds.iter().filter(is_amended);
        changes.known.extend(amended.map(|add| (add.id, add.state)));
        changes
    }

    fn pack_entities(&self, packer: &mut Packer, changes: &mut Changes) {
        let is_written = |add: &&Add<'_>| add.id.queue == ENTITIES && !add.is_cancelled;
        for add in self.adds.iter().filter(is_written) {
            let block = packer.record(Kind::Entities, |to| {
                codec::put_serial(add.id.seq, to);
                add.content.put(to);
            });
            changes.added.push((add.id, block));
        }
    }

    fn pack_messages(&self, packer: &mut Packer, changes: &mut Changes) {
        changes.added.reserve(self.adds.len());
        let mut adds = self.adds.iter().peekable();
        let mut heads = Vec::new();
        while let Some(first) = adds.next() {
            if first.is_message()
                && first.since == Since::Nothing
                && adds.peek().is_none_or(|next| !next.is_joined)
            {
                let block = packer.record(Kind::Messages, |to| first.content.put_as_told(to));
                changes.added.push((first.id, block));
                continue;
            }
            heads.clear();
            let mut next = Some(first);
            while let Some(add) = next {
                if add.is_message() {
                    heads.push((add.id, add.state));
                }
                next = adds.next_if(|add| add.is_joined);
            }
            if heads.is_empty() {
                continue;
            }
            let block = packer.record(Kind::Messages, |to| {
                codec::put_heads(&heads, to);
                first.content.put(to);
            });
            changes.added.extend(heads.iter().map(|(id, _)| (*id, block)));
        }
    }
}

impl Add<'_> {
    /// Whether it is a message that is to be written.
    fn is_message(&self) -> bool {
        !self.is_cancelled && self.id.queue != ENTITIES
    }
}

/// Says which blocks leave.
fn pack_leaving(ledger: &Ledger, doomed: &[u32], packer: &mut Packer) {
    let leaving = ledger.drafts(ledger.leaving()).chain(ledger.drafts(doomed));
    let remnants = ledger.remnants().iter().map(|key| (*key, 1));
    let runs = runs(leaving.map(|draft| (draft.first, draft.pieces)).chain(remnants));
    for runs in runs.chunks(RUNS_MAX) {
        packer.record(Kind::Control, |to| codec::put_leaving(runs, to));
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

/// Makes a plan, note by note.
struct Planner<'l, 'b> {
    ledger: &'l Ledger,
    look: Look<'l>,
    plan: Plan<'b>,
    /// In how many places the last content is.
    heads: usize,
    /// Which of the items is which. It is made when somebody asks.
    known: Option<HashMap<ItemId, usize, RandomState>>,
    /// Which of the moves has brought an item to its place.
    arrivals: HashMap<ItemId, usize, RandomState>,
    amendments: HashMap<ItemId, usize, RandomState>,
    ended: HashSet<Serial, RandomState>,
}

impl<'l, 'b> Planner<'l, 'b> {
    fn new(ledger: &'l Ledger) -> Self {
        Self {
            ledger,
            look: ledger.look(),
            plan: Plan::default(),
            heads: 0,
            known: None,
            arrivals: HashMap::default(),
            amendments: HashMap::default(),
            ended: HashSet::default(),
        }
    }

    fn note(&mut self, note: Note<'b>) {
        match note {
            Note::Message { id, state, content, is_joined } => {
                self.add(id, state, content, is_joined);
            }
            Note::Entity(serial, content) => {
                let id = ItemId { queue: ENTITIES, seq: serial };
                // What joins a message follows it at once.
                self.heads = 0;
                if let Some((id, state)) = self.arrive(id, Amendment::default()) {
                    self.push(id, state, content);
                }
            }
            Note::Settled(id) => self.settle(id),
            Note::Amended(id, state) => self.amend(id, state),
            Note::Moved(id, place) => self.relocate(id, place),
            Note::Ended(queue) => self.end_queue(queue),
        }
    }

    fn add(&mut self, told: ItemId, state: Amendment, content: Content<'b>, is_joined: bool) {
        if !is_joined {
            self.heads = 0;
        }
        let Some((id, arrived)) = self.arrive(told, state) else { return };
        let is_as_told = id == told && !is_joined;
        let is_joined = (1..HEADS_MAX).contains(&self.heads);
        self.heads = if is_joined { self.heads + 1 } else { 1 };
        self.push(id, arrived, content);
        if let Some(add) = self.plan.adds.last_mut() {
            add.is_joined = is_joined;
            if arrived != state {
                add.since = Since::Amended;
            } else if is_as_told {
                add.since = Since::Nothing;
            }
        }
    }

    fn push(&mut self, id: ItemId, state: Amendment, content: Content<'b>) {
        let at = self.plan.adds.len();
        self.plan.adds.push(Add {
            id,
            state,
            content,
            is_joined: false,
            is_cancelled: false,
            since: Since::Moved,
        });
        if let Some(known) = &mut self.known
            && let Some(former) = known.insert(id, at)
        {
            self.cancel(former);
        }
    }

    /// An item comes. What was told of it before is done to it now: it may have gone, or changed.
    fn arrive(&mut self, id: ItemId, state: Amendment) -> Option<(ItemId, Amendment)> {
        if self.is_over(id.queue) {
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
        let arrived = if self.arrivals.is_empty() { None } else { self.arrivals.remove(&id) };
        if let Some(at) = arrived {
            // It is written under its former place.
            if let Some((from, _)) = self.plan.moved.get(at).copied() {
                self.plan.settled.push(from);
            }
        } else if self.look.get(id).is_some() {
            self.plan.settled.push(id);
        } else if let Some(at) = self.position(id) {
            self.cancel(at);
            if let Some(known) = &mut self.known {
                known.remove(&id);
            }
        } else if has_room(self.early()) && !self.is_over(id.queue) {
            self.early_mut().entry(id).or_default().is_settled = true;
        }
    }

    /// Whether nothing of a queue comes any more.
    fn is_over(&self, queue: Serial) -> bool {
        queue != ENTITIES && (self.ledger.has_ended(queue) || self.ended.contains(&queue))
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
            (add.state, add.since) = (newer(add.state, state), Since::Amended);
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
                if add.since == Since::Nothing {
                    add.since = Since::Moved;
                }
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
