//! What a directory may be, and that nothing is changed in one that is something else.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{super::header, filled, groups, open};
use crate::store::{
    engine::Place,
    open_error::OpenError,
    place_sled::SledPlace,
    proof::scratch::{Scratch, contents},
};

/// Opening is refused, both ways, and nothing is changed by it.
#[track_caller]
fn refused(folder: &Path) -> OpenError {
    let before = folder.is_dir().then(|| contents(folder));
    let error = SledPlace::open_or_create(folder).unwrap_err();
    assert_eq!(SledPlace::open(folder).unwrap_err(), error);
    let after = folder.is_dir().then(|| contents(folder));
    assert!(before == after, "something was changed: {error}");
    error
}

#[test]
fn an_absent_directory_is_made() {
    let scratch = Scratch::new();
    let deep = scratch.path().join("a/b/c");
    assert_eq!(SledPlace::open(&deep).unwrap_err(), OpenError::Missing { path: deep.clone() });
    assert!(!scratch.path().join("a").exists());
    filled(&deep);
    assert_eq!(groups(&*SledPlace::open(&deep).unwrap().engine()).len(), 100);
}

#[test]
fn an_empty_directory_is_used() {
    let scratch = Scratch::new();
    let path = scratch.path().to_path_buf();
    assert_eq!(SledPlace::open(&path).unwrap_err(), OpenError::Missing { path: path.clone() });
    filled(&path);
    assert_eq!(groups(&*open(&path).engine()).len(), 100);
}

#[test]
fn a_relative_path_is_fine() {
    // Nobody else looks at this name in the directory of the package.
    let path = PathBuf::from(format!("target/relative-{}", std::process::id()));
    filled(&path);
    assert_eq!(groups(&*open(&path).engine()).len(), 100);
    fs::remove_dir_all(path).unwrap();
}

#[test]
fn a_file_is_no_directory() {
    let scratch = Scratch::new();
    let path = scratch.vacant();
    fs::write(&path, "text").unwrap();
    assert_eq!(refused(&path), OpenError::NotADirectory { path: path.clone() });
    let below = path.join("below");
    assert!(matches!(refused(&below), OpenError::NotADirectory { .. }));
}

#[test]
fn what_is_no_store_is_left_alone() {
    let scratch = Scratch::new();
    let path = scratch.path().to_path_buf();
    fs::write(path.join("letter.txt"), "text").unwrap();
    assert_eq!(refused(&path), OpenError::Foreign { path, name: "letter.txt".to_owned() });
}

#[test]
fn a_store_without_its_header_is_none() {
    let scratch = Scratch::new();
    filled(scratch.path());
    fs::remove_file(scratch.path().join(header::NAME)).unwrap();
    let error = refused(scratch.path());
    assert!(matches!(&error, OpenError::Foreign { name, .. } if name == "gen-1"), "{error}");
}

#[test]
fn what_a_store_does_not_write_is_found_in_it() {
    let scratch = Scratch::new();
    filled(scratch.path());
    fs::write(scratch.path().join("letter.txt"), "text").unwrap();
    assert!(matches!(refused(scratch.path()), OpenError::Foreign { .. }));
    fs::remove_file(scratch.path().join("letter.txt")).unwrap();
    // The root of a file system may have this.
    fs::create_dir(scratch.path().join("lost+found")).unwrap();
    assert_eq!(groups(&*open(scratch.path()).engine()).len(), 100);
    for (name, content) in [("gen-1/letter.txt", "text"), ("gen-1/blobs/77", "a value")] {
        let path = scratch.path().join(name);
        fs::write(&path, content).unwrap();
        let error = refused(scratch.path());
        assert!(matches!(&error, OpenError::Damaged { path: at, .. } if *at == path), "{error}");
        fs::remove_file(&path).unwrap();
    }
    assert_eq!(groups(&*open(scratch.path()).engine()).len(), 100);
}

#[test]
fn what_is_missing_is_named() {
    for name in ["gen-1", "gen-1/db", "gen-1/conf", "gen-1/blobs"] {
        let scratch = Scratch::new();
        filled(scratch.path());
        let path = scratch.path().join(name);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        let error = refused(scratch.path());
        assert!(matches!(&error, OpenError::Damaged { path: at, .. } if *at == path), "{error}");
    }
}

#[test]
fn a_newer_format_is_refused() {
    let scratch = Scratch::new();
    filled(scratch.path());
    let path = header::path(scratch.path());
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 2;
    fs::write(&path, bytes).unwrap();
    let newer = OpenError::Newer { path: scratch.path().to_path_buf(), version: 2, known: 1 };
    assert_eq!(refused(scratch.path()), newer);
}

#[test]
fn a_damaged_header_is_refused() {
    let scratch = Scratch::new();
    filled(scratch.path());
    let path = header::path(scratch.path());
    let whole = fs::read(&path).unwrap();
    for at in 0..24 {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        let error = refused(scratch.path());
        let is_typed = matches!(error, OpenError::Damaged { .. } | OpenError::Newer { .. });
        assert!(is_typed, "byte {at}: {error}");
    }
    for len in [0, 7, 8, 12, 20, 24, 512, 1_535] {
        fs::write(&path, &whole[..len]).unwrap();
        let error = refused(scratch.path());
        assert!(matches!(error, OpenError::Damaged { .. }), "{len} bytes: {error}");
    }
}

#[test]
fn there_is_one_owner() {
    let scratch = Scratch::new();
    filled(scratch.path());
    let owner = open(scratch.path());
    let locked = OpenError::Locked { path: scratch.path().to_path_buf() };
    assert_eq!(refused(scratch.path()), locked);
    // Whoever still has an engine owns the place.
    let engine = owner.engine();
    drop(owner);
    assert_eq!(refused(scratch.path()), locked);
    drop(engine);
    assert_eq!(groups(&*open(scratch.path()).engine()).len(), 100);
}

#[test]
fn a_generation_that_was_left_goes() {
    let scratch = Scratch::new();
    filled(scratch.path());
    let place = open(scratch.path());
    drop(place.begin_generation().unwrap());
    place.switch_generation().unwrap();
    drop(place);
    let names: Vec<_> = contents(scratch.path()).into_iter().map(|(path, _)| path).collect();
    assert!(!names.contains(&PathBuf::from("gen-1")), "{names:?}");
    assert!(names.contains(&PathBuf::from("gen-2")), "{names:?}");
}
