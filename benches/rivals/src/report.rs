//! The page of results, in Markdown.

use std::{
    fmt::{self, Display, Formatter},
    fs, thread,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    arguments::Arguments,
    durable::Table,
    rounds::{Plan, Series},
    systems::{Acks, Ends, Reach, Server, Traits},
    versions,
};

const COMPARED: &str = include_str!("compared.md");

const READING: &str = include_str!("reading.md");

/// Figures whose largest is so many times the smallest are called noisy.
const NOISY_FROM: f64 = 3.0;

pub(crate) const NANOS_PER_MICRO: f64 = 1e3;

pub(crate) const NANOS_PER_SECOND: f64 = 1e9;

pub(crate) struct Report {
    command: String,
    machine: String,
    /// How many threads ran or wanted to, in the minute before and in the last minute of the run.
    demand: [String; 2],
    plan: Plan,
    /// Who answered, or why nobody did.
    server: Result<Server, String>,
    series: Vec<Series>,
    durable: Table,
}

impl Report {
    pub(crate) fn new(
        arguments: &Arguments,
        demand_before: String,
        plan: Plan,
        server: Result<Server, String>,
        series: Vec<Series>,
        durable: Table,
    ) -> Self {
        let machine = arguments.machine.clone().unwrap_or_else(|| "not named".to_owned());
        let demand = [demand_before, demand()];
        Self { command: command(arguments), machine, demand, plan, server, series, durable }
    }

    fn head(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let rounds = self.series.first().map_or(0, |series| series.cost.len());
        let cores = thread::available_parallelism().map_or(0, usize::from);
        writeln!(f, "# Results: leveret beside whole systems\n")?;
        writeln!(f, "This page is what the program in `benches/rivals` prints:\n")?;
        writeln!(f, "```console\n$ {}\n```\n", self.command)?;
        writeln!(f, "- Measured on {}.", today())?;
        writeln!(f, "- Machine: {}; cores that the program sees: {cores}.", self.machine)?;
        let [before, after] = &self.demand;
        writeln!(f, "- Load average of a minute: {before} before, {after} at the end.")?;
        let [leveret, lapin, rumqttd, tokio] =
            ["leveret", "lapin", "rumqttd", "tokio"].map(versions::of);
        writeln!(
            f,
            "- Versions: leveret {leveret}, rumqttd {rumqttd}, tokio {tokio}, lapin {lapin};"
        )?;
        match &self.server {
            Ok(Server { product, version, .. }) => {
                writeln!(f, "  server: {product} {version}, as it calls itself.")?;
            }
            Err(reason) => writeln!(f, "  RabbitMQ was skipped: {reason}.")?,
        }
        let (process, socket) = (self.plan.counts(Reach::Process), self.plan.counts(Reach::Socket));
        let [in_process, over_socket] = [process, socket].map(|counts| {
            [counts.throughput, counts.latency].map(|messages| grouped(messages as f64))
        });
        writeln!(
            f,
            "- {rounds} rounds after one to warm up, each with {} messages for",
            in_process[0]
        )?;
        writeln!(f, "  throughput and {} for latency", in_process[1])?;
        writeln!(f, "  (RabbitMQ: {} and {}).\n", over_socket[0], over_socket[1])
    }

    fn throughput(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "## Throughput\n")?;
        writeln!(f, "| System | Ends | Acks | Messages per second | Cost, leveret = 1 |")?;
        writeln!(f, "|---|---|---|---|---|")?;
        for series in &self.series {
            let rates: Vec<f64> = series.cost.iter().map(|cost| NANOS_PER_SECOND / cost).collect();
            let quotients = quotients(&series.cost, &self.reference(series).cost);
            write!(f, "| {} ", names(&series.traits))?;
            writeln!(f, "| {} | {} |", spread(&rates, grouped), spread(&quotients, short))?;
        }
        writeln!(f)
    }

    fn latency(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "## Latency, one message in flight\n")?;
        writeln!(f, "In microseconds, one way.\n")?;
        writeln!(f, "| System | Ends | Acks | p50 | p99 | p99.9 | Cost at p50, leveret = 1 |")?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        for series in self.series.iter().filter(|series| !series.latency[0].is_empty()) {
            write!(f, "| {} ", names(&series.traits))?;
            for nanos in &series.latency {
                let micros: Vec<f64> = nanos.iter().map(|nanos| nanos / NANOS_PER_MICRO).collect();
                write!(f, "| {} ", spread(&micros, short))?;
            }
            let quotients = quotients(&series.latency[0], &self.reference(series).latency[0]);
            writeln!(f, "| {} |", spread(&quotients, short))?;
        }
        writeln!(f)
    }

    /// The row of leveret's that works in the same way.
    fn reference(&self, series: &Series) -> &Series {
        let acks = match series.traits.acks {
            Acks::Each | Acks::None => Acks::Each,
            Acks::Together => Acks::Together,
        };
        let is_alike = |traits: &Traits| {
            traits.name == "leveret" && traits.ends == series.traits.ends && traits.acks == acks
        };
        let reference = self.series.iter().find(|series| is_alike(&series.traits));
        reference.expect("leveret has a row for each way")
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.head(f)?;
        self.throughput(f)?;
        self.latency(f)?;
        self.durable.fmt(f)?;
        write!(f, "{COMPARED}\n{READING}")
    }
}

