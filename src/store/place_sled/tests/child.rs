//! This test program run again as another process.

use std::{
    env,
    path::Path,
    process::{Command, Stdio},
};

use allocation_counter::measure;

use super::{super::tree::CACHE_BYTES, open, open_short, reopened};
use crate::{
    Message, Name,
    clock::HostDeadline,
    message::Label,
    store::{
        Store,
        engine::{Key, Place},
        position::Level,
        proof::dice::Dice,
        record::{Amendment, ItemId, MessageRecord, Record},
    },
};

/// What the child is to do, and where.
const PART: &str = "STORE_CHILD";
const FOLDER: &str = "STORE_CHILD_FOLDER";

/// A process that plays a part, behind some other program that runs it.
pub(super) fn child(part: &str, folder: &Path, behind: &[&str]) -> Command {
    let me = env::current_exe().unwrap();
    let test =
        ["--exact", "--nocapture", "--test-threads=1", "store::place_sled::tests::child::plays"];
    let mut command = match behind.split_first() {
        Some((program, arguments)) => {
            let mut command = Command::new(program);
            command.args(arguments).arg(me);
            command
        }
        None => Command::new(me),
    };
    command.args(test).env(PART, part).env(FOLDER, folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Nothing, unless it runs as a child.
#[test]
fn plays() {
    let (Ok(part), Some(folder)) = (env::var(PART), env::var_os(FOLDER)) else { return };
    let folder = Path::new(&folder);
    match part.as_str() {
        "commits" => commits(folder),
        "confirms" => confirms(folder),
        "scans" => scans(folder),
        "switches" => switches(folder),
        other => panic!("{other} is no part"),
    }
}

/// Looks through a database. What is freed late because of other threads would count as kept.
fn scans(folder: &Path) {
    let database = reopened(folder);
    let (mut seen, mut scanned) = (0, Ok(()));
    let allocated = measure(|| {
        scanned = database.scan(&mut |_, value| {
            seen += value.len() as u64;
            Ok(())
        });
    });
    scanned.unwrap();
    assert!(seen > CACHE_BYTES + CACHE_BYTES / 3, "{seen} bytes are too few to tell");
    assert!(allocated.bytes_max < CACHE_BYTES, "{} bytes at once", allocated.bytes_max);
}

/// Commits of all sizes. After each sync a note says so, which is seen from outside.
fn commits(folder: &Path) {
    let place = open_short(folder);
    let mut dice = Dice::new(7);
    let mut last = 0;
    for commit in 1..=60 {
        let engine = place.engine();
        let parts = if commit % 10 == 0 { 300 } else { dice.below(5) };
        for part in 0..=parts {
            let len = 1 + dice.index(8_000);
            let value = dice.bytes(len);
            engine.put(Key { group: commit, part: u32::try_from(part).unwrap() }, &value).unwrap();
        }
        if commit % 3 == 0 {
            for part in 0..=last {
                let part = u32::try_from(part).unwrap();
                engine.remove(Key { group: commit - 1, part }).unwrap();
            }
        }
        last = parts;
        engine.sync().unwrap();
        place.note(commit).unwrap();
        engine.tidy().unwrap();
    }
}

/// A store that is told so much that the next commit is packed while one is synced.
fn confirms(folder: &Path) {
    let (store, _) = Store::open(Box::new(open(folder)), Level::Power, u64::MAX).unwrap();
    let mut unconfirmed = None;
    for seq in 0..30 {
        let mut message = Message::new(vec![7; 300 * 1_024]).persistent();
        message.put_label(&Label::new(Name::from(""), Name::from("q")));
        let (id, state) = (ItemId { queue: 1, seq }, Amendment::default());
        let position = store.append(&[Record::Message(MessageRecord { id, state, message })]);
        if let Some(position) = unconfirmed.replace(position) {
            assert_eq!(store.wait(position, HostDeadline::NEVER), Some(Ok(())));
        }
    }
}

/// A life with all that changes files: being made, a switch, another one.
fn switches(folder: &Path) {
    let place = open(folder);
    for group in 1..=3 {
        let begun = place.begin_generation().unwrap();
        begun.put(Key { group, part: 0 }, b"value").unwrap();
        begun.sync().unwrap();
        place.switch_generation().unwrap();
        place.note(group).unwrap();
    }
}
