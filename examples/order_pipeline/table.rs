//! What the program prints.

use std::time::Duration;

use crate::{Progress, arguments::Settings, audit::Audit, latency::Latency, service::Report};

/// Prints the whole report.
pub(crate) fn print(
    settings: Settings,
    reports: &[Report],
    progress: &[Progress],
    latency: &mut Latency,
    audit: &Audit,
) {
    println!("{} orders published, seed {}\n", settings.orders, settings.seed);
    print_services(reports, progress);
    print_latency(reports, progress, latency);
    print_audit(audit);
}

fn print_services(reports: &[Report], progress: &[Progress]) {
    println!(
        "{:<10} {:>7} {:>8} {:>8} {:>7} {:>9} {:>13} {:>12}",
        "service", "workers", "done", "retried", "failed", "panicked", "time/attempt", "backlog*"
    );
    for (report, progress) in reports.iter().zip(progress) {
        println!(
            "{:<10} {:>7} {:>8} {:>8} {:>7} {:>9} {:>13} {:>12}",
            report.name,
            report.workers,
            report.done,
            report.retried,
            report.failed,
            report.panicked,
            text(report.time_per_attempt),
            progress.backlog
        );
    }
    println!("* not settled yet when the last order was published\n");
}

fn print_latency(reports: &[Report], progress: &[Progress], latency: &mut Latency) {
    let percentiles = [50, 99, 100].map(|percent| text(latency.percentile(percent)));
    let [p50, p99, max] = percentiles;
    println!("publish latency   p50 {p50}, p99 {p99}, max {max}");
    let slowest = reports.iter().zip(progress).max_by_key(|(report, _)| report.time_per_attempt);
    if let Some((report, progress)) = slowest {
        println!(
            "slowest service   {}: {} an order, through {} after the last publish",
            report.name,
            text(report.time_per_attempt),
            text(progress.finished_after)
        );
    }
}

fn print_audit(audit: &Audit) {
    let total = audit.dead.values().sum::<u64>();
    let causes = audit.dead.iter().map(|(cause, count)| format!(" ({count} × {cause})"));
    println!("orders.dead       {total}{}", causes.collect::<String>());
    println!(
        "conservation      {} copies in = {} settled + {} ready + {} unacked",
        audit.enqueued, audit.acked, audit.ready, audit.unacked
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
