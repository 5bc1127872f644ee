//! Files of a real store that are damaged at random.
#![allow(clippy::disallowed_methods, reason = "what hangs has to be ended by somebody else")]

use std::{
    fmt, fs,
    ops::Range,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use super::{
    dice::{Dice, count, seed},
    history::History,
    life::{Life, Opened, Opening},
    model::Model,
    scratch::{Scratch, contents},
};
use crate::{
    Message,
    store::{
        Store,
        open_error::OpenError,
        place_simulated::Disk,
        place_sled::{Sizes, SledPlace},
        position::Level,
        record::{Amendment, ItemId, MessageRecord, Record},
    },
};

/// Whoever takes longer than this hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// The files of a store, and what is in it.
#[derive(Clone, Debug)]
pub(super) struct Specimen {
    pub(super) files: Vec<(PathBuf, Option<Vec<u8>>)>,
    pub(super) truth: Model,
}

/// What was done to a file.
#[derive(Clone, Debug)]
pub(super) struct Damage {
    pub(super) file: PathBuf,
    pub(super) bytes: Range<usize>,
    how: &'static str,
}

/// What came of opening a store that was damaged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// All was there, and it went on.
    Right,
    /// The error says why.
    Refused(String),
    Wrong(String),
}

impl Specimen {
    /// Grows one by so many groups, and so many messages that stay.
    pub(super) fn grow(dice: &mut Dice, groups: usize, backlog: u64) -> Self {
        let scratch = Scratch::new();
        let folder = scratch.vacant();
        let mut history = History::default();
        let mut truth = Model::default();
        for _ in 0..3 {
            let place = Box::new(open(&folder).unwrap());
            let opened = Life::begin(place, Opening::plain(), &mut history).unwrap();
            let Opened::Alive(mut life) = opened else { panic!("nothing was damaged") };
            for group in 0..groups / 3 {
                life.tell(dice);
                if dice.one_in(3) && (group < 60 || dice.one_in(8)) {
                    life.store.run_once();
                }
            }
            assert_eq!(life.settle_down(), Ok(true));
            truth.clone_from(life.truth());
            life.end(&mut history);
        }
        pile_up(&folder, dice, &mut truth, backlog);
        Self { files: contents(&folder), truth }
    }

    /// Copies it. What is only space is not copied, but made.
    pub(super) fn lay_out(&self, folder: &Path) {
        fs::create_dir(folder).unwrap();
        for (name, content) in &self.files {
            let path = folder.join(name);
            match content {
                None => fs::create_dir(path).unwrap(),
                Some(bytes) if is_space(name) => {
                    let file = fs::File::create(path).unwrap();
                    file.set_len(bytes.len().try_into().unwrap()).unwrap();
                }
                Some(bytes) => fs::write(path, bytes).unwrap(),
            }
        }
    }

    /// Damages one file.
    pub(super) fn damage(&self, folder: &Path, dice: &mut Dice) -> Damage {
        let files = self.files.iter().filter_map(|(name, content)| {
            let content = content.as_ref().filter(|bytes| !bytes.is_empty() && !is_space(name))?;
            Some((name, content.clone()))
        });
        let (data, others): (Vec<_>, Vec<_>) = files.partition(|(name, _)| has_values(name));
        let chosen = if dice.one_in(4) { &others } else { &data };
        let (name, mut bytes) = chosen[dice.index(chosen.len())].clone();
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
        let at = dice.index(used);
        let (how, end) = match dice.below(4) {
            0 => {
                let end = bytes.len();
                bytes.truncate(at);
                ("ends", end)
            }
            1 => {
                let start = at / 512 * 512;
                let end = bytes.len().min(start + 512 * (1 + dice.index(8)));
                bytes[start..end].fill(0);
                ("is zero for some sectors", end)
            }
            2 => {
                let end = bytes.len().min(at + 16);
                bytes[at..end].copy_from_slice(&dice.bytes(end - at));
                ("is something else for 16 bytes", end)
            }
            _ => {
                bytes[at] ^= 1 << dice.below(8);
                ("has another bit", at + 1)
            }
        };
        fs::write(folder.join(name), bytes).unwrap();
        Damage { file: name.clone(), bytes: at / 512 * 512..end, how }
    }
}

/// Adds messages that nobody settles, a few at a time.
fn pile_up(folder: &Path, dice: &mut Dice, truth: &mut Model, messages: u64) {
    let place = Box::new(open(folder).unwrap());
    let (store, _) = Store::open_unattended(place, Level::Power, 0).unwrap();
    let queue = store.next_serial();
    for seq in 1..=messages {
        let len = dice.index(700);
        let body = [seq.to_be_bytes().to_vec(), dice.bytes(len)].concat();
        let (id, state) = (ItemId { queue, seq }, Amendment::default());
        let message = Message::new(body).persistent();
        let record = Record::Message(MessageRecord { id, state, message });
        truth.tell(&record);
        store.append(&[record]);
        if dice.one_in(200) {
            store.run_once();
        }
    }
    while store.run_once() {}
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, bytes, how } = self;
        write!(f, "{} {how} between {} and {}", file.display(), bytes.start, bytes.end)
    }
}

/// Behind a short log, so that there is something in the database, too.
pub(super) fn open(folder: &Path) -> Result<SledPlace, OpenError> {
    SledPlace::open_or_create_with(folder, Sizes::SMALL)
}

