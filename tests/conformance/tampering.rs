//! Recordings with one thing changed. None may pass, or the runner would not compare that thing.
//!
//! The changes are made from what was recorded: each part of each result, in every way there is.
//! Of changes of one kind in one field of one operation a few are played, since the others say the
//! same again.

mod change;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::runner::json::Json;
use super::runner::report::{Outcome, Verdict};
use super::runner::source::{Case, cases};
use super::{play, recorded};
use change::{Change, Kind, changes};

/// How many changes of one kind are played.
const EACH_MAX: usize = 2;
/// Of the changes of the vectors, one in so many is played.
const VECTOR_STRIDE: usize = 8;

/// Lets the first few of a kind through.
#[derive(Debug, Default)]
struct Sampler(HashMap<String, usize>);

impl Sampler {
    fn wants(&mut self, kind: String) -> bool {
        let seen = self.0.entry(kind).or_default();
        *seen += 1;
        *seen <= EACH_MAX
    }
}

/// A recorded scenario, taken apart.
#[derive(Debug)]
struct Recording {
    name: String,
    json: Json,
}

impl Recording {
    fn core() -> Vec<Self> {
        let recordings = recorded("lists/core.txt").into_iter().map(|case| match case {
            Case::Scenario { name, text } => {
                let json = Json::parse(&text).expect("a recording is good JSON");
                Self { name, json }
            }
            Case::Vector { name, .. } => panic!("{name} is no scenario"),
        });
        recordings.collect()
    }

    fn steps(&self) -> &[Json] {
        match self.json.get("steps") {
            Some(Json::List(steps)) => steps,
            _ => panic!("{} has no steps", self.name),
        }
    }

    /// The recording with another step at this position.
    fn with_step(&self, position: usize, step: Json) -> Case {
        let mut json = self.json.clone();
        if let Some(Json::List(steps)) = json.get_mut("steps") {
            steps[position] = step;
        }
        Case::Scenario { name: self.name.clone(), text: json.to_string() }
    }

    /// Whether a change of the result of a step counts, by the rules of the format.
    fn minds(&self, step: &Json, Change { place, kind, .. }: &Change) -> bool {
        match (place.as_str(), *kind) {
            (_, Kind::Renamed) => true,
            // Only a wire shows these.
            ("error.class_id" | "error.method_id", _) => false,
            ("error.text", _) if self.json.get("ignore").is_some() => false,
            ("error.text", Kind::Extended) => !ends_in_erlang(expected(step)),
            ("ok.deliveries[]", Kind::Swapped) => step.get("unordered").is_none(),
            _ => true,
        }
    }
}

fn operation(step: &Json) -> &str {
    step.get("op").and_then(Json::as_text).expect("a step has an operation")
}

fn expected(step: &Json) -> &Json {
    step.get("expect").expect("a step has a result")
}

/// Whether the text of an error ends in Erlang terms. Placeholders open like them.
fn ends_in_erlang(result: &Json) -> bool {
    let text = result.get("error").and_then(|error| error.get("text")?.as_text());
    text.is_some_and(|text| text.replace("{gen", "").contains('{') || text.contains("<<"))
}

/// The object with another value for a member.
fn with(object: &Json, name: &str, value: Json) -> Json {
    let mut object = object.clone();
    object.remove(name);
    if let Json::Object(members) = &mut object {
        members.push((name.to_owned(), value));
    }
    object
}

/// Plays one case, which has to fail at this position.
fn fails_at(case: &Case, position: usize) -> Result<(), Outcome> {
    let outcome = play(std::slice::from_ref(case)).remove(0);
    match &outcome.verdict {
        Verdict::Fail(text) if text.starts_with(&format!("step {}: ", position + 1)) => Ok(()),
        _ => Err(outcome),
    }
}

fn passes(case: &Case) -> Result<(), Outcome> {
    let outcome = play(std::slice::from_ref(case)).remove(0);
    if outcome.verdict == Verdict::Pass { Ok(()) } else { Err(outcome) }
}

/// What the format does not compare may change, and nothing else may.
#[test]
fn every_change_of_a_result_shows() {
    let (mut sampler, mut wrong, mut played) = (Sampler::default(), Vec::new(), 0);
    for recording in Recording::core() {
        for (position, step) in recording.steps().iter().enumerate() {
            for change in changes(expected(step)) {
                let minds = recording.minds(step, &change);
                let Change { place, kind, json } = change;
                if !sampler.wants(format!("{} {place} {kind:?} {minds}", operation(step))) {
                    continue;
                }
                played += 1;
                let case = recording.with_step(position, with(step, "expect", json));
                let held = if minds { fails_at(&case, position) } else { passes(&case) };
                if let Err(outcome) = held {
                    wrong.push(format!("{place} {kind:?} of step {}: {outcome}", position + 1));
                }
            }
        }
    }
    wrong.truncate(20);
    assert!(wrong.is_empty(), "of {played}, among others:\n{}", wrong.join("\n"));
    assert!(played > 1_000, "only {played} changes were played");
}

