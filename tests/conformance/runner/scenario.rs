//! A recorded scenario: its name, its marks and its steps.
//!
//! Reading is strict. What the format does not know is an error, so that nothing is silently left
//! unplayed or uncompared.

use super::expectation::{Difference, Texts};
use super::fields::{Fields, mistyped};
use super::json::{Json, NotJson};
use super::operation::Operation;

/// What a scenario may require beyond a plain broker.
pub(crate) const MARKS: &[&str] = &[
    "artefact",
    "auth",
    "plugin-consistent-hash",
    "plugin-random",
    "plugin-recent-history",
    "quorum",
    "restart",
    "scheduling",
    "stream",
    "wire",
    "x-death-order",
];

/// A sequence of operations and what each resulted in when it was recorded.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) marks: Vec<String>,
    pub(crate) texts: Texts,
    steps: Vec<Json>,
}

/// One operation and its recorded result. The arguments hold placeholders.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) operation: &'static Operation,
    pub(crate) arguments: Json,
    pub(crate) expect: Json,
}

impl Scenario {
    /// Reads all but the steps. An error says what is wrong with the file, and in which line.
    pub(crate) fn parse(text: &str) -> Result<Self, (usize, Difference)> {
        let malformed = |found: String| (1, Difference::new("a scenario", found));
        let not_json = |error: NotJson| {
            let difference = Difference::new("a scenario", error.to_string());
            (error.line, difference)
        };
        let unknown = |expected: &str, word: &str| {
            (line_of(text, word), Difference::new(expected, format!("{word:?}")))
        };
        let Json::Object(members) = Json::parse(text).map_err(not_json)? else {
            return Err(malformed("JSON which is not an object".to_owned()));
        };
        let fields = Fields::new(members);
        let known = ["name", "description", "requires", "ignore", "recorded_from", "steps"];
        if let Some(field) = fields.unknown(&known) {
            return Err(unknown("a known field", field));
        }
        let name = fields.text("name").map_err(malformed)?.to_owned();
        if name.is_empty() {
            return Err(malformed("one without a name".to_owned()));
        }
        for text in ["description", "recorded_from"] {
            fields.text(text).map_err(malformed)?;
        }
        let marks = texts(&fields, "requires").map_err(malformed)?;
        if let Some(mark) = marks.iter().find(|mark| !MARKS.contains(&mark.as_str())) {
            return Err(unknown("a known mark", mark));
        }
        let ignored = texts(&fields, "ignore").map_err(malformed)?;
        if let Some(other) = ignored.iter().find(|ignored| *ignored != "text") {
            return Err(unknown("text to ignore", other));
        }
        let texts = if ignored.is_empty() { Texts::Compare } else { Texts::Ignore };
        match fields.get("steps") {
            Some(Json::List(steps)) if steps.is_empty() => {
                Err((line_of(text, "steps"), Difference::new("steps to play", "none")))
            }
            Some(Json::List(steps)) => Ok(Self { name, marks, texts, steps: steps.clone() }),
            Some(_) | None => Err(malformed("one without a list of steps".to_owned())),
        }
    }

    /// Reads the steps. An error comes with the number of its step, from 1.
    pub(crate) fn steps(&self) -> Result<Vec<Step>, (usize, Difference)> {
        let numbered = self.steps.iter().enumerate();
        numbered.map(|(index, json)| Step::read(json).map_err(|error| (index + 1, error))).collect()
    }
}

impl Step {
    fn read(json: &Json) -> Result<Self, Difference> {
        let malformed = |found: String| Difference::new("a step", found);
        let Some(name) = json.get("op").and_then(Json::as_text) else {
            return Err(malformed(mistyped("it", "an object with a text op", json)));
        };
        let operation = Operation::of(name)
            .ok_or_else(|| Difference::new("a known operation", format!("{name:?}")))?;
        let expect = json
            .get("expect")
            .ok_or_else(|| malformed(format!("{name} without an expectation")))?
            .clone();
        let mut arguments = json.clone();
        arguments.remove("op");
        arguments.remove("expect");
        if let Json::Object(members) = &arguments
            && let Some(unknown) = Fields::new(members.clone()).unknown(operation.fields)
        {
            return Err(Difference::new(
                format!("a known field of {name}"),
                format!("{unknown:?}"),
            ));
        }
        Ok(Self { operation, arguments, expect })
    }
}

/// The first line of a text with this word in quotes, counted from 1; 1 if there is none.
fn line_of(text: &str, word: &str) -> usize {
    let word = Json::from(word).to_string();
    text.lines().position(|line| line.contains(&word)).map_or(1, |index| index + 1)
}

/// A list of strings, empty if it is absent.
fn texts(fields: &Fields, name: &str) -> Result<Vec<String>, String> {
    match fields.get(name) {
        None => Ok(Vec::new()),
        Some(Json::List(items)) => items
            .iter()
            .map(|item| item.as_text().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(|| mistyped(name, "a list of strings", &Json::List(items.clone()))),
        Some(other) => Err(mistyped(name, "a list of strings", other)),
    }
}
