//! What has changed and is not in the database yet.
//!
//! A commit is a *frame* at the end of this log, and one sync of it, which is what a disk asks for
//! at least. Values are read from the log as long as they are in it. When much has gathered, the
//! oldest segment is settled: what is still there of it goes to the database, and the segment is
//! used again. Most messages have come and gone by then, and the database never sees them.
//!
//! A segment is used again only when a frame is durable that says so: nothing that may be needed
//! is ever overwritten. Opening a log changes nothing in it, since it may be damaged. The first
//! change after that makes durable what a former owner left there, or ends it for good.

mod frame;
mod reading;
mod segment;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    path::{Path, PathBuf},
    sync::Arc,
};

pub(super) use self::segment::number;
use self::{
    frame::{CHANGE_BYTES, HEAD_BYTES, Head},
    reading::{Placed, Read, Stretch},
    segment::Segment,
};
use super::database::host_error;
use crate::{
    store::{
        engine::{EngineError, Key},
        open_error::OpenError,
        sabotage,
    },
    sync::{Rank, RwLock},
};

/// How large it gets; tests have others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// A segment takes so many bytes, which is more than any change.
    pub(crate) segment_bytes: u64,
    /// It takes no further change once it has so many.
    pub(crate) changes_max: usize,
    /// There are so many segments at most.
    pub(crate) segments_max: usize,
    /// Of more than so many the oldest is settled, a little at a time.
    pub(crate) segments_easy: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            segment_bytes: 2 * 1_024 * 1_024,
            changes_max: 8_192,
            segments_max: 8,
            segments_easy: 5,
        }
    }
}

#[cfg(test)]
impl Sizes {
    /// Small, so that much happens.
    pub(crate) const SMALL: Self =
        Self { segment_bytes: 128 * 1_024, changes_max: 64, segments_max: 4, segments_easy: 2 };
}

/// A rest of a segment is short that is at most such a part of it.
const SHORT_REST: u64 = 3;

/// So many segments are kept that nobody needs.
const SPARE_MAX: usize = 2;

/// The log of one database. One thread changes it at a time, others may read.
#[derive(Debug)]
pub(super) struct RedoLog {
    folder: PathBuf,
    sizes: Sizes,
    state: RwLock<State>,
}

/// What is in a log under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing is known of it.
    Nothing,
    /// It was taken out.
    Gone,
    Value(Vec<u8>),
}

/// The number of a segment's first frame, which is what is meant by a segment as long as it holds
/// what it holds.
pub(super) type First = u64;

#[derive(Debug)]
struct State {
    entries: BTreeMap<Key, Entry>,
    /// Oldest first; frames are added to the last.
    segments: VecDeque<InUse>,
    spare: Vec<Arc<Segment>>,
    /// The frame that is being made; empty before the first change.
    frame: Arc<Vec<u8>>,
    /// How things were before each change of that frame.
    undo: Vec<(Key, Option<Entry>)>,
    /// The last frame that was written, and its checksum.
    last: u64,
    checksum: u32,
    /// The first frame that is needed, as the last one says.
    oldest: u64,
    condition: Condition,
    is_synced: bool,
    /// Whether nothing was changed since it was opened.
    is_as_found: bool,
}

/// Where a value is. It has no bytes if it was taken out and may be in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    segment: First,
    offset: u64,
    bytes: usize,
}

#[derive(Debug)]
struct InUse {
    first: First,
    segment: Arc<Segment>,
    /// Where the next frame begins.
    end: u64,
    /// How many entries are in it.
    entries: usize,
    /// How many changes were added to it.
    changes: usize,
}

#[derive(Debug)]
enum Condition {
    Working,
    /// What was being gathered was dropped for want of space, and the next change begins anew.
    Dropped,
    /// For good.
    Failed(String),
}

impl RedoLog {
    /// An empty one, for which there is nothing in the directory.
    pub(super) fn new(folder: &Path, sizes: Sizes) -> Self {
        let state = RwLock::new(Rank::Place, State::new());
        Self { folder: folder.to_path_buf(), sizes, state }
    }

