//! Each operation of a program fails once, in each way in which it may.

use super::{
    crashes::opening,
    dice::{Dice, count, seed},
    history::History,
    life::{Life, Opened, Sabotage},
};
use crate::store::{
    engine::EngineError,
    place_simulated::{Disk, Fault, Lasting},
    position::{Level, State},
};

/// So often a store may find that there is still no space, once there is.
const TRIES_MAX: u64 = 10;

/// What an engine says that found damage.
const DAMAGE: &str = "a page is not what it was";

/// Plays a program on a disk that fails; tells how many operations it took.
fn play(seed: u64, fault: Option<&Fault>) -> Result<u64, String> {
    let mut dice = Dice::new(seed);
    let disk = Disk::new(dice.roll());
    let level = if dice.one_in(4) { Level::Process } else { Level::Power };
    let opening = opening(level, Sabotage::None, &mut dice);
    let mut history = History::default();
    for _ in 0..2 {
        disk.set_fault(fault.cloned());
        if let Opened::Alive(life) = Life::begin(Box::new(disk.open()), opening, &mut history)? {
            let mut life = *life;
            live(&mut life, &mut history, fault, &mut dice)?;
            disk.halt();
            life.end(&mut history);
        } else if fault.is_none() || !disk.has_met_fault() {
            return Err("it was refused for no reason".to_owned());
        }
        let is_cut = level == Level::Power && dice.one_in(2);
        if is_cut { disk.cut() } else { disk.kill() }
    }
    let operations = disk.operations();
    disk.set_fault(None);
    match Life::begin(Box::new(disk.open()), opening, &mut history)? {
        Opened::Alive(life) => life.end(&mut history),
        Opened::Refused(error) => return Err(format!("it cannot be opened: {error:?}")),
    }
    Ok(operations)
}

fn live(
    life: &mut Life,
    history: &mut History,
    fault: Option<&Fault>,
    dice: &mut Dice,
) -> Result<(), String> {
    for _ in 0..25 {
        life.tell(dice);
        if dice.one_in(2) {
            life.store.run_once();
            life.look(history)?;
        }
        if let Err(what) = life.fetch(dice)
            && !what.contains(DAMAGE)
        {
            return Err(what);
        }
        life.look(history)?;
    }
    let patience = match fault {
        Some(Fault { lasting: Lasting::Times(times), .. }) => times + TRIES_MAX,
        _ => TRIES_MAX,
    };
    for _ in 0..patience {
        life.settle_down()?;
        life.look(history)?;
    }
    let (state, durable) = (life.store.state(), life.store.durable());
    match (state, fault.map(|fault| (&fault.error, fault.lasting))) {
        (State::Working, _) if durable == life.told() => Ok(()),
        (State::Full, Some((EngineError::Full, Lasting::Life))) => Ok(()),
        (State::Failed, Some((EngineError::Damaged(_) | EngineError::Failed(_), _))) => {
            stays_failed(life, history, dice)
        }
        _ => Err(format!("{state:?}, {durable:?} of {:?} after {fault:?}", life.told())),
    }
}

/// Nothing that is told later becomes durable, and nothing of it is kept.
fn stays_failed(life: &mut Life, history: &mut History, dice: &mut Dice) -> Result<(), String> {
    let durable = life.store.durable();
    for _ in 0..10 {
        life.tell(dice);
        life.store.run_once();
        life.look(history)?;
    }
    let (bytes, later) = (life.store.unwritten_bytes(), life.store.durable());
    if later != durable || bytes > 0 {
        return Err(format!("it goes on after a failure: {durable:?}, {later:?}, {bytes} bytes"));
    }
    Ok(())
}

fn sweep(error: &EngineError, lasting: &[Lasting]) {
    let first = seed();
    let mut played = 0;
    for seed in (0..count("STORE_FAULT_PROGRAMS", 2)).map(|program| first.wrapping_add(program)) {
        let operations = play(seed, None).unwrap_or_else(|what| panic!("{seed}: {what}"));
        for after in (0..=operations).step_by(count("STORE_FAULT_STEP", 3).try_into().unwrap()) {
            for lasting in lasting {
                let fault = Fault { after, error: error.clone(), lasting: *lasting };
                if let Err(what) = play(seed, Some(&fault)) {
                    panic!("{seed}, {fault:?}: {what}");
                }
                played += 1;
            }
        }
    }
    eprintln!("{played} programs met a fault");
}

#[test]
fn a_failure_is_final_and_confirms_nothing() {
    let failed = EngineError::Failed("the disk is on fire".to_owned());
    sweep(&failed, &[Lasting::Times(1), Lasting::Life]);
}

#[test]
fn after_there_was_no_space_everything_becomes_durable() {
    sweep(&EngineError::Full, &[Lasting::Times(1), Lasting::Times(7), Lasting::Life]);
}

#[test]
fn damage_that_is_met_on_the_way_is_a_failure() {
    let damaged = EngineError::Damaged(DAMAGE.to_owned());
    sweep(&damaged, &[Lasting::Times(1)]);
}
