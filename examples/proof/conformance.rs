//! Plays recorded scenarios and routing vectors and says which of them come out as recorded.
//!
//! `cargo run --release --example conformance -- [--skip MARK,...] [--ignore text] PATH...`
//!
//! A path is a scenario (`.json`), a vector file (`.jsonl`), a folder with either in it, or a list
//! (`.txt`) with one path per line, relative to the folder above the list's own. Each scenario and
//! each line of a vector file gives one line of output; the last line counts them.
//!
//! The exit code is 0 if nothing failed, 1 if something did, and 2 if a path cannot be read or an
//! option is not known; then nothing is played.

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

fn main() -> ExitCode {
    let loaded = parse(std::env::args().skip(1)).and_then(|(settings, paths)| {
        let cases = load(&paths)?;
        Ok((settings, cases))
    });
    let (settings, cases) = match loaded {
        Ok(loaded) => loaded,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    match report(&cases, &settings) {
        Ok(tally) if tally.failed == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cannot write the report: {error}");
            ExitCode::from(2)
        }
    }
}

/// Options and paths, in any order.
fn parse(arguments: impl Iterator<Item = String>) -> Result<(Settings, Vec<PathBuf>), String> {
    let mut settings = Settings { skip: Vec::new(), texts: Texts::Compare };
    let mut paths = Vec::new();
    let mut arguments = arguments.flat_map(|argument| match argument.split_once('=') {
        Some((option, value)) if option.starts_with("--") => vec![option.into(), value.into()],
        Some(_) | None => vec![argument],
    });
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--skip" => {
                for mark in value()?.split(',').filter(|mark| !mark.is_empty()) {
                    if !MARKS.contains(&mark) {
                        return Err(format!("unknown mark {mark:?}; known: {}", MARKS.join(" ")));
                    }
                    settings.skip.push(mark.to_owned());
                }
            }
            "--ignore" => match value()?.as_str() {
                "text" => settings.texts = Texts::Ignore,
                other => return Err(format!("--ignore knows only text, not {other:?}")),
            },
            option if option.starts_with("--") => {
                return Err(format!("unknown option {option}\n{USAGE}"));
            }
            path => paths.push(PathBuf::from(path)),
        }
    }
    if paths.is_empty() { Err(USAGE.to_owned()) } else { Ok((settings, paths)) }
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
