//! A shop in one process: taking an order needs microseconds, whatever the services behind it do.
//!
//! `cargo run --release --example order_pipeline -- [--orders N] [--seed S] [--durable DIR]`
//!
//! Every order goes to a fanout exchange, and from there into the queues of three services, each
//! with workers of its own. E-mail is slow, and its server is busy now and then and says when to
//! come back. Inventory fails now and then, and tries again later and later. Analytics panics now
//! and then, which puts the order back into its place. What fails for good, or makes its worker
//! panic too often, goes by way of a dead-letter exchange to the queue `orders.dead`, with the
//! history of its death and the cause that the handler gave.
//!
//! The program ends when every order is through, and prints who did what, how long publishing
//! took while the slowest service was at work, and whether the queues account for every message,
//! and each service for every order: which were lost, and which came through more than once. Done
//! or a dead letter, once: that is through. The exit code is 1 if any was not, and 2 if the
//! arguments are wrong. What fails is decided by the seed, so two runs differ in nothing but time.
//!
//! With `--durable` (and `--features persist`) the shop is kept in a directory: kill it in the
//! middle, start it again with the same arguments, and it goes on where it was. What is done is
//! noted on disk before it is acked, so an order may be done twice by a crash in between, and is
//! flagged then.
#![allow(clippy::disallowed_methods, reason = "the program measures real time")]

mod arguments;
mod audit;
mod book;
mod chance;
mod counter;
mod home;
mod latency;
mod ledger;
mod letters;
mod order;
mod service;
mod shop;
mod table;

use std::{
    error::Error,
    panic,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use leveret::{Broker, Exchange, Queue};

use arguments::Settings;
use audit::Audit;
use counter::Counter;
use latency::Latency;
use service::Service;
use shop::{Mishap, Shop};
use table::Line;

const USAGE: &str = "usage: order_pipeline [--orders N] [--seed S] [--durable DIR]";

const SECOND: Duration = Duration::from_secs(1);

/// How long the backlog may stand still before the program gives up on it.
const STANDSTILL_MAX: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let settings = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(Some(settings)) => settings,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    keep_quiet_about_mishaps();
    match run(&settings) {
        Ok(audit) if audit.problems.is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the pipeline broke: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(settings: &Settings) -> Result<Audit, Box<dyn Error>> {
    let broker = match &settings.durable {
        Some(directory) => home::open(directory)?,
        None => Broker::new(),
    };
    let Shop { orders, services, dead } = shop::open(&broker, settings)?;
    let mut latency = match settings.durable {
        Some(_) => take_further_orders(&Counter::new(&broker, &orders)?, settings)?,
        None => take_orders(&orders, settings)?,
    };

    let progress = wait_until_through(&services);
    let (reports, accounts): (Vec<_>, Vec<_>) = services.into_iter().map(Service::stop).unzip();
    let mut audit = Audit::new(settings.orders, &accounts, &dead)?;
    let lines: Vec<_> = accounts.iter().zip(&reports).zip(&progress).map(Line::from).collect();
    audit.check_close(&broker.close(10 * SECOND));
    table::print(settings, &lines, &mut latency, &audit);
    Ok(audit)
}

fn take_orders(orders: &Exchange, settings: &Settings) -> Result<Latency, Box<dyn Error>> {
    let publisher = orders.publisher().mandatory().open()?;
    let mut latency = Latency::default();
    for n in 1..=settings.orders {
        let order = order::message(n);
        let start = Instant::now();
        // Full only at the broker's bound on memory; then it is worth waiting for room.
        publisher.publish_timeout("", order, 60 * SECOND)?.wait()?;
        latency.add(start.elapsed());
    }
    Ok(latency)
}

/// Takes the orders that no process before this one has taken.
fn take_further_orders(counter: &Counter, settings: &Settings) -> Result<Latency, Box<dyn Error>> {
    let last = counter.last()?;
    if last > 0 {
        println!("{last} orders were taken before\n");
    }
    let mut latency = Latency::default();
    for n in last + 1..=settings.orders {
        let order = order::message(n).persistent();
        let start = Instant::now();
        counter.take(n, order)?;
        latency.add(start.elapsed());
    }
    Ok(latency)
}

/// What one queue looked like from outside while the orders went through.
#[derive(Clone, Copy, Debug)]
struct Progress {
    /// What was not settled when the last order was published.
    backlog: u64,
    /// From the last publish until nothing was left.
    finished_after: Duration,
}

/// Waits at each queue until it is empty, or nothing moves any more.
fn wait_until_through(services: &[Service]) -> Vec<Progress> {
    let start = Instant::now();
    thread::scope(|scope| {
        let waits: Vec<_> = services
            .iter()
            .map(|service| scope.spawn(move || wait_until_empty(&service.queue, start)))
            .collect();
        waits.into_iter().map(|wait| wait.join().expect("waiting does not panic")).collect()
    })
}

fn wait_until_empty(queue: &Queue, start: Instant) -> Progress {
    let backlog = queue.stats().held();
    let mut ended = 0;
    // Empty means that dead letters have arrived, too.
    while !queue.wait_empty(STANDSTILL_MAX) && queue.stats().gone() > ended {
        ended = queue.stats().gone();
    }
    Progress { backlog, finished_after: start.elapsed() }
}

/// The deliberate panics of this program are counted, not reported; all others are.
fn keep_quiet_about_mishaps() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !panic.payload().is::<Mishap>() {
            report(panic);
        }
    }));
}
