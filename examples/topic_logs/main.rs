//! Sorts a log by topic: who subscribes to `*.fatal` hears of each fatal line, and of no other.
//!
//! `cargo run --release --example topic_logs -- FILE BINDING...`
//!
//! The log is one of the Blue Gene/L supercomputer, whose lines have a facility in column 8 and a
//! severity in column 9. Each line is published to a topic exchange under the key
//! `<facility>.<severity>`, in lower case, and each binding has a subscriber. What comes out is how
//! many lines each of them received, tab-separated in the order of the bindings, and then how many
//! lines there were, and how many had no key: fewer than 9 columns, or a key over 255 bytes.
//!
//! The file `-` is the standard input. Try
//! `topic_logs tests/data/bgl_excerpt.log 'kernel.*' '*.fatal' '#'`.
//!
//! The exit code is 2 if the file cannot be read, or the arguments are wrong.

mod arguments;
mod tally;

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write as _},
    path::Path,
    process::ExitCode,
};

use arguments::Request;
use tally::Tally;

const USAGE: &str = "usage: topic_logs FILE BINDING...    (FILE may be - for standard input)";

fn main() -> ExitCode {
    let Request { file, bindings } = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(request) => request,
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let tally = match open(&file).and_then(|input| tally::count(input, &bindings)) {
        Ok(tally) => tally,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    match print(&bindings, &tally) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot write: {error}");
            ExitCode::FAILURE
        }
    }
}

fn open(file: &Path) -> Result<Box<dyn BufRead>, String> {
    if file == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    match File::open(file) {
        Ok(file) => Ok(Box::new(BufReader::new(file))),
        Err(error) => Err(format!("cannot open {}: {error}", file.display())),
    }
}

fn print(bindings: &[String], tally: &Tally) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (binding, count) in bindings.iter().zip(&tally.counts) {
        writeln!(out, "{binding}\t{count}")?;
    }
    writeln!(out, "lines {}, malformed {}", tally.lines, tally.malformed)
}
