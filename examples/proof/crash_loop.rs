//! Kills a broker at random moments, many times, and checks that it kept what it had confirmed.
//!
//! `cargo run --release --features persist --example crash_loop -- --cycles N`
//!
//! `--help` says what else there is. A child process publishes and consumes in every way there is,
//! and says in a ledger what it is about to do and what has come of it. Its parent kills it, now
//! and then while it recovers from the last time, opens what it left, twice, compares that with
//! the ledger, and has the next child go on from there. Every 50th time, and at the end, all queues
//! are emptied.
#![allow(clippy::disallowed_methods, reason = "the program lives and dies in real time")]

#[path = "durability/mod.rs"]
mod durability;

use std::{
    env,
    error::Error,
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{self, Child, Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use leveret::Durability;

use durability::{
    dice::Dice,
    drain,
    history::History,
    ledger,
    level::Level,
    life::{self, Plan},
    look::{self, Look},
    memory::Memory,
    verdict::{Fault, Verdict},
};

const USAGE: &str = "\
usage: crash_loop --cycles N [--seed S] [--level process|power] [--dir DIR] [--until FAULT]

  --cycles N   how many times to kill
  --seed S     what decides when, and what is done meanwhile; the process's number by default
  --level ...  what confirms promise, process by default: it is a process that is killed
  --dir DIR    where store and ledger go, which must not be there; else a temporary directory,
               which stays if something was found
  --until F    end once there is a fault of that kind: lost, or resurrected-acks
  --help       print this

The exit code is 0 if nothing was found, 1 if something was, and 2 if the arguments are wrong.";

/// So often the queues are emptied.
const DRAINED_EVERY: u64 = 50;

/// A child that takes longer to open, look or drain is stuck.
const PATIENCE: Duration = Duration::from_mins(2);

/// How a child that looked leaves: as it should, or as if it were killed.
const CLOSE: &str = "close";
const CRASH: &str = "crash";

/// What the command line asks for.
#[derive(Debug)]
struct Settings {
    cycles: u64,
    seed: u64,
    level: Level,
    dir: Option<PathBuf>,
    until: Option<Fault>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some((role, rest)) = arguments.split_first()
        && let Some(role) = role.strip_prefix("--child-")
    {
        return match child(role, rest) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("the child that should {role}: {error}");
                ExitCode::FAILURE
            }
        };
    }
    match parse(&arguments) {
        Ok(Some(settings)) => match run(&settings) {
            Ok(verdict) if verdict.is_clean() => ExitCode::SUCCESS,
            Ok(_) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("the loop broke: {error}");
                ExitCode::FAILURE
            }
        },
        Ok(None) => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn parse(arguments: &[String]) -> Result<Option<Settings>, String> {
    let (seed, level) = (process::id().into(), Level::Process);
    let mut settings = Settings { cycles: 0, seed, level, dir: None, until: None };
    let mut arguments = arguments.iter();
    while let Some(option) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{option} needs a value"));
        let number = |text: &String| text.parse().map_err(|_| format!("{text} is no number"));
        match option.as_str() {
            "--cycles" => settings.cycles = number(value()?)?,
            "--seed" => settings.seed = number(value()?)?,
            "--level" => settings.level = value()?.parse()?,
            "--dir" => settings.dir = Some(value()?.into()),
            "--until" => settings.until = Some(value()?.parse()?),
            "--help" | "-h" => return Ok(None),
            _ => return Err(format!("unknown argument {option}")),
        }
    }
    if settings.cycles == 0 { Err("--cycles is missing".to_owned()) } else { Ok(Some(settings)) }
}

fn run(settings: &Settings) -> Result<Verdict, Box<dyn Error>> {
    let temporary = env::temp_dir().join(format!("leveret-crash-loop-{}", process::id()));
    let dir = settings.dir.clone().unwrap_or(temporary);
    if dir.exists() {
        return Err(format!("{} is there already", dir.display()).into());
    }
    fs::create_dir_all(dir.join("ledger"))?;
    println!("seed {}, level {}, in {}", settings.seed, settings.level, dir.display());
    let mut trial = Trial {
        store: dir.join("store"),
        ledger: dir.join("ledger").join("life"),
        level: settings.level,
        dice: Dice::new(settings.seed),
        lives: 0,
        history: History::default(),
        seen: Look::default(),
    };
    for cycle in 1..=settings.cycles {
        let is_last = cycle == settings.cycles;
        let outcome = trial.cycle(is_last || cycle % DRAINED_EVERY == 0);
        if let Err(error) = &outcome {
            trial.history.verdict.find(Fault::Failure, error.to_string());
        }
        let told = trial.history.verdict.take_told();
        if !told.is_empty() {
            trial.keep_evidence(cycle)?;
        }
        for (fault, text) in told {
            println!("cycle {cycle}: {fault:?}: {text}");
        }
        let is_found = |fault| trial.history.verdict.count(fault) > 0;
        if outcome.is_err() || settings.until.is_some_and(is_found) {
            break;
        }
        if cycle % DRAINED_EVERY == 0 && !is_last {
            println!("cycle {cycle}: {} messages confirmed", trial.history.verdict.confirmed);
        }
    }
    let verdict = trial.history.verdict;
    println!("{verdict}");
    if verdict.is_clean() && settings.dir.is_none() {
        fs::remove_dir_all(&dir)?;
    }
    Ok(verdict)
}

