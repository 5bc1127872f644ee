//! That no value goes to a file of its own, which sled never syncs.

use std::fs;

use super::open;
use crate::store::{
    engine::{Key, Place, VALUE_BYTES_MAX},
    proof::{
        dice::{Dice, count, seed},
        scratch::Scratch,
    },
};

/// Lives like those of parts: keys ascend, and what goes does so in any order, so that pages are
/// merged with their neighbours while they are full. (With values of a third more the first file of
/// its own appears after some hundred changes.)
#[test]
fn pages_of_the_largest_values_stay_in_the_log() {
    let scratch = Scratch::new();
    let place = open(scratch.path());
    let (engine, mut dice) = (place.engine(), Dice::new(seed()));
    let value = dice.bytes(VALUE_BYTES_MAX);
    let mut keys = Vec::new();
    for change in 1..=count("STORE_VALUES", 3_000) {
        let is_growing = keys.len() < 200 || dice.one_in(2);
        if is_growing {
            let key = Key { group: change / 3, part: u32::try_from(change % 3).unwrap() };
            engine.put(key, &value).unwrap();
            keys.push(key);
        } else {
            let at = dice.index(keys.len());
            engine.remove(keys.swap_remove(at)).unwrap();
        }
        if change % 10 == 0 {
            // It refuses to have made such a file.
            engine.write().unwrap();
        }
    }
    let blobs = fs::read_dir(scratch.path().join("gen-1/blobs")).unwrap().count();
    assert_eq!(blobs, 0);
}

/// Else a segment might be filled, and overwritten, between two syncs.
#[test]
fn places_are_made_for_some_of_many_values_only() {
    let scratch = Scratch::new();
    let place = open(scratch.path());
    place.engine().sync().unwrap();
    let before = place.engine().size().unwrap();
    place.engine().announce(1, u32::MAX).unwrap();
    place.engine().sync().unwrap();
    let grown = place.engine().size().unwrap() - before;
    assert!((1_024..1_500_000).contains(&grown), "{grown} bytes");
}

/// As when a queue is purged.
#[test]
fn places_are_given_up_a_little_at_a_time() {
    let scratch = Scratch::new();
    let place = open(scratch.path());
    let engine = place.engine();
    let keys = |group| (0..8).map(move |part| Key { group, part });
    for group in 1..=300 {
        engine.announce(group, 8).unwrap();
        keys(group).for_each(|key| engine.put(key, &[7; 100]).unwrap());
    }
    engine.sync().unwrap();
    (1..=300).flat_map(keys).for_each(|key| engine.remove(key).unwrap());
    engine.sync().unwrap();
    let mut growths = Vec::new();
    for group in 301..=310 {
        let before = engine.size().unwrap();
        engine.announce(group, 1).unwrap();
        engine.sync().unwrap();
        growths.push(engine.size().unwrap().saturating_sub(before));
    }
    eprintln!("{growths:?}");
    assert!(growths[0] > 0 && growths[9] == 0, "{growths:?}");
    assert!(growths.iter().all(|grown| *grown < 500_000), "{growths:?}");
}

#[test]
fn a_file_of_its_own_is_found_out() {
    let scratch = Scratch::new();
    let place = open(scratch.path());
    place.engine().put(Key { group: 1, part: 0 }, b"a").unwrap();
    fs::write(scratch.path().join("gen-1/blobs/5"), "a").unwrap();
    let failed = place.engine().sync().unwrap_err();
    assert!(format!("{failed:?}").contains("blobs/5"), "{failed:?}");
    // It is final.
    fs::remove_file(scratch.path().join("gen-1/blobs/5")).unwrap();
    assert_eq!(place.engine().sync(), Err(failed.clone()));
    assert_eq!(place.engine().put(Key { group: 2, part: 0 }, b"b"), Err(failed));
    assert_eq!(place.engine().get(Key { group: 1, part: 0 }), Ok(Some(b"a".to_vec())));
}

/// Pages lose values until they are merged into a neighbour that nobody looks at, one after the
/// other.
#[test]
fn neighbours_that_are_merged_one_after_the_other_stay_in_the_log() {
    for (left, spread) in [(3, 1), (2, 1), (1, 1), (3, 5), (1, 5), (1, 40)] {
        let scratch = Scratch::new();
        let place = open(scratch.path());
        let (engine, value) = (place.engine(), vec![7; VALUE_BYTES_MAX]);
        let mut keys = Vec::new();
        for group in 1..=400 / u64::from(spread) {
            engine.announce(group, spread).unwrap();
            for part in 0..spread {
                let key = Key { group, part };
                engine.put(key, &value).unwrap();
                keys.push(key);
            }
            engine.write().unwrap();
        }
        for some in keys[16..].chunks(8) {
            for key in &some[..some.len() - left.min(some.len())] {
                engine.remove(*key).unwrap();
            }
            engine.write().unwrap();
        }
        for key in keys {
            engine.remove(key).unwrap();
            engine.write().unwrap();
        }
    }
}
