//! A work queue: tasks go to whichever worker is free, and one that dies loses nothing.
//!
//! `cargo run --example work_queue`
//!
//! Each worker has one task at a time (`prefetch(1)`), so that nobody sits on tasks while others
//! are idle: fair dispatch. One worker dies in the middle of its first task. The task goes back to
//! its place, and another worker gets it, flagged as redelivered.
#![allow(clippy::disallowed_methods, reason = "threads that work, and work that takes time")]

use std::{
    panic,
    sync::mpsc::{self, Sender},
    thread,
    time::Duration,
};

use leveret::{Broker, Consumer, Message};

const TASKS: usize = 12;

/// How long one task may take before something is wrong.
const PATIENCE: Duration = Duration::from_secs(30);

/// The worker that dies, and the others.
const WORKERS: [&str; 3] = ["Clumsy", "Anna", "Ben"];

/// A task that is done.
struct Done {
    task: String,
    by: &'static str,
    is_redelivered: bool,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // What dies here dies on purpose.
    panic::set_hook(Box::new(|panic| {
        println!("{}", panic.payload_as_str().unwrap_or("a panic without words"));
    }));

    let broker = Broker::new();
    let queue = broker.declare_queue("task_queue").durable().declare()?;
    for n in 1..=TASKS {
        // Each dot is a little work.
        let task = format!("task {n} {}", ".".repeat(n % 4));
        queue.send(Message::new(task).persistent())?;
    }

    let (tell, told) = mpsc::channel();
    let mut threads = Vec::new();
    for name in WORKERS {
        let consumer = queue.consume().prefetch(1).tag(name).start()?;
        let tell = tell.clone();
        threads.push(thread::spawn(move || work(name, &consumer, &tell)));
    }

    let mut done = Vec::new();
    for _ in 0..TASKS {
        let Done { task, by, is_redelivered } = told.recv_timeout(PATIENCE)?;
        let note = if is_redelivered { " (redelivered)" } else { "" };
        println!("{by:<6} did {task}{note}");
        done.push((task, is_redelivered));
    }
    // Ends the consumers, and so the loops of the workers.
    let close = broker.close(Duration::from_secs(10));
    let deaths: Vec<_> =
        threads.into_iter().map(thread::JoinHandle::join).filter_map(Result::err).collect();

    let [death] = &deaths[..] else { panic!("only Clumsy dies") };
    let last_words = death.downcast_ref::<String>().expect("it died of a task");
    let of = last_words.strip_prefix("Clumsy dies of ").expect("it was Clumsy");
    assert!(done.contains(&(of.to_owned(), true)), "another worker got it, flagged");
    done.sort();
    done.dedup_by(|a, b| a.0 == b.0);
    assert_eq!(done.len(), TASKS, "each task was done exactly once");
    assert!(close.is_clean());
    println!("{TASKS} tasks done, though a worker died");
    Ok(())
}

fn work(name: &'static str, consumer: &Consumer, tell: &Sender<Done>) {
    for delivery in consumer {
        let task = delivery.text().expect("tasks are text").to_owned();
        assert!(name != "Clumsy", "{name} dies of {task}");
        let dots = task.bytes().filter(|byte| *byte == b'.').count() as u64;
        thread::sleep(Duration::from_millis(5 * dots));
        let is_redelivered = delivery.is_redelivered();
        delivery.ack().expect("the broker closes when everything is done");
        tell.send(Done { task, by: name, is_redelivered }).expect("somebody counts");
    }
}
