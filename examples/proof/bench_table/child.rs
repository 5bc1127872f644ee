//! A concern in a process of its own: with an allocator of its choice, and a heap that no other
//! concern has been at work in.
//!
//! A child writes one line per round, with the figures of all sides between spaces.

use std::{
    env,
    process::{Command, ExitCode, Stdio},
};

use crate::{concern::Concern, folder, heap::Heap, rounds::Figures, scale::Scale};

/// Measures one of the concerns and prints the figures: the whole life of a child.
pub(crate) fn measure(concerns: &[Concern], index: usize, scale: Scale) -> ExitCode {
    for round in (concerns[index].figures)(scale) {
        let round: Vec<String> = round.iter().map(f64::to_string).collect();
        println!("{}", round.join(" "));
    }
    ExitCode::SUCCESS
}

/// Has a concern measured with an allocator. `None`, with the reason on standard error, if that
/// failed.
pub(crate) fn spawn(index: usize, scale: Scale, heap: Heap) -> Option<Figures> {
    let program = env::current_exe().expect("a running program has a file");
    let mut command = Command::new(program);
    command.args(["--measure", &index.to_string()]);
    if scale == Scale::Quick {
        command.arg("--quick");
    }
    if let Some(folder) = folder::chosen() {
        command.arg("--dir").arg(folder);
    }
    command.env(leveret_heap::VARIABLE, heap.choice()).stderr(Stdio::inherit());
    let output = match command.output() {
        Ok(output) if output.status.success() => output,
        Ok(output) => {
            eprintln!("measuring concern {index} with {} failed: {}", heap.name(), output.status);
            return None;
        }
        Err(error) => {
            eprintln!("cannot start a child: {error}");
            return None;
        }
    };
    parse(&String::from_utf8_lossy(&output.stdout))
}

fn parse(text: &str) -> Option<Figures> {
    text.lines().map(|line| line.split(' ').map(|figure| figure.parse().ok()).collect()).collect()
}
