//! Plays recorded scenarios and routing vectors and says which of them come out as recorded.
//!
//! `cargo run --release --example conformance -- [--skip MARK,...] [--ignore text] PATH...`
//!
//! `--help` says what a path may be, what is printed and what the exit code means.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use runner::expectation::Texts;
use runner::replay::{Settings, replay};
use runner::report::Tally;
use runner::scenario::MARKS;
use runner::source::{Case, cases};

#[path = "../../tests/conformance/runner/mod.rs"]
mod runner;

const USAGE: &str = "usage: conformance [--skip MARK,...] [--ignore text] PATH...";

const EXPLANATION: &str = "
Plays recorded scenarios and routing vectors and says which of them come out as recorded.

  PATH             a scenario (.json), a vector file (.jsonl), a folder with either in it at any
                   depth, or a list (.txt) with one path per line, relative to the folder above
                   the list's own
  --skip MARK,...  leave out the scenarios that require one of these marks
  --ignore text    do not compare the texts of errors
  --help           print this

Each scenario and each line of a vector file gives one line, PASS, FAIL or SKIP with its name; FAIL
says the step that differed, or the line of a file that is malformed or holds the vector. The last
line counts them. The exit code is 0 if nothing failed, 1 if something did, and 2 if a path cannot
be read or has nothing to play, or an option is not known; then nothing is played.";

/// What the command line asks for.
enum Request {
    Help,
    Play(Settings, Vec<PathBuf>),
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<ExitCode, String> {
    let unwritable = |error: io::Error| format!("cannot write the report: {error}");
    match parse(std::env::args_os().skip(1))? {
        Request::Help => {
            let marks = MARKS.join(" ");
            writeln!(io::stdout(), "{USAGE}\n{EXPLANATION}\n\nMarks: {marks}")
                .map_err(unwritable)?;
            Ok(ExitCode::SUCCESS)
        }
        Request::Play(settings, paths) => {
            let tally = report(&load(&paths)?, &settings).map_err(unwritable)?;
            Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

/// Options and paths, in any order. A path need not be Unicode.
fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Request, String> {
    let mut settings = Settings { skip: Vec::new(), texts: Texts::Compare };
    let mut paths = Vec::new();
    let mut arguments = arguments.flat_map(|argument| {
        match argument.to_str().and_then(|text| text.split_once('=')) {
            Some((option, value)) if option.starts_with("--") => vec![option.into(), value.into()],
            Some(_) | None => vec![argument],
        }
    });
    while let Some(argument) = arguments.next() {
        let mut value = |option| {
            let value: Option<OsString> = arguments.next();
            let text = value.and_then(|value| value.into_string().ok());
            text.ok_or_else(|| format!("{option} needs a value\n{USAGE}"))
        };
        match argument.to_str() {
            Some("--help" | "-h") => return Ok(Request::Help),
            Some("--skip") => {
                for mark in value("--skip")?.split(',').filter(|mark| !mark.is_empty()) {
                    if !MARKS.contains(&mark) {
                        return Err(format!("unknown mark {mark:?}; known: {}", MARKS.join(" ")));
                    }
                    settings.skip.push(mark.to_owned());
                }
            }
            Some("--ignore") => match value("--ignore")?.as_str() {
                "text" => settings.texts = Texts::Ignore,
                other => return Err(format!("--ignore knows only text, not {other:?}")),
            },
            Some(option) if option.starts_with("--") => {
                return Err(format!("unknown option {option}\n{USAGE}"));
            }
            Some(_) | None => paths.push(PathBuf::from(argument)),
        }
    }
    if paths.is_empty() {
        return Err(format!("there is nothing to play; --help explains\n{USAGE}"));
    }
    Ok(Request::Play(settings, paths))
}

fn load(paths: &[PathBuf]) -> Result<Vec<Case>, String> {
    let mut all = Vec::new();
    for path in paths {
        all.extend(cases(path).map_err(|unreadable| unreadable.0)?);
    }
    Ok(all)
}

fn report(cases: &[Case], settings: &Settings) -> io::Result<Tally> {
    let mut output = io::stdout().lock();
    let mut tally = Tally::default();
    for outcome in replay(cases, settings) {
        writeln!(output, "{outcome}")?;
        tally.add(&outcome.verdict);
    }
    writeln!(output, "{tally}")?;
    Ok(tally)
}
