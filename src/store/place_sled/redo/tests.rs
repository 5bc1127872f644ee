//! The log by itself, before a database that is a map.

use std::{
    collections::BTreeMap,
    fs, mem,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use super::*;
use crate::store::proof::{
    dice::{Dice, count, seed},
    scratch::{Scratch, contents},
};

type Values = BTreeMap<Key, Vec<u8>>;

/// What disks write whole.
const SECTOR_BYTES: usize = 512;

/// A log, and what was settled of it.
struct Subject {
    redo: RedoLog,
    settled: Values,
    newest: u64,
}

impl Subject {
    fn open(folder: &Path, settled: Values) -> Result<Self, OpenError> {
        let newest = settled.keys().last().map_or(0, |key| key.group);
        let redo = RedoLog::open(folder, Sizes::SMALL, newest)?;
        Ok(Self { redo, settled, newest })
    }

    fn put(&mut self, key: Key, value: &[u8]) {
        self.make_room(value.len());
        self.redo.put(key, value);
    }

    fn remove(&mut self, key: Key) {
        self.make_room(0);
        self.redo.remove(key, key.group <= self.newest);
    }

    fn make_room(&mut self, bytes: usize) {
        if self.redo.begin_change(bytes).unwrap() {
            return;
        }
        if !self.redo.has_spare() {
            self.redo.provide().unwrap();
        }
        if !self.redo.has_spare() {
            self.settle();
        }
        self.redo.go_on().unwrap();
    }

    fn settle(&mut self) {
        let Some(segment) = self.redo.oldest() else { return };
        let keys = self.redo.keys_in(segment);
        for key in &keys {
            self.newest = self.newest.max(key.group);
            match self.redo.find_in(segment, *key).unwrap() {
                Found::Nothing => {}
                Found::Gone => drop(self.settled.remove(key)),
                Found::Value(value) => drop(self.settled.insert(*key, value)),
            }
        }
        self.redo.forget(segment, &keys);
    }

    /// All that is there.
    fn all(&self) -> Values {
        let mut all = self.settled.clone();
        for key in self.redo.keys() {
            match self.redo.find(key).unwrap() {
                Found::Nothing | Found::Gone => drop(all.remove(&key)),
                Found::Value(value) => drop(all.insert(key, value)),
            }
        }
        all
    }
}

fn key(group: u64) -> Key {
    Key { group, part: 0 }
}

/// The newest groups of a log are put one by one, and go in any order.
fn change(subject: &mut Subject, dice: &mut Dice, model: &mut Values) {
    let last = model.keys().last().map_or(0, |key| key.group);
    let goes_from = if model.len() > 200 { 6 } else { 3 };
    match dice.below(8) {
        what if what < goes_from && !model.is_empty() => {
            let key = *model.keys().nth(dice.index(model.len())).unwrap();
            subject.remove(key);
            model.remove(&key);
        }
        6 if !model.is_empty() => {
            let key = *model.keys().nth(dice.index(model.len())).unwrap();
            let value = dice.bytes(700);
            subject.put(key, &value);
            model.insert(key, value);
        }
        _ => {
            let most = if dice.one_in(9) { 20_000 } else { 400 };
            let len = 1 + dice.index(most);
            let (key, value) = (key(last + 1 + dice.below(2)), dice.bytes(len));
            subject.put(key, &value);
            model.insert(key, value);
        }
    }
}

/// What a power cut leaves of files: of each sector what is durable, or what was written since.
fn torn(durable: &[(PathBuf, Option<Vec<u8>>)], folder: &Path, dice: &mut Dice, to: &Path) {
    for (name, written) in contents(folder) {
        let mut bytes = written.unwrap();
        let former = durable.iter().find(|(known, _)| *known == name);
        let former = former.and_then(|(_, bytes)| bytes.clone()).unwrap_or_default();
        let keeps_one_in = 1 + dice.below(4);
        for (new, old) in bytes.chunks_mut(SECTOR_BYTES).zip(former.chunks(SECTOR_BYTES)) {
            if dice.one_in(keeps_one_in) {
                new.copy_from_slice(old);
            }
        }
        fs::write(to.join(name), bytes).unwrap();
    }
}

#[test]
fn what_is_synced_survives_power_cuts() {
    let (first, cuts) = (seed(), count("STORE_REDO_CUTS", 60));
    let mut dice = Dice::new(first);
    let mut scratch = Scratch::new();
    let mut subject = Subject::open(scratch.path(), Values::new()).unwrap();
    let (mut model, mut settled) = (Values::new(), 0);
    for cut in 0..cuts {
        // What may be found: what was durable last, and what was there after each frame since.
        let mut possible = vec![model.clone()];
        let mut durable = contents(scratch.path());
        for _ in 0..dice.below(120) {
            if dice.one_in(4) {
                subject.redo.make_way(dice.index(60_000));
            }
            let (before, last) = (model.clone(), subject.redo.state.read().last);
            change(&mut subject, &mut dice, &mut model);
            if subject.redo.state.read().last != last {
                // A segment was ended, which was synced with all before this change.
                (possible, durable) = (vec![before], contents(scratch.path()));
            }
            if dice.one_in(6) {
                subject.redo.append().unwrap();
                possible.push(model.clone());
            }
            if dice.one_in(12) {
                subject.redo.sync().unwrap();
                (possible, durable) = (vec![model.clone()], contents(scratch.path()));
            }
            if subject.redo.is_long() {
                subject.settle();
            }
        }
        settled = settled.max(subject.newest);
        assert_eq!(subject.all(), model, "cut {cut}");
        let next = Scratch::new();
        torn(&durable, scratch.path(), &mut dice, next.path());
        let opened = Subject::open(next.path(), mem::take(&mut subject.settled));
        subject = opened.unwrap_or_else(|error| panic!("STORE_SEED={first}, cut {cut}: {error}"));
        model = subject.all();
        assert!(possible.contains(&model), "STORE_SEED={first}, cut {cut}: something is lost");
        scratch = next;
    }
    assert!(settled > 100, "little was settled");
}

#[test]
fn what_is_damaged_before_the_end_is_told() {
    let scratch = Scratch::new();
    let mut subject = Subject::open(scratch.path(), Values::new()).unwrap();
    let mut dice = Dice::new(seed());
    for group in 1..=180 {
        subject.put(key(group), &dice.bytes(100));
        subject.redo.append().unwrap();
    }
    subject.redo.sync().unwrap();
    let used: Vec<_> = {
        let state = subject.redo.state.read();
        let used = state.segments.iter().map(|of| (of.segment.path().to_path_buf(), of.end));
        used.collect()
    };
    drop(subject);
    assert_eq!(used.len(), 3);
    for (path, end) in &used[..2] {
        let whole = fs::read(path).unwrap();
        for _ in 0..40 {
            let mut bytes = whole.clone();
            bytes[dice.index(usize::try_from(*end).unwrap())] ^= 1;
            fs::write(path, bytes).unwrap();
            let opened = Subject::open(scratch.path(), Values::new()).map(|found| found.all());
            assert!(matches!(opened, Err(OpenError::Damaged { .. })), "{opened:?}");
        }
        fs::remove_file(path).unwrap();
        let opened = Subject::open(scratch.path(), Values::new()).map(|found| found.all());
        assert!(matches!(opened, Err(OpenError::Damaged { .. })), "{opened:?}");
        fs::write(path, whole).unwrap();
    }
    let all = Subject::open(scratch.path(), Values::new()).unwrap().all();
    assert_eq!(all.len(), 180);
}

#[test]
fn what_cannot_be_written_is_as_if_it_had_not_been() {
    let scratch = Scratch::new();
    let mut subject = Subject::open(scratch.path(), Values::new()).unwrap();
    subject.put(key(1), b"one");
    subject.put(key(2), b"two");
    subject.redo.sync().unwrap();
    let before = subject.all();
    subject.put(key(1), b"another");
    subject.remove(key(2));
    subject.put(key(3), b"three");
    assert_eq!(subject.redo.fail(EngineError::Full), EngineError::Full);
    assert_eq!(subject.all(), before);
    assert_eq!(subject.redo.append(), Err(EngineError::Full));
    assert_eq!(subject.redo.sync(), Err(EngineError::Full));
    subject.put(key(4), b"four");
    subject.redo.sync().unwrap();
    let (after, groups) = (subject.all(), [1, 2, 4].map(key));
    assert!(after.keys().eq(&groups));
    drop(subject);
    assert_eq!(Subject::open(scratch.path(), Values::new()).unwrap().all(), after);
}

#[test]
fn a_failure_is_final() {
    let scratch = Scratch::new();
    let mut subject = Subject::open(scratch.path(), Values::new()).unwrap();
    subject.put(key(1), b"one");
    let failed = subject.redo.fail(EngineError::Failed("first".to_owned()));
    assert_eq!(subject.redo.fail(EngineError::Full), failed);
    assert_eq!(subject.redo.begin_change(1), Err(failed.clone()));
    assert_eq!(subject.redo.sync(), Err(failed));
    assert_eq!(subject.redo.find(key(1)), Ok(Found::Value(b"one".to_vec())));
}

#[test]
fn segments_that_nobody_needs_go() {
    let scratch = Scratch::new();
    let mut subject = Subject::open(scratch.path(), Values::new()).unwrap();
    let files = || contents(scratch.path()).len();
    for group in 1..=200 {
        subject.put(key(group), &[7; 100]);
    }
    assert_eq!(files(), Sizes::SMALL.segments_max);
    while subject.redo.oldest().is_some() {
        subject.settle();
    }
    subject.redo.go_on().unwrap();
    // Beside those two that nobody needs.
    assert_eq!((files(), subject.redo.state.read().segments.len()), (4, 2));
    subject.redo.go_on().unwrap();
    assert_eq!((files(), subject.all().len()), (4, 200));
}

/// On a disk that is full by then, what gives space back would have no place to go.
#[test]
fn the_first_segment_comes_with_another() {
    let scratch = Scratch::new();
    let mut subject = Subject::open(scratch.path(), Values::new()).unwrap();
    assert_eq!(contents(scratch.path()).len(), 0);
    subject.put(key(1), b"one");
    assert_eq!(contents(scratch.path()).len(), 2);
}

/// As with messages that are consumed soon.
#[test]
fn what_goes_soon_is_never_settled() {
    let scratch = Scratch::new();
    let mut subject = Subject::open(scratch.path(), Values::new()).unwrap();
    for group in 1..=10_000 {
        subject.put(key(group), &[7; 100]);
        if group > 20 {
            subject.remove(key(group - 20));
        }
        assert!(!subject.redo.is_long());
    }
    assert_eq!((subject.settled.len(), subject.all().len()), (0, 20));
    assert!(contents(scratch.path()).len() <= 4);
}

/// Fills all but so much of the segment in use, in frames that are durable.
fn fill_but(subject: &mut Subject, group: &mut u64, rest: u64) {
    loop {
        let end = subject.redo.state.read().segments.back().map_or(0, |active| active.end);
        let left = Sizes::SMALL.segment_bytes - end;
        if left <= rest {
            return;
        }
        *group += 1;
        subject.put(key(*group), &[7; 8_000]);
        subject.remove(key(*group));
        subject.redo.sync().unwrap();
    }
}

/// What is to be written at once would be in two segments, with a sync between them.
#[test]
fn a_short_rest_is_left_out() {
    const SEGMENT: u64 = Sizes::SMALL.segment_bytes;
    let scratch = Scratch::new();
    let mut subject = Subject::open(scratch.path(), Values::new()).unwrap();
    let mut group = 0;
    let first = |subject: &Subject| subject.redo.state.read().segments.back().unwrap().first;
    subject.redo.make_way(10_000);
    fill_but(&mut subject, &mut group, SEGMENT / 2);
    let (segment, frames) = (first(&subject), subject.redo.state.read().last);
    subject.redo.make_way(100_000);
    assert_eq!(first(&subject), segment, "half a segment is much");
    fill_but(&mut subject, &mut group, SEGMENT / 4);
    subject.redo.make_way(10_000);
    assert_eq!(first(&subject), segment, "it fits");
    subject.put(key(0), b"pending");
    subject.redo.make_way(100_000);
    assert_eq!(first(&subject), segment, "something is pending");
    subject.redo.append().unwrap();
    subject.redo.make_way(100_000);
    assert_eq!(first(&subject), segment, "what was written is not durable");
    subject.redo.sync().unwrap();
    let before = subject.redo.state.read().last;
    subject.redo.make_way(100_000);
    assert!(before > frames);
    assert_eq!(first(&subject), before + 1, "it takes no frame");
    assert_eq!(subject.redo.state.read().segments.back().unwrap().end, 0);
    let all = subject.all();
    drop(subject);
    assert_eq!(Subject::open(scratch.path(), Values::new()).unwrap().all(), all);
}

/// As long as the last frame says that a segment is needed, it is.
#[test]
fn no_way_is_made_where_there_is_none() {
    let scratch = Scratch::new();
    let mut subject = Subject::open(scratch.path(), Values::new()).unwrap();
    for group in 1..100 {
        subject.put(key(group), &[7; 8_000]);
        subject.redo.sync().unwrap();
        let state = subject.redo.state.read();
        let rest = Sizes::SMALL.segment_bytes - state.segments.back().unwrap().end;
        if state.segments.len() == Sizes::SMALL.segments_max && rest < 3_000 {
            break;
        }
    }
    assert_eq!(subject.redo.state.read().segments.len(), Sizes::SMALL.segments_max);
    let newest = subject.redo.state.read().segments.back().unwrap().first;
    subject.redo.make_way(100_000);
    assert_eq!(subject.redo.state.read().segments.back().unwrap().first, newest);
}

/// Writes three frames, and says to which file, and where each ends.
fn three_frames(folder: &Path) -> (PathBuf, Vec<usize>) {
    let mut subject = Subject::open(folder, Values::new()).unwrap();
    let mut ends = Vec::new();
    for group in 1..=3 {
        subject.put(key(group), b"value");
        subject.redo.append().unwrap();
        let end = subject.redo.state.read().segments[0].end;
        ends.push(usize::try_from(end).unwrap());
    }
    let path = subject.redo.state.read().segments[0].segment.path().to_path_buf();
    (path, ends)
}

/// A power cut may take a frame and leave the next one, which must never be taken for the one that
/// is written behind another in its place.
#[test]
fn what_a_power_cut_leaves_behind_a_gap_stays_lost() {
    let scratch = Scratch::new();
    let (path, ends) = three_frames(scratch.path());
    let mut bytes = fs::read(&path).unwrap();
    bytes[ends[0]..ends[1]].fill(0);
    fs::write(&path, bytes).unwrap();
    let groups = |subject: &Subject| subject.all().keys().map(|key| key.group).collect::<Vec<_>>();
    let mut subject = Subject::open(scratch.path(), Values::new()).unwrap();
    assert_eq!(groups(&subject), [1]);
    subject.put(key(4), b"other");
    subject.redo.sync().unwrap();
    drop(subject);
    assert_eq!(groups(&Subject::open(scratch.path(), Values::new()).unwrap()), [1, 4]);
}

/// A reader may have looked up where a value is before its segment is used for something else.
#[test]
fn who_reads_while_segments_are_used_again_reads_what_was_put() {
    let scratch = Scratch::new();
    let redo = RedoLog::new(scratch.path(), Sizes::SMALL);
    let value = |group: u64| group.to_le_bytes().repeat(1_000);
    let newest = AtomicU64::new(0);
    thread::scope(|scope| {
        let (redo, newest) = (&redo, &newest);
        // So many that some are interrupted between looking up and reading.
        let readers: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(move || {
                    let mut read = 0;
                    loop {
                        let group = newest.load(Ordering::Relaxed);
                        if group == u64::MAX {
                            return read;
                        }
                        for group in group.saturating_sub(19)..=group {
                            if let Found::Value(found) = redo.find(key(group)).unwrap() {
                                assert!(found == value(group), "{group}");
                                read += 1;
                            }
                        }
                    }
                })
            })
            .collect();
        for group in 1..=20_000 {
            if !redo.begin_change(8_000).unwrap() {
                if !redo.has_spare() {
                    redo.provide().unwrap();
                }
                redo.go_on().unwrap();
            }
            redo.put(key(group), &value(group));
            redo.append().unwrap();
            newest.store(group, Ordering::Relaxed);
            if group > 20 {
                redo.begin_change(0).unwrap();
                redo.remove(key(group - 20), false);
            }
        }
        newest.store(u64::MAX, Ordering::Relaxed);
        assert!(readers.into_iter().all(|reader| reader.join().unwrap() > 0));
    });
}

/// The host may take for kept what it only shows, and a lost frame that is written again as it was
/// would bring back what once followed it.
#[test]
fn nothing_is_left_behind_the_end_once_something_is_changed() {
    let scratch = Scratch::new();
    let (path, ends) = three_frames(scratch.path());
    let whole = fs::read(&path).unwrap();
    let mut bytes = whole.clone();
    bytes[ends[0]..ends[1]].fill(0);
    fs::write(&path, bytes).unwrap();
    let damaged = fs::read(&path).unwrap();
    let mut subject = Subject::open(scratch.path(), Values::new()).unwrap();
    assert!(fs::read(&path).unwrap() == damaged, "whoever salvages finds all there is");
    subject.put(key(2), b"value");
    assert!(fs::read(&path).unwrap()[ends[0]..].iter().all(|byte| *byte == 0));
    subject.redo.sync().unwrap();
    assert_eq!(fs::read(&path).unwrap()[..ends[1]], whole[..ends[1]]);
    drop(subject);
    assert_eq!(Subject::open(scratch.path(), Values::new()).unwrap().all().len(), 2);
}
