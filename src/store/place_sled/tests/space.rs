//! A disk that is really full, which only the superuser can make.

use std::{collections::BTreeMap, path::Path, process::Command};

use super::open;
use crate::store::{
    engine::{Engine, EngineError, Key, Place},
    open_error::OpenError,
    place_sled::SledPlace,
    proof::{dice::Dice, scratch::Scratch, scratch::contents},
    salvage::salvage,
};

/// A file system of its own, in memory.
struct Mount(Scratch);

impl Mount {
    fn new(megabytes: u32) -> Option<Self> {
        let scratch = Scratch::new();
        let size = format!("size={megabytes}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(scratch.path());
        let is_mounted = mount.output().is_ok_and(|run| run.status.success());
        if !is_mounted {
            eprintln!("SKIPPED: nothing can be mounted here");
            return None;
        }
        Some(Self(scratch))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn change(&self, option: &str) {
        let option = format!("remount,{option}");
        let status = Command::new("mount").args(["-o", &option]).arg(self.path()).status().unwrap();
        assert!(status.success(), "{option}");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l"]).arg(self.path()).status();
    }
}

/// A writer that does its part of the bargain: after there was no space, it changes everything
/// again that had not been synced.
struct Writer {
    durable: BTreeMap<Key, Vec<u8>>,
    dice: Dice,
    next: u64,
}

impl Writer {
    fn new() -> Self {
        Self { durable: BTreeMap::new(), dice: Dice::new(1), next: 1 }
    }

    fn add(&mut self, engine: &dyn Engine, values: u64) -> Result<(), EngineError> {
        let mut added = BTreeMap::new();
        for _ in 0..values {
            let len = 3_000 + self.dice.index(3_000);
            let value = self.dice.bytes(len);
            let key = Key { group: self.next, part: 0 };
            self.next += 1;
            engine.put(key, &value)?;
            added.insert(key, value);
        }
        engine.sync()?;
        self.durable.extend(added);
        engine.tidy().map(drop)
    }

    fn take(&mut self, engine: &dyn Engine, values: usize) -> Result<(), EngineError> {
        let keys: Vec<_> = self.durable.keys().copied().take(values).collect();
        for key in &keys {
            engine.remove(*key)?;
        }
        engine.sync()?;
        self.durable.retain(|key, _| !keys.contains(key));
        engine.tidy().map(drop)
    }

    /// All that was durable can be read; what was not may be there, too.
    fn check_all(&self, engine: &dyn Engine) {
        self.check(engine, 1);
    }

    /// The same, for the newest and one in so many of the others.
    fn check(&self, engine: &dyn Engine, step: usize) {
        for (key, value) in self.durable.iter().rev().step_by(step) {
            assert!(engine.get(*key).unwrap().as_ref() == Some(value), "{key:?}");
        }
    }

    fn fill(&mut self, engine: &dyn Engine) {
        let full = (0..10_000).find_map(|_| self.add(engine, 10).err());
        assert_eq!(full, Some(EngineError::Full));
        self.check_all(engine);
    }
}

#[test]
fn a_full_disk_that_grows_is_used_again() {
    let Some(mount) = Mount::new(24) else { return };
    let place = open(&mount.path().join("store"));
    let (engine, mut writer) = (place.engine(), Writer::new());
    for megabytes in [28, 32] {
        writer.fill(&*engine);
        let mut refusals = 0;
        // There is the reserve, which goes, too.
        while refusals < 3 {
            match writer.add(&*engine, 10) {
                Ok(()) => refusals = 0,
                Err(error) => {
                    assert_eq!(error, EngineError::Full);
                    assert_eq!(engine.sync(), Err(EngineError::Full));
                    refusals += 1;
                }
            }
            writer.check(&*engine, 50);
        }
        mount.change(&format!("size={megabytes}m"));
        assert_eq!(writer.add(&*engine, 10), Ok(()));
        writer.check_all(&*engine);
    }
    drop((engine, place));
    let place = open(&mount.path().join("store"));
    writer.check_all(&*place.engine());
}

/// What was consumed makes room by itself, though taking something out has to be written first.
#[test]
fn a_full_disk_that_is_emptied_is_used_again() {
    let Some(mount) = Mount::new(24) else { return };
    let place = open(&mount.path().join("store"));
    let mut writer = Writer::new();
    for round in 0..3 {
        writer.fill(&*place.engine());
        let mut tries = 0;
        while writer.durable.len() > 100 {
            let taken = writer.take(&*place.engine(), 50);
            assert!(matches!(taken, Ok(()) | Err(EngineError::Full)), "{taken:?}");
            tries += 1;
            assert!(tries < 1_000, "round {round}: {} values stay", writer.durable.len());
            writer.check(&*place.engine(), 50);
        }
        // What is left moves to another generation, and the former one goes.
        let begun = place.begin_generation().unwrap();
        for (key, value) in &writer.durable {
            begun.put(*key, value).unwrap();
        }
        begun.sync().unwrap();
        place.switch_generation().unwrap();
        drop(begun);
        eprintln!("round {round}: {tries} tries, {} bytes", place.engine().size().unwrap());
        writer.check_all(&*place.engine());
        writer.add(&*place.engine(), 100).unwrap();
    }
    drop(place);
    let place = open(&mount.path().join("store"));
    writer.check_all(&*place.engine());
}

#[test]
fn a_store_on_a_full_disk_can_be_opened() {
    let Some(mount) = Mount::new(16) else { return };
    let folder = mount.path().join("store");
    let mut writer = Writer::new();
    let place = open(&folder);
    writer.fill(&*place.engine());
    drop(place);
    for _ in 0..3 {
        let opened = SledPlace::open(&folder);
        match opened {
            Ok(place) => writer.check_all(&*place.engine()),
            Err(error) => assert_eq!(error, OpenError::Full { path: folder.join("gen-1") }),
        }
    }
    mount.change("size=32m");
    writer.check_all(&*open(&folder).engine());
}

#[test]
fn a_new_store_on_a_full_disk_is_refused() {
    let Some(mount) = Mount::new(1) else { return };
    std::fs::write(mount.path().join("large"), vec![0; 1_024 * 1_024 - 20_000]).unwrap();
    let folder = mount.path().join("store");
    let error = (0..100)
        .find_map(|number| SledPlace::open_or_create(&folder.join(number.to_string())).err());
    assert!(matches!(error, Some(OpenError::Full { .. })), "{error:?}");
}

#[test]
fn what_can_only_be_read_is_left_alone() {
    let Some(mount) = Mount::new(16) else { return };
    let (folder, empty) = (mount.path().join("store"), mount.path().join("empty"));
    super::filled(&folder);
    std::fs::create_dir(&empty).unwrap();
    let before = contents(mount.path());
    mount.change("ro");
    for path in [&folder, &empty, &mount.path().join("absent")] {
        let error = SledPlace::open_or_create(path).unwrap_err();
        assert!(matches!(error, OpenError::ReadOnly { .. }), "{error}");
    }
    assert!(contents(mount.path()) == before);
}

#[test]
fn a_salvage_without_space_leaves_nothing() {
    let Some(mount) = Mount::new(24) else { return };
    let scratch = Scratch::new();
    let from = scratch.vacant();
    let mut writer = Writer::new();
    let place = open(&from);
    for _ in 0..10 {
        writer.add(&*place.engine(), 100).unwrap();
    }
    drop(place);
    let before = contents(&from);
    let to = mount.path().join("salvaged");
    for megabytes in [1, 3, 8] {
        mount.change(&format!("size={megabytes}m"));
        let error = salvage(&from, &to).unwrap_err();
        assert!(matches!(error, OpenError::Full { .. }), "{error}");
        assert!(!to.exists(), "nothing is left with {megabytes} MiB");
    }
    assert!(contents(&from) == before);
}
