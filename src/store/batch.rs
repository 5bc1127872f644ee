//! What has gathered: groups, one after the other.

use std::{collections::HashSet, mem, slice};

use bytes::Bytes;
use foldhash::fast::RandomState;

use super::{
    codec::{self, Entry, Frequent, Malformed},
    ledger::Changes,
    plan::Commit,
    position::Position,
    record::{Amendment, ItemId, Serial},
    told::{IS_APART, Place, Told, Weight},
};
use crate::{Message, message::Label};

/// Groups of one note are put together up to so many bytes.
const TOGETHER_BYTES_MAX: u64 = 64 * 1_024;

/// What a short note has.
const SHORT_NOTE_BYTES: usize = 128;

/// More groups than that are not kept once they are of no use.
const GROUPS_KEPT_MAX: usize = 16 * 1_024;

/// Groups in the order in which they were told.
#[derive(Debug, Default)]
pub(super) struct Batch {
    told: Told,
    pub(super) groups: Vec<Group>,
    /// Of the last group; of the one before the first, if there is none.
    pub(super) last: Position,
}

/// What was told at once, or several groups of one note each that were told one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    /// Where its notes and long bodies end in the batch; those of the next one begin there.
    end: Place,
    /// What it counts for.
    pub(super) bytes: u64,
    first: Position,
    last: Position,
    pub(super) unity: Unity,
}

/// What is written as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unity {
    All,
    EachNote,
}

/// One thing that was told.
#[derive(Clone, Copy, Debug)]
pub(super) enum Note<'b> {
    Entity(Serial, Content<'b>),
    Message {
        id: ItemId,
        state: Amendment,
        content: Content<'b>,
        /// Whether it has the content of the one before, in a further place.
        is_joined: bool,
    },
    Settled(ItemId),
    Amended(ItemId, Amendment),
    Moved(ItemId, u64),
    Ended(Serial),
}

/// What an item is, as it will be on disk.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Content<'b> {
    /// How a message was told, with so many bytes that say where it is; otherwise there are none.
    record: &'b [u8],
    head_bytes: usize,
    /// The body of a message, if it is apart.
    body: &'b [u8],
}

/// The notes of one group.
#[derive(Debug)]
pub(super) struct Notes<'b> {
    rest: &'b [u8],
    bodies: slice::Iter<'b, Bytes>,
    /// Of the last message.
    content: Content<'b>,
}

impl Batch {
    /// An empty one.
    pub(super) fn behind(last: Position) -> Self {
        Self { last, ..Self::default() }
    }

    /// Adds a group, and says what it comes to.
    #[inline]
    pub(super) fn add(&mut self, position: Position, tell: impl FnOnce(&mut Told)) -> Weight {
        self.told.begin();
        tell(&mut self.told);
        let weight = self.told.weight();
        let (end, bytes) = (self.told.end(), weight.bytes);
        let unity = if weight.notes == 1 { Unity::EachNote } else { Unity::All };
        match self.groups.last_mut() {
            Some(group)
                if (group.unity, unity) == (Unity::EachNote, Unity::EachNote)
                    && group.last.next() == position
                    && group.bytes < TOGETHER_BYTES_MAX =>
            {
                (group.end, group.last) = (end, position);
                group.bytes += bytes;
            }
            _ => self.groups.push(Group { end, bytes, first: position, last: position, unity }),
        }
        weight
    }

    /// The groups, each with what it was told.
    pub(super) fn groups(&self) -> impl DoubleEndedIterator<Item = (&Group, Notes<'_>)> {
        self.groups.iter().enumerate().map(|(at, group)| {
            let (rest, bodies) = self.told.part(self.start_of(at)..group.end);
            (group, Notes { rest, bodies: bodies.iter(), content: Content::default() })
        })
    }

