//! The rules one at a time.

use std::slice;

use super::*;
use crate::{Message, message::Label, store::failure::StoreFailure};

pub(super) fn message(body: &str) -> Message {
    let mut message = Message::new(body).persistent();
    message.put_label(&Label::new(Name::from(""), Name::from("q")));
    message
}

pub(super) fn id(seq: u64) -> ItemId {
    ItemId { queue: 1, seq }
}

pub(super) fn add(seq: u64, message: &Message) -> Record {
    let state = Amendment::default();
    Record::Message(MessageRecord { id: id(seq), state, message: message.clone() })
}

fn returned(returns: u32) -> Amendment {
    Amendment { returns, ..Amendment::default() }
}

/// Tells groups, each of which is a commit of its own.
fn told(place: &FaultyPlace, commits: &[&[Record]]) -> Arc<Store> {
    let (store, _) = open(place, Level::Power);
    for group in commits {
        let position = store.append(group);
        store.run_once();
        assert_eq!(store.poll(position), Some(Ok(())));
    }
    store
}

/// What is there when the store is opened again: places, and how often each came back.
fn found(place: &FaultyPlace) -> Vec<(u64, u32)> {
    let (_store, recovered) = open(place, Level::Power);
    recovered.messages.iter().map(|found| (found.id.seq, found.state().returns)).collect()
}

#[track_caller]
fn check(commits: &[&[Record]], expected: &[(u64, u32)]) {
    let apart = FaultyPlace::new();
    drop(told(&apart, commits));
    assert_eq!(found(&apart), expected, "each in a commit of its own");
    let together = FaultyPlace::new();
    let (store, _) = open(&together, Level::Power);
    for group in commits {
        store.append(group);
    }
    drop(store);
    assert_eq!(found(&together), expected, "all in one commit");
}

#[test]
fn what_is_told_before_its_item_is_done_to_it() {
    let (settled, amended) = (Record::Settled(id(1)), Record::Amended(id(1), returned(2)));
    let message = message("a");
    check(&[slice::from_ref(&settled), &[add(1, &message)]], &[]);
    check(&[slice::from_ref(&amended), &[add(1, &message)]], &[(1, 2)]);
    let moved = Record::Moved(id(1), 5);
    check(&[slice::from_ref(&moved), &[add(1, &message)]], &[(5, 0)]);
    check(&[slice::from_ref(&moved), &[amended], &[add(1, &message)]], &[(5, 2)]);
    let later = Record::Settled(id(5));
    check(&[slice::from_ref(&later), slice::from_ref(&moved), &[add(1, &message)]], &[]);
    check(&[&[later], &[add(1, &message)], &[moved]], &[]);
    // It is of that item only: the place may be taken again.
    let again: [&[Record]; 3] = [&[settled], &[add(1, &message)], &[add(1, &message)]];
    check(&again, &[(1, 0)]);
}

#[test]
fn an_end_is_of_what_was_there_before_it() {
    let message = message("a");
    let commits: [&[Record]; 3] =
        [&[add(1, &message)], &[Record::Settled(id(1))], &[add(1, &message)]];
    let place = FaultyPlace::new();
    drop(told(&place, &commits));
    assert_eq!(found(&place), [(1, 0)]);
}

#[test]
fn more_returns_win_and_then_the_later_one() {
    let message = message("a");
    let amended = |returns, is_redelivered| {
        Record::Amended(id(1), Amendment { is_redelivered, ..returned(returns) })
    };
    check(&[&[add(1, &message)], &[amended(2, true)], &[amended(1, true)]], &[(1, 2)]);
    check(&[&[amended(2, true)], &[add(1, &message)], &[amended(1, true)]], &[(1, 2)]);
    let place = FaultyPlace::new();
    drop(told(&place, &[&[add(1, &message)], &[amended(1, true)], &[amended(1, false)]]));
    let (_store, recovered) = open(&place, Level::Power);
    assert!(!recovered.messages[0].state().is_redelivered);
}

#[test]
fn an_amendment_that_has_moved_goes_on() {
    let message = message("a");
    let (moved, again) = (Record::Moved(id(1), 4), Record::Moved(id(4), 6));
    let amended = |seq, returns| Record::Amended(id(seq), returned(returns));
    check(
        &[
            &[add(1, &message)],
            &[amended(1, 3)],
            slice::from_ref(&moved),
            &[amended(4, 1)],
            &[again],
        ],
        &[(6, 3)],
    );
    check(&[&[add(1, &message)], &[moved], &[Record::Settled(id(4))]], &[]);
}