    /// Reads one, and makes what was written durable. What is in the database is of groups up to
    /// this one.
    pub(super) fn open(folder: &Path, sizes: Sizes, settled: u64) -> Result<Self, OpenError> {
        let Read { segments, spare } = Read::of(folder)?;
        if let Some(Stretch { segment, .. }) = segments.last() {
            let synced = segment.file.sync_data();
            synced.map_err(|error| OpenError::writing(segment.path(), &error))?;
        }
        let mut state = State::new();
        state.is_as_found = !segments.is_empty();
        for stretch in segments {
            state.take_in(stretch, settled);
        }
        state.spare = spare.into_iter().map(Arc::new).collect();
        Ok(Self { folder: folder.to_path_buf(), sizes, state: RwLock::new(Rank::Place, state) })
    }

    /// Begins a change, and says whether a value of so many bytes can be added to the segment in
    /// use.
    pub(super) fn begin_change(&self, bytes: usize) -> Result<bool, EngineError> {
        if self.state.read().is_as_found {
            self.take_over()?;
        }
        let mut state = self.state.write();
        match &state.condition {
            Condition::Working => {}
            Condition::Dropped => state.condition = Condition::Working,
            Condition::Failed(reason) => return Err(EngineError::Failed(reason.clone())),
        }
        let Some(active) = state.segments.back() else { return Ok(false) };
        // With a frame behind it that ends the segment.
        let more = state.frame.len().max(HEAD_BYTES) + CHANGE_BYTES + bytes + HEAD_BYTES;
        Ok(active.changes < self.sizes.changes_max
            && active.end + more as u64 <= self.sizes.segment_bytes)
    }

    /// Adds a value. There is room for it.
    pub(super) fn put(&self, key: Key, value: &[u8]) {
        let mut state = self.state.write();
        let entry = state.add(key, value);
        state.set(key, entry);
    }

    /// Adds that a value is taken out, of which the database may have something or not. There is
    /// room for it.
    pub(super) fn remove(&self, key: Key, is_settled: bool) {
        let mut state = self.state.write();
        let entry = state.add(key, &[]);
        state.set(key, entry.filter(|_| is_settled));
    }

    /// Writes the frame that was being made, if there is one.
    pub(super) fn append(&self) -> Result<(), EngineError> {
        if self.state.read().is_ready()? { self.write() } else { Ok(()) }
    }

    /// From when it returns, all that was changed is durable.
    pub(super) fn sync(&self) -> Result<(), EngineError> {
        self.append()?;
        let active = {
            let state = self.state.read();
            state.segments.back().filter(|_| !state.is_synced).map(|active| active.segment.clone())
        };
        let Some(active) = active else { return Ok(()) };
        // Whatever the host says, what it did not keep it has forgotten.
        sabotage::sync_data(&active.file).map_err(|error| {
            let place = active.path().display();
            self.fail(EngineError::Failed(format!("{place} could not be synced: {error}")))
        })?;
        self.state.write().is_synced = true;
        Ok(())
    }

    pub(super) fn find(&self, key: Key) -> Result<Found, EngineError> {
        loop {
            let (entry, segment) = {
                let state = self.state.read();
                let Some(entry) = state.entries.get(&key) else { return Ok(Found::Nothing) };
                match state.look(entry) {
                    Ok(found) => return Ok(found),
                    Err(segment) => (*entry, segment),
                }
            };
            let mut value = vec![0; entry.bytes];
            segment
                .read(&mut value, entry.offset)
                .map_err(|error| host_error(segment.path(), &error))?;
            // Else the segment may be used for something else by now.
            if self.state.read().entries.get(&key) == Some(&entry) {
                return Ok(Found::Value(value));
            }
        }
    }

    /// The same if it is in a certain segment.
    pub(super) fn find_in(&self, segment: First, key: Key) -> Result<Found, EngineError> {
        let is_in = self.state.read().entries.get(&key).is_some_and(|of| of.segment == segment);
        if is_in { self.find(key) } else { Ok(Found::Nothing) }
    }