    /// A message that was told, as it was told last.
    pub(super) fn find(&self, sought: &mut ItemId) -> Option<Content<'_>> {
        for (_, notes) in self.groups().rev() {
            let notes: Vec<Note<'_>> = notes.collect();
            for note in notes.into_iter().rev() {
                match note {
                    Note::Message { id, content, .. } if id == *sought => return Some(content),
                    Note::Moved(from, place) if ItemId { seq: place, ..from } == *sought => {
                        *sought = from;
                    }
                    _ => {}
                }
            }
        }
        None
    }

    /// Adds another one, and gives back one that is of use no more.
    pub(super) fn join(&mut self, mut other: Self) -> Self {
        if self.groups.is_empty() {
            return mem::replace(self, other);
        }
        let start = self.told.end();
        self.told.append(&mut other.told);
        let groups = other.groups.drain(..);
        self.groups.extend(groups.map(|group| Group { end: group.end.behind(start), ..group }));
        self.last = other.last;
        other
    }

    /// Where the last of the first groups is: all up to there was told in them.
    pub(super) fn last_of(&self, groups: usize) -> Position {
        // They are in the order of their places, some of which nothing was told at.
        let next = self.groups.get(groups);
        next.map_or(self.last, |group| Position(group.first.0 - 1))
    }

    /// Takes the first groups out.
    pub(super) fn split(&mut self, groups: usize) -> Self {
        let last = self.last_of(groups);
        if groups == self.groups.len() {
            return mem::replace(self, Self::behind(last));
        }
        let start = self.start_of(groups);
        let rest = self.told.split_off(start);
        let left = self.groups.split_off(groups);
        let left = left.into_iter().map(|group| Group { end: group.end.since(start), ..group });
        let rest = Self { told: rest, groups: left.collect(), last: self.last };
        Self { last, ..mem::replace(self, rest) }
    }

    /// Takes out what a commit has written of it, and what has no sense after that. It has written
    /// nothing of groups that add something.
    pub(super) fn strip(&mut self, commit: &Commit) {
        let Some(Changes { ended, settled, .. }) = &commit.changes else { return };
        let ended: HashSet<Serial, RandomState> = ended.iter().map(|(queue, _)| *queue).collect();
        let settled: HashSet<ItemId, RandomState> = settled.iter().map(|(id, _)| *id).collect();
        let is_over = |id: &ItemId| settled.contains(id) || ended.contains(&id.queue);
        let is_left = |note: &Note<'_>| match note {
            Note::Amended(id, _) | Note::Moved(id, _) | Note::Settled(id) => !is_over(id),
            Note::Ended(queue) => !ended.contains(queue),
            Note::Entity(..) | Note::Message { .. } => true,
        };
        let mut left = Self::behind(self.last);
        for (group, mut notes) in self.groups() {
            // Of messages, which are all left.
            left.told.copy(&[], notes.bodies());
            while let Some((bytes, note)) = notes.next_with_bytes() {
                if is_left(&note) {
                    left.told.copy(bytes, &[]);
                }
            }
            left.groups.push(Group { end: left.told.end(), ..*group });
        }
        *self = left;
    }

    /// Puts groups in the order of their places. Those that had a slot came in later than they
    /// began.
    pub(super) fn put_in_order(&mut self) {
        if self.groups.is_sorted_by_key(|group| group.first) {
            return;
        }
        let mut ordered = Self::behind(self.last);
        let mut places: Vec<usize> = (0..self.groups.len()).collect();
        places.sort_unstable_by_key(|at| self.groups.get(*at).map(|group| group.first));
        for at in places {
            let Some(group) = self.groups.get(at) else { continue };
            let (notes, bodies) = self.told.part(self.start_of(at)..group.end);
            ordered.told.copy(notes, bodies);
            ordered.groups.push(Group { end: ordered.told.end(), ..*group });
        }
        *self = ordered;
    }

    /// How many notes there are, at least if they are short.
    pub(super) fn notes_min(&self) -> usize {
        self.told.end().notes / SHORT_NOTE_BYTES
    }

    pub(super) fn bytes(&self) -> u64 {
        self.groups.iter().map(|group| group.bytes).sum()
    }

    /// Empties it. Bodies are dropped, whose destructors are other people's code.
    pub(super) fn clear(&mut self) {
        self.told.clear();
        self.groups.clear();
        self.groups.shrink_to(GROUPS_KEPT_MAX);
    }

    /// Where the notes of a group begin.
    fn start_of(&self, at: usize) -> Place {
        let former = at.checked_sub(1).and_then(|at| self.groups.get(at));
        former.map_or_else(Place::default, |former| former.end)
    }
}

