//! Stores that are damaged at random, and what is salvaged of them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use super::{
    damages::{Damage, Outcome, Specimen, has_values, within_patience},
    dice::{Dice, count, seed},
    model::Model,
    scratch::{Scratch, contents},
};
use crate::{
    Message,
    store::{
        Store,
        engine::VALUE_BYTES_MAX,
        place_sled::SledPlace,
        position::Level,
        record::{ItemId, RecoveredBody},
        salvage::{report::SalvageReport, salvage},
    },
};

/// What is this near to damage may be lost with it: it may be in one value with it.
const PAGE_BYTES: usize = 4 * 1_024;
const PAGES_LOST: usize = VALUE_BYTES_MAX / PAGE_BYTES + 1;

/// Where the bodies of messages are: the pages of files that their pattern is in.
type Traces = BTreeMap<ItemId, BTreeSet<(PathBuf, usize)>>;

/// What was found in a salvaged store.
struct Salvaged {
    report: SalvageReport,
    messages: BTreeMap<ItemId, Message>,
}

/// The eight bytes that a body repeats behind its number; short ones have none.
fn pattern(message: &Message) -> Option<[u8; 8]> {
    message.body().get(8..16)?.try_into().ok()
}

fn traces(truth: &Model, files: &[(PathBuf, Option<Vec<u8>>)]) -> Traces {
    let mut by_turn = HashMap::new();
    for (id, held) in &truth.messages {
        // Pieces of long ones begin anywhere in it.
        let Some(mut pattern) = pattern(&held.message) else { continue };
        for _ in 0..pattern.len() {
            by_turn.entry(pattern).or_insert_with(Vec::new).push(*id);
            pattern.rotate_left(1);
        }
    }
    let mut traces = Traces::new();
    for (name, content) in files.iter().filter(|(name, _)| has_values(name)) {
        for (at, bytes) in content.as_ref().unwrap().windows(8).enumerate() {
            let Some(ids) = by_turn.get(bytes) else { continue };
            for id in ids {
                traces.entry(*id).or_default().insert((name.clone(), at / PAGE_BYTES));
            }
        }
    }
    traces
}

/// Whether a message has to come back: all copies of it are far from the damage.
fn is_safe(pages: &BTreeSet<(PathBuf, usize)>, damage: &Damage) -> bool {
    let first = (damage.bytes.start / PAGE_BYTES).saturating_sub(PAGES_LOST);
    let last = damage.bytes.end / PAGE_BYTES + PAGES_LOST;
    let [first, last] = [first, last].map(|page| (damage.file.clone(), page));
    pages.range(first..=last).next().is_none()
}

/// Salvages, and reads the result.
fn salvaged(from: &Path, to: &Path) -> Result<Salvaged, Outcome> {
    let before = contents(from);
    let report = salvage(from, to);
    if contents(from) != before {
        return Err(Outcome::Wrong("the damaged store has changed".to_owned()));
    }
    let report = report.map_err(|error| {
        if to.exists() {
            Outcome::Wrong(format!("something was left behind {error}"))
        } else {
            Outcome::Refused(error.to_string())
        }
    })?;
    let place = SledPlace::open(to).map_err(|error| Outcome::Wrong(error.to_string()))?;
    let (store, recovered) = Store::open_unattended(Box::new(place), Level::Power, u64::MAX)
        .map_err(|error| Outcome::Wrong(error.to_string()))?;
    let mut messages = BTreeMap::new();
    for found in recovered.messages {
        if !found.state().is_redelivered {
            return Err(Outcome::Wrong(format!("{:?} is not flagged", found.id)));
        }
        let RecoveredBody::Resident(message) = found.message else {
            return Err(Outcome::Wrong("a body was left on disk".to_owned()));
        };
        if let Some(pattern) = pattern(&message)
            && !message.body()[8..].iter().zip(pattern.iter().cycle()).all(|(a, b)| a == b)
        {
            return Err(Outcome::Wrong(format!("{:?} is not as it was told", found.id)));
        }
        messages.insert(found.id, message);
    }
    drop(store);
    if messages.len() as u64 != report.messages {
        return Err(Outcome::Wrong(format!("{} messages, and {report:?}", messages.len())));
    }
    Ok(Salvaged { report, messages })
}

