//! Opening a store, and what keeps one from being opened.

use std::fs;

use leveret::{Broker, ErrorKind, Message, StoreFault};

use super::folder::{Folder, PATIENCE};

/// What opening is refused with.
fn fault(folder: &Folder) -> StoreFault {
    match Broker::open(folder.path()).unwrap_err().kind() {
        ErrorKind::StoreUnusable { fault, path, text, .. } => {
            assert!(path.starts_with(folder.path()), "{}", path.display());
            assert!(text.contains(&*folder.path().to_string_lossy()), "{text}");
            *fault
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_store_has_one_owner() {
    let folder = Folder::new();
    let broker = folder.open();
    assert_eq!(fault(&folder), StoreFault::Locked);
    let queue = broker.declare_queue("q").durable().declare().unwrap();
    queue.send(Message::new("still works").persistent()).unwrap();
    broker.sync(PATIENCE).unwrap();
    broker.close(PATIENCE);
    let again = folder.open();
    assert_eq!(again.recovery_report().messages, 1, "a closed broker has let go of it");
}

#[test]
fn what_no_store_has_written_is_left_alone() {
    let folder = Folder::new();
    fs::create_dir_all(folder.path()).unwrap();
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    assert_eq!(fault(&folder), StoreFault::Foreign);
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(names, [folder.path().join("notes.txt")]);
}

#[test]
fn what_is_to_be_there_is_not_made() {
    let folder = Folder::new();
    let open = || Broker::builder().existing_store(folder.path()).open();
    let error = open().unwrap_err();
    let is_missing =
        matches!(error.kind(), ErrorKind::StoreUnusable { fault: StoreFault::Missing, .. });
    assert!(is_missing, "{error}");
    assert!(!folder.path().exists(), "nothing was made");
    drop(folder.open());
    assert!(open().is_ok());
}

#[test]
fn a_file_is_no_store() {
    let folder = Folder::new();
    fs::write(folder.path(), "a file").unwrap();
    assert_eq!(fault(&folder), StoreFault::NotADirectory);
    assert_eq!(fs::read(folder.path()).unwrap(), b"a file");
    fs::remove_file(folder.path()).unwrap();
}

#[test]
fn damage_is_told_and_nothing_is_guessed() {
    let folder = Folder::new();
    let broker = folder.open();
    let queue = broker.declare_queue("q").durable().declare().unwrap();
    for n in 0..1_000 {
        queue.send(Message::new(format!("message {n}")).persistent()).unwrap();
    }
    broker.close(PATIENCE);
    drop((queue, broker));
    let generation = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.is_dir())
        .unwrap();
    let files = fs::read_dir(generation).unwrap().map(|entry| entry.unwrap().path());
    let mut hits = 0;
    for file in files.filter(|path| path.is_file()) {
        let mut bytes = fs::read(&file).unwrap();
        let found = bytes.windows(11).position(|window| window == b"message 500");
        if let Some(at) = found {
            bytes[at] ^= 1;
            fs::write(&file, bytes).unwrap();
            hits += 1;
        }
    }
    assert_eq!((fault(&folder), hits), (StoreFault::Damaged, 1));
}

#[test]
fn a_broker_that_is_dropped_has_written_what_it_was_told() {
    let folder = Folder::new();
    let broker = folder.open();
    let queue = broker.declare_queue("q").durable().declare().unwrap();
    queue.send(Message::new("x").persistent()).unwrap();
    drop((queue, broker));
    assert_eq!(folder.open().recovery_report().messages, 1);
}
