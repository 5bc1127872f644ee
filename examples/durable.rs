//! Tasks that are still there after a crash: a durable queue in a directory.
//!
//! `cargo run --features persist --example durable -- [DIR]`. Each run finds what earlier runs left
//! undone, adds three tasks, does two of them, and ends without any goodbye, as a crash does.
//! Without a directory it plays two runs in a temporary one.

use std::{error::Error, path::Path, process::Command, time::Duration};

use leveret::{Broker, Message};

/// How long a disk may take.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(directory) = std::env::args().nth(1) {
        return run(Path::new(&directory));
    }
    let directory = std::env::temp_dir().join(format!("leveret-durable-{}", std::process::id()));
    for _ in 0..2 {
        // A process of its own, since it does not come to its end.
        let status = Command::new(std::env::current_exe()?).arg(&directory).status()?;
        assert!(!status.success(), "it aborts");
    }
    let left = Broker::open(&directory)?.queue("tasks")?.stats().ready;
    println!("after two crashes {left} tasks are left to do");
    std::fs::remove_dir_all(&directory)?;
    assert_eq!(left, 2, "three were added twice, and two were done twice");
    Ok(())
}

fn run(directory: &Path) -> Result<(), Box<dyn Error>> {
    let broker = Broker::open(directory)?;
    let report = broker.recovery_report();
    println!("{} tasks were left, {} of them perhaps begun", report.messages, report.redelivered);

    let tasks = broker.declare_queue("tasks").durable().declare()?;
    let publisher = broker.default_exchange().publisher().open()?;
    for number in 1..=3 {
        let task = Message::new(format!("task {number}")).persistent();
        let receipt = publisher.publish("tasks", task)?.wait()?;
        println!("task {number} survives from now on: {:?}", receipt.level);
    }

    for _ in 0..2 {
        let Some(task) = tasks.get()? else { break };
        println!("doing {:?}{}", task.text(), if task.is_redelivered() { " again" } else { "" });
        // An ack that nothing waits for is durable a moment later; this one is when it returns.
        task.ack_sync(PATIENCE)?;
    }
    println!("and now it crashes");
    std::process::abort();
}