#[test]
fn two_may_change_places() {
    let place = FaultyPlace::new();
    let store = told(
        &place,
        &[
            &[add(1, &message("one")), add(2, &message("two"))],
            &[Record::Moved(id(1), 9), Record::Moved(id(2), 1), Record::Moved(id(9), 2)],
        ],
    );
    assert_eq!(store.fetch(id(1)).unwrap().unwrap().text(), Some("two"));
    assert_eq!(store.fetch(id(2)).unwrap().unwrap().text(), Some("one"));
    drop(store);
    let (_store, recovered) = open(&place, Level::Power);
    let bodies = recovered.messages.iter().map(|found| match &found.message {
        RecoveredBody::Resident(message) => message.text().map(str::to_owned),
        RecoveredBody::OnDisk(_) => None,
    });
    assert_eq!(bodies.collect::<Vec<_>>(), [Some("two".to_owned()), Some("one".to_owned())]);
}

#[test]
fn a_queue_that_has_ended_takes_nothing() {
    let message = message("a");
    let ended = Record::QueueEnded(1);
    check(&[&[add(1, &message)], &[add(2, &message), ended.clone()]], &[]);
    check(&[&[add(1, &message)], &[ended], &[add(2, &message)]], &[]);
}

#[test]
fn a_message_in_many_queues_is_written_once() {
    let place = FaultyPlace::new();
    let body = message(&"x".repeat(3_000));
    let group: Vec<Record> = (0..50).map(|seq| add(seq, &body)).collect();
    drop(told(&place, &[&group]));
    assert!(place.bytes() < 6_000, "{}", place.bytes());
    let (store, recovered) = open(&place, Level::Power);
    assert_eq!(recovered.messages.len(), 50);
    let RecoveredBody::Resident(first) = &recovered.messages[0].message else { panic!() };
    for found in &recovered.messages {
        assert!(matches!(&found.message, RecoveredBody::Resident(same) if same.is_same(first)));
    }
    assert_eq!(store.fetch(id(49)).unwrap().as_ref(), Some(&body));
}

#[test]
fn serials_are_never_given_twice() {
    let place = FaultyPlace::new();
    let (store, recovered) = open(&place, Level::Power);
    assert_eq!(recovered.next_serial, 1);
    assert_eq!((store.next_serial(), store.next_serial()), (1, 2));
    store.append(&[add(1, &message("a"))]);
    drop(store);
    let (store, recovered) = open(&place, Level::Power);
    assert_eq!((recovered.next_serial, store.next_serial()), (3, 3));
}

#[test]
fn bodies_beyond_the_bound_stay_on_disk() {
    let place = FaultyPlace::new();
    let made = |seq: u64| {
        let text = format!("{seq}").repeat(100);
        let mut message = message(&text).with_priority(3).with_expiration("77");
        message.put_label(&Label::new(Name::from(""), Name::from("q")));
        message
    };
    let group: Vec<Record> = (0..10).map(|seq| add(seq, &made(seq))).collect();
    drop(told(&place, &[&group]));
    let bytes = u64::from(made(1).bytes());
    let opened = Store::open_unattended(Box::new(place), Level::Power, 3 * bytes);
    let (store, recovered) = opened.unwrap();
    let mut resident = 0;
    for found in &recovered.messages {
        match &found.message {
            RecoveredBody::Resident(message) => {
                resident += 1;
                assert_eq!(*message, made(found.id.seq));
            }
            RecoveredBody::OnDisk(outline) => {
                let message = made(found.id.seq);
                let expected = Outline {
                    body_bytes: 100,
                    delivery_mode: message.delivery_mode(),
                    priority: Some(3),
                    expiration: message.expiration().map(|ms| Box::new(Name::from(ms))),
                };
                assert_eq!(*outline, expected);
                assert_eq!(store.fetch(found.id).unwrap(), Some(message));
            }
        }
    }
    assert_eq!(resident, 3);
    assert_eq!(store.fetch(id(11)), Ok(None));
}

#[test]
fn what_is_not_written_can_be_fetched() {
    let (store, _) = open(&FaultyPlace::new(), Level::Power);
    store.append(&[add(1, &message("a"))]);
    store.append(&[Record::Moved(id(1), 3)]);
    assert_eq!(store.fetch(id(3)).unwrap().unwrap().text(), Some("a"));
    assert_eq!(store.fetch(id(2)), Ok(None));
}

#[test]
fn what_has_gone_before_it_was_written_never_is() {
    let place = FaultyPlace::new();
    let (store, _) = open(&place, Level::Power);
    store.append(&[add(1, &message("a"))]);
    let position = store.append(&[Record::Settled(id(1))]);
    assert!(store.unwritten_bytes() > 0);
    store.run_once();
    assert_eq!(store.poll(position), Some(Ok(())));
    assert_eq!((place.changes(), store.unwritten_bytes()), (0, 0));
}

