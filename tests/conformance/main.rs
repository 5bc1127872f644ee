//! Plays the recordings in this folder through the public channel tier and compares the results.
//!
//! They were made on `RabbitMQ` 3.10.8. `scenarios` holds sequences of operations, `lists` says
//! which of them belong together, `topic` and `headers` hold vectors for routing.

use std::path::Path;

use runner::expectation::Texts;
use runner::replay::{Settings, replay};
use runner::report::{Outcome, Verdict};
use runner::source::{Case, cases};

mod runner;
mod strictness;

/// Scenarios that come out differently, where the recorded broker makes no promise: name, and
/// our rule.
const DIFFERENT: &[(&str, &str)] = &[];

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

#[test]
fn vectors_pass() {
    all_pass("topic");
    all_pass("headers");
}

/// Each scenario of the list passes, or is named above with our rule; and none that is named
/// passes, so that a change of either kind shows.
#[test]
fn orders_that_may_differ() {
    let mut failed: Vec<String> = play(&recorded("lists/may-differ.txt"))
        .into_iter()
        .filter(|outcome| outcome.verdict != Verdict::Pass)
        .map(|outcome| outcome.name)
        .collect();
    failed.sort();
    let mut different: Vec<&str> = DIFFERENT.iter().map(|(name, _)| *name).collect();
    different.sort_unstable();
    assert_eq!(failed, different);
}

/// Nothing that was copied here goes unplayed because no list names it.
#[test]
fn every_scenario_is_on_one_list() {
    let sorted_names = |cases: Vec<Case>| {
        let mut names: Vec<String> = cases.iter().map(|case| case.name().to_owned()).collect();
        names.sort();
        names
    };
    let lists = ["core", "later", "may-differ", "queue-features", "restart"];
    let listed = lists.iter().flat_map(|list| recorded(&format!("lists/{list}.txt"))).collect();
    assert_eq!(sorted_names(listed), sorted_names(recorded("scenarios")));
}