/// A store that is killed again and again.
#[derive(Debug)]
struct Trial {
    store: PathBuf,
    ledger: PathBuf,
    level: Level,
    dice: Dice,
    lives: u32,
    history: History,
    /// What was seen last.
    seen: Look,
}

impl Trial {
    /// One life, its end, and a look at what it left.
    fn cycle(&mut self, drains: bool) -> Result<(), Box<dyn Error>> {
        self.live()?;
        self.look()?;
        if drains {
            self.drain()?;
            self.look()?;
        }
        self.history.verdict.cycles += 1;
        Ok(())
    }

    fn live(&mut self) -> Result<(), Box<dyn Error>> {
        let seed = self.dice.roll().to_string();
        let life = self.begin_life()?;
        let arguments = [self.store(), self.ledger(), self.level(), &life, &seed].map(String::from);
        let mut child = spawn("live", &arguments)?;
        // One in five is killed while it recovers.
        let (mark, wait_ms) = match self.dice.below(5) {
            0 => ("opening", self.dice.below(50)),
            _ => ("up", 5 + self.dice.below(446)),
        };
        let output = child.stdout.take().ok_or("a child without output")?;
        // Open until the end: it may have more to say.
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let said = lines.any(|line| line == mark);
        if said {
            thread::sleep(Duration::from_millis(wait_ms));
        }
        child.kill()?;
        let status = child.wait()?;
        self.history.add(ledger::read(&self.ledger)?);
        // Who is killed has no code.
        if !said || status.code().is_some() {
            return Err(format!("a child ended by itself: {status}").into());
        }
        Ok(())
    }

    /// Opens it twice, so that what recovery itself does is seen, too, and compares.
    fn look(&mut self) -> Result<(), Box<dyn Error>> {
        let (first, second) = (self.look_once()?, self.look_once()?);
        if let Some(difference) = first.difference(&second) {
            self.history.verdict.find(Fault::UnequalReopening, difference);
        }
        self.history.audit(&first);
        self.seen = first;
        Ok(())
    }

    fn look_once(&mut self) -> Result<Look, Box<dyn Error>> {
        let leaving = if self.dice.strikes(50) { CLOSE } else { CRASH };
        let memory = Memory::any(&mut self.dice).name();
        let arguments = [self.store(), self.level(), memory, leaving].map(String::from);
        Ok(ended(spawn("look", &arguments)?)?.parse()?)
    }

    fn drain(&mut self) -> Result<(), Box<dyn Error>> {
        let life = self.begin_life()?;
        let arguments = [self.store(), self.ledger(), self.level(), &life].map(String::from);
        let end = ended(spawn("drain", &arguments)?);
        self.history.add(ledger::read(&self.ledger)?);
        end.map(drop)
    }

    /// Keeps the ledger in which something was found, and what was seen after it.
    fn keep_evidence(&self, cycle: u64) -> io::Result<()> {
        let beside = |name: &str| self.ledger.with_file_name(format!("cycle-{cycle}-{name}"));
        fs::copy(&self.ledger, beside("ledger"))?;
        fs::write(beside("look"), self.seen.to_string())
    }

    fn begin_life(&mut self) -> io::Result<String> {
        self.lives += 1;
        match fs::remove_file(&self.ledger) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(self.lives.to_string()),
        }
    }

    fn store(&self) -> &str {
        self.store.to_str().unwrap_or_default()
    }

    fn ledger(&self) -> &str {
        self.ledger.to_str().unwrap_or_default()
    }

    fn level(&self) -> &'static str {
        self.level.name()
    }
}

/// Starts this program again, for a part of the work.
fn spawn(role: &str, arguments: &[String]) -> io::Result<Child> {
    Command::new(env::current_exe()?)
        .arg(format!("--child-{role}"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
}

/// Waits for a child that ends by itself, and hands out what it said.
fn ended(mut child: Child) -> Result<String, Box<dyn Error>> {
    // It ends with its parent, whose end of the pipe this is.
    let lifeline = child.stdin.take();
    let output = child.wait_with_output()?;
    drop(lifeline);
    if !output.status.success() {
        return Err(format!("a child failed: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The whole life of a child.
fn child(role: &str, arguments: &[String]) -> Result<(), Box<dyn Error>> {
    thread::spawn(end_with_parent);
    match (role, arguments) {
        ("live", [store, ledger, level, life, seed]) => {
            let plan = Plan {
                store: Path::new(store),
                ledger: Path::new(ledger),
                level: level.parse::<Level>()?.durability(),
                life: life.parse()?,
                seed: seed.parse()?,
                within: None,
            };
            life::live(&plan, |mark| println!("{mark}"))
        }
        ("look", [store, level, memory, leaving]) => {
            end_after(PATIENCE);
            let level: Durability = level.parse::<Level>()?.durability();
            let broker = look::open(Path::new(store), level, memory.parse()?)?;
            let look = Look::new(&broker)?;
            print!("{look}");
            io::stdout().flush()?;
            if leaving == CRASH {
                process::exit(0);
            }
            Ok(())
        }
        ("drain", [store, ledger, level, life]) => {
            end_after(PATIENCE);
            let level = level.parse::<Level>()?.durability();
            drain::drain(Path::new(store), Path::new(ledger), level, life.parse()?)
        }
        _ => Err("is not known".into()),
    }
}

fn end_with_parent() {
    // Nothing is ever written to it.
    let _ = io::stdin().read(&mut [0]);
    process::exit(1);
}

fn end_after(patience: Duration) {
    thread::spawn(move || {
        thread::sleep(patience);
        eprintln!("a child is stuck");
        process::exit(1);
    });
}
