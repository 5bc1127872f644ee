//! What only a place on disk does.

mod child;
mod crashes;
mod kept;
mod notes;
mod opening;
mod space;
mod syncing;
mod values;

use std::path::Path;

use super::SledPlace;
use crate::store::engine::{Engine, Key, Place};

fn key(group: u64) -> Key {
    Key { group, part: 0 }
}

fn open(folder: &Path) -> SledPlace {
    SledPlace::open_or_create(folder).unwrap()
}

/// The groups that have a value.
fn groups(engine: &dyn Engine) -> Vec<u64> {
    let mut found = Vec::new();
    let scanned = engine.scan(&mut |key, _| {
        found.push(key.group);
        Ok(())
    });
    scanned.unwrap();
    found
}

/// Makes a store with some values.
fn filled(folder: &Path) {
    let place = open(folder);
    for group in 1..=100 {
        place.engine().put(key(group), &[7; 1_000]).unwrap();
    }
    place.engine().sync().unwrap();
    place.note(100).unwrap();
}
