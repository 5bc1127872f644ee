//! Reads what a store has written.
//!
//! The commits that are found are played into an empty ledger, in their order. The last one counts
//! if all its values are there and whole; otherwise it was interrupted, and is cut off: nobody was
//! told that it is durable. What is there then must be what the last whole commit says, and what
//! has been noted as durable must be among it. Everything else is damage.
//!
//! Reading changes nothing. What was cut off is taken away with the next commit, which has the same
//! number and tells its own values from those by their attempt. So reading again, after a crash at
//! any time, finds the same.
//!
//! A group that was noted stays durable, also under a session that syncs nothing: it was synced.
//! Such a session notes nothing, and a power cut may take all that it wrote, yet nothing before.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    ops::Range,
};

use super::{
    StoreError,
    codec::{self, Entry, Malformed, Run, Stored, VERSION},
    engine::{Each, Engine, EngineError, Key},
    ledger::{Changes, Ledger},
    part::{self, CommitHead, Draft, Frames, Head, Unreadable},
    places::Places,
    reading::{self, EachCommit, Gathered},
    record::{
        ENTITIES, Entity, ItemId, Outline, Recovered, RecoveredBody, RecoveredMessage, Serial,
    },
};
use crate::{Message, message::Label};

/// What was found.
pub(super) struct Found {
    pub(super) ledger: Ledger,
    /// Values that belong to no commit.
    pub(super) stale: Vec<Key>,
    pub(super) recovered: Recovered,
}

/// Reads all of an engine. Bodies are kept up to so many bytes.
pub(super) fn recover(
    engine: &dyn Engine,
    noted: u64,
    resident_bytes: u64,
) -> Result<Found, StoreError> {
    let mut recovery = Recovery { resident_bytes, ..Recovery::default() };
    recovery.read(|each| reading::read_ahead(engine, each))?;
    recovery.finish(noted)
}

/// What could be read of values that are not all there.
pub(super) struct Gleanings {
    pub(super) found: Found,
    /// What is wrong, value by value.
    pub(super) faults: Vec<(Key, Malformed)>,
    /// The first values that long records had of which something is missing.
    pub(super) cut_longs: BTreeSet<Key>,
}

/// Takes what values say of which any may be missing, changed or needed no more. The newest says
/// what became of an item; what commits say of one another is not looked at. No body is kept.
pub(super) fn glean(
    scan: impl FnOnce(Each<'_>) -> Result<(), EngineError>,
) -> Result<Gleanings, StoreError> {
    let mut recovery = Recovery::default();
    recovery.read(|each| reading::by_commit(scan, each))?;
    recovery.play_last();
    if let Some(error) = recovery.error.take() {
        return Err(error);
    }
    let faults = mem::take(&mut recovery.faults);
    let cut_longs = mem::take(&mut recovery.cut_longs);
    Ok(Gleanings { found: recovery.found(WasCut::No), faults, cut_longs })
}

/// Shows the messages once more that are in values, with the first value of their block.
pub(super) fn messages(
    scan: impl FnOnce(Each<'_>) -> Result<(), EngineError>,
    each: &mut dyn FnMut(Key, Stored<'_>) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    reading::by_commit(scan, &mut |gathered| {
        let mut longs = Vec::new();
        let commit = Commit::read(&gathered.values, &gathered.buffer, &mut longs);
        commit.messages.iter().try_for_each(|(key, stored)| each(*key, *stored))
    })
}

/// Whether the last commit was incomplete.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WasCut {
    No,
    Yes,
}

#[derive(Default)]
struct Recovery {
    ledger: Ledger,
    /// Where each live message is in the list.
    places: Places,
    /// Those that have gone are in the queue of entities.
    messages: Vec<RecoveredMessage>,
    entities: BTreeMap<Serial, Entity>,
    /// What bodies may still take.
    resident_bytes: u64,
    /// The last address, which the next message often has.
    label: Label,
    /// The last commit that was read. It is played when there is another one, or all is read.
    gathered: Gathered,
    /// The last commit that was played, and what it says.
    played: u64,
    head: Option<CommitHead>,
    leaving: Vec<Run>,
    stale: Vec<Key>,
    /// What is wrong, until it is known whether it matters: less than there are values.
    faults: Vec<(Key, Malformed)>,
    cut_longs: BTreeSet<Key>,
    error: Option<StoreError>,
}