#[test]
fn a_session_that_syncs_nothing_may_lose_its_tail() {
    let place = FaultyPlace::new();
    drop(told(&place, &[&[add(1, &message("a"))]]));
    let syncs = place.syncs();
    let (store, _) = open(&place, Level::Process);
    for seq in 2..6 {
        let position = store.append(&[add(seq, &message("b"))]);
        store.run_once();
        assert_eq!(store.poll(position), Some(Ok(())));
    }
    assert_eq!(place.syncs(), syncs);
    mem::forget(store);
    place.crash(Crash::CutTail, |_| 0);
    assert_eq!(found(&place), [(1, 0)]);
}

/// A commit is interrupted, and so is the next one, of which only the first value has come through:
/// with the others of the former one it looks whole.
#[test]
fn values_of_two_tries_are_no_commit() {
    let place = FaultyPlace::new();
    let broken = || EngineError::Failed("the end".to_owned());
    let long = |letter: &str| add(1, &message(&letter.repeat(80_000)));
    let (store, _) = open(&place, Level::Power);
    store.append(&[long("a")]);
    place.fail_after(3, broken());
    store.run_once();
    mem::forget(store);
    place.crash(Crash::Cut, |_| 0);
    assert_eq!(place.keys().iter().map(|key| key.part).collect::<Vec<_>>(), [1, 2, 3]);
    let (store, recovered) = open(&place, Level::Power);
    assert!(recovered.was_cut && recovered.messages.is_empty());
    store.append(&[long("b")]);
    place.fail_after(4, broken());
    store.run_once();
    mem::forget(store);
    let mut change = 0;
    // The note first, then what was put.
    place.crash(Crash::Cut, |_| {
        change += 1;
        u64::from(change < 5)
    });
    assert_eq!(place.keys().len(), 4);
    let (_store, recovered) = open(&place, Level::Power);
    assert!(recovered.was_cut && recovered.messages.is_empty());
}

#[test]
fn a_tail_that_was_noted_may_not_be_missing() {
    let place = FaultyPlace::new();
    drop(told(&place, &[&[add(1, &message("a"))], &[add(2, &message("b"))]]));
    let last = *place.keys().last().unwrap();
    place.edit(last, |_| None);
    let opened = Store::open_unattended(Box::new(place.clone()), Level::Power, 0);
    let error = opened.map(drop).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the store is damaged at value 0 of commit 2: it was noted as durable and is missing"
    );
    place.set_noted(1);
    let (_store, recovered) = open(&place, Level::Power);
    assert_eq!((recovered.messages.len(), recovered.was_cut), (1, false));
}

#[test]
fn a_store_of_a_later_version_is_left_alone() {
    let place = FaultyPlace::new();
    drop(told(&place, &[&[add(1, &message("a"))]]));
    let key = place.keys()[0];
    place.edit(key, |value| {
        let mut value = value.unwrap();
        value[8] = 2;
        let bytes = u32::from_le_bytes(value[..4].try_into().unwrap()) as usize;
        let seed = crc32c::crc32c_append(
            crc32c::crc32c(&key.group.to_le_bytes()),
            &key.part.to_le_bytes(),
        );
        let checksum = crc32c::crc32c_append(seed, &value[8..8 + bytes]);
        value[4..8].copy_from_slice(&checksum.to_le_bytes());
        Some(value)
    });
    let opened = Store::open_unattended(Box::new(place), Level::Power, 0);
    assert_eq!(opened.map(drop).unwrap_err(), StoreError::Newer { found: 2, known: 1 });
}

#[test]
fn damage_is_reported_or_makes_no_difference() {
    let place = FaultyPlace::new();
    let mut teller = Teller::new(7);
    let mut content = Content::default();
    let (store, _) = open(&place, Level::Power);
    for _ in 0..60 {
        let group = teller.group(&content);
        content.apply(&group);
        store.append(&group);
        store.run_once();
    }
    drop(store);
    let mut chance = Chance(7);
    for key in place.keys() {
        for _ in 0..6 {
            let mut former = None;
            let harm = chance.below(4);
            place.edit(key, |value| {
                former.clone_from(&value);
                let mut value = value.unwrap();
                let at = chance.below(value.len() as u64) as usize;
                match harm {
                    0 => return None,
                    1 => value.truncate(at),
                    2 => value[at] ^= 1 << chance.below(8),
                    _ => value[at..].fill(0),
                }
                Some(value)
            });
            let opened = Store::open_unattended(Box::new(place.clone()), Level::Power, u64::MAX);
            if let Ok((store, recovered)) = opened {
                assert!(content_of(&store, &recovered).is_same(&content), "{key:?} {harm}");
                mem::forget(store);
            }
            place.edit(key, |_| former);
        }
    }
}