pub(super) fn has_values(name: &Path) -> bool {
    let name = name.file_name().unwrap().to_string_lossy();
    name == "db" || name.starts_with("redo-")
}

fn is_space(name: &Path) -> bool {
    ["room", "reserve"].iter().any(|space| name.ends_with(space))
}

/// Opens it, compares it, goes on with it, and does that again.
fn examine(folder: &Path, truth: &Model, dice: &mut Dice) -> Outcome {
    let mut history = History::default();
    let mut truth = truth.clone();
    for round in 0..2 {
        let place = match open(folder) {
            Ok(place) => Box::new(place),
            Err(error) if round == 0 => return Outcome::Refused(error.to_string()),
            Err(error) => return Outcome::Wrong(format!("later it was refused: {error}")),
        };
        history.expect(&truth);
        let mut life = match Life::begin(place, Opening::plain(), &mut history) {
            Ok(Opened::Alive(life)) => life,
            Ok(Opened::Refused(error)) => return Outcome::Refused(format!("{error:?}")),
            Err(what) if what.starts_with("it cannot be opened") => return Outcome::Refused(what),
            Err(what) => return Outcome::Wrong(what),
        };
        for _ in 0..10 {
            life.tell(dice);
            life.store.run_once();
            if let Err(what) = life.fetch(dice) {
                return Outcome::Wrong(what);
            }
        }
        match life.settle_down() {
            Ok(true) => truth.clone_from(life.truth()),
            Ok(false) => {
                return Outcome::Refused(format!("it failed: {:?}", life.store.failure()));
            }
            Err(what) => return Outcome::Wrong(what),
        }
        life.end(&mut history);
    }
    Outcome::Right
}

#[test]
fn damage_is_told_or_harmless() {
    let (first, damages) = (seed(), count("STORE_DAMAGES", 40));
    let specimen = Specimen::grow(&mut Dice::new(first), 180, 0);
    let copy = Scratch::new();
    specimen.lay_out(&copy.vacant());
    let undamaged = {
        let (folder, truth) = (copy.vacant(), specimen.truth.clone());
        within_patience(move || examine(&folder, &truth, &mut Dice::new(first)))
    };
    assert_eq!(undamaged, Outcome::Right);
    let (mut right, mut refused) = (0, 0);
    for seed in (0..damages).map(|damage| first.wrapping_add(damage)) {
        let mut dice = Dice::new(seed);
        let scratch = Scratch::new();
        let folder = scratch.vacant();
        specimen.lay_out(&folder);
        let how = specimen.damage(&folder, &mut dice);
        let truth = specimen.truth.clone();
        match within_patience(move || examine(&folder, &truth, &mut dice)) {
            Outcome::Right => right += 1,
            Outcome::Refused(_) => refused += 1,
            Outcome::Wrong(what) => panic!("STORE_SEED={seed}: {how}: {what}"),
        }
    }
    eprintln!("{damages} damages: {refused} refused, {right} harmless");
}

/// The same for values on a simulated disk, all of them in all ways.
#[test]
fn a_value_that_is_missing_or_not_whole_is_noticed() {
    let dice = Dice::new(seed());
    let grow = |dice: &mut Dice| {
        let (disk, mut history) = (Disk::new(7), History::default());
        let opened = Life::begin(Box::new(disk.open()), Opening::plain(), &mut history).unwrap();
        let Opened::Alive(mut life) = opened else { panic!("nothing was damaged") };
        for _ in 0..60 {
            life.tell(dice);
            life.store.run_once();
        }
        assert_eq!(life.settle_down(), Ok(true));
        life.end(&mut history);
        (disk, history)
    };
    let (mut right, mut refused) = (0, 0);
    let keys = grow(&mut dice.clone()).0.keys();
    for (key, way) in keys.iter().flat_map(|key| (0..4).map(move |way| (*key, way))) {
        let (disk, mut history) = grow(&mut dice.clone());
        let mut value = disk.value(key);
        let at = dice.clone().index(value.len());
        match way {
            0 => value.truncate(at),
            1 => value[at] ^= 1,
            2 => value.fill(0),
            _ => {}
        }
        disk.damage(key, (way < 3).then_some(value));
        match Life::begin(Box::new(disk.open()), Opening::plain(), &mut history) {
            Ok(Opened::Alive(_)) => right += 1,
            Ok(Opened::Refused(_)) => refused += 1,
            Err(what) if what.starts_with("it cannot be opened") => refused += 1,
            Err(what) => panic!("{key:?}, damaged in way {way}: {what}"),
        }
    }
    eprintln!("{refused} refused, {right} harmless");
    assert!(refused > 100);
}

/// Does something that may panic or hang.
pub(super) fn within_patience(act: impl FnOnce() -> Outcome + Send + 'static) -> Outcome {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let outcome = panic::catch_unwind(AssertUnwindSafe(act));
        // Nobody waits any more if it took too long.
        let panicked = |_| Outcome::Wrong("it panicked".to_owned());
        let _ = sender.send(outcome.unwrap_or_else(panicked));
    });
    match receiver.recv_timeout(PATIENCE) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout) => Outcome::Wrong("it hangs".to_owned()),
        Err(RecvTimeoutError::Disconnected) => Outcome::Wrong("it ended".to_owned()),
    }
}
