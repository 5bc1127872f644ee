//! With the thread of the store.

use std::{
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use super::{
    rules::{add, id, message},
    *,
};
use crate::store::failure::StoreFailure;

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
    store.append(&[add(1, &message("a"))]);
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
