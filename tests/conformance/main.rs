//! Plays the recordings in this folder through the public channel tier and compares the results.
//!
//! They were made on `RabbitMQ` 3.10.8. `scenarios` holds sequences of operations, `lists` says
//! which of them belong together, `topic` and `headers` hold vectors for routing.

use std::collections::BTreeSet;
use std::path::Path;

use runner::expectation::Texts;
use runner::replay::{Settings, replay};
use runner::report::{Outcome, Verdict};
use runner::source::{Case, cases};

mod runner;
mod strictness;
mod tampering;

/// Scenarios of `may-differ` that come out differently: name, and our rule.
const DIFFERENT: &[(&str, &str)] = &[
    ("dlx/chain_four_order", NEWEST_FIRST),
    ("dlx/cycle_with_earlier_reject", NEWEST_FIRST),
    ("random/dlx_09", NEWEST_FIRST),
];
const NEWEST_FIRST: &str =
    "x-death has the latest death first; `RabbitMQ` 3.10 turns older entries around at each death";

/// Everything behind a path in this folder.
fn recorded(path: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let found = cases(&folder.join(path)).expect("the recordings are there");
    assert!(!found.is_empty(), "{path} holds nothing to play");
    found
}

/// Plays with all marks, texts compared.
fn play(cases: &[Case]) -> Vec<Outcome> {
    replay(cases, &Settings { skip: Vec::new(), texts: Texts::Compare }).collect()
}

#[track_caller]
fn all_pass(path: &str) {
    let failed: Vec<String> = play(&recorded(path))
        .iter()
        .filter(|outcome| outcome.verdict != Verdict::Pass)
        .map(Outcome::to_string)
        .collect();
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn core_scenarios_pass() {
    all_pass("lists/core.txt");
}

/// What was recorded later: corners that the first recordings leave open, and random operations.
#[test]
fn further_recordings_pass() {
    all_pass("lists/further.txt");
}

#[test]
fn vectors_pass() {
    all_pass("topic");
    all_pass("headers");
}

/// Plays a list and compares the names of what failed with those that are known to. None too few:
/// what passes now has to leave the list of what does not.
#[track_caller]
fn only_these_fail(path: &str, known: impl Iterator<Item = String>) {
    let outcomes = play(&recorded(path));
    let failed: BTreeSet<String> = outcomes
        .into_iter()
        .filter(|outcome| outcome.verdict != Verdict::Pass)
        .map(|outcome| outcome.name)
        .collect();
    let known: BTreeSet<String> = known.collect();
    let regressed: Vec<_> = failed.difference(&known).collect();
    let progressed: Vec<_> = known.difference(&failed).collect();
    assert!(
        regressed.is_empty() && progressed.is_empty(),
        "{path}: fails and should pass {regressed:?}, passes and is known to fail {progressed:?}"
    );
}

#[test]
fn orders_that_may_differ() {
    let known = DIFFERENT.iter().map(|(name, _)| (*name).to_owned());
    only_these_fail("lists/may-differ.txt", known);
}

/// Times to live, bounds, priorities, dead letters, quorum queues.
#[test]
fn queue_features_pass() {
    all_pass("lists/queue-features.txt");
}

/// What was recorded of them later, by hand and at random.
#[test]
fn further_queue_features_pass() {
    all_pass("lists/further-features.txt");
}

/// What a broker remembers that was closed and opened again.
#[cfg(feature = "persist")]
#[test]
fn restarts_pass() {
    all_pass("lists/restart.txt");
}

/// Nothing that was copied here goes unplayed because no list names it.
#[test]
fn every_scenario_is_on_one_list() {
    let sorted_names = |cases: Vec<Case>| {
        let mut names: Vec<String> = cases.iter().map(|case| case.name().to_owned()).collect();
        names.sort();
        names
    };
    let lists =
        ["core", "further", "further-features", "later", "may-differ", "queue-features", "restart"];
    let listed = lists.iter().flat_map(|list| recorded(&format!("lists/{list}.txt"))).collect();
    assert_eq!(sorted_names(listed), sorted_names(recorded("scenarios")));
}
