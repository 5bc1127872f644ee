//! That no value goes to a file of its own, which sled never syncs.

use std::fs;

use super::{super::database::Change, child::child, database};
use crate::store::{
    engine::{Key, VALUE_BYTES_MAX},
    proof::{
        dice::{Dice, count, seed},
        scratch::Scratch,
    },
};

fn put(group: u64, part: u32, value: &[u8]) -> Change {
    (Key { group, part }, Some(value.to_vec()))
}

/// Lives like those of parts: keys ascend, and what goes does so in any order, so that pages are
/// merged with their neighbours while they are full. (With values of a third more the first file of
/// its own appears after some hundred changes.)
#[test]
fn pages_of_the_largest_values_stay_in_the_log() {
    let scratch = Scratch::new();
    let (database, mut dice) = (database(scratch.path()), Dice::new(seed()));
    let value = dice.bytes(VALUE_BYTES_MAX);
    let mut keys = Vec::new();
    for change in 1..=count("STORE_VALUES", 3_000) {
        let is_growing = keys.len() < 200 || dice.one_in(2);
        if is_growing {
            let change = put(change / 3, u32::try_from(change % 3).unwrap(), &value);
            keys.push(change.0);
            database.apply(&[change]).unwrap();
        } else {
            let at = dice.index(keys.len());
            database.apply(&[(keys.swap_remove(at), None)]).unwrap();
        }
        if change % 10 == 0 {
            // It refuses to have made such a file.
            database.keep().unwrap();
        }
    }
    let blobs = fs::read_dir(scratch.path().join("gen-1/blobs")).unwrap().count();
    assert_eq!(blobs, 0);
}

/// Else a segment might be filled, and overwritten, between two syncs.
#[test]
fn places_for_a_thousand_values_fill_no_segment() {
    let scratch = Scratch::new();
    let database = database(scratch.path());
    database.keep().unwrap();
    let before = database.size().unwrap();
    let changes: Vec<_> = (0..1_000).map(|part| put(1, part, b"a")).collect();
    database.apply(&changes).unwrap();
    database.keep().unwrap();
    let grown = database.size().unwrap() - before;
    assert!((1_000..1_500_000).contains(&grown), "{grown} bytes");
}

/// Each page that is split for them takes others along.
#[test]
fn places_before_large_values_fill_no_segment() {
    let scratch = Scratch::new();
    let database = database(scratch.path());
    let value = vec![7; VALUE_BYTES_MAX];
    let large: Vec<_> = (0..16).map(|part| put(9_000, part, &value)).collect();
    database.apply(&large).unwrap();
    database.keep().unwrap();
    // The database says so itself if it is otherwise.
    let changes: Vec<_> = (0..1_000).map(|group| put(group, 0, b"a")).collect();
    database.apply(&changes).unwrap();
    database.keep().unwrap();
    assert_eq!(database.get(large[0].0), Ok(large[0].1.clone()));
}

/// As when a queue is purged.
#[test]
fn places_are_given_up_a_little_at_a_time() {
    let scratch = Scratch::new();
    let database = database(scratch.path());
    let groups = 1..=125;
    for group in groups.clone() {
        let changes: Vec<_> = (0..8).map(|part| put(group, part, &[7; 100])).collect();
        database.apply(&changes).unwrap();
    }
    let gone = groups.flat_map(|group| (0..8).map(move |part| (Key { group, part }, None)));
    database.apply(&gone.collect::<Vec<_>>()).unwrap();
    database.keep().unwrap();
    let mut growths = Vec::new();
    for group in 301..=305 {
        let before = database.size().unwrap();
        database.apply(&[put(group, 0, b"a")]).unwrap();
        database.keep().unwrap();
        growths.push(database.size().unwrap().saturating_sub(before));
    }
    eprintln!("{growths:?}");
    assert!(growths[..2].iter().all(|grown| (1_000..500_000).contains(grown)), "{growths:?}");
    assert!(growths[2..].iter().all(|grown| *grown < 1_000), "{growths:?}");
}

#[test]
fn a_file_of_its_own_is_found_out() {
    let scratch = Scratch::new();
    let database = database(scratch.path());
    database.apply(&[put(1, 0, b"a")]).unwrap();
    fs::write(scratch.path().join("gen-1/blobs/5"), "a").unwrap();
    let failed = database.keep().unwrap_err();
    assert!(format!("{failed:?}").contains("blobs/5"), "{failed:?}");
    // It is final.
    fs::remove_file(scratch.path().join("gen-1/blobs/5")).unwrap();
    assert_eq!(database.keep(), Err(failed.clone()));
    assert_eq!(database.apply(&[put(2, 0, b"b")]), Err(failed));
    assert_eq!(database.get(Key { group: 1, part: 0 }), Ok(Some(b"a".to_vec())));
}

/// Pages lose values until they are merged into a neighbour that nobody looks at, one after the
/// other.
#[test]
fn neighbours_that_are_merged_one_after_the_other_stay_in_the_log() {
    for (left, spread) in [(3, 1), (2, 1), (1, 1), (3, 5), (1, 5), (1, 40)] {
        let scratch = Scratch::new();
        let (database, value) = (database(scratch.path()), vec![7; VALUE_BYTES_MAX]);
        let mut keys = Vec::new();
        for group in 1..=400 / u64::from(spread) {
            let changes: Vec<_> = (0..spread).map(|part| put(group, part, &value)).collect();
            keys.extend(changes.iter().map(|(key, _)| *key));
            database.apply(&changes).unwrap();
            database.keep().unwrap();
        }
        let take = |keys: &[Key]| {
            let changes: Vec<Change> = keys.iter().map(|key| (*key, None)).collect();
            database.apply(&changes).unwrap();
            database.keep().unwrap();
        };
        for some in keys[16..].chunks(8) {
            take(&some[..some.len() - left.min(some.len())]);
        }
        keys.chunks(1).for_each(take);
    }
}

/// sled would keep all that was read once until its pages have been asked for often enough.
#[test]
fn values_that_were_looked_through_are_not_kept() {
    let scratch = Scratch::new();
    let value = vec![7; VALUE_BYTES_MAX];
    let first = database(scratch.path());
    for group in 1..=500 {
        let changes: Vec<_> = (0..8).map(|part| put(group, part, &value)).collect();
        first.apply(&changes).unwrap();
        first.keep().unwrap();
    }
    drop(first);
    let status = child("scans", scratch.path(), &[]).status().unwrap();
    assert!(status.success(), "{status}: too much was in memory at once");
}
