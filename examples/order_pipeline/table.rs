//! What the program prints.

use std::time::Duration;

use leveret::{QueueStats, WorkersReport};

use super::{
    Progress,
    arguments::Settings,
    audit::{Account, Audit, retries},
    latency::Latency,
    service::Report,
};

/// What there is to say about one service.
pub(crate) struct Line<'a> {
    name: &'a str,
    stats: QueueStats,
    pool: WorkersReport,
    report: &'a Report,
    progress: &'a Progress,
}

impl<'a> From<((&'a Account, &'a Report), &'a Progress)> for Line<'a> {
    fn from(((account, report), progress): ((&'a Account, &'a Report), &'a Progress)) -> Self {
        let Account { queue, pool, .. } = account;
        Self { name: queue.name(), stats: queue.stats(), pool: *pool, report, progress }
    }
}

/// Prints the whole report.
pub(crate) fn print(settings: &Settings, lines: &[Line<'_>], latency: &mut Latency, audit: &Audit) {
    println!("{} orders published, seed {}\n", settings.orders, settings.seed);
    print_services(lines);
    print_latency(lines, latency);
    print_audit(audit);
}

fn print_services(lines: &[Line<'_>]) {
    println!(
        "{:<10} {:>7} {:>8} {:>8} {:>9} {:>6} {:>13} {:>9}",
        "service", "workers", "done", "retried", "panicked", "dead", "time/attempt", "backlog*"
    );
    for Line { name, stats, pool, report, progress } in lines {
        println!(
            "{name:<10} {:>7} {:>8} {:>8} {:>9} {:>6} {:>13} {:>9}",
            report.workers,
            stats.acked,
            retries(stats),
            pool.panicked,
            stats.dead_lettered,
            text(report.time_per_attempt),
            progress.backlog
        );
    }
    println!("* not through yet when the last order was published\n");
}

fn print_latency(lines: &[Line<'_>], latency: &mut Latency) {
    let percentiles = [50, 99, 100].map(|percent| text(latency.percentile(percent)));
    let [p50, p99, max] = percentiles;
    println!("publish latency   p50 {p50}, p99 {p99}, max {max}");
    if let Some(slowest) = lines.iter().max_by_key(|line| line.report.time_per_attempt) {
        println!(
            "slowest service   {}: {} an order, through {} after the last publish",
            slowest.name,
            text(slowest.report.time_per_attempt),
            text(slowest.progress.finished_after)
        );
    }
}

fn print_audit(audit: &Audit) {
    println!("dead letters      {} in orders.dead", audit.dead.values().sum::<u64>());
    for (death, count) in &audit.dead {
        println!("                  {count:>5} × {death}");
    }
    println!(
        "conservation      {} copies in = {} done + {} dead letters + {} still there",
        audit.enqueued, audit.acked, audit.dead_lettered, audit.held
    );
    match &audit.problems[..] {
        [] => println!("                  nothing lost, nothing done twice"),
        problems => {
            for problem in problems {
                println!("                  WRONG: {problem}");
            }
        }
    }
}

/// A duration with three digits that mean something.
fn text(duration: Duration) -> String {
    let microseconds = duration.as_secs_f64() * 1e6;
    match microseconds {
        us if us < 1_000.0 => format!("{us:.1} µs"),
        us if us < 1_000_000.0 => format!("{:.1} ms", us / 1e3),
        us => format!("{:.2} s", us / 1e6),
    }
}