    /// Whether there is a segment to go on in.
    pub(super) fn has_spare(&self) -> bool {
        self.state.read().has_spare()
    }

    /// Whether it has no segments yet.
    pub(super) fn is_new(&self) -> bool {
        let state = self.state.read();
        state.segments.is_empty() && state.spare.is_empty()
    }

    /// Makes a segment to go on in, and with the first one another, so that what gives space back
    /// has a place to go. There may be enough of them, or no space.
    pub(super) fn provide(&self) -> Result<(), EngineError> {
        let made = if self.is_new() { 2 } else { 1 };
        for _ in 0..made {
            let number = {
                let state = self.state.read();
                if state.segments.len() + state.spare.len() >= self.sizes.segments_max {
                    return Ok(());
                }
                state.unused_number()
            };
            match Segment::create(&self.folder, number, self.sizes.segment_bytes) {
                Ok(segment) => self.state.write().spare.push(Arc::new(segment)),
                Err(error) => match host_error(&self.folder, &error) {
                    EngineError::Full => return self.forgo_lone(),
                    error => return Err(self.fail(error)),
                },
            }
        }
        Ok(())
    }

    /// Ends the segment in use, if there is one, and begins another, which is there.
    pub(super) fn go_on(&self) -> Result<(), EngineError> {
        self.append()?;
        if !self.state.read().segments.is_empty() {
            // What it says is needed before anything is overwritten.
            self.write()?;
            self.sync()?;
        }
        let superfluous = self.state.write().begin_segment();
        for segment in superfluous {
            segment.remove();
        }
        Ok(())
    }

    /// Changes of so many bytes are about to be gathered for one frame. Where they would not fit
    /// the rest of the segment in use, which is short, it ends here if another is free by now:
    /// ending it in the middle of them takes a frame and a sync more.
    pub(super) fn make_way(&self, bytes: usize) {
        let superfluous = {
            let mut state = self.state.write();
            let rest = state
                .segments
                .back()
                .map_or(0, |active| self.sizes.segment_bytes.saturating_sub(active.end));
            let fits = (bytes + 2 * HEAD_BYTES) as u64 <= rest;
            if fits || rest > self.sizes.segment_bytes / SHORT_REST || !state.is_settled_down() {
                return;
            }
            state.begin_segment()
        };
        for segment in superfluous {
            segment.remove();
        }
    }

    /// Drops what was changed since the last frame, if there was no space; else refuses all changes
    /// from now on. It says why, as the first time.
    pub(super) fn fail(&self, error: EngineError) -> EngineError {
        let mut state = self.state.write();
        match (&state.condition, error) {
            (Condition::Failed(reason), _) => EngineError::Failed(reason.clone()),
            (_, EngineError::Full) => {
                state.drop_changes();
                EngineError::Full
            }
            (_, EngineError::Damaged(reason) | EngineError::Failed(reason)) => {
                state.condition = Condition::Failed(reason.clone());
                EngineError::Failed(reason)
            }
        }
    }

    /// Whether more is in it than should be.
    pub(super) fn is_long(&self) -> bool {
        let state = self.state.read();
        let empty = state.segments.iter().take_while(|segment| segment.entries == 0).count();
        state.segments.len() - empty > self.sizes.segments_easy
    }

    /// The oldest segment with something in it, of those that nothing is added to.
    pub(super) fn oldest(&self) -> Option<First> {
        let state = self.state.read();
        let first = state.segments.iter().find(|segment| segment.entries > 0)?.first;
        state.segments.back().is_some_and(|active| active.first != first).then_some(first)
    }

    pub(super) fn keys_in(&self, segment: First) -> Vec<Key> {
        let state = self.state.read();
        let entries = state.entries.iter().filter(|(_, entry)| entry.segment == segment);
        entries.map(|(key, _)| *key).collect()
    }

    /// Lets go of what is in a segment, all of which is settled.
    pub(super) fn forget(&self, segment: First, keys: &[Key]) {
        let mut state = self.state.write();
        for key in keys {
            if state.entries.get(key).is_some_and(|entry| entry.segment == segment) {
                state.replace(*key, None);
            }
        }
    }

