//! The store as a whole, on places that lose and fail.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "numbers made up by chance are small"
)]

mod faulty;
mod gate;
mod model;
mod rules;
mod threads;
mod upkeep;

use self::{
    faulty::{Crash, FaultyPlace},
    model::{Chance, Content, Teller},
};
use super::{engine::*, position::*, record::*, *};
use crate::Name;

fn open(place: &FaultyPlace, level: Level) -> (Arc<Store>, Recovered) {
    Store::open_unattended(Box::new(place.clone()), level, u64::MAX).unwrap()
}

fn content_of(store: &Store, recovered: &Recovered) -> Content {
    Content::of(recovered, |id| store.fetch(id).unwrap().unwrap())
}

/// How many lives are played; `STORE_LIVES` asks for others, `STORE_SEED` for a certain one.
fn seeds(lives: u64) -> std::ops::Range<u64> {
    let asked = |name| {
        let asked = std::env::var(name).ok();
        asked.map(|asked: String| asked.parse().expect("it is a number"))
    };
    match asked("STORE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..asked("STORE_LIVES").unwrap_or(lives),
    }
}

/// Little is borne, so that everything is tidied all the time.
fn strict() -> Economy {
    Economy {
        commit_bytes_max: 4_096,
        garbage_bytes_max: 0,
        waste_bytes_min: 0,
        size_bytes_min: 0,
        slice_bytes: 20_000,
    }
}

/// A life of a store: groups are told, some are written, and now and then the process ends.
fn live(seed: u64, level: Level, crash: Crash) {
    let place = FaultyPlace::new();
    let mut chance = Chance(seed ^ 0x5eed);
    let mut teller = Teller::new(seed);
    let mut content = Content::default();
    for session in 0..6 {
        let at = format!("seed {seed}, session {session}");
        let resident = [0, 1_000, u64::MAX][chance.below(3) as usize];
        let economy = if chance.below(2) == 0 { Economy::default() } else { strict() };
        let opened = Store::open_with(Box::new(place.clone()), level, resident, economy);
        let (store, recovered) = opened.unwrap_or_else(|error| panic!("{at}: {error}"));
        assert!(content_of(&store, &recovered).is_same(&content), "{at}: opened again");
        if chance.below(3) > 0 {
            place.fail_after(chance.below(400), EngineError::Failed("the end".to_owned()));
        }
        let mut states = vec![content.clone()];
        let mut told = content.clone();
        for _ in 0..chance.below(120) {
            let group = teller.group(&told);
            told.apply(&group);
            let position = store.append(&group);
            if position.0 as usize == states.len() {
                states.push(told.clone());
            }
            if chance.below(3) == 0 {
                store.run_once();
            }
            if chance.below(10) == 0
                && let Some((id, (_, message))) =
                    told.messages.iter().nth(chance.below(told.messages.len() as u64) as usize)
                && store.state() == State::Working
            {
                assert_eq!(store.fetch(*id).unwrap().as_ref(), Some(message), "{at}: {id:?}");
            }
        }
        let durable = store.durable().0 as usize;
        mem::forget(store);
        place.crash(crash, |bound| chance.below(bound));
        let before = place.keys();
        let opened = Store::open_unattended(Box::new(place.clone()), level, u64::MAX);
        let (store, recovered) = opened.unwrap_or_else(|error| panic!("{at}: {error}"));
        let found = content_of(&store, &recovered);
        let known = (durable..states.len()).find(|at| states[*at].is_same(&found));
        assert!(
            known.is_some()
                || crash == Crash::CutTail && states.iter().any(|of| of.is_same(&found)),
            "{at}: what was found is no state after {durable} of {}",
            states.len() - 1
        );
        assert_eq!(place.keys(), before, "{at}: opening changes nothing");
        mem::forget(store);
        content = found;
        // What was held back is of a process that is gone.
        teller.forget();
    }
}

#[test]
fn what_is_durable_survives_a_power_cut() {
    for seed in seeds(20) {
        live(seed, Level::Power, Crash::Cut);
    }
}

#[test]
fn what_is_written_survives_the_end_of_the_process() {
    for seed in seeds(20) {
        live(seed, Level::Process, Crash::Kill);
    }
}

#[test]
fn a_power_cut_takes_a_tail_of_what_was_only_written() {
    for seed in seeds(20) {
        live(seed, Level::Process, Crash::CutTail);
    }
}
