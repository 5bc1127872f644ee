//! What is written, and how much of it is needed.
//!
//! The ledger knows in which block each live item is, and of each block why it is still needed:
//!
//! - a block of messages or entities, while one of its items is live in it;
//! - a block of control records, while a block is there that holds an item which one of them is
//!   about, or while one of them says how a live item was altered.
//!
//! A block that is not needed is *dead*. It is announced as *leaving* in a later commit, and taken
//! away while the commit after that one is written: whatever is found after a crash, the last whole
//! commit says which values have to be there and which may be. Blocks leave in the order in which
//! they died, so an old copy of an item is never there for longer than the newest, and what is
//! known of an item is there for as long as any copy.
//!
//! Recovery plays the commits that it finds into an empty ledger, by the same steps.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    mem,
    ops::Bound,
};

use foldhash::fast::RandomState;
use slab::Slab;

use super::{
    codec::Run,
    engine::Key,
    part::{Draft, Kind, Summary},
    places::{Look, Places},
    record::{Amendment, ItemId, Serial},
};

/// What was told of items that have not come is kept for so many; of more it is not, and then an
/// item may be redelivered that was settled.
const EARLY_MAX: usize = 64 * 1_024;

/// Of so many queues that have ended it is remembered, in case somebody tells of a message late.
const ENDED_MAX: usize = 4 * 1_024;

/// At most so many blocks leave with one commit, which bounds the time that it takes.
const LEAVING_MAX: usize = 4 * 1_024;

/// What is written.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The last commit that is written.
    pub(super) number: u64,
    /// The last try of one.
    pub(super) attempt: u64,
    places: Places,
    blocks: Slab<Block>,
    altered: HashMap<ItemId, Altered, RandomState>,
    /// Where items are now that have moved since they were written, by block and former place.
    strays: HashMap<(u32, ItemId), ItemId, RandomState>,
    pub(super) early: EarlyNews,
    ended: Ended,
    /// In the order in which they died.
    dead: VecDeque<u32>,
    /// Announced by the last commit.
    leaving: Vec<u32>,
    /// What a crash has left of blocks that were announced: single values of long records. They are
    /// announced once more, since they go with the next commit, and may be there after it.
    remnants: Vec<Key>,
    /// Those that the last commit needs by itself.
    pinned: Vec<u32>,
    /// All blocks by their first keys.
    order: BTreeMap<Key, u32>,
    /// Up to where blocks were looked at for what can be left out.
    cursor: Option<Key>,
    live: Summary,
    /// What all blocks take.
    bytes: u64,
    /// What live items take of them, about.
    needed_bytes: u64,
    /// What those take that are dead or leaving.
    garbage_bytes: u64,
}

/// What was told of items before they came.
pub(super) type EarlyNews = HashMap<ItemId, Early, RandomState>;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Early {
    pub(super) is_settled: bool,
    pub(super) state: Option<Amendment>,
    pub(super) place: Option<u64>,
}

/// What has become of a live item since it was written.
#[derive(Clone, Copy, Debug, Default)]
struct Altered {
    state: Option<Amendment>,
    /// The block of the record that says so; none after the item was written anew.
    control: Option<u32>,
    /// The place under which it was written.
    origin: Option<u64>,
}

#[derive(Debug)]
struct Block {
    draft: Draft,
    stage: Stage,
    is_pinned: bool,
    /// How many items were written to it, and how many of them are live in it.
    items: u32,
    live: u32,
    /// What one of its items takes, about.
    share: u64,
    /// How many of its live items are altered.
    notes: u32,
    /// Of a control block: for how many of its records there is a need.
    owed: u32,
    /// In which control blocks there are records about its items, and how many.
    about: Vec<(u32, u32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Needed,
    Dead,
    Leaving,
}

/// Queues that have ended, the last ones.
#[derive(Debug, Default)]
struct Ended {
    known: HashSet<Serial, RandomState>,
    order: VecDeque<Serial>,
}

/// What one commit changes. Each thing has the number of its block in the commit.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) blocks: Vec<Draft>,
    pub(super) ended: Vec<(Serial, u32)>,
    pub(super) settled: Vec<(ItemId, u32)>,
    pub(super) moved: Vec<(ItemId, u64, u32)>,
    pub(super) amended: Vec<(ItemId, Amendment, u32)>,
    pub(super) added: Vec<(ItemId, u32)>,
    /// What was told of items before they were written, with which they are.
    pub(super) known: Vec<(ItemId, Amendment)>,
}