/// What the values of one commit say.
#[derive(Default)]
struct Commit<'v> {
    attempt: Option<u64>,
    /// The last attempt of which there is anything.
    last_attempt: u64,
    head: Option<CommitHead>,
    changes: Changes,
    leaving: Vec<Run>,
    messages: Vec<(Key, Stored<'v>)>,
    entities: Vec<(Serial, Entity)>,
    /// Which values are there and whole.
    read: u32,
    stale: Vec<Key>,
    faults: Vec<(Key, Malformed)>,
    /// The first values of long records of which something is missing.
    cut_longs: BTreeSet<Key>,
    newer: Option<u8>,
    /// The pieces of a long record so far: the draft, how many there were, and the payload.
    long: Option<(Draft, u32, Vec<u8>)>,
    /// Long records, taken apart once all of the commit is read.
    longs: Vec<(Draft, Vec<u8>)>,
}

impl Recovery {
    fn read(
        &mut self,
        scan: impl FnOnce(EachCommit<'_>) -> Result<(), EngineError>,
    ) -> Result<(), StoreError> {
        let scanned = scan(&mut |gathered| {
            mem::swap(&mut self.gathered, gathered);
            self.play_whole(gathered);
            // Whatever it is: it only ends the scan.
            self.error.as_ref().map_or(Ok(()), |_| Err(EngineError::Full))
        });
        match self.error.take() {
            Some(error) => Err(error),
            None => scanned.map_err(StoreError::Engine),
        }
    }

    /// Plays the commit that was read last.
    fn play_last(&mut self) {
        let gathered = mem::take(&mut self.gathered);
        self.play_whole(&gathered);
    }

    /// Plays a commit of which there is nothing more.
    fn play_whole(&mut self, gathered: &Gathered) {
        let mut longs = Vec::new();
        let commit = Commit::read(&gathered.values, &gathered.buffer, &mut longs);
        if let Some((key, _)) = gathered.values.first() {
            self.play(key.group, commit);
        }
    }

    fn play(&mut self, group: u64, commit: Commit<'_>) {
        if let Some(found) = commit.newer {
            self.error = Some(StoreError::Newer { found, known: VERSION });
            return;
        }
        self.faults.extend(commit.faults);
        self.cut_longs.extend(commit.cut_longs);
        self.stale.extend(commit.stale);
        (self.played, self.head) = (group, commit.head);
        self.leaving = commit.leaving;
        self.ledger.attempt = self.ledger.attempt.max(commit.last_attempt);
        let Changes { ended, settled, moved, amended, .. } = &commit.changes;
        for (queue, _) in ended {
            let mut gone = Vec::new();
            self.places.remove_queue(*queue, |_, at| gone.push(at));
            for at in gone {
                self.drop_message(at);
            }
        }
        for (id, _) in settled {
            self.settle(*id);
        }
        let taken: Vec<_> = moved
            .iter()
            .filter_map(|(from, place, _)| {
                Some((ItemId { seq: *place, ..*from }, self.places.remove(*from)?))
            })
            .collect();
        for (to, at) in taken {
            if let Some(message) = self.message_mut(at) {
                message.id = to;
            }
            if let Some(former) = self.places.insert(to, at) {
                self.drop_message(former);
            }
        }
        for (id, state, _) in amended {
            if let Some(message) = self.places.get(*id).and_then(|at| self.message_mut(at)) {
                message.set_state(*state);
            }
        }
        self.entities.extend(commit.entities);
        for (key, stored) in &commit.messages {
            self.add(*key, *stored);
        }
        self.ledger.apply(&commit.changes);
    }

    fn settle(&mut self, id: ItemId) {
        if id.queue == ENTITIES {
            self.entities.remove(&id.seq);
        } else if let Some(at) = self.places.remove(id) {
            self.drop_message(at);
        }
    }

    fn add(&mut self, key: Key, stored: Stored<'_>) {
        let mut first = None;
        for (id, state) in stored.heads() {
            if id.queue == ENTITIES {
                return self.faults.push((key, Malformed("a message among the entities")));
            }
            let message = match self.body(stored, &mut first) {
                Ok(message) => message,
                Err(malformed) => return self.faults.push((key, malformed)),
            };
            let at = codec::count(self.messages.len());
            let mut message = RecoveredMessage { id, known: None, message };
            message.set_state(state);
            self.messages.push(message);
            if let Some(former) = self.places.insert(id, at) {
                self.drop_message(former);
            }
        }
    }

    /// The message itself, as long as there is room for it. In all its places it is the same.
    fn body(
        &mut self,
        stored: Stored<'_>,
        first: &mut Option<Message>,
    ) -> Result<RecoveredBody, Malformed> {
        if stored.content.len() as u64 <= self.resident_bytes {
            let message = match first.take() {
                Some(message) => message,
                None => stored.message(&mut self.label)?,
            };
            let bytes = u64::from(message.bytes());
            if let Some(left) = self.resident_bytes.checked_sub(bytes) {
                self.resident_bytes = left;
                *first = Some(message.clone());
                return Ok(RecoveredBody::Resident(message));
            }
        }
        stored.outline(&mut self.label).map(RecoveredBody::OnDisk)
    }

    fn drop_message(&mut self, at: u32) {
        let Some(slot) = self.messages.get_mut(at as usize) else { return };
        slot.id.queue = ENTITIES;
        let gone = RecoveredBody::OnDisk(Outline::default());
        match mem::replace(&mut slot.message, gone) {
            RecoveredBody::Resident(message) => self.resident_bytes += u64::from(message.bytes()),
            RecoveredBody::OnDisk(_) => {}
        }
    }

    fn message_mut(&mut self, at: u32) -> Option<&mut RecoveredMessage> {
        self.messages.get_mut(at as usize)
    }

    /// Decides about the last commit, and checks that all is there.
    fn finish(mut self, noted: u64) -> Result<Found, StoreError> {
        let Gathered { values, buffer } = mem::take(&mut self.gathered);
        let mut was_cut = WasCut::No;
        if let Some((last, _)) = values.last() {
            let number = last.group;
            let mut longs = Vec::new();
            let commit = Commit::read(&values, &buffer, &mut longs);
            if commit.is_whole() || commit.newer.is_some() {
                self.play(number, commit);
                self.ledger.number = number;
            } else if number <= noted {
                return Err(commit.missing(number));
            } else {
                was_cut = WasCut::Yes;
                self.ledger.attempt = self.ledger.attempt.max(commit.last_attempt);
                self.stale.extend(values.iter().map(|(key, _)| *key));
                self.ledger.number = number - 1;
            }
        }
        if let Some(error) = self.error {
            return Err(error);
        }
        self.check(noted)?;
        Ok(self.found(was_cut))
    }

    fn found(self, was_cut: WasCut) -> Found {
        let next_serial = self.head.map_or(1, |head| head.next_serial);
        let mut messages = self.messages;
        messages.retain(|message| message.id.queue != ENTITIES);
        messages.sort_unstable_by_key(|message| message.id);
        let entities = self.entities.into_iter().collect();
        let was_cut = was_cut == WasCut::Yes;
        let recovered = Recovered { entities, messages, next_serial, was_cut };
        Found { ledger: self.ledger, stale: self.stale, recovered }
    }

    fn check(&mut self, noted: u64) -> Result<(), StoreError> {
        let number = self.ledger.number;
        let damaged = |key, reason: &str| StoreError::Damaged { key, reason: reason.to_owned() };
        let first = |group| Key { group, part: 0 };
        if number < noted {
            return Err(damaged(first(noted), "it was noted as durable and is missing"));
        }
        let head = match self.head {
            Some(head) if self.played == number => head,
            None if number == 0 && self.played == 0 => CommitHead::default(),
            Some(_) | None => return Err(damaged(first(number), "it is missing")),
        };
        let is_leaving = |key: Key| {
            self.leaving.iter().any(|Run { first, values }| {
                let end = first.part.saturating_add(*values);
                key.group == first.group && (first.part..end).contains(&key.part)
            })
        };
        for (key, malformed) in &self.faults {
            if !is_leaving(*key) {
                return Err(damaged(*key, malformed.0));
            }
            // Half of it has gone, perhaps.
            self.stale.push(*key);
            self.ledger.note_remnant(*key);
        }
        if let Err(key) = self.ledger.announce_found(&self.leaving) {
            return Err(damaged(key, "it was given up, and holds what is needed"));
        }
        let live = self.ledger.live();
        if live != head.live {
            let reason = format!(
                "of the {} values that there are with this commit, {} were found",
                head.live.values, live.values
            );
            return Err(StoreError::Damaged { key: first(number), reason });
        }
        Ok(())
    }
}

impl<'v> Commit<'v> {
    fn read(
        values: &[(Key, Range<usize>)],
        buffer: &'v [u8],
        longs: &'v mut Vec<(Draft, Vec<u8>)>,
    ) -> Self {
        let mut commit = Self::default();
        for (key, range) in values {
            let value = buffer.get(range.clone()).unwrap_or_default();
            match part::head(*key, value) {
                Ok((head, frames)) => commit.value(*key, head, frames, value.len() as u64),
                Err(Unreadable::Newer(version)) => commit.newer = Some(version),
                Err(Unreadable::Malformed(malformed)) => commit.faults.push((*key, malformed)),
            }
        }
        commit.end_long();
        *longs = mem::take(&mut commit.longs);
        for (draft, payload) in &*longs {
            let block = commit.block(*draft);
            commit.record(draft.first, block, payload);
        }
        commit
    }

