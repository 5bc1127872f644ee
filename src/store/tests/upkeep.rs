//! What is not needed goes, and generations that have grown are written anew.

use super::{
    rules::{add, id, message},
    *,
};
use crate::store::{place_sled::SledPlace, proof::scratch::Scratch};

fn settle(seq: u64) -> Record {
    Record::Settled(id(seq))
}

fn tidy(store: &Store) {
    // Each step lets something go, so it comes to an end.
    let steps = (0..10_000).take_while(|_| store.run_once()).count();
    assert!(steps < 10_000);
}

#[test]
fn a_backlog_that_is_worked_off_leaves_little() {
    let place = FaultyPlace::new();
    let (store, _) = open(&place, Level::Power);
    let body = message(&"x".repeat(200));
    let mut most = 0;
    for round in 0..300 {
        store.append(&(0..50).map(|at| add(round * 50 + at, &body)).collect::<Vec<_>>());
        if round > 0 {
            store.append(&(0..50).map(|at| settle((round - 1) * 50 + at)).collect::<Vec<_>>());
        }
        store.run_once();
        most = most.max(place.bytes());
    }
    assert!(most < 150_000, "{most} bytes for 50 messages at a time");
    drop(store);
    let (store, recovered) = open(&place, Level::Power);
    assert_eq!(recovered.messages.len(), 50);
    drop(store);
}

#[test]
fn a_straggler_in_each_block_is_written_anew() {
    let place = FaultyPlace::new();
    let opened = Store::open_with(Box::new(place.clone()), Level::Power, u64::MAX, strict());
    let (store, _) = opened.unwrap();
    let body = message(&"x".repeat(200));
    for round in 0..50 {
        store.append(&(0..100).map(|at| add(round * 100 + at, &body)).collect::<Vec<_>>());
        store.run_once();
    }
    // One acknowledgement a commit, so that many control blocks are needed for each block.
    for seq in (0..5_000).filter(|seq| seq % 50 != 7) {
        store.append(&[settle(seq)]);
        if seq % 10 == 0 {
            store.run_once();
        }
    }
    store.append(&[Record::Amended(id(7), Amendment { returns: 3, ..Default::default() })]);
    tidy(&store);
    assert!(place.bytes() < 4 * 100 * 300, "{} bytes for 100 messages", place.bytes());
    assert_eq!(store.fetch(id(4_957)).unwrap().as_ref(), Some(&body));
    drop(store);
    let (_store, recovered) = open(&place, Level::Power);
    let left: Vec<u64> = recovered.messages.iter().map(|found| found.id.seq).collect();
    assert_eq!(left, (0..5_000).filter(|seq| seq % 50 == 7).collect::<Vec<_>>());
    assert_eq!(recovered.messages[0].state().returns, 3);
}

#[test]
fn a_message_that_comes_back_again_and_again_takes_no_more() {
    let place = FaultyPlace::new();
    let (store, _) = open(&place, Level::Power);
    store.append(&[add(1, &message("poison"))]);
    for returns in 1..3_000 {
        let state = Amendment { returns, ..Amendment::default() };
        store.append(&[Record::Amended(id(1), state)]);
        store.run_once();
    }
    tidy(&store);
    assert!(place.bytes() < 100_000, "{}", place.bytes());
    assert!((1..1_000).contains(&store.live_bytes()), "{}", store.live_bytes());
}

#[test]
fn a_generation_that_has_grown_is_written_anew_between_commits() {
    let place = FaultyPlace::new();
    let economy = Economy { size_bytes_min: 0, slice_bytes: 3_000, ..Economy::default() };
    let opened = Store::open_with(Box::new(place.clone()), Level::Power, u64::MAX, economy);
    let (store, _) = opened.unwrap();
    let body = message(&"x".repeat(1_000));
    let mut told = Vec::new();
    for seq in 0..200 {
        store.append(&[add(seq, &body)]);
        told.push(seq);
        if seq >= 20 {
            store.append(&[settle(seq - 20)]);
            told.remove(0);
        }
        store.run_once();
    }
    assert!((3..30).contains(&place.generation()), "{} generations", place.generation());
    assert!((20_000..150_000).contains(&store.disk_bytes()), "{}", store.disk_bytes());
    drop(store);
    let (_store, recovered) = open(&place, Level::Power);
    let left: Vec<u64> = recovered.messages.iter().map(|found| found.id.seq).collect();
    assert_eq!(left, told);
}