impl Ledger {
    /// Notes a commit that is written now. Items are settled before others are added.
    pub(super) fn apply(&mut self, changes: &Changes) {
        let ids: Vec<u32> = changes.blocks.iter().map(|draft| self.open(*draft)).collect();
        let id = |block: u32| ids.get(block as usize).copied().unwrap_or(u32::MAX);
        for (queue, block) in &changes.ended {
            self.end_queue(*queue, id(*block));
        }
        let mut places = mem::take(&mut self.places);
        places.remove_all(&changes.settled, |item, block, control| {
            self.end(item, block, id(control));
        });
        self.places = places;
        self.move_all(&changes.moved, id);
        for (item, state, block) in &changes.amended {
            self.amend(*item, *state, id(*block));
        }
        let mut places = mem::take(&mut self.places);
        places.insert_all(&changes.added, id, |item, block, former| self.add(item, block, former));
        self.places = places;
        for (item, state) in &changes.known {
            self.altered.entry(*item).or_default().state = Some(*state);
        }
        for block in &ids {
            self.seal(*block);
        }
        let is_pinned = |draft: &Draft| draft.kind == Kind::Control || draft.first.part == 0;
        let pinned = ids.iter().zip(&changes.blocks).filter(|(_, draft)| is_pinned(draft));
        let pinned: Vec<u32> = pinned.map(|(block, _)| *block).collect();
        for block in &pinned {
            if let Some(block) = self.block_mut(*block) {
                block.is_pinned = true;
            }
        }
        for block in mem::replace(&mut self.pinned, pinned) {
            if let Some(block) = self.block_mut(block) {
                block.is_pinned = false;
            }
            self.bury(block);
        }
        for block in ids {
            self.bury(block);
        }
    }

    /// Blocks that are to leave with the next commit.
    pub(super) fn doomed(&self) -> Vec<u32> {
        self.dead.iter().take(LEAVING_MAX).copied().collect()
    }

    /// Notes that the last commit has announced these, the first ones that had died, and that those
    /// announced before are gone.
    pub(super) fn announce(&mut self, doomed: &[u32]) {
        for block in mem::take(&mut self.leaving) {
            self.forget(block);
        }
        self.remnants.clear();
        self.dead.drain(..doomed.len().min(self.dead.len()));
        self.leaving.extend_from_slice(doomed);
        for block in doomed {
            let Some(block) = self.blocks.get_mut(*block as usize) else { continue };
            block.stage = Stage::Leaving;
            block.draft.keys().for_each(|key| self.live.take(key));
        }
    }

    /// The same after a crash: blocks that were announced and are there still.
    pub(super) fn announce_found(&mut self, runs: &[Run]) -> Result<(), Key> {
        let mut found = Vec::new();
        for Run { first, values } in runs {
            let end = Key { part: first.part.saturating_add(*values), ..*first };
            if *first < end {
                found.extend(self.order.range(*first..end).map(|(_, block)| *block));
            }
        }
        for id in &found {
            // What was given up holds nothing; otherwise something has been lost.
            match self.blocks.get(*id as usize) {
                Some(block) if block.live > 0 => return Err(block.draft.first),
                Some(_) | None => {}
            }
        }
        for id in &found {
            let Some(block) = self.blocks.get_mut(*id as usize) else { continue };
            match mem::replace(&mut block.stage, Stage::Leaving) {
                Stage::Needed => self.garbage_bytes += block.draft.bytes,
                Stage::Dead => {}
                // Named twice.
                Stage::Leaving => continue,
            }
            block.draft.keys().for_each(|key| self.live.take(key));
            self.leaving.push(*id);
        }
        let blocks = &self.blocks;
        self.dead.retain(|block| {
            blocks.get(*block as usize).is_some_and(|block| block.stage == Stage::Dead)
        });
        Ok(())
    }