    /// Whether all of it is there.
    fn is_whole(&self) -> bool {
        self.faults.is_empty() && self.head.is_some_and(|head| head.values == self.read)
    }

    /// What is wrong with a commit that was noted.
    fn missing(&self, group: u64) -> StoreError {
        let (key, reason) = match self.faults.first() {
            Some((key, malformed)) => (*key, malformed.0),
            None => (Key { group, part: 0 }, "it was noted as durable and is incomplete"),
        };
        StoreError::Damaged { key, reason: reason.to_owned() }
    }

    fn value(&mut self, key: Key, head: Head, frames: Frames<'v>, bytes: u64) {
        self.last_attempt = self.last_attempt.max(head.attempt);
        if key.part == 0 {
            self.head = head.commit;
            self.attempt = Some(head.attempt);
        } else if self.attempt.is_some_and(|attempt| attempt != head.attempt) {
            self.stale.push(key);
            return;
        }
        self.read += 1;
        let draft = Draft { kind: head.kind, first: key, pieces: head.pieces, bytes };
        if head.pieces > 1 {
            self.piece(key, head.piece, draft, frames);
            return;
        }
        self.end_long();
        let block = self.block(draft);
        for payload in frames {
            match payload {
                Ok(payload) => self.record(key, block, payload),
                Err(malformed) => self.faults.push((key, malformed)),
            }
        }
    }

