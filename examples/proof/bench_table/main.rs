//! Measures what leveret costs beside its rivals, and says which targets that meets.
//!
//! `cargo run --release --example bench_table -- [--quick] [--rows P1,P2,...] [--dir FOLDER]`
//!
//! Prints one Markdown table. Each concern runs in a process of its own, once with the system's
//! allocator and once with mimalloc; within it leveret and its rivals take turns, round by round,
//! and what is judged is the median of the ratios within a round. `concern/` says what each row
//! means, `benches/load/` holds the workloads.
//!
//! The durable rows are there only with `--features persist`. Their data is beside the program, or
//! where `--dir` says: on a disk, which is what they measure.
//!
//! The exit code is 0 whether targets are met or not, 1 if something could not be measured, and 2
//! if the arguments are wrong.

mod arguments;
mod child;
mod concern;
mod figure;
mod folder;
mod heap;
mod machine;
mod rounds;
mod row;
mod scale;
mod table;
mod verdict;

// The same workloads that the benches run.
#[path = "../../../benches/load/mod.rs"]
mod load;

use std::process::ExitCode;

use arguments::{Request, USAGE};
use concern::Concern;
use heap::Heap;
use scale::Scale;
use table::Table;

fn main() -> ExitCode {
    match arguments::parse(std::env::args().skip(1)) {
        Ok(Request::Help) => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Ok(Request::Measure { concern, scale, folder }) => {
            folder::choose(folder);
            child::measure(&concern::all(scale), concern, scale)
        }
        Ok(Request::Table { ids, scale, folder }) => {
            folder::choose(folder);
            compare(&ids, scale)
        }
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Measures what was asked for, and prints it.
fn compare(ids: &[String], scale: Scale) -> ExitCode {
    let concerns = concern::all(scale);
    let mut table = Table::begin(scale);
    for (index, concern) in concerns.iter().enumerate().filter(|(_, each)| is_wanted(each, ids)) {
        let figures = Heap::ALL.map(|heap| child::spawn(index, scale, heap));
        table.add(concern, &figures);
    }
    if table.end() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Without a choice, everything is.
fn is_wanted(concern: &Concern, ids: &[String]) -> bool {
    ids.is_empty() || ids.iter().any(|id| id == concern.id)
}