impl Note<'_> {
    /// Whether it adds an item.
    pub(super) fn adds(&self) -> bool {
        matches!(self, Self::Message { .. } | Self::Entity(..))
    }
}

impl<'b> Content<'b> {
    /// As it was read.
    pub(super) fn of(bytes: &'b [u8]) -> Self {
        Self { record: bytes, head_bytes: 0, body: &[] }
    }

    /// Writes it behind something that says where it is.
    #[inline]
    pub(super) fn put(self, to: &mut Vec<u8>) {
        to.extend_from_slice(self.start());
        to.extend_from_slice(self.body);
    }

    /// Writes it as it was told, with where it is.
    #[inline]
    pub(super) fn put_as_told(self, to: &mut Vec<u8>) {
        to.extend_from_slice(self.record);
        if !self.body.is_empty() {
            to.extend_from_slice(self.body);
        }
    }

    /// That of a message.
    pub(super) fn message(self) -> Result<Message, Malformed> {
        codec::read_message(self.start(), self.body, &mut Label::default())
    }

    fn start(self) -> &'b [u8] {
        self.record.get(self.head_bytes..).unwrap_or_default()
    }
}

impl<'b> Notes<'b> {
    /// Long bodies of messages that follow.
    fn bodies(&self) -> &'b [Bytes] {
        self.bodies.as_slice()
    }

    /// The next note, also as the bytes that it is in.
    #[inline]
    fn next_with_bytes(&mut self) -> Option<(&'b [u8], Note<'b>)> {
        let before = self.rest;
        let (bytes, rest) = before.split_first_chunk()?;
        let bytes = u32::from_le_bytes(*bytes);
        let note = rest.get(..(bytes & !IS_APART) as usize).and_then(|record| {
            self.rest = rest.get(record.len()..)?;
            let body = if bytes & IS_APART == 0 { &[] } else { self.bodies.next()?.as_ref() };
            self.note(record, body)
        });
        let note = note.expect("this process has written it");
        let bytes = before.get(..before.len() - self.rest.len())?;
        Some((bytes, note))
    }

    #[inline]
    fn note(&mut self, record: &'b [u8], body: &'b [u8]) -> Option<Note<'b>> {
        match codec::frequent(record) {
            Frequent::Message { id, state, head_bytes } => {
                let is_joined = record.len() == head_bytes;
                if !is_joined {
                    self.content = Content { record, head_bytes, body };
                }
                return Some(Note::Message { id, state, content: self.content, is_joined });
            }
            Frequent::Settled(id) => return Some(Note::Settled(id)),
            Frequent::Nothing => {}
        }
        Some(match codec::entry(record).ok()? {
            Entry::Entity(serial, bytes) => Note::Entity(serial, Content::of(bytes.0)),
            Entry::Amended(id, state) => Note::Amended(id, state),
            Entry::Moved(id, place) => Note::Moved(id, place),
            Entry::Ended(queue) => Note::Ended(queue),
            Entry::Settled(_) | Entry::Leaving(_) | Entry::Message(_) => return None,
        })
    }
}

impl<'b> Iterator for Notes<'b> {
    type Item = Note<'b>;

