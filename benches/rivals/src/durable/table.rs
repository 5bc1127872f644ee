//! The part of the page that is about durable messages.

use std::fmt::{self, Display, Formatter};

use super::rounds::Series;
use crate::report::{NANOS_PER_MICRO, NANOS_PER_SECOND, grouped, quotients, short, spread};

pub(crate) struct Table {
    /// The rows of one number of unconfirmed messages follow each other. The first of them is what
    /// the others are measured by.
    series: Vec<Series>,
}

impl Table {
    pub(super) fn new(series: Vec<Series>) -> Self {
        Self { series }
    }

    fn reference<'a>(&'a self, series: &'a Series) -> &'a Series {
        let is_alike = |other: &&Series| other.load.in_flight == series.load.in_flight;
        self.series.iter().find(is_alike).unwrap_or(series)
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let rounds = self.series.first().map_or(0, |series| series.cost.len());
        writeln!(f, "## Durable, with publisher confirms\n")?;
        writeln!(
            f,
            "{rounds} rounds. *In flight*: how many messages may be unconfirmed. Confirms in"
        )?;
        writeln!(f, "microseconds, from the publish until the producer knows.\n")?;
        write!(f, "| System | In flight | Messages in a round | Messages per second ")?;
        writeln!(f, "| Confirm p50 | Confirm p99 | Cost, leveret `Power` = 1 |")?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        for series in &self.series {
            let rates: Vec<f64> = series.cost.iter().map(|cost| NANOS_PER_SECOND / cost).collect();
            let (in_flight, messages) = (f64::from(series.load.in_flight), series.load.messages);
            write!(f, "| {} | {} ", series.name, grouped(in_flight))?;
            write!(f, "| {} | {} ", grouped(messages as f64), spread(&rates, grouped))?;
            for nanos in &series.latency {
                let micros: Vec<f64> = nanos.iter().map(|nanos| nanos / NANOS_PER_MICRO).collect();
                write!(f, "| {} ", spread(&micros, short))?;
            }
            let quotients = quotients(&series.cost, &self.reference(series).cost);
            writeln!(f, "| {} |", spread(&quotients, short))?;
        }
        writeln!(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::Load;

    #[test]
    fn costs_are_quotients_of_a_round() {
        let row = |name: &str, in_flight, cost| Series {
            name: name.to_owned(),
            load: Load { messages: 300, in_flight },
            cost,
            latency: [vec![2_000.0, 3_000.0], vec![4_000.0, 5_000.0]],
        };
        let table = Table::new(vec![
            row("ours", 1, vec![1e6, 2e6]),
            row("theirs", 1, vec![2e6, 6e6]),
            row("ours", 100, vec![1e3, 1e3]),
            row("theirs", 100, vec![5e3, 5e3]),
        ]);
        let page = table.to_string();
        for (row, cost) in
            [("| theirs | 1 |", "2.50 [2.00–3.00]"), ("| theirs | 100 |", "5.00 [5.00–5.00]")]
        {
            let line = page.lines().find(|line| line.starts_with(row)).unwrap();
            assert!(line.ends_with(&format!("| {cost} |")), "{line}");
        }
    }
}
