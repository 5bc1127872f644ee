//! Processes that end at any of their calls to the host.

use std::{fs, path::Path, process::Command};

use super::{child::child, groups, key, open};
use crate::store::{
    engine::Place,
    proof::{dice::count, scratch::Scratch},
};

/// The calls that change what is in files and directories.
const CALLS: &str = "mkdir,openat,rename,unlink,unlinkat,rmdir,write,pwrite64,fsync,fdatasync,\
    ftruncate,flock,sync_file_range";

/// No process makes so many.
const CALLS_MAX: u64 = 20_000;

pub(super) fn has_strace() -> bool {
    let is_there = Command::new("strace").arg("-V").output().is_ok_and(|run| run.status.success());
    if !is_there {
        eprintln!("SKIPPED: there is no strace");
    }
    is_there
}

/// Has a process killed at one of its calls. It plays to its end if it makes fewer.
fn plays_to_the_end(part: &str, folder: &Path, calls: &str, at: u64) -> bool {
    let trace = format!("trace={calls}");
    let inject = format!("inject={calls}:signal=SIGKILL:when={at}");
    let behind = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    child(part, folder, &behind).status().unwrap().success()
}

#[test]
fn an_end_at_any_call_leaves_what_can_be_opened() {
    if !has_strace() {
        return;
    }
    let step = count("STORE_CRASH_STEP", 9);
    let mut at = 1;
    loop {
        let scratch = Scratch::new();
        let folder = scratch.vacant();
        let has_ended = plays_to_the_end("switches", &folder, CALLS, at);
        if folder.exists() {
            let place = open(&folder);
            let (noted, groups) = (place.noted(), groups(&*place.engine()));
            // A switch comes before its note.
            let is_right =
                groups == [noted] || groups == [noted + 1] || noted == 0 && groups.is_empty();
            assert!(is_right, "call {at}: {groups:?} are there, and {noted} is noted");
        }
        if has_ended {
            assert_eq!(open(&folder).noted(), 3);
            break;
        }
        at += step;
        assert!(at < CALLS_MAX, "it never plays to its end");
    }
    eprintln!("The process made fewer than {at} calls.");
    assert!(at > 100, "only {at} calls were seen");
}

/// What power cuts leave while a store is made, piece by piece, since no test can make them.
#[test]
fn a_store_that_was_being_made_is_made_anew() {
    let scratch = Scratch::new();
    let folder = scratch.vacant();
    drop(open(&folder));
    let header = fs::read(folder.join("leveret")).unwrap();
    fs::remove_dir_all(&folder).unwrap();

    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("lock"), "").unwrap();
    fs::write(folder.join("leveret.new"), &header[..100]).unwrap();
    drop(open(&folder));
    fs::remove_dir_all(&folder).unwrap();

    for stage in 0..5 {
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("lock"), "").unwrap();
        super::super::header::Header::write(&folder, 0, 0).unwrap();
        let generation = folder.join("gen-1");
        let made: [&dyn Fn(); 5] = [
            &|| fs::create_dir(&generation).unwrap(),
            &|| fs::create_dir(generation.join("blobs")).unwrap(),
            &|| fs::write(generation.join("conf"), "torn").unwrap(),
            &|| fs::write(generation.join("db"), [0; 5_000]).unwrap(),
            &|| fs::write(generation.join("snap.0000000000000000.generating"), "torn").unwrap(),
        ];
        for make in &made[..=stage] {
            make();
        }
        let place = open(&folder);
        assert_eq!(groups(&*place.engine()), [0; 0]);
        place.engine().put(key(1), b"a").unwrap();
        place.engine().sync().unwrap();
        drop(place);
        assert_eq!(groups(&*open(&folder).engine()), [1]);
        fs::remove_dir_all(&folder).unwrap();
    }
}

#[test]
fn a_snapshot_that_was_not_finished_is_left_out() {
    let scratch = Scratch::new();
    super::filled(scratch.path());
    let torn = scratch.path().join("gen-1/snap.FFFFFFFFFFFFFFFF.generating");
    fs::write(&torn, "torn").unwrap();
    assert_eq!(groups(&*open(scratch.path()).engine()).len(), 100);
    assert!(!torn.exists());
}

#[test]
fn what_is_durable_outlives_a_process_that_is_killed() {
    if !has_strace() {
        return;
    }
    let mut at = 20;
    loop {
        let scratch = Scratch::new();
        let folder = scratch.vacant();
        let has_ended = plays_to_the_end("commits", &folder, "pwrite64,fdatasync", at);
        let place = open(&folder);
        let (noted, groups) = (place.noted(), groups(&*place.engine()));
        // The commit after it may have taken it out again, and not come to its note.
        let may_be_gone = noted % 3 == 2 || noted == 0;
        assert!(may_be_gone || groups.contains(&noted), "call {at}: {noted} is not there");
        drop(place);
        let place = open(&folder);
        assert_eq!(super::groups(&*place.engine()), groups, "opening again finds something else");
        if has_ended {
            break;
        }
        at += count("STORE_KILL_STEP", 5);
        assert!(at < CALLS_MAX, "it never plays to its end");
    }
    assert!(at > 60, "only {at} calls were seen");
}
