//! Random programs on a simulated disk that is cut and killed again and again.

use std::panic::{self, AssertUnwindSafe};

use super::{
    dice::{Dice, count, seed},
    history::History,
    life::{Life, Opened, Opening, Sabotage},
};
use crate::store::{
    economy::Economy,
    place_simulated::{Disk, Tearing},
    position::Level,
};

/// How many times the disk crashed in one run.
type Crashes = u64;

/// Plays until there were so many crashes; tells the seeds that found something wrong.
fn play(first: u64, crashes: u64, sabotage: Sabotage) -> Vec<(u64, String)> {
    let mut wrong = Vec::new();
    let (mut seed, mut done) = (first, 0);
    while done < crashes && wrong.is_empty() {
        let run = AssertUnwindSafe(|| run(seed, sabotage));
        match panic::catch_unwind(run) {
            Ok(Ok(crashes)) => done += crashes,
            Ok(Err(what)) => wrong.push((seed, what)),
            Err(_) => wrong.push((seed, "it panicked".to_owned())),
        }
        seed = seed.wrapping_add(1);
    }
    eprintln!("{done} crashes in {} runs", seed.wrapping_sub(first));
    wrong
}

/// Some lives of one store.
fn run(seed: u64, sabotage: Sabotage) -> Result<Crashes, String> {
    let mut dice = Dice::new(seed);
    let disk = Disk::new(dice.roll());
    if dice.one_in(3) {
        disk.set_tearing(Tearing::Sometimes);
    }
    disk.set_sync(sabotage != Sabotage::SkipSync);
    let mut history = History::default();
    // A session that syncs nothing may lose anything in a power cut, so it is only killed.
    let level = if dice.one_in(4) { Level::Process } else { Level::Power };
    let lives = 2 + dice.below(6);
    for _ in 0..lives {
        let opening = opening(level, sabotage, &mut dice);
        live(&disk, &mut history, opening, &mut dice)?;
        let is_killed = level == Level::Process || dice.one_in(3);
        if is_killed { disk.kill() } else { disk.cut() }
    }
    // Reading changes nothing, however often.
    let opening = opening(level, sabotage, &mut dice);
    for _ in 0..2 {
        match Life::begin(Box::new(disk.open()), opening, &mut history)? {
            Opened::Alive(life) => life.end(&mut history),
            Opened::Refused(error) => return Err(format!("it cannot be opened: {error:?}")),
        }
    }
    Ok(lives)
}

pub(super) fn opening(level: Level, sabotage: Sabotage, dice: &mut Dice) -> Opening {
    let resident_bytes = [0, 2_000, u64::MAX][dice.index(3)];
    // Often so that it tidies all the time.
    let economy = Economy {
        commit_bytes_max: [1_000, 100_000, 4 << 20][dice.index(3)],
        garbage_bytes_max: [2_000, 10_000, 64 << 10][dice.index(3)],
        waste_bytes_min: [0, 2_000, 1 << 20][dice.index(3)],
        size_bytes_min: [0, 10_000, 32 << 20][dice.index(3)],
        slice_bytes: [100, 5_000, 1 << 20][dice.index(3)],
    };
    Opening { level, resident_bytes, sabotage, economy }
}

/// A life that ends at any operation, often when it has hardly begun.
fn live(
    disk: &Disk,
    history: &mut History,
    opening: Opening,
    dice: &mut Dice,
) -> Result<(), String> {
    let place = Box::new(disk.open());
    let (groups, operations) = match dice.below(10) {
        0..3 => (20, dice.below(8)),
        9 => (400, 200 + dice.below(2_000)),
        _ => (40, dice.below(120)),
    };
    disk.stop_after(operations);
    let mut life = match Life::begin(place, opening, history)? {
        Opened::Alive(life) => life,
        Opened::Refused(_) => return Ok(()),
    };
    let eagerness = 1 + dice.below(5);
    for _ in 0..groups {
        life.tell(dice);
        if dice.one_in(eagerness) {
            life.store.run_once();
        }
        if dice.one_in(4) {
            life.fetch(dice)?;
        }
        life.look(history)?;
    }
    if dice.one_in(4) {
        life.settle_down()?;
    }
    disk.halt();
    life.end(history);
    Ok(())
}

#[test]
fn what_is_durable_outlives_any_crash() {
    let wrong = play(seed(), count("STORE_CRASHES", 200), Sabotage::None);
    assert_eq!(wrong, []);
}

#[test]
fn skipped_syncs_are_found_out() {
    assert_ne!(play(seed(), count("STORE_CRASHES", 2_000), Sabotage::SkipSync), []);
}

#[test]
fn lost_settlements_are_found_out() {
    let sabotage = Sabotage::DropSettlement(1_000);
    assert_ne!(play(seed(), count("STORE_CRASHES", 20_000), sabotage), []);
}

#[test]
fn early_confirms_are_found_out() {
    assert_ne!(play(seed(), count("STORE_CRASHES", 2_000), Sabotage::ConfirmEarly), []);
}
