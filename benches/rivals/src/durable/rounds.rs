//! Every system in turn at each number of unconfirmed messages, again and again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{IN_FLIGHT, Load, Pace, System, Table, Traits};
use crate::{load::Figures, patience::patiently, rounds::WARM_UP_PART, systems::Fault};

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    rounds: usize,
    /// No round begins later, but for the first.
    begins_within: Duration,
    sync: Counts,
    socket: Counts,
    write: Counts,
}

/// How many messages a round carries, for each number of unconfirmed ones.
type Counts = [u64; IN_FLIGHT.len()];

impl Plan {
    pub(crate) fn full() -> Self {
        Self {
            rounds: 9,
            begins_within: Duration::from_secs(150),
            sync: [1_000, 20_000, 100_000],
            socket: [1_000, 5_000, 10_000],
            write: [3_000, 50_000, 100_000],
        }
    }

    pub(crate) fn quick() -> Self {
        Self {
            rounds: 3,
            begins_within: Duration::from_secs(10),
            sync: [100, 4_000, 20_000],
            socket: [100, 1_000, 2_000],
            write: [500, 10_000, 20_000],
        }
    }

    fn counts(&self, pace: Pace) -> Counts {
        match pace {
            Pace::Sync => self.sync,
            Pace::Socket => self.socket,
            Pace::Write => self.write,
        }
    }
}

/// What one system took for a load, a value for each round.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) load: Load,
    /// Nanoseconds for each message.
    pub(super) cost: Vec<f64>,
    /// Nanoseconds that half of the confirms stayed within; then 99 %.
    pub(super) latency: [Vec<f64>; 2],
}

impl Series {
    fn of(traits: Traits, load: Load) -> Self {
        Self { name: traits.name, load, cost: Vec::new(), latency: <[_; 2]>::default() }
    }

    fn add(&mut self, figures: &Figures) {
        self.cost.push(figures.took().as_secs_f64() * 1e9 / self.load.messages as f64);
        for (values, per_mille) in self.latency.iter_mut().zip([500, 990]) {
            values.push(figures.within(per_mille));
        }
    }
}

/// Measures all systems and says on standard error how far it has got.
pub(crate) fn run(systems: &[Arc<dyn System>], plan: &Plan) -> Result<Table, Fault> {
    let mut all: Vec<Series> = Vec::new();
    for (at, in_flight) in IN_FLIGHT.into_iter().enumerate() {
        all.extend(systems.iter().map(|system| {
            let traits = system.traits();
            let messages = plan.counts(traits.pace)[at];
            Series::of(traits, Load { messages, in_flight })
        }));
    }
    let begun = Instant::now();
    eprintln!("durable: warming up");
    for (system, series) in systems.iter().cycle().zip(&all) {
        let messages = series.load.messages / WARM_UP_PART;
        carry(system, series, Load { messages, ..series.load })?;
    }
    for round in 1..=plan.rounds {
        if round > 1 && begun.elapsed() > plan.begins_within {
            eprintln!("durable: no time for further rounds");
            break;
        }
        eprintln!("durable: round {round} of {}", plan.rounds);
        for (system, series) in systems.iter().cycle().zip(&mut all) {
            let figures = carry(system, series, series.load)?;
            series.add(&figures);
        }
    }
    Ok(Table::new(all))
}

fn carry(system: &Arc<dyn System>, series: &Series, load: Load) -> Result<Figures, Fault> {
    let system = Arc::clone(system);
    let name = format!("{}, {} in flight", series.name, load.in_flight);
    patiently(&name, move || system.carry(load))
}