    /// All keys that it knows something of.
    pub(super) fn keys(&self) -> Vec<Key> {
        self.state.read().entries.keys().copied().collect()
    }

    /// The bytes of its segments.
    pub(super) fn size(&self) -> u64 {
        let state = self.state.read();
        let count = state.segments.len() + state.spare.len();
        count as u64 * self.sizes.segment_bytes
    }

    /// Writes the frame that was being made, changes or none.
    fn write(&self) -> Result<(), EngineError> {
        let (frame, sealed, active, end) = {
            let mut state = self.state.write();
            let sealed = state.seal();
            let Some(active) = state.segments.back() else { return Ok(()) };
            (Arc::clone(&state.frame), sealed, Arc::clone(&active.segment), active.end)
        };
        active.write(&frame, end).map_err(|error| self.fail(host_error(active.path(), &error)))?;
        drop(frame);
        self.state.write().end_frame(sealed);
        Ok(())
    }

    /// Before anything follows what a former owner has written, writes it once more as it was read,
    /// and zeros behind it: a sync of his may have failed, and then the host may take for kept what
    /// it only shows.
    fn take_over(&self) -> Result<(), EngineError> {
        let last = {
            let state = self.state.read();
            state.segments.back().map(|active| (Arc::clone(&active.segment), active.end))
        };
        if let Some((segment, end)) = last {
            segment
                .renew(end, self.sizes.segment_bytes)
                .map_err(|error| self.fail(host_error(segment.path(), &error)))?;
        }
        self.state.write().is_as_found = false;
        Ok(())
    }

    /// There is no space. A first segment alone would be one too few.
    fn forgo_lone(&self) -> Result<(), EngineError> {
        let mut state = self.state.write();
        if !state.segments.is_empty() {
            return Ok(());
        }
        let lone = std::mem::take(&mut state.spare);
        drop(state);
        for segment in lone {
            segment.remove();
        }
        Err(EngineError::Full)
    }
}