    /// Queues that have ended stay so.
    pub(super) fn note_ended(&mut self, queue: Serial) {
        if self.ended.known.insert(queue) {
            self.ended.order.push_back(queue);
        }
        if self.ended.order.len() > ENDED_MAX
            && let Some(oldest) = self.ended.order.pop_front()
        {
            self.ended.known.remove(&oldest);
        }
    }

    /// Looks at so many blocks, round and round, for those that hold something which is not needed,
    /// or are the reason why control records are needed.
    pub(super) fn wasteful(&mut self, looks: usize) -> Vec<u32> {
        let from = self.cursor.map_or(Bound::Unbounded, Bound::Excluded);
        let after = self.order.range((from, Bound::Unbounded));
        let looked: Vec<(Key, u32)> = after
            .chain(&self.order)
            .take(looks.min(self.order.len()))
            .map(|(k, b)| (*k, *b))
            .collect();
        if let Some((last, _)) = looked.last() {
            self.cursor = Some(*last);
        }
        let is_wasteful = |id: &u32| {
            self.blocks.get(*id as usize).is_some_and(|block| {
                block.stage == Stage::Needed
                    && block.live > 0
                    && block.draft.pieces == 1
                    && (block.live < block.items || block.notes > 0 || !block.about.is_empty())
            })
        };
        looked.into_iter().map(|(_, id)| id).filter(is_wasteful).collect()
    }

    /// What all blocks take.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What live items take, about.
    pub(super) fn needed_bytes(&self) -> u64 {
        self.needed_bytes
    }

    /// What blocks take that nobody needs.
    pub(super) fn garbage_bytes(&self) -> u64 {
        self.garbage_bytes
    }

    /// Which values are to be there.
    pub(super) fn live(&self) -> Summary {
        self.live
    }

    /// The same without some blocks.
    pub(super) fn live_without(&self, blocks: &[u32]) -> Summary {
        let mut live = self.live;
        self.drafts(blocks).flat_map(Draft::keys).for_each(|key| live.take(key));
        live
    }

    pub(super) fn note_remnant(&mut self, key: Key) {
        self.remnants.push(key);
    }

    pub(super) fn remnants(&self) -> &[Key] {
        &self.remnants
    }

    /// Blocks that the last commit has announced.
    pub(super) fn leaving(&self) -> &[u32] {
        &self.leaving
    }

    pub(super) fn block_count(&self) -> usize {
        self.blocks.len()
    }

    /// Whether a value is to be there.
    pub(super) fn has_value(&self, key: Key) -> bool {
        let Some((_, id)) = self.order.range(..=key).next_back() else { return false };
        self.blocks.get(*id as usize).is_some_and(|block| {
            block.stage != Stage::Leaving && block.draft.keys().any(|of| of == key)
        })
    }

