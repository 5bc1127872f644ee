//! What a simulated disk does that no other place lets a test see.

use std::collections::BTreeSet;

use super::{Disk, Fault, Lasting, SimulatedPlace, Tearing};
use crate::store::engine::{EngineError, Key, Place};

fn key(group: u64) -> Key {
    Key { group, part: 0 }
}

fn put(place: &SimulatedPlace, groups: std::ops::RangeInclusive<u64>) {
    for group in groups {
        place.engine().put(key(group), &[7; 100]).unwrap();
    }
}

fn groups(disk: &Disk) -> Vec<u64> {
    disk.keys().into_iter().map(|key| key.group).collect()
}

/// Plays the same with many seeds; tells what was left each time.
fn outcomes(play: impl Fn(&Disk)) -> BTreeSet<Vec<u64>> {
    let outcome = |seed| {
        let disk = Disk::new(seed);
        play(&disk);
        groups(&disk)
    };
    (0..200).map(outcome).collect()
}

#[test]
fn a_cut_leaves_what_is_synced_and_any_part_of_the_rest() {
    let left = outcomes(|disk| {
        let place = disk.open();
        put(&place, 1..=3);
        place.engine().sync().unwrap();
        put(&place, 4..=5);
        place.engine().write().unwrap();
        disk.cut();
    });
    let expected = [vec![1, 2, 3], vec![1, 2, 3, 4], vec![1, 2, 3, 4, 5], vec![1, 2, 3, 5]];
    assert_eq!(left, expected.into());
}

#[test]
fn a_kill_leaves_what_is_written_and_any_part_of_the_rest() {
    let left = outcomes(|disk| {
        let place = disk.open();
        put(&place, 1..=3);
        place.engine().write().unwrap();
        put(&place, 4..=5);
        disk.kill();
    });
    let expected = [vec![1, 2, 3], vec![1, 2, 3, 4], vec![1, 2, 3, 4, 5], vec![1, 2, 3, 5]];
    assert_eq!(left, expected.into());
}

#[test]
fn what_is_there_when_it_is_opened_stays() {
    let left = outcomes(|disk| {
        let place = disk.open();
        put(&place, 1..=2);
        place.engine().write().unwrap();
        disk.kill();
        drop(disk.open());
        disk.cut();
    });
    assert_eq!(left, [vec![1, 2]].into());
}

#[test]
fn a_place_of_a_former_life_does_nothing() {
    let disk = Disk::new(1);
    let place = disk.open();
    let engine = place.engine();
    disk.kill();
    assert!(engine.put(key(1), b"a").is_err());
    assert!(engine.sync().is_err());
    assert!(place.note(1).is_err());
    assert_eq!((groups(&disk), disk.open().noted()), (vec![], 0));
}

#[test]
fn after_it_has_stopped_nothing_happens() {
    let disk = Disk::new(1);
    let place = disk.open();
    disk.stop_after(3);
    put(&place, 1..=3);
    assert!(place.engine().put(key(4), b"a").is_err());
    assert!(place.engine().sync().is_err());
    disk.cut();
    assert!(!groups(&disk).contains(&4));
    put(&disk.open(), 5..=9);
}

#[test]
fn there_is_no_space_for_a_while() {
    let disk = Disk::new(3);
    let place = disk.open();
    put(&place, 1..=2);
    place.engine().sync().unwrap();
    disk.set_fault(Some(Fault { after: 5, error: EngineError::Full, lasting: Lasting::Times(2) }));
    put(&place, 3..=4);
    let engine = place.engine();
    assert_eq!(engine.put(key(5), b"a"), Err(EngineError::Full));
    assert_eq!(engine.sync(), Err(EngineError::Full));
    assert_eq!(engine.put(key(5), b"a"), Err(EngineError::Full));
    assert!(disk.has_met_fault());
    assert_eq!(engine.put(key(5), b"a"), Ok(()));
    assert_eq!(engine.sync(), Ok(()));
    disk.cut();
    let left = groups(&disk);
    assert!(left.starts_with(&[1, 2]) && left.ends_with(&[5]), "{left:?}");
}

#[test]
fn after_a_failed_sync_anything_may_be_lost_for_ever() {
    let left = outcomes(|disk| {
        let place = disk.open();
        let fault = EngineError::Failed("the disk is on fire".to_owned());
        disk.set_fault(Some(Fault { after: 2, error: fault, lasting: Lasting::Times(1) }));
        put(&place, 1..=2);
        assert!(place.engine().sync().is_err());
        // It claims to have worked.
        place.engine().sync().unwrap();
        assert_eq!(groups(disk), [1, 2]);
        disk.cut();
    });
    assert_eq!(left, [vec![], vec![1], vec![2], vec![1, 2]].into());
}

#[test]
fn a_switch_is_there_or_not() {
    let left = outcomes(|disk| {
        let place = disk.open();
        put(&place, 1..=1);
        place.engine().sync().unwrap();
        let begun = place.begin_generation().unwrap();
        begun.put(key(2), b"a").unwrap();
        begun.sync().unwrap();
        let fault = EngineError::Failed("the disk is on fire".to_owned());
        disk.set_fault(Some(Fault { after: 5, error: fault, lasting: Lasting::Life }));
        assert!(place.switch_generation().is_err());
        disk.cut();
    });
    assert_eq!(left, [vec![1], vec![2]].into());
}

#[test]
fn notes_may_be_older_after_a_cut() {
    let noted: BTreeSet<_> = (0..200)
        .map(|seed| {
            let disk = Disk::new(seed);
            let place = disk.open();
            place.note(1).unwrap();
            place.note(2).unwrap();
            disk.cut();
            disk.open().noted()
        })
        .collect();
    assert_eq!(noted, [0, 1, 2].into());
}

#[test]
fn values_are_torn_only_where_that_is_asked_for() {
    let torn = |tearing| {
        (0..200).any(|seed| {
            let disk = Disk::new(seed);
            disk.set_tearing(tearing);
            put(&disk.open(), 1..=5);
            disk.cut();
            let place = disk.open();
            let values = (1..=5).filter_map(|group| place.engine().get(key(group)).unwrap());
            values.into_iter().any(|value| value != [7; 100])
        })
    };
    assert!(!torn(Tearing::Never));
    assert!(torn(Tearing::Sometimes));
}
