//! Plays one case from beginning to end and says how it went.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::expectation::{Difference, Order, Texts, compare};
use super::fields::Fields;
use super::json::{Json, Object};
use super::player::Player;
use super::report::{Outcome, Verdict};
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
        Case::Scenario { name, text } => match Scenario::parse(text) {
            Ok(scenario) => {
                let verdict = guarded(|| play_scenario(&scenario, settings));
                (scenario.name, verdict)
            }
            Err(difference) => (name.clone(), Verdict::fail(None, &difference)),
        },
        // A rig is put back only after all went well, so nothing half done is used again.
        Case::Vector { name, line } => (name.clone(), guarded(|| play_vector(line, rig))),
    };
    Outcome { name, verdict }
}

/// A panic of the broker is a failure of this case and of no other.
fn guarded(play: impl FnOnce() -> Verdict) -> Verdict {
    catch_unwind(AssertUnwindSafe(play)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("without a text");
        Verdict::fail(None, &Difference::new("an answer", format!("a panic: {text}")))
    })
}

fn play_scenario(scenario: &Scenario, settings: &Settings) -> Verdict {
    if let Some(mark) = scenario.marks.iter().find(|mark| settings.skip.contains(mark)) {
        return Verdict::Skip(mark.clone());
    }
    let steps = match scenario.steps() {
        Ok(steps) => steps,
        Err((number, difference)) => return Verdict::fail(Some(number), &difference),
    };
    let texts = match (scenario.texts, settings.texts) {
        (Texts::Compare, Texts::Compare) => Texts::Compare,
        (Texts::Ignore, _) | (_, Texts::Ignore) => Texts::Ignore,
    };
    let mut player = Player::new();
    for (index, step) in steps.iter().enumerate() {
        if let Err(difference) = play_step(&mut player, step, texts) {
            return Verdict::fail(Some(index + 1), &difference);
        }
    }
    Verdict::Pass
}

fn play_step(player: &mut Player, step: &Step, texts: Texts) -> Result<(), Difference> {
    let unplayable = |reason| Difference::new(step.expect.to_string(), reason);
    let got = player.play(step).map_err(unplayable)?;
    let unordered = step.arguments.get("unordered") == Some(&Json::Flag(true));
    let order = if unordered { Order::Any } else { Order::AsReceived };
    compare(&step.expect, &got, texts, order)
}

/// Plays a line on the rig of the line before it, if both have the same set of bindings.
fn play_vector(line: &str, rig: &mut Option<Rig>) -> Verdict {
    let fail = |got: String| Verdict::fail(None, &Difference::new("a vector", got));
    let vector = match Json::parse(line) {
        Ok(Json::Object(members)) => match read_vector(members) {
            Ok(vector) => vector,
            Err(reason) => return fail(reason),
        },
        Ok(other) => return fail(other.to_string()),
        Err(reason) => return fail(reason),
    };
    let expected = vector.matched.to_string();
    let played = match rig.take().filter(|rig| rig.fits(&vector)) {
        Some(rig) => Ok(rig),
        None => Rig::new(&vector),
    }
    .and_then(|found| Ok((found.matched(&vector)?, found)));
    match played {
        Ok((matched, found)) => {
            *rig = Some(found);
            if matched == vector.matched {
                Verdict::Pass
            } else {
                Verdict::fail(None, &Difference::new(expected, matched.to_string()))
            }
        }
        Err(reason) => Verdict::fail(None, &Difference::new(expected, reason)),
    }
}

fn read_vector(members: Object) -> Result<Vector, String> {
    Vector::read(&Fields::new(members))
}