/// The load average of the last minute, where the system tells. Beyond the number of cores, others
/// took turns with what is measured.
pub(crate) fn demand() -> String {
    let told = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    told.split_whitespace().next().unwrap_or("unknown").to_owned()
}

/// What makes this page again.
fn command(arguments: &Arguments) -> String {
    let mut command =
        "cargo run --release --locked --manifest-path benches/rivals/Cargo.toml".to_owned();
    let mut given = Vec::new();
    if arguments.is_quick {
        given.push("--quick".to_owned());
    }
    if arguments.has_address {
        given.push("--amqp URI".to_owned());
    }
    if let Some(machine) = &arguments.machine {
        given.push(format!("--machine \"{machine}\""));
    }
    if !given.is_empty() {
        command = format!("{command} -- \\\n    {}", given.join(" "));
    }
    format!("{command} > benches/RESULTS.md")
}

fn names(traits: &Traits) -> String {
    let ends = match traits.ends {
        Ends::Tasks => "tasks",
        Ends::Threads => "threads",
    };
    let acks = match traits.acks {
        Acks::Each => "each",
        Acks::None => "none",
        Acks::Together => "50 together",
    };
    format!("{} | {ends} | {acks}", traits.name)
}

pub(crate) fn quotients(values: &[f64], of: &[f64]) -> Vec<f64> {
    values.iter().zip(of).map(|(value, of)| value / of).collect()
}

/// The median, the range, and whether it is noisy.
pub(crate) fn spread(values: &[f64], write: fn(f64) -> String) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let [least, .., most] = sorted[..] else {
        return sorted.first().map_or_else(|| "–".to_owned(), |value| write(*value));
    };
    let (lower, upper) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    let median = f64::midpoint(lower, upper);
    let noise = if most > least * NOISY_FROM { " *noisy*" } else { "" };
    format!("{} [{}–{}]{noise}", write(median), write(least), write(most))
}

/// To three digits, in groups of three.
pub(crate) fn grouped(value: f64) -> String {
    let digits = value.abs().max(1.0).log10().floor();
    let unit = 10_f64.powf((digits - 2.0).max(0.0));
    let plain = format!("{:.0}", (value / unit).round() * unit);
    let mut grouped = String::new();
    for (at, digit) in plain.chars().enumerate() {
        if at > 0 && (plain.len() - at).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// To about three digits.
pub(crate) fn short(value: f64) -> String {
    match value {
        _ if value < 10.0 => format!("{value:.2}"),
        _ if value < 100.0 => format!("{value:.1}"),
        _ => grouped(value),
    }
}

/// The date in UTC.
fn today() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    date(since.as_secs() / (24 * 60 * 60))
}

/// The date so many days after the first of January 1970.
fn date(mut days: u64) -> String {
    let mut year = 1970_u64;
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let length = |year| if is_leap(year) { 366 } else { 365 };
    while days >= length(year) {
        days -= length(year);
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let days = [0, 59, 789, 790, 11_016, 19_722, 20_783];
        let dates = [
            "1970-01-01",
            "1970-03-01",
            "1972-02-29",
            "1972-03-01",
            "2000-02-29",
            "2023-12-31",
            "2026-11-26",
        ];
        assert_eq!(days.map(date), dates);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [5.0, 999.0, 40_000.0, 1_234_567.0].map(grouped),
            ["5", "999", "40 000", "1 230 000"]
        );
        assert_eq!([0.123, 12.34, 123.4, 99_999.0].map(short), ["0.12", "12.3", "123", "100 000"]);
    }

    #[test]
    fn a_spread_is_a_median_and_a_range() {
        assert_eq!(spread(&[], short), "–");
        assert_eq!(spread(&[1.0], short), "1.00");
        assert_eq!(spread(&[3.0, 1.0, 2.0], short), "2.00 [1.00–3.00]");
        assert_eq!(spread(&[3.1, 1.0, 2.0, 2.5], short), "2.25 [1.00–3.10] *noisy*");
    }
}