    /// The keys of all that is to be there.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> {
        let there = self.blocks.iter().filter(|(_, block)| block.stage != Stage::Leaving);
        there.flat_map(|(_, block)| block.draft.keys())
    }

    /// Where blocks are.
    pub(super) fn drafts(&self, blocks: &[u32]) -> impl Iterator<Item = Draft> {
        blocks.iter().filter_map(|block| self.draft(*block))
    }

    pub(super) fn draft(&self, block: u32) -> Option<Draft> {
        self.blocks.get(block as usize).map(|block| block.draft)
    }

    /// The block that begins with a value.
    pub(super) fn block_at(&self, first: Key) -> Option<u32> {
        self.order.get(&first).copied()
    }

    /// The block that an item is in.
    pub(super) fn block_of(&self, id: ItemId) -> Option<u32> {
        self.places.get(id)
    }

    /// The same for many, one after the other.
    pub(super) fn look(&self) -> Look<'_> {
        self.places.look()
    }

    /// What an item is known by in its block.
    pub(super) fn origin(&self, id: ItemId) -> ItemId {
        let altered = if self.altered.is_empty() { None } else { self.altered.get(&id) };
        let seq = altered.and_then(|altered| altered.origin).unwrap_or(id.seq);
        ItemId { seq, ..id }
    }

    /// What an item is known by now that has this place in its block, if it is live in there.
    pub(super) fn present(&self, block: u32, origin: ItemId) -> Option<ItemId> {
        let moved = if self.strays.is_empty() { None } else { self.strays.get(&(block, origin)) };
        let id = moved.copied().unwrap_or(origin);
        (self.places.get(id) == Some(block)).then_some(id)
    }

    /// The state that an item has got since it was told.
    pub(super) fn state(&self, id: ItemId) -> Option<Amendment> {
        if self.altered.is_empty() { None } else { self.altered.get(&id)?.state }
    }

    pub(super) fn has_queue(&self, queue: Serial) -> bool {
        self.places.has_queue(queue)
    }

    pub(super) fn has_ended(&self, queue: Serial) -> bool {
        !self.ended.known.is_empty() && self.ended.known.contains(&queue)
    }

    fn open(&mut self, draft: Draft) -> u32 {
        draft.keys().for_each(|key| self.live.add(key));
        self.bytes += draft.bytes;
        let id = self.blocks.insert(Block {
            draft,
            stage: Stage::Needed,
            is_pinned: false,
            items: 0,
            live: 0,
            share: 0,
            notes: 0,
            owed: 0,
            about: Vec::new(),
        });
        let id = u32::try_from(id).expect("there are fewer than 4 billion blocks");
        self.order.insert(draft.first, id);
        id
    }

    /// Says what the items of a block take, once all of them are in it.
    fn seal(&mut self, id: u32) {
        let Some(block) = self.blocks.get_mut(id as usize) else { return };
        if block.draft.kind == Kind::Control {
            return;
        }
        block.share = block.draft.bytes.checked_div(block.items.into()).unwrap_or_default();
        self.needed_bytes += block.share * u64::from(block.live);
    }

    /// An item is in a block now, and no more in a former one.
    fn add(&mut self, id: ItemId, to: u32, former: Option<u32>) {
        // Before the former one is lost, which may be in the same block.
        if let Some(block) = self.block_mut(to) {
            block.items += 1;
            block.live += 1;
        }
        if let Some(former) = former {
            self.write_anew(id, former);
            self.lose(former);
        }
    }

    /// What was told of an item stands with it now.
    fn write_anew(&mut self, id: ItemId, former: u32) {
        if self.altered_of(id, former).is_none() {
            return;
        }
        let Some(altered) = self.altered.get_mut(&id) else { return };
        let (control, origin) = (altered.control.take(), altered.origin.take());
        if let Some(seq) = origin {
            self.strays.remove(&(former, ItemId { seq, ..id }));
        }
        if let Some(control) = control {
            self.release(control, 1);
        }
    }

    fn end_queue(&mut self, queue: Serial, control: u32) {
        let mut places = mem::take(&mut self.places);
        places.remove_queue(queue, |id, block| self.end(id, block, control));
        self.places = places;
        self.note_ended(queue);
    }

    /// An item is gone, as a record in the control block says.
    fn end(&mut self, id: ItemId, block: u32, control: u32) {
        self.owe(block, control);
        if let Some(altered) = self.altered_of(id, block) {
            self.altered.remove(&id);
            if let Some(seq) = altered.origin {
                self.strays.remove(&(block, ItemId { seq, ..id }));
            }
            if let Some(control) = altered.control {
                self.release(control, 1);
            }
        }
        self.lose(block);
    }

    /// All at once, since one may take the place of another.
    fn move_all(&mut self, moved: &[(ItemId, u64, u32)], id: impl Fn(u32) -> u32) {
        let mut taken = Vec::with_capacity(moved.len());
        for (from, place, control) in moved {
            let Some(block) = self.places.remove(*from) else { continue };
            let altered = self.altered.remove(from);
            let origin = altered.and_then(|altered| altered.origin).unwrap_or(from.seq);
            self.strays.remove(&(block, ItemId { seq: origin, ..*from }));
            if let Some(block) = self.block_mut(block)
                && altered.is_none_or(|altered| altered.control.is_none())
                && altered.is_none_or(|altered| altered.origin.is_none())
            {
                block.notes += 1;
            }
            self.owe(block, id(*control));
            let altered = Altered { origin: Some(origin), ..altered.unwrap_or_default() };
            taken.push((*from, ItemId { seq: *place, ..*from }, block, altered));
        }
        for (from, to, block, altered) in taken {
            if let Some(former) = self.places.insert(to, block) {
                self.write_anew(to, former);
                self.lose(former);
            }
            let seq = altered.origin.unwrap_or(from.seq);
            self.strays.insert((block, ItemId { seq, ..from }), to);
            self.altered.insert(to, altered);
        }
    }

    fn amend(&mut self, id: ItemId, state: Amendment, control: u32) {
        let Some(block) = self.places.get(id) else { return };
        let altered = self.altered.entry(id).or_default();
        let is_noted = altered.control.is_some() || altered.origin.is_some();
        altered.state = Some(state);
        let former = altered.control.replace(control);
        if let Some(block) = self.block_mut(block)
            && !is_noted
        {
            block.notes += 1;
        }
        if let Some(block) = self.block_mut(control) {
            block.owed += 1;
        }
        if let Some(former) = former {
            self.release(former, 1);
        }
    }

    /// What is known of an item that leaves its block.
    fn altered_of(&mut self, id: ItemId, block: u32) -> Option<Altered> {
        if self.altered.is_empty() {
            return None;
        }
        let altered = *self.altered.get(&id)?;
        if (altered.control.is_some() || altered.origin.is_some())
            && let Some(block) = self.block_mut(block)
        {
            block.notes -= 1;
        }
        Some(altered)
    }

    /// A record in the control block is about an item of the block.
    fn owe(&mut self, block: u32, control: u32) {
        if let Some(block) = self.block_mut(control) {
            block.owed += 1;
        }
        if let Some(block) = self.block_mut(block) {
            match block.about.last_mut() {
                Some((last, records)) if *last == control => *records += 1,
                _ => block.about.push((control, 1)),
            }
        }
    }

    fn lose(&mut self, id: u32) {
        let Some(block) = self.blocks.get_mut(id as usize) else { return };
        block.live -= 1;
        self.needed_bytes = self.needed_bytes.saturating_sub(block.share);
        if block.live == 0 {
            self.bury(id);
        }
    }

    fn release(&mut self, control: u32, records: u32) {
        let Some(block) = self.block_mut(control) else { return };
        block.owed -= records;
        if block.owed == 0 {
            self.bury(control);
        }
    }

    /// Lets a block go if nobody needs it.
    fn bury(&mut self, id: u32) {
        let Some(block) = self.blocks.get_mut(id as usize) else { return };
        if block.stage == Stage::Needed && !block.is_pinned && block.live + block.owed == 0 {
            block.stage = Stage::Dead;
            self.garbage_bytes += block.draft.bytes;
            self.dead.push_back(id);
        }
    }

    /// A block is not there any more.
    fn forget(&mut self, id: u32) {
        let Some(block) = self.blocks.try_remove(id as usize) else { return };
        self.order.remove(&block.draft.first);
        self.bytes -= block.draft.bytes;
        self.garbage_bytes -= block.draft.bytes;
        for (control, records) in block.about {
            self.release(control, records);
        }
    }

    fn block_mut(&mut self, id: u32) -> Option<&mut Block> {
        self.blocks.get_mut(id as usize)
    }
}

impl Draft {
    /// The keys of its values.
    pub(super) fn keys(self) -> impl Iterator<Item = Key> {
        let Key { group, part } = self.first;
        (part..part.saturating_add(self.pieces)).map(move |part| Key { group, part })
    }
}

/// Whether news of one more item can be kept.
pub(super) fn has_room(early: &EarlyNews) -> bool {
    early.len() < EARLY_MAX
}
