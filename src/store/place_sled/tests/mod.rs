//! What only a place on disk does.

mod child;
mod crashes;
mod kept;
mod notes;
mod opening;
mod space;
mod syncing;
mod values;

use std::{path::Path, sync::Arc};

use super::{Ownership, Sizes, SledPlace, database::Database, lock, reserve::Reserve};
use crate::store::engine::{Engine, Key, Place};

fn key(group: u64) -> Key {
    Key { group, part: 0 }
}

fn open(folder: &Path) -> SledPlace {
    SledPlace::open_or_create(folder).unwrap()
}

/// The same behind a short log, so that much of it is settled.
fn open_short(folder: &Path) -> SledPlace {
    SledPlace::open_or_create_with(folder, Sizes::SMALL).unwrap()
}

/// A database in a directory of its own.
fn database(folder: &Path) -> Database {
    Database::create(&folder.join("gen-1"), &owned(folder)).unwrap()
}

/// The same that was there before.
fn reopened(folder: &Path) -> Database {
    Database::open(&folder.join("gen-1"), &owned(folder)).unwrap()
}

fn owned(folder: &Path) -> Arc<Ownership> {
    Arc::new(Ownership { _lock: lock(folder).unwrap(), reserve: Reserve::new(folder) })
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