impl State {
    fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
            segments: VecDeque::new(),
            spare: Vec::new(),
            frame: Arc::default(),
            undo: Vec::new(),
            last: 0,
            checksum: 0,
            oldest: 1,
            condition: Condition::Working,
            is_synced: true,
            is_as_found: false,
        }
    }

    /// Takes in what was read of a segment.
    fn take_in(&mut self, stretch: Stretch, settled: u64) {
        let Stretch { segment, first, last, checksum, end, changes, .. } = stretch;
        let (segment, count) = (Arc::new(segment), changes.len());
        self.segments.push_back(InUse { first, segment, end, entries: 0, changes: count });
        for Placed { key, offset, bytes } in changes {
            let is_known = bytes > 0 || key.group <= settled;
            self.replace(key, is_known.then_some(Entry { segment: first, offset, bytes }));
        }
        (self.last, self.checksum) = (last, checksum);
        self.oldest = self.segments.front().map_or(first, |oldest| oldest.first);
    }

    /// Whether there is a frame to be written, and it may be.
    fn is_ready(&self) -> Result<bool, EngineError> {
        match &self.condition {
            Condition::Working => Ok(!self.frame.is_empty()),
            Condition::Dropped => Err(EngineError::Full),
            Condition::Failed(reason) => Err(EngineError::Failed(reason.clone())),
        }
    }

    /// Adds a change to the frame, and says where it is.
    fn add(&mut self, key: Key, value: &[u8]) -> Option<Entry> {
        let start = frame::add(Arc::make_mut(&mut self.frame), key, value);
        let active = self.segments.back_mut()?;
        active.changes += 1;
        let offset = active.end + start as u64;
        Some(Entry { segment: active.first, offset, bytes: value.len() })
    }

    fn set(&mut self, key: Key, entry: Option<Entry>) {
        let former = self.replace(key, entry);
        self.undo.push((key, former));
    }

    fn replace(&mut self, key: Key, entry: Option<Entry>) -> Option<Entry> {
        let former = match entry {
            Some(entry) => self.entries.insert(key, entry),
            None => self.entries.remove(&key),
        };
        if let Some(segment) = entry.and_then(|entry| self.segment_mut(entry.segment)) {
            segment.entries += 1;
        }
        if let Some(segment) = former.and_then(|former| self.segment_mut(former.segment)) {
            segment.entries -= 1;
        }
        former
    }

    fn segment_mut(&mut self, first: First) -> Option<&mut InUse> {
        self.segments.iter_mut().rev().find(|segment| segment.first == first)
    }

    /// What there is, or the segment that it has to be read from.
    fn look(&self, entry: &Entry) -> Result<Found, Arc<Segment>> {
        let is_in = |segment: &&InUse| segment.first == entry.segment;
        let Some(of) = self.segments.iter().rev().find(is_in).filter(|_| entry.bytes > 0) else {
            return Ok(Found::Gone);
        };
        let Some(start) = entry.offset.checked_sub(of.end) else {
            return Err(Arc::clone(&of.segment));
        };
        // It is not written yet.
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let value = self.frame.get(start..).and_then(|rest| rest.get(..entry.bytes));
        Ok(Found::Value(value.unwrap_or_default().to_vec()))
    }

    /// Ends the frame, and says its checksum, and which frame it says is the first that is needed.
    fn seal(&mut self) -> (u32, u64) {
        let (number, before) = (self.last + 1, self.checksum);
        let is_needed = |segment: &&InUse| segment.entries > 0;
        let needed = self.segments.iter().find(is_needed).or_else(|| self.segments.back());
        let oldest = needed.map_or(number, |segment| segment.first);
        let head = Head { number, oldest, before };
        (frame::seal(Arc::make_mut(&mut self.frame), head), oldest)
    }

    /// The frame is written.
    fn end_frame(&mut self, (checksum, oldest): (u32, u64)) {
        self.last += 1;
        (self.checksum, self.oldest) = (checksum, oldest);
        self.is_synced = false;
        self.undo.clear();
        if let Some(active) = self.segments.back_mut() {
            active.end += self.frame.len() as u64;
        }
        Arc::make_mut(&mut self.frame).clear();
    }

    fn drop_changes(&mut self) {
        for (key, former) in std::mem::take(&mut self.undo).into_iter().rev() {
            self.replace(key, former);
        }
        Arc::make_mut(&mut self.frame).clear();
        if let Condition::Working = self.condition {
            self.condition = Condition::Dropped;
        }
    }

    /// Whether there is a segment to go on in, once it is said that it is not needed.
    fn has_spare(&self) -> bool {
        let is_free = |first: &InUse| first.entries == 0;
        !self.spare.is_empty()
            || self.segments.len() > 1 && self.segments.front().is_some_and(is_free)
    }

    /// Whether all is durable, and with it what the last frame says of segments that nobody needs.
    fn is_settled_down(&self) -> bool {
        let is_working = matches!(self.condition, Condition::Working);
        is_working && self.is_synced && !self.is_as_found && self.frame.is_empty()
    }

    fn unused_number(&self) -> u32 {
        let used = self.segments.iter().map(|segment| &segment.segment).chain(&self.spare);
        let used: Vec<_> = used.map(|segment| segment.number).collect();
        (0..u32::MAX).find(|number| !used.contains(number)).unwrap_or(u32::MAX)
    }

    /// Lets go of what is not needed, as a durable frame says, and begins a segment. What is
    /// superfluous then is given back.
    fn begin_segment(&mut self) -> Vec<Arc<Segment>> {
        while let Some(free) = self.segments.pop_front_if(|first| first.first < self.oldest) {
            self.spare.push(free.segment);
        }
        if let Some(segment) = self.spare.pop() {
            let first = self.last + 1;
            self.segments.push_back(InUse { first, segment, end: 0, entries: 0, changes: 0 });
        }
        self.spare.split_off(self.spare.len().min(SPARE_MAX))
    }
}