    fn piece(&mut self, key: Key, piece: u32, draft: Draft, frames: Frames<'v>) {
        if piece == 0 {
            self.end_long();
            self.long = Some((Draft { bytes: 0, ..draft }, 0, Vec::new()));
        }
        let is_next = |long: &Draft, read: u32| {
            read == piece
                && long.pieces == draft.pieces
                && long.first.part.checked_add(piece) == Some(key.part)
        };
        match (&mut self.long, frames.collect::<Result<Vec<_>, _>>()) {
            (Some((long, read, bytes)), Ok(payload)) if is_next(long, *read) => {
                long.bytes += draft.bytes;
                *read += 1;
                for payload in payload {
                    bytes.extend_from_slice(payload);
                }
                if *read == long.pieces
                    && let Some((long, _, bytes)) = self.long.take()
                {
                    self.longs.push((long, bytes));
                }
            }
            (_, Err(malformed)) => self.lose_piece(key, piece, malformed),
            (_, Ok(_)) => {
                self.lose_piece(key, piece, Malformed("a piece without those before it"));
            }
        }
    }

    fn lose_piece(&mut self, key: Key, piece: u32, malformed: Malformed) {
        self.faults.push((key, malformed));
        self.cut_longs.insert(Key { part: key.part.saturating_sub(piece), ..key });
    }

    /// A long record that has been begun should be complete by now.
    fn end_long(&mut self) {
        if let Some((draft, read, _)) = self.long.take() {
            let fault = Malformed("a record without its end");
            self.cut_longs.insert(draft.first);
            let read = Draft { pieces: read, ..draft }.keys();
            self.faults.extend(read.map(|key| (key, fault)));
        }
    }

    fn block(&mut self, draft: Draft) -> u32 {
        self.changes.blocks.push(draft);
        codec::count(self.changes.blocks.len()) - 1
    }

    fn record(&mut self, key: Key, block: u32, payload: &'v [u8]) {
        let entry = match codec::entry(payload) {
            Ok(entry) => entry,
            Err(malformed) => return self.faults.push((key, malformed)),
        };
        match entry {
            Entry::Settled(ids) => {
                self.changes.settled.extend(ids.iter().map(|id| (id, block)));
            }
            Entry::Amended(id, state) => self.changes.amended.push((id, state, block)),
            Entry::Moved(id, place) => self.changes.moved.push((id, place, block)),
            Entry::Ended(queue) => self.changes.ended.push((queue, block)),
            Entry::Leaving(runs) => self.leaving.extend(runs),
            Entry::Message(stored) => {
                self.changes.added.extend(stored.heads().map(|(id, _)| (id, block)));
                self.messages.push((key, stored));
            }
            Entry::Entity(serial, bytes) => match bytes.read() {
                Ok(entity) => {
                    let id = ItemId { queue: ENTITIES, seq: serial };
                    self.changes.added.push((id, block));
                    self.entities.push((serial, entity));
                }
                Err(malformed) => self.faults.push((key, malformed)),
            },
        }
    }
}