#[test]
fn an_ack_that_comes_after_the_end_of_its_queue_is_forgotten() {
    let place = FaultyPlace::new();
    let message = message("a");
    let (ended, settled) = (Record::QueueEnded(1), Record::Settled(id(1)));
    let apart = [slice::from_ref(&ended), slice::from_ref(&settled)];
    let store = told(&place, &[&[add(1, &message)], apart[0], apart[1]]);
    assert!(store.shared.desk.lock().ledger.early.is_empty());
    let store = told(&FaultyPlace::new(), &[&[add(1, &message), ended, settled]]);
    assert!(store.shared.desk.lock().ledger.early.is_empty());
}

#[test]
fn a_destructor_that_panics_harms_no_store() {
    struct Grudge([u8; 5_000]);
    impl AsRef<[u8]> for Grudge {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    impl Drop for Grudge {
        fn drop(&mut self) {
            panic!("nobody asked for this");
        }
    }
    let place = FaultyPlace::new();
    let (store, _) = open(&place, Level::Power);
    let body = bytes::Bytes::from_owner(Grudge([7; 5_000]));
    let position = store.append(&[add(1, &Message::new(body))]);
    store.run_once();
    assert_eq!((store.poll(position), store.state()), (Some(Ok(())), State::Working));
    let position = store.append(&[add(2, &message("b"))]);
    store.run_once();
    assert_eq!((store.poll(position), store.unwritten_bytes()), (Some(Ok(())), 0));
    drop(store);
    assert_eq!(found(&place), [(1, 0), (2, 0)]);
}

#[test]
fn after_a_failure_nothing_is_durable_any_more() {
    let place = FaultyPlace::new();
    let store = told(&place, &[&[add(1, &message("a"))]]);
    place.fail_after(1, EngineError::Failed("the disk is on fire".to_owned()));
    let position = store.append(&[add(2, &message("b"))]);
    store.run_once();
    let failure = StoreFailure::Failed("the disk is on fire".to_owned());
    assert_eq!(store.poll(position), Some(Err(failure.clone())));
    assert_eq!((store.state(), store.failure()), (State::Failed, Some(failure.clone())));
    place.repair();
    let later = store.append(&[add(3, &message("c"))]);
    assert!(later > position);
    store.run_once();
    assert_eq!(store.poll(later), Some(Err(failure.clone())));
    assert_eq!(store.poll(Position(1)), Some(Ok(())));
    assert_eq!(store.unwritten_bytes(), 0);
    assert_eq!(store.fetch(id(1)).unwrap().unwrap().text(), Some("a"), "it can be read still");
    assert_eq!(store.close(HostDeadline::NEVER), Err(failure));
}

#[test]
fn without_space_ends_go_first_and_the_rest_follows() {
    let place = FaultyPlace::new();
    let long = message(&"x".repeat(5_000));
    let store = told(&place, &[&[add(1, &long)], &[add(2, &long)]]);
    place.set_room(place.bytes() + 1_000);
    let waiting = store.append(&[add(3, &long)]);
    // Its group adds something, so it waits: the message would be nowhere.
    let mixed = store.append(&[Record::Settled(id(2)), add(4, &message("letter"))]);
    store.run_once();
    assert_eq!((store.state(), store.poll(waiting)), (State::Full, None));
    let ended = store.append(&[Record::Settled(id(1))]);
    store.run_once();
    assert_eq!((store.poll(waiting), store.poll(mixed), store.poll(ended)), (None, None, None));
    let (crashed, recovered) = open(&place, Level::Power);
    let seqs: Vec<u64> = recovered.messages.iter().map(|found| found.id.seq).collect();
    assert_eq!(seqs, [2], "what has gone is gone, what would be lost is there");
    mem::forget(crashed);
    // The block of the first one is taken away before long, and then there is room.
    for _ in 0..6 {
        store.run_once();
    }
    assert_eq!(store.state(), State::Working);
    assert_eq!(store.poll(ended), Some(Ok(())));
    drop(store);
    assert_eq!(found(&place), [(3, 0), (4, 0)]);
}

#[test]
fn a_store_without_space_is_closed_and_says_so() {
    let place = FaultyPlace::new();
    let (store, _) = open(&place, Level::Power);
    place.set_room(10);
    let position = store.append(&[add(1, &message("a"))]);
    assert_eq!(store.close(HostDeadline::NEVER), Err(StoreFailure::Full));
    assert_eq!(store.poll(position), Some(Err(StoreFailure::Full)));
}

/// Two consumers that begin at once both tell that their queue is used.
#[test]
fn an_entity_that_is_told_twice_at_once_stays() {
    let place = FaultyPlace::new();
    let used = || Record::Entity(7, Box::new(Entity::Used { queue: 1, below: None }));
    let store = told(&place, &[&[used(), used()], &[add(1, &message("a"))]]);
    for seq in 2..10 {
        store.append(&[add(seq, &message("b"))]);
        store.run_once();
    }
    drop(store);
    let (_store, recovered) = open(&place, Level::Power);
    assert_eq!(recovered.entities.len(), 1);
}
