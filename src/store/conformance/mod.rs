//! What every place and engine has to do.
//!
//! Another one is added to [`SUBJECTS`] by a line. What happens in a crash, where a test can make
//! one happen, is in the tests of each; here a place is only closed and opened again.

mod engines;
mod places;

use super::{
    engine::{Engine, EngineError, Key, Place},
    memory::MemoryPlace,
    place_simulated::Disk,
    place_sled::{Sizes, SledPlace},
    proof::scratch::Scratch,
};

/// Opens one place again and again; what was opened before is dropped by then.
type Open = Box<dyn Fn() -> Box<dyn Place>>;

/// A kind of place.
struct Subject {
    name: &'static str,
    /// Makes an empty one.
    fresh: fn() -> Open,
}

const SUBJECTS: &[Subject] = &[
    Subject { name: "memory", fresh: memory },
    Subject { name: "simulated", fresh: simulated },
    Subject { name: "sled", fresh: sled },
    Subject { name: "sled behind a short log", fresh: short },
];

fn memory() -> Open {
    let place = MemoryPlace::new();
    Box::new(move || Box::new(place.clone()))
}

fn simulated() -> Open {
    let disk = Disk::new(1);
    Box::new(move || Box::new(disk.open()))
}

fn sled() -> Open {
    let scratch = Scratch::new();
    Box::new(move || Box::new(SledPlace::open_or_create(&scratch.vacant()).unwrap()))
}

fn short() -> Open {
    let scratch = Scratch::new();
    Box::new(move || {
        Box::new(SledPlace::open_or_create_with(&scratch.vacant(), Sizes::SMALL).unwrap())
    })
}

/// Checks something of each kind of place.
fn on_each(check: impl Fn(&Open)) {
    for subject in SUBJECTS {
        eprintln!("The place is {}.", subject.name);
        check(&(subject.fresh)());
    }
}

fn key(group: u64, part: u32) -> Key {
    Key { group, part }
}

/// All that is in an engine.
fn all(engine: &dyn Engine) -> Vec<(Key, Vec<u8>)> {
    let mut found = Vec::new();
    let scanned = engine.scan(&mut |key, value| {
        found.push((key, value.to_vec()));
        Ok(())
    });
    scanned.unwrap();
    found
}

#[track_caller]
fn assert_failed(result: &Result<(), EngineError>) {
    assert!(matches!(result, Err(EngineError::Failed(_))), "{result:?}");
}
