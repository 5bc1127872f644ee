//! Data that may be damaged is kept as it is before sled sees it.

use std::{fs, path::Path};

use super::{
    super::{
        kept,
        log::{Condition, examine},
        tree,
    },
    filled, key, open, open_short,
};
use crate::store::{
    engine::Place,
    place_sled::SledPlace,
    proof::{
        dice::{Dice, seed},
        scratch::Scratch,
    },
};

fn change(data: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(data).unwrap();
    change(&mut bytes);
    fs::write(data, bytes).unwrap();
}

/// A store of several lives, with segments that were freed and used again.
fn used(folder: &Path) -> std::path::PathBuf {
    filled(folder);
    for life in 1..=3 {
        let place = open_short(folder);
        for group in 1..=400 {
            place.engine().put(key(1_000 * life + group), &[8; 4_000]).unwrap();
            place.engine().remove(key(1_000 * life + group / 2)).unwrap();
        }
        place.engine().sync().unwrap();
    }
    folder.join("gen-1").join(tree::DATA)
}

#[test]
fn what_was_closed_is_sound_and_costs_no_copy() {
    let scratch = Scratch::new();
    let data = used(scratch.path());
    assert!(fs::metadata(&data).unwrap().len() > 2 * 1_024 * 1_024);
    assert_eq!(examine(&data).unwrap(), Condition::Sound);
    let place = open(scratch.path());
    assert_eq!(kept::find(scratch.path()), None);
    drop(place);
    assert_eq!(examine(&data).unwrap(), Condition::Sound);
}

#[test]
fn what_is_changed_is_seen() {
    let scratch = Scratch::new();
    let data = used(scratch.path());
    let (mut dice, whole) = (Dice::new(seed()), fs::read(&data).unwrap());
    let mut seen = 0;
    for _ in 0..20 {
        let (at, bit) = (dice.index(whole.len()), dice.below(8));
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << bit;
        fs::write(&data, bytes).unwrap();
        seen += u32::from(examine(&data).unwrap() == Condition::Torn);
    }
    for at in (1..=20).map(|part| part * whole.len() / 21) {
        fs::write(&data, &whole[..at]).unwrap();
        seen += u32::from(examine(&data).unwrap() == Condition::Torn);
    }
    // Behind the last message of a segment there may be anything.
    assert!(seen > 28, "{seen} of 40");
}

#[test]
fn a_copy_stays_until_all_was_found() {
    let scratch = Scratch::new();
    let data = used(scratch.path());
    change(&data, |bytes| bytes[100_000] ^= 1);
    let damaged = fs::read(&data).unwrap();
    for _ in 0..2 {
        // Whether it is opened is sled's matter.
        drop(SledPlace::open(scratch.path()));
        let kept = kept::find(scratch.path()).expect("it is kept");
        assert!(fs::read(kept).unwrap() == damaged, "it is as it was");
    }
    fs::write(&data, &damaged).unwrap();
    if let Ok(place) = SledPlace::open(scratch.path()) {
        place.accept();
        assert_eq!(kept::find(scratch.path()), None);
    }
}
