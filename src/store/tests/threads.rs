//! With the thread of the store.

use std::{
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use super::{
    gate::{Gate, GatedPlace, Way},
    rules::{add, id, message},
    *,
};
use crate::store::failure::StoreFailure;

/// A message of so many bytes is synced by a thread of its own.
const LONG: usize = 200_000;

fn attended(place: &FaultyPlace) -> (Arc<Store>, Recovered) {
    Store::open(Box::new(place.clone()), Level::Power, u64::MAX).unwrap()
}

#[test]
fn what_several_threads_tell_becomes_durable() {
    let place = FaultyPlace::new();
    let (store, _) = attended(&place);
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    store.on_progress(Box::new(move || {
        counted.fetch_add(1, Ordering::Relaxed);
    }));
    thread::scope(|threads| {
        for thread in 0..4 {
            let store = &store;
            threads.spawn(move || {
                for at in 0..200 {
                    let position = store.append(&[add(thread * 1_000 + at, &message("a"))]);
                    if at % 50 == 0 {
                        let waited = store.wait(position, HostDeadline::NEVER);
                        assert_eq!(waited, Some(Ok(())));
                        assert!(store.fetch(id(thread * 1_000 + at)).unwrap().is_some());
                    }
                }
            });
        }
    });
    assert_eq!(store.close(HostDeadline::NEVER), Ok(()));
    assert!(calls.load(Ordering::Relaxed) > 0);
    let (_store, recovered) = attended(&place);
    assert_eq!(recovered.messages.len(), 800);
}

#[test]
fn closing_writes_what_has_gathered_and_refuses_the_rest() {
    let place = FaultyPlace::new();
    let (store, _) = attended(&place);
    let position = store.append(&[add(1, &message("a"))]);
    assert_eq!(store.close(HostDeadline::NEVER), Ok(()));
    assert_eq!(store.close(HostDeadline::NEVER), Ok(()), "twice");
    assert_eq!(store.poll(position), Some(Ok(())));
    let late = store.append(&[add(2, &message("b"))]);
    assert_eq!(store.poll(late), Some(Err(StoreFailure::Closed)));
    assert!(store.fetch(id(1)).is_err());
    let (_store, recovered) = attended(&place);
    assert_eq!(recovered.messages.len(), 1);
}

#[test]
fn a_wait_has_an_end() {
    let place = FaultyPlace::new();
    place.set_room(0);
    let (store, _) = attended(&place);
    let position = store.append(&[add(1, &message("a"))]);
    let within = HostDeadline::within(Duration::from_millis(1));
    assert_eq!(store.wait(position, within), None);
    place.set_room(usize::MAX);
    // Telling something makes it try again.
    store.append(&[Record::Settled(id(7))]);
    assert_eq!(store.wait(position, HostDeadline::NEVER), Some(Ok(())));
}

#[test]
fn the_thread_itself_may_drop_the_last_handle() {
    // By the one that writes, and by the one that syncs.
    for bytes in [1, LONG] {
        drop_on_its_thread(bytes);
    }
}

fn drop_on_its_thread(bytes: usize) {
    let place = FaultyPlace::new();
    let (store, _) = attended(&place);
    let (go, gone) = mpsc::channel::<()>();
    let (done, is_done) = mpsc::channel();
    let kept = Mutex::new(Rank::Broker, Some((Arc::clone(&store), gone)));
    store.on_progress(Box::new(move || {
        let kept = kept.lock().take();
        if let Some((store, gone)) = kept {
            gone.recv().unwrap();
            drop(store);
            done.send(()).unwrap();
        }
    }));
    store.append(&[add(1, &message(&"a".repeat(bytes)))]);
    drop(store);
    go.send(()).unwrap();
    is_done.recv().unwrap();
    let (_store, recovered) = attended(&place);
    assert_eq!(recovered.messages.len(), 1);
}

#[test]
fn a_panic_of_an_engine_is_a_failure() {
    let place = FaultyPlace::new();
    let (store, _) = attended(&place);
    place.panic_next();
    let position = store.append(&[add(1, &message("a"))]);
    let failure = StoreFailure::Failed("its thread has panicked".to_owned());
    assert_eq!(store.wait(position, HostDeadline::NEVER), Some(Err(failure)));
    assert_eq!(store.unwritten_bytes(), 0);
}

/// A store whose syncs wait for the gate.
fn gated(place: &FaultyPlace, economy: Economy) -> (Arc<Store>, Gate) {
    let (gated, gate) = GatedPlace::new(place);
    let opened = Store::open_attended(Box::new(gated), Level::Power, u64::MAX, economy);
    (opened.unwrap().0, gate)
}

/// A store that is making one long message durable, which waits for the gate; it has the place 1.
fn syncing(place: &FaultyPlace) -> (Arc<Store>, Position, Gate) {
    let (store, gate) = gated(place, Economy::default());
    let position = tell_long(&store, 1);
    gate.come.recv().unwrap();
    (store, position, gate)
}

fn tell_long(store: &Store, seq: u64) -> Position {
    store.append(&[add(seq, &message(&"a".repeat(LONG)))])
}

/// Waits until all that was told has been taken up.
fn wait_until_taken(store: &Store) {
    wait_until("it is taken up", || store.shared.intake.is_empty());
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let until = HostDeadline::within(Duration::from_mins(1));
    while !is_so() {
        assert!(until.left().is_some(), "waited until {what}");
        thread::yield_now();
    }
}

#[test]
fn while_a_commit_is_synced_the_next_one_is_packed() {
    let place = FaultyPlace::new();
    let (store, first, gate) = syncing(&place);
    let (changes, durable) = (place.changes(), store.durable());
    assert!(durable < first);
    assert!(store.fetch(id(1)).unwrap().is_some());
    let second = tell_long(&store, 2);
    wait_until_taken(&store);
    assert!(store.fetch(id(1)).unwrap().is_some() && store.fetch(id(2)).unwrap().is_some());
    assert_eq!((place.changes(), store.durable()), (changes, durable));
    gate.go.send(Way::Well).unwrap();
    assert_eq!(store.wait(first, HostDeadline::NEVER), Some(Ok(())));
    gate.come.recv().unwrap();
    assert!(place.changes() > changes);
    assert!(store.durable() < second);
    gate.go.send(Way::Well).unwrap();
    assert_eq!(store.wait(second, HostDeadline::NEVER), Some(Ok(())));
    assert_eq!(store.unwritten_bytes(), 0);
}

/// It is less than what is being synced, so nobody takes it up before.
#[test]
fn a_little_that_comes_during_a_sync_is_written_after_it() {
    let (store, first, gate) = syncing(&FaultyPlace::new());
    let second = store.append(&[add(2, &message("b"))]);
    assert!(!store.shared.intake.is_empty());
    gate.go.send(Way::Well).unwrap();
    assert_eq!(store.wait(first, HostDeadline::NEVER), Some(Ok(())));
    gate.come.recv().unwrap();
    assert!(store.durable() < second);
    gate.go.send(Way::Well).unwrap();
    assert_eq!(store.wait(second, HostDeadline::NEVER), Some(Ok(())));
}

#[test]
fn what_follows_a_sync_that_fails_is_not_durable() {
    let reasons = [(Way::Fails, "the disk is on fire"), (Way::Panics, "a sync has panicked")];
    for (way, reason) in reasons {
        let (store, first, gate) = syncing(&FaultyPlace::new());
        // Nothing is left to be written of it.
        let gone = [add(2, &message(&"a".repeat(LONG))), Record::Settled(id(2))];
        let second = store.append(&gone);
        wait_until_taken(&store);
        gate.go.send(way).unwrap();
        let failure = StoreFailure::Failed(reason.to_owned());
        for position in [first, second] {
            let waited = store.wait(position, HostDeadline::NEVER);
            assert_eq!(waited, Some(Err(failure.clone())));
        }
        assert_eq!(store.close(HostDeadline::NEVER), Err(failure));
        assert_eq!(store.unwritten_bytes(), 0);
    }
}

#[test]
fn closing_waits_for_a_sync() {
    let place = FaultyPlace::new();
    let (store, first, gate) = syncing(&place);
    let second = tell_long(&store, 2);
    let soon = HostDeadline::within(Duration::from_millis(1));
    assert_eq!(store.close(soon), Err(StoreFailure::Unfinished));
    drop(gate);
    assert_eq!(store.close(HostDeadline::NEVER), Ok(()));
    assert_eq!((store.poll(first), store.poll(second)), (Some(Ok(())), Some(Ok(()))));
    let (_store, recovered) = attended(&place);
    assert_eq!(recovered.messages.len(), 2);
}

#[test]
fn that_a_sync_has_failed_is_told_at_once() {
    let (store, gate) = gated(&FaultyPlace::new(), Economy::default());
    // As by a disk that answers nobody any more.
    gate.hold_up();
    let position = tell_long(&store, 1);
    gate.come.recv().unwrap();
    gate.go.send(Way::Fails).unwrap();
    let failure = StoreFailure::Failed("the disk is on fire".to_owned());
    assert_eq!(store.wait(position, HostDeadline::NEVER), Some(Err(failure.clone())));
    let soon = HostDeadline::within(Duration::from_millis(1));
    assert_eq!(store.close(soon), Err(StoreFailure::Unfinished));
    gate.let_go();
    assert_eq!(store.close(HostDeadline::NEVER), Err(failure));
    assert_eq!(store.unwritten_bytes(), 0);
}

/// A store that has changed to another generation while a second long message is made durable,
/// which waits for the gate.
fn syncing_in_a_former_generation(place: &FaultyPlace) -> (Arc<Store>, Position, Gate) {
    // A look at the size after the first long message finds that much has gone, and all of what is
    // left is copied at once.
    let (size_bytes_min, slice_bytes) = (0, 600_000);
    let defaults = Economy::default();
    let economy = Economy { size_bytes_min, slice_bytes, garbage_bytes_max: u64::MAX, ..defaults };
    let (store, gate) = gated(place, economy);
    let short = |record| {
        let position = store.append(&[record]);
        gate.come.recv().unwrap();
        gate.go.send(Way::Well).unwrap();
        assert_eq!(store.wait(position, HostDeadline::NEVER), Some(Ok(())));
    };
    let gone = || 11..14;
    gone().for_each(|seq| short(add(seq, &message(&"a".repeat(90_000)))));
    gone().for_each(|seq| short(Record::Settled(id(seq))));
    // What has gone is announced, and then taken away.
    (0..2).for_each(|_| short(Record::Settled(id(99))));
    tell_long(&store, 1);
    gate.come.recv().unwrap();
    wait_until("a generation is begun", || place.has_begun());
    let position = tell_long(&store, 2);
    wait_until_taken(&store);
    gate.go.send(Way::Well).unwrap();
    gate.come.recv().unwrap();
    wait_until("it is the present one", || place.generation() == 1);
    (store, position, gate)
}

#[test]
fn a_generation_may_be_replaced_while_it_is_synced() {
    for way in [Way::Well, Way::Fails, Way::Panics] {
        let place = FaultyPlace::new();
        let (store, position, gate) = syncing_in_a_former_generation(&place);
        assert_eq!(store.poll(position), None, "{way:?}");
        let third = tell_long(&store, 3);
        gate.go.send(way).unwrap();
        drop(gate);
        let is_well = way == Way::Well;
        for position in [position, third] {
            let waited = store.wait(position, HostDeadline::NEVER).unwrap();
            assert_eq!(waited.is_ok(), is_well, "{way:?}");
        }
        assert_eq!(store.close(HostDeadline::NEVER).is_ok(), is_well, "{way:?}");
        place.crash(Crash::Cut, |_| 1);
        let (_store, recovered) = attended(&place);
        let found: Vec<_> = recovered.messages.iter().map(|found| found.id.seq).collect();
        // The new one had been synced with the second message in it.
        assert_eq!(found, if is_well { vec![1, 2, 3] } else { vec![1, 2] }, "{way:?}");
    }
}