/// What goes while a generation is copied is in the new one, too, and has to go from there.
#[test]
fn what_goes_while_a_generation_is_copied_takes_no_space_afterwards() {
    let place = FaultyPlace::new();
    let economy = Economy {
        garbage_bytes_max: 4_000,
        size_bytes_min: 20_000,
        slice_bytes: 4_000,
        ..Economy::default()
    };
    let opened = Store::open_with(Box::new(place.clone()), Level::Power, u64::MAX, economy);
    let (store, _) = opened.unwrap();
    let long = |seq| add(seq, &message(&"x".repeat(1_000)));
    store.append(&(0..200).map(long).collect::<Vec<_>>());
    tidy(&store);
    store.append(&(40..200).map(settle).collect::<Vec<_>>());
    let mut rest: Vec<_> = (0..40).map(settle).collect();
    for _ in 0..1_000 {
        store.run_once();
        if place.generation() > 0 {
            break;
        }
        if place.begun_bytes() > 20_000 {
            store.append(&mem::take(&mut rest));
        }
    }
    assert_eq!((place.generation(), rest.len()), (1, 0));
    tidy(&store);
    assert!(store.disk_bytes() <= 20_000, "{}", store.disk_bytes());
}

/// A new one takes some space from the beginning.
#[test]
fn a_generation_that_can_be_no_smaller_is_left_alone() {
    let scratch = Scratch::new();
    let place = SledPlace::open_or_create(scratch.path()).unwrap();
    let economy = Economy { size_bytes_min: 0, ..Economy::default() };
    let opened = Store::open_with(Box::new(place), Level::Process, u64::MAX, economy);
    let (store, _) = opened.unwrap();
    let generations = || {
        let names = std::fs::read_dir(scratch.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("gen-")).collect::<Vec<_>>()
    };
    store.append(&[add(1, &message("a"))]);
    tidy(&store);
    let former = generations();
    for seq in 2..100 {
        store.append(&[add(seq, &message("a"))]);
        tidy(&store);
    }
    assert_eq!((former, generations()), (vec!["gen-2".to_owned()], vec!["gen-2".to_owned()]));
}

/// As when a queue is purged.
#[test]
fn space_comes_back_when_all_goes_at_once_and_nothing_is_told_any_more() {
    let scratch = Scratch::new();
    let place = SledPlace::open_or_create(scratch.path()).unwrap();
    let economy = Economy { size_bytes_min: 4 * 1_024 * 1_024, ..Economy::default() };
    let opened = Store::open_with(Box::new(place), Level::Process, u64::MAX, economy);
    let (store, _) = opened.unwrap();
    let long = |seq| add(seq, &message(&"x".repeat(1_000)));
    for some in 0..20 {
        store.append(&(some * 500..(some + 1) * 500).map(long).collect::<Vec<_>>());
        store.run_once();
    }
    tidy(&store);
    assert!(store.disk_bytes() > 10_000_000, "{}", store.disk_bytes());
    store.append(&(0..10_000).map(settle).collect::<Vec<_>>());
    tidy(&store);
    assert!(store.disk_bytes() < 5_000_000, "{}", store.disk_bytes());
}

#[test]
fn while_nothing_is_told_nothing_is_written() {
    let place = FaultyPlace::new();
    let (store, _) = open(&place, Level::Power);
    for seq in 0..100 {
        store.append(&[add(seq, &message("a"))]);
        store.append(&[settle(seq)]);
        store.run_once();
    }
    tidy(&store);
    let changes = place.changes();
    tidy(&store);
    assert_eq!(place.changes(), changes);
}