/// Compares what was salvaged with what there was.
fn judge(truth: &Model, traces: &Traces, damage: &Damage, found: &Salvaged) -> Outcome {
    let mut by_queue = BTreeSet::new();
    for (id, message) in &found.messages {
        by_queue.insert((id.queue, message.body().to_vec()));
    }
    if found.report.is_whole {
        let ids = |model: &Model| model.messages.keys().copied().collect::<Vec<_>>();
        let found: Vec<_> = found.messages.keys().copied().collect();
        let is_all = found == ids(truth);
        return if is_all { Outcome::Right } else { Outcome::Wrong("not all is there".to_owned()) };
    }
    let extra = found.messages.keys().filter(|id| !truth.messages.contains_key(id)).count();
    let missing = truth.messages.keys().filter(|id| !found.messages.contains_key(id)).count();
    eprintln!("{damage}: {missing} missing, {extra} that were settled");
    for (id, pages) in traces.iter().filter(|(_, pages)| is_safe(pages, damage)) {
        let body = truth.messages[id].message.body().to_vec();
        if !by_queue.contains(&(id.queue, body)) {
            return Outcome::Wrong(format!(
                "{id:?} in pages {pages:?} is lost: {:?}",
                found.report
            ));
        }
    }
    Outcome::Right
}

/// Opens it as a broker would, which may be refused.
fn try_to_open(folder: &Path) -> bool {
    let Ok(place) = SledPlace::open(folder) else { return false };
    Store::open_unattended(Box::new(place), Level::Power, 0).is_ok()
}

#[test]
fn what_was_not_hit_is_salvaged() {
    let (first, damages) = (seed(), count("STORE_WRECKS", 12));
    let specimen = Specimen::grow(&mut Dice::new(first), 900, 2_000);
    let traces = traces(&specimen.truth, &specimen.files);
    let (messages, known) = (specimen.truth.messages.len(), traces.len());
    eprintln!("{messages} messages, {known} of them traced");
    assert!(messages > 2_000 && known > messages / 2);
    let (mut right, mut refused, mut unsafe_ones) = (0, 0, 0);
    for seed in (0..damages).map(|damage| first.wrapping_add(damage)) {
        let mut dice = Dice::new(seed);
        let scratch = Scratch::new();
        let (from, to) = (scratch.vacant(), scratch.path().join("salvaged"));
        specimen.lay_out(&from);
        let damage = specimen.damage(&from, &mut dice);
        unsafe_ones += traces.values().filter(|pages| !is_safe(pages, &damage)).count();
        let (told, truth, traces) = (damage.to_string(), specimen.truth.clone(), traces.clone());
        let opens_first = dice.one_in(2);
        let outcome = within_patience(move || {
            let is_open = opens_first && try_to_open(&from);
            match salvaged(&from, &to) {
                Ok(found) if is_open && !found.report.is_whole => {
                    Outcome::Wrong(format!("it opens, and gives {:?}", found.report))
                }
                Ok(found) => judge(&truth, &traces, &damage, &found),
                Err(outcome) => outcome,
            }
        });
        match outcome {
            Outcome::Right => right += 1,
            Outcome::Refused(why) => {
                eprintln!("{told}: {why}");
                refused += 1;
            }
            Outcome::Wrong(what) => panic!("STORE_SEED={seed}: {told}: {what}"),
        }
    }
    let most = unsafe_ones / usize::try_from(damages).unwrap();
    eprintln!("{right} salvaged, {refused} refused; {most} of {known} near damage on average");
    assert!(refused <= damages / 10, "there is something left to be saved of nearly all");
}
