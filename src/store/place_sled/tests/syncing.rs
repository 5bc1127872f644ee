//! That a data sync begins after the last write of each commit, seen from outside.

use std::fs;

use super::{child::child, crashes::has_strace};
use crate::store::proof::scratch::Scratch;

/// What a thread does on the data of the store.
#[derive(Debug, PartialEq)]
enum Seen {
    WriteEnds,
    SyncBegins(u32),
    SyncEnds(u32),
    /// Written to the header when a sync has returned.
    Note,
}

#[test]
fn what_is_synced_was_written_before() {
    if !has_strace() {
        return;
    }
    let scratch = Scratch::new();
    let log = scratch.path().join("log");
    let calls = "trace=pwrite64,write,fdatasync,fsync,sync_file_range";
    let behind = ["strace", "-f", "-qq", "-y", "-o", log.to_str().unwrap(), "-e", calls];
    let status = child("commits", &scratch.vacant(), &behind).status().unwrap();
    assert!(status.success(), "{status}");
    let log = fs::read_to_string(log).unwrap();
    let seen: Vec<_> = log.lines().flat_map(seen).collect();
    let (notes, syncs) = check(&seen);
    eprintln!("{notes} commits, {syncs} data syncs");
    assert_eq!(notes, 60);
    assert!(syncs > notes, "in large commits there are syncs on the way");
}

/// Between the last write and the note a data sync begins and ends, in each commit.
fn check(seen: &[Seen]) -> (usize, usize) {
    let (mut notes, mut syncs) = (0, 0);
    let mut last_write = None;
    for (at, call) in seen.iter().enumerate() {
        match call {
            Seen::WriteEnds => last_write = Some(at),
            Seen::SyncBegins(_) => syncs += 1,
            Seen::SyncEnds(_) => {}
            Seen::Note => {
                notes += 1;
                let since = &seen[last_write.expect("something was written")..at];
                let has_synced = since.iter().enumerate().any(|(begun, call)| match call {
                    Seen::SyncBegins(thread) => since[begun..].contains(&Seen::SyncEnds(*thread)),
                    _ => false,
                });
                assert!(has_synced, "commit {notes} was told durable after {since:?}");
            }
        }
    }
    (notes, syncs)
}

fn seen(line: &str) -> Vec<Seen> {
    let Some((thread, call)) = line.split_once(' ') else { return Vec::new() };
    let Ok(thread) = thread.parse() else { return Vec::new() };
    let call = call.trim_start();
    let (is_data, is_done) = (call.contains("/gen-1/db>"), call.ends_with("= 0"));
    if call.starts_with("write(") && call.contains("/store/leveret>") {
        return vec![Seen::Note];
    }
    if call.starts_with("pwrite64(") && is_data || call.contains("pwrite64 resumed>") {
        return vec![Seen::WriteEnds];
    }
    match call.starts_with("fdatasync(") && is_data {
        true if is_done => vec![Seen::SyncBegins(thread), Seen::SyncEnds(thread)],
        true => vec![Seen::SyncBegins(thread)],
        false if is_done && call.contains("fdatasync resumed>") => vec![Seen::SyncEnds(thread)],
        false => Vec::new(),
    }
}
