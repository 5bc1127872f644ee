//! What a store is told at once, as bytes.
//!
//! Whoever tells writes it down as it will be on disk. So the thread that writes gets all of it in
//! one piece, and messages stay with those who use them.
//!
//! ```text
//! note    bytes u32 | record, as in `codec`; a message has one head
//! ```
//!
//! A message without any content has that of the last one before it. A long body is not copied: the
//! highest bit of the number of bytes says that it is the next one of those that go beside.

use std::{mem, ops::Range};

use bytes::Bytes;

use super::{
    bodies::Bodies,
    codec::{self, count},
    record::{Amendment, Entity, ItemId, Record, Serial},
    sabotage,
};
use crate::Message;

/// What a note counts for beside the message in it.
const NOTE_BYTES: u64 = 32;

/// A body of so many bytes or more is shared with whoever else has it.
const LONG_BODY_BYTES: usize = 4 * 1_024;

/// Memory for more bodies is not kept once they have gone.
const BODIES_KEPT_MAX: usize = 1_024;

/// Says that the body of a message is apart.
pub(super) const IS_APART: u32 = 1 << 31;

/// What is told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    notes: Vec<u8>,
    bodies: Bodies,
    /// Whether it says of messages that they have moved.
    has_moved: bool,
    /// What was told since this was begun.
    weight: Weight,
}

/// What something comes to that is told at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weight {
    /// What it counts for until it is durable.
    pub(super) bytes: u64,
    /// Whether somebody may wait for it.
    pub(super) is_urgent: bool,
    pub(super) notes: u32,
}

/// How much was told: notes and long bodies.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub(super) notes: usize,
    bodies: usize,
}

impl Told {
    pub(crate) const fn new() -> Self {
        let weight = Weight { bytes: 0, is_urgent: false, notes: 0 };
        Self { notes: Vec::new(), bodies: Bodies::new(), has_moved: false, weight }
    }

    /// A message has come into a queue.
    pub(crate) fn message(&mut self, id: ItemId, state: Amendment, message: &Message) {
        self.weight.is_urgent = true;
        self.weight.bytes += u64::from(message.bytes());
        if message.body().len() < LONG_BODY_BYTES {
            self.note(0, |notes| codec::put_single(id, state, message, notes));
        } else {
            self.note(IS_APART, |notes| codec::put_start(&[(id, state)], message, notes));
            self.bodies.push(message.body().clone());
        }
    }

    /// So has the message that was told of last, which is this one, in a further queue.
    pub(crate) fn joined(&mut self, id: ItemId, state: Amendment, message: &Message) {
        self.weight.bytes += u64::from(message.bytes());
        self.note(0, |notes| codec::put_heads(&[(id, state)], notes));
    }

    /// An item is gone.
    pub(crate) fn settled(&mut self, id: ItemId) {
        if sabotage::takes_in_settlement() {
            self.note(0, |notes| codec::put_settled(&[id], notes));
        }
    }

    /// Something has become of a message that stays.
    pub(crate) fn amended(&mut self, id: ItemId, state: Amendment) {
        self.note(0, |notes| codec::put_amended(id, state, notes));
    }

    /// A message has got another place in its queue.
    pub(crate) fn moved(&mut self, id: ItemId, place: u64) {
        self.has_moved = true;
        self.note(0, |notes| codec::put_moved(id, place, notes));
    }

    /// All of it, in order.
    pub(crate) fn records<'r>(&mut self, records: impl IntoIterator<Item = &'r Record>) {
        let mut last: Option<&Message> = None;
        for record in records {
            match record {
                Record::Entity(serial, entity) => self.entity(*serial, entity),
                Record::Message(told) => {
                    let (id, state, message) = (told.id, told.state, &told.message);
                    match last.replace(message) {
                        Some(last) if last.is_same(message) => self.joined(id, state, message),
                        _ => self.message(id, state, message),
                    }
                }
                Record::Settled(id) => self.settled(*id),
                Record::Amended(id, state) => self.amended(*id, *state),
                Record::Moved(id, place) => self.moved(*id, *place),
                Record::QueueEnded(queue) => self.ended(*queue),
            }
        }
    }

    /// Whether it is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    /// Forgets it, and keeps so many bytes of memory.
    pub(crate) fn clear(&mut self, bytes_kept_max: usize) {
        self.notes.clear();
        self.notes.shrink_to(bytes_kept_max);
        self.bodies.clear(BODIES_KEPT_MAX);
        self.has_moved = false;
        self.begin();
    }

    /// Whether it says of messages that they have moved.
    pub(super) fn has_moved(&self) -> bool {
        self.has_moved
    }

    /// Something is told from now on.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.weight = Weight::default();
    }

    /// What it comes to.
    #[inline]
    pub(super) fn weight(&self) -> Weight {
        self.weight
    }

    #[inline]
    pub(super) fn end(&self) -> Place {
        Place { notes: self.notes.len(), bodies: self.bodies.len() }
    }

    /// What was told between two places.
    #[inline]
    pub(super) fn part(&self, Range { start, end }: Range<Place>) -> (&[u8], &[Bytes]) {
        let notes = self.notes.get(start.notes..end.notes).unwrap_or_default();
        (notes, self.bodies.part(start.bodies..end.bodies))
    }

    /// Adds all of another one, and empties that.
    pub(super) fn append(&mut self, other: &mut Self) {
        self.notes.append(&mut other.notes);
        self.bodies.append(&mut other.bodies);
        self.has_moved |= mem::take(&mut other.has_moved);
        self.weight.bytes += other.weight.bytes;
        self.weight.is_urgent |= other.weight.is_urgent;
        self.weight.notes = self.weight.notes.saturating_add(other.weight.notes);
    }

    /// An empty one, for what is copied of this one.
    pub(super) fn empty(&self) -> Self {
        Self { has_moved: self.has_moved, ..Self::new() }
    }

    /// Adds what was told elsewhere.
    pub(super) fn copy(&mut self, notes: &[u8], bodies: &[Bytes]) {
        self.notes.extend_from_slice(notes);
        self.bodies.extend(bodies);
    }

    /// Takes out the long bodies between two places, and leaves empty ones.
    pub(super) fn take_bodies(&mut self, Range { start, end }: Range<Place>) -> Bodies {
        self.bodies.take(start.bodies..end.bodies)
    }

    fn entity(&mut self, serial: Serial, entity: &Entity) {
        self.weight.is_urgent = true;
        self.note(0, |notes| codec::put_entity(serial, entity, notes));
    }

    fn ended(&mut self, queue: Serial) {
        self.weight.is_urgent = true;
        self.note(0, |notes| codec::put_ended(queue, notes));
    }

    #[inline]
    fn note(&mut self, mark: u32, put: impl FnOnce(&mut Vec<u8>)) {
        let start = self.notes.len();
        self.notes.extend_from_slice(&[0; 4]);
        put(&mut self.notes);
        let bytes = count(self.notes.len() - start - 4) | mark;
        if let Some(place) = self.notes.get_mut(start..start + 4) {
            place.copy_from_slice(&bytes.to_le_bytes());
        }
        self.weight.bytes += NOTE_BYTES;
        self.weight.notes = self.weight.notes.saturating_add(1);
    }
}

impl Place {
    /// The same behind something else.
    pub(super) fn behind(self, start: Self) -> Self {
        Self { notes: self.notes + start.notes, bodies: self.bodies + start.bodies }
    }
}
