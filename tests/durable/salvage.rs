//! Saving what a damaged store still has.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use leveret::{Broker, Durability, ErrorKind, Message, SalvageReport, StoreFault};

use super::folder::{Folder, PATIENCE};

const MESSAGES: usize = 1_000;

/// A store with a queue of numbered messages, bound to an exchange, and another queue.
fn store() -> Folder {
    let folder = Folder::new();
    let broker = folder.open();
    let orders = broker.declare_exchange("orders").topic().durable().declare().unwrap();
    let billing = broker.declare_queue("billing").durable().declare().unwrap();
    let audit = broker.declare_queue("audit").durable().declare().unwrap();
    orders.bind(&billing, "order.*").unwrap();
    orders.bind(&audit, "order.odd").unwrap();
    for n in 0..MESSAGES {
        let key = if n % 2 == 0 { "order.even" } else { "order.odd" };
        orders.publish(key, Message::new(body(n)).persistent()).unwrap();
    }
    for _ in 0..10 {
        billing.get().unwrap().unwrap().ack().unwrap();
    }
    broker.close(PATIENCE);
    folder
}

fn body(n: usize) -> String {
    format!("message {n} {}", "x".repeat(n % 700))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// The directory of the generation in use.
fn generation(folder: &Folder) -> PathBuf {
    entries(folder.path()).into_iter().find(|path| path.is_dir()).unwrap()
}

/// Everything in a directory.
fn contents(folder: &Folder) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut left) = (BTreeMap::new(), vec![folder.path().to_path_buf()]);
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            found.insert(path, Vec::new());
        } else {
            found.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    found
}

/// Changes all files that messages are in.
fn change(folder: &Folder, mut change: impl FnMut(&mut Vec<u8>)) {
    let has_values = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name == "db" || name.starts_with("redo-")
    };
    for path in entries(&generation(folder)).into_iter().filter(has_values) {
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    }
}

fn flip(folder: &Folder, text: &str) {
    let mut hits = 0;
    change(folder, |bytes| {
        for at in 0..bytes.len() - text.len() {
            if bytes[at..].starts_with(text.as_bytes()) {
                bytes[at] ^= 1;
                hits += 1;
            }
        }
    });
    assert!(hits > 0, "{text} is there");
}

fn fault(result: leveret::Result<impl std::fmt::Debug>) -> StoreFault {
    match result.unwrap_err().kind() {
        ErrorKind::StoreUnusable { fault, .. } => *fault,
        other => panic!("{other:?}"),
    }
}

/// Salvages, and shows that the source stays as it is and the result works.
fn salvage(from: &Folder) -> (SalvageReport, Folder) {
    let before = contents(from);
    let to = Folder::new();
    let report = Broker::salvage(from.path(), to.path()).unwrap();
    assert_eq!(contents(from), before, "nothing of it has changed");
    let names = fs::read_dir(to.path()).unwrap().map(|e| e.unwrap().file_name());
    assert!(names.into_iter().all(|name| name != "salvage"), "nothing is left of the work");
    let broker = to.open();
    let found = broker.recovery_report();
    assert_eq!((found.messages, found.redelivered), (report.messages, report.messages));
    assert_eq!((found.queues, found.bindings), (report.queues, report.bindings));
    broker.close(PATIENCE);
    (report, to)
}

/// The numbers of the messages of a queue, all of which are as they were.
fn numbers(folder: &Folder, queue: &str) -> Vec<usize> {
    let broker = folder.open();
    let queue = broker.queue(queue).unwrap();
    let mut numbers = Vec::new();
    while let Some(delivery) = queue.get().unwrap() {
        assert!(delivery.is_redelivered());
        let text = delivery.text().unwrap().to_owned();
        let n = text.split(' ').nth(1).unwrap().parse().unwrap();
        assert_eq!(text, body(n));
        numbers.push(n);
        delivery.ack().unwrap();
    }
    queue.send(Message::new("goes on").persistent()).unwrap();
    broker.sync(PATIENCE).unwrap();
    drop((queue, broker));
    numbers
}

#[test]
fn all_but_what_was_hit_comes_back() {
    let from = store();
    flip(&from, "message 500 ");
    flip(&from, "message 701 ");
    assert_eq!(fault(Broker::open(from.path())), StoreFault::Damaged);
    let (report, to) = salvage(&from);
    assert!(!report.is_whole);
    assert_eq!((report.exchanges, report.queues, report.bindings, report.made), (1, 2, 2, 0));
    assert_eq!(report.records_lost, 2, "{report:?}");
    assert!(!report.details.is_empty());
    let expected = |from, step: usize| {
        (from..MESSAGES).step_by(step).filter(|n| ![500, 701].contains(n)).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&to, "billing"), expected(10, 1));
    assert_eq!(numbers(&to, "audit"), expected(1, 2));
}