    #[inline]
    fn next(&mut self) -> Option<Note<'b>> {
        self.next_with_bytes().map(|(_, note)| note)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::Index};

    use super::*;
    use crate::store::record::{MessageRecord, Record};

    /// What a group is told: of each message how long its body is and in how many places it is, and
    /// of how many items that they are gone.
    type Group = (Vec<(usize, usize)>, usize);

    fn group() -> impl Strategy<Value = Group> {
        let bytes = prop_oneof![0_usize..100, 4_000_usize..4_200];
        (vec((bytes, 1_usize..4), 0..3), 0_usize..3)
    }

    /// The records of a group, the ids of which are its own.
    fn records(at: u64, (messages, gone): &Group) -> Vec<Record> {
        let mut seqs = (at * 100..).map(|seq| ItemId { queue: 1, seq });
        let mut records = Vec::new();
        for (bytes, places) in messages {
            let message = Message::new(vec![1; *bytes]);
            for id in seqs.by_ref().take(*places) {
                let (state, message) = (Amendment::default(), message.clone());
                records.push(Record::Message(MessageRecord { id, state, message }));
            }
        }
        records.extend(seqs.take(*gone).map(Record::Settled));
        records
    }

    fn add(batch: &mut Batch, at: u64, group: &Group) {
        let records = records(at, group);
        batch.add(Position(at), |told| told.records(&records));
    }

    /// What was told, with how long each body is.
    fn told(batch: &Batch) -> Vec<(ItemId, Option<usize>)> {
        let notes = batch.groups().flat_map(|(_, notes)| notes);
        let told = notes.map(|note| match note {
            Note::Message { id, content, .. } => {
                (id, Some(content.message().unwrap().body().len()))
            }
            Note::Settled(id) => (id, None),
            _ => panic!("nobody told of anything else"),
        });
        told.collect()
    }

    fn expected(groups: &[Group], range: std::ops::Range<u64>) -> Vec<(ItemId, Option<usize>)> {
        let groups = (1..).zip(groups).filter(|(at, _)| range.contains(at));
        let told = groups.flat_map(|(at, group)| records(at, group)).map(|record| match record {
            Record::Message(told) => (told.id, Some(told.message.body().len())),
            Record::Settled(id) => (id, None),
            _ => panic!("nobody told of anything else"),
        });
        told.collect()
    }

    proptest! {
        #[test]
        fn groups_are_taken_in_the_order_of_their_places(
            groups in vec(group(), 1..20),
            late in vec(any::<Index>(), 0..4),
            cut in any::<Index>(),
            share in any::<Index>(),
        ) {
            let end = groups.len() as u64 + 1;
            // Told in two batches, in each of which some come late.
            let middle = 1 + cut.index(groups.len()) as u64;
            let mut batches = [1..middle, middle..end].map(|range| {
                let mut batch = Batch::behind(Position(range.end - 1));
                let its = (1..).zip(&groups).filter(|(at, _)| range.contains(at));
                let mut order: Vec<(u64, &Group)> = its.collect();
                for late in &late {
                    if !order.is_empty() {
                        let one = order.remove(late.index(order.len()));
                        order.push(one);
                    }
                }
                for (at, group) in order {
                    add(&mut batch, at, group);
                }
                batch.put_in_order();
                batch
            });
            let [first, second] = &mut batches;
            let bytes = first.bytes() + second.bytes();
            first.join(mem::take(second));
            prop_assert_eq!(first.last, Position(end - 1));
            prop_assert_eq!(first.bytes(), bytes);
            prop_assert_eq!(told(first), expected(&groups, 1..end));
            for (id, body) in expected(&groups, 1..end) {
                let found = first.find(&mut id.clone());
                let found = found.map(|content| content.message().unwrap().body().len());
                prop_assert_eq!(found, body);
            }
            let share = share.index(first.groups.len() + 1);
            let last = first.last_of(share);
            let taken = first.split(share);
            prop_assert_eq!(taken.last, last);
            prop_assert_eq!(told(&taken), expected(&groups, 1..last.0 + 1));
            prop_assert_eq!(told(first), expected(&groups, last.0 + 1..end));
        }
    }

    #[test]
    fn a_message_that_has_moved_is_found_under_its_last_place() {
        let id = |seq| ItemId { queue: 1, seq };
        let mut batch = Batch::default();
        let message = Message::new("a");
        batch.add(Position(1), |told| told.message(id(1), Amendment::default(), &message));
        batch.add(Position(2), |told| told.moved(id(1), 5));
        batch.add(Position(3), |told| told.moved(id(5), 2));
        let found = batch.find(&mut id(2)).unwrap();
        assert_eq!(found.message().unwrap(), message);
    }

    #[test]
    fn of_one_that_was_written_before_it_moved_it_is_known_where_it_was() {
        let id = |seq| ItemId { queue: 1, seq };
        let mut batch = Batch::default();
        batch.add(Position(1), |told| told.moved(id(1), 5));
        batch.add(Position(2), |told| told.moved(id(5), 2));
        let mut sought = id(2);
        assert!(batch.find(&mut sought).is_none());
        assert_eq!(sought, id(1));
    }
}