/// A step that is not as the format says is not played as if it were.
#[test]
fn every_malformed_step_shows() {
    let (mut sampler, mut wrong, mut played) = (Sampler::default(), Vec::new(), 0);
    for recording in Recording::core() {
        for (position, step) in recording.steps().iter().enumerate() {
            let Json::Object(members) = step else { panic!("a step is an object") };
            let mut malformed = vec![
                ("another operation", with(step, "op", Json::from("op"))),
                ("one field more", with(step, "op~", Json::Null)),
            ];
            // What an error has closed repeats it, whatever the arguments.
            if expected(step).get("ok").is_some() {
                malformed.extend(members.iter().map(|(name, _)| {
                    // No field takes a list with nothing in it.
                    (name.as_str(), with(step, name, Json::List(vec![Json::Null])))
                }));
            }
            for (what, changed) in malformed {
                if !sampler.wants(format!("{} {what}", operation(step))) {
                    continue;
                }
                played += 1;
                let case = recording.with_step(position, changed);
                if let Err(outcome) = fails_at(&case, position) {
                    wrong.push(format!("{what} of step {}: {outcome}", position + 1));
                }
            }
        }
    }
    wrong.truncate(20);
    assert!(wrong.is_empty(), "of {played}, among others:\n{}", wrong.join("\n"));
    assert!(played > 300, "only {played} steps were played");
}

#[test]
fn every_change_of_a_vector_shows() {
    let mut tampered = Vec::new();
    for (case, number) in ["topic", "headers"].into_iter().flat_map(recorded).zip(0..) {
        let Case::Vector { name, number: at, line } = case else { panic!("these are vectors") };
        let json = Json::parse(&line).expect("a recording is good JSON");
        let matched = json.get("matched").expect("a vector says what matched");
        let all = changes(matched).into_iter();
        for change in all.skip(number % VECTOR_STRIDE).step_by(VECTOR_STRIDE) {
            let line = with(&json, "matched", change.json).to_string();
            tampered.push(Case::Vector { name: name.clone(), number: at, line });
        }
    }
    let passed: Vec<String> = play(&tampered)
        .into_iter()
        .filter(|outcome| !matches!(outcome.verdict, Verdict::Fail(_)))
        .map(|outcome| outcome.name)
        .collect();
    assert!(passed.is_empty(), "these pass although changed: {passed:?}");
    assert!(tampered.len() > 3_000, "only {} changes were played", tampered.len());
}

/// The same on the way that files take: one tampered copy of many scenarios, as a folder and as a
/// list.
#[test]
fn a_folder_of_tampered_files_fails_file_by_file() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tampered");
    // It may be there from the run before.
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(folder.join("scenarios/area")).expect("the folder is ours");
    fs::create_dir_all(folder.join("lists")).expect("the folder is ours");
    let (mut list, mut copies) = (String::new(), 0);
    for recording in Recording::core().iter().step_by(6) {
        let (position, step) = (0..).zip(recording.steps()).last().expect("there are steps");
        let altered = changes(expected(step))
            .into_iter()
            .find(|change| recording.minds(step, change))
            .expect("something can be changed");
        let copy = recording.with_step(position, with(step, "expect", altered.json));
        let Case::Scenario { text, .. } = copy else { panic!("this is a scenario") };
        copies += 1;
        let path = format!("scenarios/area/{copies:02}.json");
        fs::write(folder.join(&path), text).expect("the folder is ours");
        writeln!(list, "{path}\r").expect("a string takes every text");
    }
    fs::write(folder.join("lists/all.txt"), list).expect("the folder is ours");

    let found = cases(&folder).expect("these are files to play");
    assert_eq!(cases(&folder.join("lists/all.txt")).as_ref(), Ok(&found));
    let outcomes = play(&found);
    let failed = outcomes.iter().filter(|outcome| matches!(outcome.verdict, Verdict::Fail(_)));
    assert_eq!((failed.count(), found.len()), (copies, copies));
    assert!(copies > 30, "only {copies} copies were played");
}
