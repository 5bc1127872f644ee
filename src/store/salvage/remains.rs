//! The values that files still hold, whatever became of the database that they belonged to.
//!
//! The files are searched byte by byte; only where each value is stays in memory. Of several copies
//! of one the wholest counts, and of several attempts at one commit the last. A database overwrites
//! late what was taken out of it, so there are values among them that nobody needs any more. Those
//! of which a commit says that they were given up are left out. What they say of other items is
//! not: it may be all that is known of these.

use std::{
    collections::{BTreeMap, HashSet},
    fs::File,
    io::{ErrorKind, Read, Seek, SeekFrom},
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use super::sighting::{Sighting, seek};
use crate::store::{
    codec::{self, Entry, Run},
    engine::{Each, EngineError, Key, VALUE_BYTES_MAX},
    open_error::OpenError,
    part::{self, CommitHead, Head, Kind},
};

/// So much of a file is looked at at a time.
const WINDOW_BYTES: usize = 1_024 * 1_024;

/// What a host cannot read is passed over in steps of a sector.
const SECTOR_BYTES: usize = 4 * 1_024;

#[derive(Debug, Default)]
pub(super) struct Remains {
    files: Vec<File>,
    finds: BTreeMap<Key, Find>,
    /// What commits have given up: how many values from a first one on.
    given_up: BTreeMap<Key, u32>,
    /// What the first value says of the newest commit of which that is there: its number, its
    /// attempt, and the rest.
    newest: Option<(u64, u64, CommitHead)>,
    /// How many sectors the host could not read.
    pub(super) unreadable_sectors: u64,
}

/// Where a value is.
#[derive(Clone, Copy, Debug)]
struct Find {
    file: usize,
    at: u64,
    bytes: usize,
    kind: Kind,
    attempt: u64,
    whole: u32,
    broken: u32,
    is_piece: bool,
}

impl Remains {
    /// Searches files.
    pub(super) fn search(paths: &[PathBuf]) -> Result<Self, OpenError> {
        let mut remains = Self::default();
        for path in paths {
            remains.search_file(path)?;
        }
        remains.drop_former_attempts();
        remains.drop_given_up();
        Ok(remains)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.finds.is_empty()
    }

    /// Whether there are values of later commits than this one, beside some.
    pub(super) fn has_newer(&self, group: u64, but: &[Key]) -> bool {
        let known: HashSet<&Key> = but.iter().collect();
        let after = Key { group, part: u32::MAX };
        self.finds.range(after..).any(|(key, _)| key.group > group && !known.contains(key))
    }

    /// How many values at least there should be and are not, as the newest commit says.
    pub(super) fn missing(&self) -> u64 {
        let Some((.., newest)) = self.newest else { return 0 };
        let is_given_up = |key: Key| {
            let before = self.given_up.range(..=key).next_back();
            before.is_some_and(|(first, values)| {
                first.group == key.group && key.part - first.part < *values
            })
        };
        let there = self.finds.keys().filter(|key| !is_given_up(**key)).count();
        newest.live.values.saturating_sub(there as u64)
    }

    /// How many records were seen that are not whole, but for those that need several values.
    pub(super) fn broken(&self) -> u64 {
        let short = self.finds.values().filter(|find| !find.is_piece);
        short.map(|find| u64::from(find.broken)).sum()
    }

    /// A serial that no entity had, as far as commits say.
    pub(super) fn next_serial(&self) -> u64 {
        self.newest.map_or(1, |(.., head)| head.next_serial)
    }

    /// Shows every value in the order of keys, without what is not whole at its end.
    pub(super) fn scan(&self, each: Each<'_>) -> Result<(), EngineError> {
        let mut value = Vec::with_capacity(VALUE_BYTES_MAX);
        for (key, find) in &self.finds {
            value.clear();
            value.resize(find.bytes, 0);
            let Some(mut file) = self.files.get(find.file) else { continue };
            let read =
                file.seek(SeekFrom::Start(find.at)).and_then(|_| file.read_exact(&mut value));
            read.map_err(|error| EngineError::Failed(error.to_string()))?;
            each(*key, &value)?;
        }
        Ok(())
    }

    fn search_file(&mut self, path: &Path) -> Result<(), OpenError> {
        let mut file = File::open(path).map_err(|error| OpenError::reading(path, &error))?;
        let number = self.files.len();
        let (mut window, mut base, mut is_end) = (Vec::with_capacity(WINDOW_BYTES), 0, false);
        while !is_end {
            is_end = self.fill(&mut file, base, &mut window);
            let mut start = 0;
            while let Some((at, seen)) = window.get(start..).and_then(seek) {
                let begin = start + at;
                if !is_end && begin + VALUE_BYTES_MAX > window.len() {
                    break;
                }
                let value = window.get(begin..begin + seen.bytes).unwrap_or_default();
                self.note(number, base + begin as u64, &seen, value);
                start = begin + seen.sound_bytes;
            }
            // What begins later may go on behind the window.
            let done = start.max((window.len() + 1).saturating_sub(VALUE_BYTES_MAX));
            window.drain(..done.min(window.len()));
            base += done as u64;
        }
        self.files.push(file);
        Ok(())
    }

    /// Reads on until the window is full, and says whether the file ends there. What cannot be read
    /// is zero.
    fn fill(&mut self, file: &mut File, base: u64, window: &mut Vec<u8>) -> bool {
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        while window.len() < WINDOW_BYTES {
            let at = base + window.len() as u64;
            if at >= length {
                return true;
            }
            let start = window.len();
            window.resize(WINDOW_BYTES, 0);
            let free = window.get_mut(start..).unwrap_or_default();
            match file.seek(SeekFrom::Start(at)).and_then(|_| file.read(free)) {
                // It has become shorter.
                Ok(0) => {
                    window.truncate(start);
                    return true;
                }
                Ok(read) => window.truncate(start + read),
                Err(error) if error.kind() == ErrorKind::Interrupted => window.truncate(start),
                Err(_) => {
                    self.unreadable_sectors += 1;
                    window.truncate(start + SECTOR_BYTES);
                }
            }
        }
        false
    }

    fn note(&mut self, file: usize, at: u64, seen: &Sighting, value: &[u8]) {
        let Sighting { key, head, bytes, whole, broken, .. } = *seen;
        let Head { kind, attempt, pieces, .. } = head;
        if kind == Kind::Control {
            self.note_given_up(key, value);
        }
        if let Some(head) = head.commit
            && self.newest.is_none_or(|(group, last, _)| (group, last) <= (key.group, attempt))
        {
            self.newest = Some((key.group, attempt, head));
        }
        let is_piece = pieces > 1;
        let find = Find { file, at, bytes, kind, attempt, whole, broken, is_piece };
        let known = self.finds.entry(key).or_insert(find);
        if (known.attempt, known.whole) < (attempt, whole) {
            *known = find;
        }
    }

    fn note_given_up(&mut self, key: Key, value: &[u8]) {
        let Ok((_, frames)) = part::head(key, value) else { return };
        for payload in frames.flatten() {
            let Ok(Entry::Leaving(runs)) = codec::entry(payload) else { continue };
            for Run { first, values } in runs {
                let known = self.given_up.entry(first).or_default();
                *known = values.max(*known);
            }
        }
    }

    fn drop_former_attempts(&mut self) {
        let mut last = BTreeMap::new();
        for (key, find) in &self.finds {
            let attempt = last.entry(key.group).or_insert(find.attempt);
            *attempt = find.attempt.max(*attempt);
        }
        self.finds.retain(|key, find| last.get(&key.group) == Some(&find.attempt));
    }

    fn drop_given_up(&mut self) {
        for (first, values) in &self.given_up {
            let gone: Vec<Key> = self.finds.range(keys(*first, *values)).map(known).collect();
            for key in gone {
                if self.finds.get(&key).is_some_and(|find| find.kind != Kind::Control) {
                    self.finds.remove(&key);
                }
            }
        }
    }
}

fn keys(first: Key, values: u32) -> RangeInclusive<Key> {
    let last = Key { part: first.part.saturating_add(values.saturating_sub(1)), ..first };
    first..=last
}

fn known(find: (&Key, &Find)) -> Key {
    *find.0
}
