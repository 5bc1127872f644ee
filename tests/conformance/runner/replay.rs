//! Plays one case from beginning to end and says how it went.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::expectation::{Difference, Order, Texts, compare};
use super::fields::Fields;
use super::json::Json;
use super::player::Player;
use super::report::{Outcome, Place, Verdict};
use super::scenario::{Scenario, Step};
use super::source::Case;
use super::vector::{Rig, Vector};

/// What is played, and what is compared.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Scenarios with one of these marks are skipped.
    pub(crate) skip: Vec<String>,
    pub(crate) texts: Texts,
}

/// Plays the cases in order and hands out each outcome as soon as it is known.
pub(crate) fn replay<'a>(
    cases: &'a [Case],
    settings: &'a Settings,
) -> impl Iterator<Item = Outcome> + 'a {
    let mut rig = None;
    cases.iter().map(move |case| play(case, settings, &mut rig))
}

fn play(case: &Case, settings: &Settings, rig: &mut Option<Rig>) -> Outcome {
    let (name, verdict) = match case {
        Case::Scenario { text, .. } => match Scenario::parse(text) {
            Ok(scenario) => {
                let verdict = play_scenario(&scenario, settings);
                (scenario.name, verdict)
            }
            Err((line, difference)) => {
                (case.name().to_owned(), Verdict::fail(Place::Line(line), &difference))
            }
        },
        // A rig is put back only after all went well, so nothing half done is used again.
        Case::Vector { number, line, .. } => match guarded(|| play_vector(line, rig)) {
            Ok(()) => (format!("{}:{number}", case.name()), Verdict::Pass),
            Err(difference) => {
                (case.name().to_owned(), Verdict::fail(Place::Line(*number), &difference))
            }
        },
    };
    Outcome { name, verdict }
}

fn play_scenario(scenario: &Scenario, settings: &Settings) -> Verdict {
    if let Some(mark) = scenario.marks.iter().find(|mark| settings.skip.contains(mark)) {
        return Verdict::Skip(mark.clone());
    }
    let steps = match scenario.steps() {
        Ok(steps) => steps,
        Err((number, difference)) => return Verdict::fail(Place::Step(number), &difference),
    };
    let texts = match (scenario.texts, settings.texts) {
        (Texts::Compare, Texts::Compare) => Texts::Compare,
        (Texts::Ignore, _) | (_, Texts::Ignore) => Texts::Ignore,
    };
    let is_restarted = scenario.marks.iter().any(|mark| mark == "restart");
    let mut player = match Player::new(is_restarted) {
        Ok(player) => player,
        Err(reason) => return Verdict::fail(Place::Step(0), &Difference::new("a broker", reason)),
    };
    for (step, number) in steps.iter().zip(1..) {
        let result = guarded(|| play_step(&mut player, step, texts));
        if result.is_err() {
            // What failed may fail again when it is taken apart, which adds nothing.
            let _ = guarded(|| close(player));
            return verdict(Place::Step(number), result);
        }
    }
    verdict(Place::End, guarded(|| close(player)))
}

fn play_step(player: &mut Player, step: &Step, texts: Texts) -> Result<(), Difference> {
    let unplayable = |reason| Difference::new(step.expect.to_string(), reason);
    let got = player.play(step).map_err(unplayable)?;
    let unordered = step.arguments.get("unordered") == Some(&Json::Flag(true));
    let order = if unordered { Order::Any } else { Order::AsReceived };
    compare(&step.expect, &got, texts, order)
}

/// Takes a broker apart, with all that is still open.
#[expect(clippy::unnecessary_wraps, reason = "it is guarded like a step")]
fn close(player: Player) -> Result<(), Difference> {
    drop(player);
    Ok(())
}

/// Plays a line on the rig of the line before it, if both have the same set of bindings.
fn play_vector(line: &str, rig: &mut Option<Rig>) -> Result<(), Difference> {
    let vector = Json::parse(line)
        .map_err(|not_json| not_json.to_string())
        .and_then(|json| match json {
            Json::Object(members) => Vector::read(&Fields::new(members)),
            other => Err(other.to_string()),
        })
        .map_err(|found| Difference::new("a vector", found))?;
    let expected = Json::List(vector.matched.clone());
    let unplayable = |reason| Difference::new(expected.to_string(), reason);
    let found = match rig.take().filter(|rig| rig.fits(&vector)) {
        Some(rig) => rig,
        None => Rig::new(&vector).map_err(unplayable)?,
    };
    let matched = Json::List(found.matched(&vector).map_err(unplayable)?);
    *rig = Some(found);
    if matched == expected {
        Ok(())
    } else {
        Err(Difference::new(expected.to_string(), matched.to_string()))
    }
}

/// Turns a panic of the broker into a failure of what is played now, and of nothing else.
fn guarded(play: impl FnOnce() -> Result<(), Difference>) -> Result<(), Difference> {
    catch_unwind(AssertUnwindSafe(play)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("without a text");
        Err(Difference::new("an answer", format!("a panic: {text}")))
    })
}

fn verdict(at: Place, played: Result<(), Difference>) -> Verdict {
    played.map_or_else(|difference| Verdict::fail(at, &difference), |()| Verdict::Pass)
}
