//! The proof of `crash_loop` in two steps, so that anything may happen in between: a power cut.
//!
//! `cargo run --release --features persist --example ledger -- write DIR LEDGER`, then
//! `cargo run --release --features persist --example ledger -- verify DIR LEDGER`
//!
//! `--help` says what else there is. The ledger has to be where what happens to the store does not
//! happen to it. `.ci/power-cut` cuts the power of a file system in a file, again and again.
#![allow(clippy::disallowed_methods, reason = "the program works in real time")]

#[path = "durability/mod.rs"]
mod durability;

use std::{
    env,
    error::Error,
    path::PathBuf,
    process::{self, ExitCode},
    time::Duration,
};

use durability::{
    entry::Entry,
    history::History,
    ledger,
    level::Level,
    life::{self, Plan},
    look::{self, Look},
    memory::Memory,
    verdict::{Fault, Verdict},
};

const USAGE: &str = "\
usage: ledger write DIR LEDGER [--seconds N] [--seed S] [--level process|power]
       ledger verify DIR LEDGER [--level process|power]

  write        publishes and consumes in a store in DIR, for 60 seconds or until it is ended, and
               says in the file LEDGER what it is about to do and what has come of it; goes on with
               what is there
  verify       opens the store, with much and with little memory, and compares it with the ledger
  --level ...  what confirms promise, power by default

The exit code is 0 if nothing was found, 1 if something was, and 2 if the arguments are wrong.";

/// What the command line asks for.
#[derive(Debug)]
struct Request {
    step: Step,
    store: PathBuf,
    ledger: PathBuf,
    level: Level,
    seconds: u64,
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Write,
    Verify,
}

fn main() -> ExitCode {
    let request = match parse(env::args().skip(1)) {
        Ok(Some(request)) => request,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let outcome = match request.step {
        Step::Write => write(&request).map(|()| true),
        Step::Verify => verify(&request).map(|verdict| verdict.is_clean()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Request>, String> {
    let (mut names, mut level) = (Vec::new(), Level::Power);
    let (mut seconds, mut seed) = (60, process::id().into());
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        let number = |text: String| text.parse().map_err(|_| format!("{text} is no number"));
        match argument.as_str() {
            "--seconds" => seconds = number(value()?)?,
            "--seed" => seed = number(value()?)?,
            "--level" => level = value()?.parse()?,
            "--help" | "-h" => return Ok(None),
            option if option.starts_with('-') => return Err(format!("unknown option {option}")),
            _ => names.push(argument),
        }
    }
    let Ok([step, store, ledger]) = <[String; 3]>::try_from(names) else {
        return Err("it takes a step, a directory and a file".to_owned());
    };
    let step = match step.as_str() {
        "write" => Step::Write,
        "verify" => Step::Verify,
        _ => return Err(format!("{step} is no step")),
    };
    let (store, ledger) = (store.into(), ledger.into());
    Ok(Some(Request { step, store, ledger, level, seconds, seed }))
}

fn write(request: &Request) -> Result<(), Box<dyn Error>> {
    let former = if request.ledger.exists() { ledger::read(&request.ledger)? } else { Vec::new() };
    let lives = former.iter().filter(|entry| matches!(entry, Entry::Life(_))).count();
    println!("seed {}, level {}", request.seed, request.level);
    let plan = Plan {
        store: &request.store,
        ledger: &request.ledger,
        level: request.level.durability(),
        life: u32::try_from(lives + 1)?,
        seed: request.seed,
        within: Some(Duration::from_secs(request.seconds)),
    };
    life::live(&plan, |mark| println!("{mark}"))
}

fn verify(request: &Request) -> Result<Verdict, Box<dyn Error>> {
    let mut history = History::default();
    history.add(ledger::read(&request.ledger)?);
    let first = look(request, Memory::Ample)?;
    let second = look(request, Memory::Scarce)?;
    if let Some(difference) = first.difference(&second) {
        history.verdict.find(Fault::UnequalReopening, difference);
    }
    history.audit(&first);
    let mut verdict = history.verdict;
    verdict.cycles = 1;
    for (fault, text) in verdict.take_told() {
        println!("{fault:?}: {text}");
    }
    println!("{verdict}");
    Ok(verdict)
}

fn look(request: &Request, memory: Memory) -> Result<Look, Box<dyn Error>> {
    let broker = look::open(&request.store, request.level.durability(), memory)?;
    let look = Look::new(&broker)?;
    let report = broker.close(Duration::from_secs(30));
    if report.is_clean() { Ok(look) } else { Err(format!("closed in disorder: {report:?}").into()) }
}