#[test]
fn a_store_that_is_not_damaged_is_saved_whole() {
    let from = store();
    let (report, to) = salvage(&from);
    assert!(report.is_whole);
    assert_eq!(report.messages, 990 + 500);
    assert_eq!(report.details, [""; 0]);
    assert_eq!(numbers(&to, "billing"), (10..MESSAGES).collect::<Vec<_>>());
    assert_eq!(from.open().recovery_report().messages, 990 + 500, "it works as before");
}

#[test]
fn without_its_other_files_a_store_is_saved_whole() {
    let from = store();
    fs::write(from.path().join("leveret"), "something else").unwrap();
    for path in entries(&generation(&from)) {
        if path.file_name().unwrap().to_string_lossy().starts_with("snap.") {
            fs::write(path, "something else").unwrap();
        }
    }
    assert_eq!(fault(Broker::open(from.path())), StoreFault::Damaged);
    let (report, to) = salvage(&from);
    assert!(report.is_whole, "{report:?}");
    assert_eq!(numbers(&to, "billing"), (10..MESSAGES).collect::<Vec<_>>());
}

#[test]
fn messages_of_a_queue_whose_declaration_is_lost_come_back() {
    let from = store();
    flip(&from, "billing");
    let (report, to) = salvage(&from);
    assert_eq!((report.queues, report.made, report.bindings_lost), (2, 1, 0), "{report:?}");
    let name = "leveret.salvaged.";
    let made = report.details.iter().find_map(|detail| {
        let at = detail.find(name)?;
        Some(detail[at..].split(' ').next().unwrap().to_owned())
    });
    assert_eq!(numbers(&to, &made.unwrap()), (10..MESSAGES).collect::<Vec<_>>());
}

#[test]
fn what_is_refused_leaves_both_as_they_were() {
    let from = store();
    let taken = store();
    let before = [contents(&from), contents(&taken)];
    let salvage = |to: &Path| fault(Broker::salvage(from.path(), to));
    assert_eq!(salvage(taken.path()), StoreFault::Occupied);
    assert_eq!(salvage(from.path()), StoreFault::Occupied);
    assert_eq!(salvage(&from.path().join("inside")), StoreFault::Occupied);
    let (nothing, file) = (Folder::new(), Folder::new());
    fs::write(file.path(), "a file").unwrap();
    assert_eq!(salvage(file.path()), StoreFault::NotADirectory);
    let to = Folder::new();
    assert_eq!(fault(Broker::salvage(file.path(), to.path())), StoreFault::NotADirectory);
    assert_eq!(fault(Broker::salvage(nothing.path(), to.path())), StoreFault::Missing);
    fs::remove_file(file.path()).unwrap();
    fs::create_dir(nothing.path()).unwrap();
    assert_eq!(fault(Broker::salvage(nothing.path(), to.path())), StoreFault::Missing);
    fs::write(nothing.path().join("notes.txt"), "mine").unwrap();
    assert_eq!(fault(Broker::salvage(nothing.path(), to.path())), StoreFault::Foreign);
    assert_eq!([contents(&from), contents(&taken)], before);
    let broker = from.open();
    assert_eq!(fault(Broker::salvage(from.path(), to.path())), StoreFault::Locked);
    drop(broker);
    change(&from, |bytes| bytes.fill(0));
    assert_eq!(fault(Broker::salvage(from.path(), to.path())), StoreFault::Damaged);
    assert!(!to.path().exists(), "what was not finished is not there");
}

#[test]
fn what_was_not_finished_is_no_store() {
    let from = store();
    let to = Folder::new();
    let work = to.path().join("salvage").join("store");
    fs::create_dir_all(&work).unwrap();
    fs::write(work.join("leveret"), "half of it").unwrap();
    assert_eq!(fault(Broker::open(to.path())), StoreFault::Foreign);
    let report = Broker::salvage(from.path(), to.path()).unwrap();
    assert_eq!(to.open().recovery_report().messages, report.messages);
}

#[test]
fn a_tail_that_nobody_noted_comes_back() {
    let from = Folder::new();
    let open = || Broker::builder().store(from.path()).durability(Durability::Process).open();
    let broker = open().unwrap();
    let queue = broker.declare_queue("billing").durable().declare().unwrap();
    for n in 0..MESSAGES {
        queue.send(Message::new(body(n)).persistent()).unwrap();
    }
    broker.close(PATIENCE);
    drop((queue, broker));
    // Opening it might take this for what a power cut leaves, and cut off what follows.
    flip(&from, "message 980 ");
    let (_, to) = salvage(&from);
    let expected: Vec<_> = (0..MESSAGES).filter(|n| *n != 980).collect();
    assert_eq!(numbers(&to, "billing"), expected);
}
