//! That what a commit needs is synced before it is told, seen from outside.

use std::{
    collections::{HashMap, HashSet},
    fs,
};

use super::{child::child, crashes::has_strace};
use crate::store::proof::scratch::Scratch;

/// So that there is time to do something wrong meanwhile.
const SLOW_SYNCS: &str = "inject=fdatasync:delay_enter=5000";

/// What a thread has done to a file of the store.
#[derive(Clone, Debug)]
enum Seen {
    Written {
        file: String,
        is_at_start: bool,
    },
    Syncing(String),
    Synced(String),
    /// Written to the header when a sync has returned.
    Note,
}

/// What was seen, in the order in which it ended, and before each sync that it has begun.
#[derive(Debug, Default)]
struct Trace {
    /// What has begun in each thread.
    begun: HashMap<String, Seen>,
    seen: Vec<Seen>,
}

#[derive(Debug, Default)]
struct Counts {
    notes: usize,
    syncs_of_log: usize,
    syncs_of_database: usize,
    begun_anew: usize,
}

#[test]
fn what_is_synced_was_written_before() {
    if !has_strace() {
        return;
    }
    let counts = watch("commits");
    assert_eq!(counts.notes, 60);
    assert!(counts.syncs_of_log > 60, "in large commits there are syncs on the way");
    assert!(counts.syncs_of_database > 10 && counts.begun_anew > 10, "much was settled");
}

/// With a store, whose long commits are written by one thread and synced by another.
#[test]
fn what_is_confirmed_was_written_and_then_synced() {
    if !has_strace() {
        return;
    }
    let counts = watch("confirms");
    assert!(counts.notes >= 15 && counts.syncs_of_log >= counts.notes, "{counts:?}");
}

/// Checks what a child does to its files.
fn watch(part: &str) -> Counts {
    let scratch = Scratch::new();
    let log = scratch.path().join("log");
    let calls = ["-e", "trace=pwrite64,write,fdatasync", "-e", SLOW_SYNCS];
    let how = ["strace", "-f", "-qq", "-y", "-s", "0", "-o", log.to_str().unwrap()];
    let behind = [how.as_slice(), &calls].concat();
    let status = child(part, &scratch.vacant(), &behind).status().unwrap();
    assert!(status.success(), "{status}");
    let mut trace = Trace::default();
    fs::read_to_string(log).unwrap().lines().for_each(|line| trace.note(line));
    let counts = check(&trace.seen);
    eprintln!("{part}: {counts:?}");
    counts
}

/// Since its last write each segment of the log was synced when a commit is told, and the database
/// when a segment is used again.
fn check(seen: &[Seen]) -> Counts {
    let mut counts = Counts::default();
    let (mut unsynced, mut syncing) = (HashSet::new(), HashSet::new());
    for call in seen {
        match call {
            Seen::Written { file, is_at_start } => {
                let is_log = file.starts_with("redo-");
                counts.begun_anew += usize::from(is_log && *is_at_start);
                let is_open = unsynced.contains("db") || syncing.contains("db");
                let is_early = is_log && *is_at_start && is_open;
                assert!(!is_early, "{file} was overwritten before the database was synced");
                unsynced.insert(file.clone());
            }
            // It is for what was written before.
            Seen::Syncing(file) => {
                if unsynced.remove(file) {
                    syncing.insert(file.clone());
                }
            }
            Seen::Synced(file) => {
                syncing.remove(file);
                match file.as_str() {
                    "db" => counts.syncs_of_database += 1,
                    _ => counts.syncs_of_log += 1,
                }
            }
            Seen::Note => {
                counts.notes += 1;
                let early = unsynced.union(&syncing).find(|file| file.starts_with("redo-"));
                assert!(early.is_none(), "commit {} was told before {early:?}", counts.notes);
            }
        }
    }
    counts
}

impl Trace {
    fn note(&mut self, line: &str) {
        let Some((thread, call)) = line.split_once(' ') else { return };
        let call = call.trim_start();
        if call.starts_with("<... ") {
            let ended = self.begun.remove(thread).filter(|_| !call.ends_with("= ?"));
            self.seen.extend(ended);
        } else if let Some(seen) = seen(call) {
            if let Seen::Synced(file) = &seen {
                self.seen.push(Seen::Syncing(file.clone()));
            }
            if call.ends_with("<unfinished ...>") {
                self.begun.insert(thread.to_owned(), seen);
            } else {
                self.seen.push(seen);
            }
        }
    }
}

fn seen(call: &str) -> Option<Seen> {
    let (name, rest) = call.split_once('(')?;
    let path = rest.split_once('<')?.1.split_once('>')?.0;
    let file = path.rsplit_once('/')?.1.to_owned();
    let is_data = path.contains("/gen-1/") && (file == "db" || file.starts_with("redo-"));
    match name {
        "write" if path.ends_with("/store/leveret") => Some(Seen::Note),
        "pwrite64" if is_data => {
            let arguments = rest.split(')').next()?.split(" <unfinished").next()?;
            Some(Seen::Written { file, is_at_start: arguments.trim_end().ends_with(", 0") })
        }
        "fdatasync" if is_data => Some(Seen::Synced(file)),
        _ => None,
    }
}
