//! What has gathered: groups, one after the other.

use std::{mem, ops::Range, slice};

use bytes::Bytes;

use super::{
    bodies::Bodies,
    codec::{self, Entry, Frequent, Malformed},
    position::Position,
    record::{Amendment, ItemId, Serial},
    told::{IS_APART, Place, Told, Weight},
};
use crate::{Message, message::Label};

/// Groups of one note are put together up to so many bytes.
const TOGETHER_BYTES_MAX: u64 = 64 * 1_024;

/// What a short note has.
const SHORT_NOTE_BYTES: usize = 128;

/// Memory for more than that is not kept once it is of no use.
const NOTE_BYTES_KEPT_MAX: usize = 2 * 1_024 * 1_024;
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
    body: Option<&'b Bytes>,
}

/// What a message is, taken out of a batch to be read later.
#[derive(Debug)]
pub(super) struct Excerpt {
    start: Vec<u8>,
    body: Option<Bytes>,
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

    /// The groups from a number on, each with what it was told.
    pub(super) fn groups_from(
        &self,
        first: usize,
    ) -> impl DoubleEndedIterator<Item = (&Group, Notes<'_>)> {
        self.groups.iter().enumerate().skip(first).map(|(at, group)| {
            let (rest, bodies) = self.told.part(self.start_of(at)..group.end);
            (group, Notes { rest, bodies: bodies.iter(), content: Content::default() })
        })
    }

    /// A message that was told in the groups from a number on, none of which tells of a move.
    pub(super) fn find(&self, first: usize, sought: ItemId) -> Option<Content<'_>> {
        self.groups_from(first).flat_map(|(_, notes)| notes).find_map(|note| match note {
            Note::Message { id, content, .. } if id == sought => Some(content),
            _ => None,
        })
    }

    /// A message as it was told last in the groups from a number on. If it has moved since, this
    /// says what it was called then.
    pub(super) fn find_back(&self, first: usize, sought: &mut ItemId) -> Option<Content<'_>> {
        for (_, notes) in self.groups_from(first).rev() {
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

    /// Takes out the long bodies of some groups, which are of no use any more.
    pub(super) fn take_bodies(&mut self, groups: Range<usize>) -> Bodies {
        let places = self.start_of(groups.start)..self.start_of(groups.end);
        self.told.take_bodies(places)
    }

    /// Takes out the groups before a number, and notes of the others that are no messages.
    pub(super) fn retain(&mut self, first: usize, is_left: impl Fn(&Note<'_>) -> bool) {
        let is_whole = |(_, mut notes): (_, Notes<'_>)| notes.all(|note| is_left(&note));
        if first == 0 && self.groups_from(first).all(is_whole) {
            return;
        }
        let mut left = self.emptied();
        for (group, mut notes) in self.groups_from(first) {
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
        let mut ordered = self.emptied();
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

    /// How long all notes are together.
    pub(super) fn note_bytes(&self) -> usize {
        self.told.end().notes
    }

    pub(super) fn bytes(&self) -> u64 {
        self.groups.iter().map(|group| group.bytes).sum()
    }

    /// Whether it says of messages that they have moved.
    pub(super) fn has_moved(&self) -> bool {
        self.told.has_moved()
    }

    pub(super) fn clear(&mut self) {
        self.told.clear(NOTE_BYTES_KEPT_MAX);
        self.groups.clear();
        self.groups.shrink_to(GROUPS_KEPT_MAX);
    }

    /// An empty one, for what is copied of this one.
    fn emptied(&self) -> Self {
        Self { told: self.told.empty(), ..Self::behind(self.last) }
    }

    /// Where the notes of a group begin.
    fn start_of(&self, at: usize) -> Place {
        let former = at.checked_sub(1).and_then(|at| self.groups.get(at));
        former.map_or_else(Place::default, |former| former.end)
    }
}

impl Group {
    /// Where the one before it is, at the latest: places that nothing was told at count to it.
    pub(super) fn before(&self) -> Position {
        Position(self.first.0 - 1)
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
        Self { record: bytes, head_bytes: 0, body: None }
    }

    /// Writes it behind something that says where it is.
    #[inline]
    pub(super) fn put(self, to: &mut Vec<u8>) {
        to.extend_from_slice(self.start());
        self.put_body(to);
    }

    /// Writes it as it was told, with where it is.
    #[inline]
    pub(super) fn put_as_told(self, to: &mut Vec<u8>) {
        to.extend_from_slice(self.record);
        self.put_body(to);
    }

    /// Takes it out. A body that is apart is shared, others are short.
    pub(super) fn excerpt(self) -> Excerpt {
        Excerpt { start: self.start().to_vec(), body: self.body.cloned() }
    }

    #[inline]
    fn put_body(self, to: &mut Vec<u8>) {
        if let Some(body) = self.body {
            to.extend_from_slice(body);
        }
    }

    fn start(self) -> &'b [u8] {
        self.record.get(self.head_bytes..).unwrap_or_default()
    }
}

impl Excerpt {
    pub(super) fn message(self) -> Result<Message, Malformed> {
        codec::read_message(&self.start, self.body, &mut Label::default())
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
            let body = if bytes & IS_APART == 0 { None } else { Some(self.bodies.next()?) };
            self.note(record, body)
        });
        let note = note.expect("this process has written it");
        let bytes = before.get(..before.len() - self.rest.len())?;
        Some((bytes, note))
    }

    #[inline]
    fn note(&mut self, record: &'b [u8], body: Option<&'b Bytes>) -> Option<Note<'b>> {
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
