//! Every system in turn, again and again, so that what else goes on meets them all alike.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    load::{Figures, Load},
    patience::patiently,
    systems::{Acks, Fault, Reach, System, Traits},
};

/// How much of a load the round before the first carries, which nobody measures.
pub(crate) const WARM_UP_PART: u64 = 10;

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    rounds: usize,
    /// No round begins later, but for the first.
    begins_within: Duration,
    process: Counts,
    socket: Counts,
}

/// How many messages a round carries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) throughput: u64,
    pub(crate) latency: u64,
}

impl Plan {
    pub(crate) fn full() -> Self {
        Self {
            rounds: 9,
            begins_within: Duration::from_mins(15),
            process: Counts { throughput: 1_000_000, latency: 20_000 },
            socket: Counts { throughput: 40_000, latency: 10_000 },
        }
    }

    pub(crate) fn quick() -> Self {
        Self {
            rounds: 3,
            begins_within: Duration::from_secs(30),
            process: Counts { throughput: 200_000, latency: 5_000 },
            socket: Counts { throughput: 8_000, latency: 2_000 },
        }
    }

    pub(crate) fn counts(&self, reach: Reach) -> Counts {
        match reach {
            Reach::Process => self.process,
            Reach::Socket => self.socket,
        }
    }
}

/// What one system took, a value for each round.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) traits: Traits,
    /// Nanoseconds for each message under throughput.
    pub(crate) cost: Vec<f64>,
    /// Nanoseconds that half of the messages stayed within with one in flight; then 99 % and
    /// 99.9 %. Empty where acks wait for further messages, which one in flight never brings.
    pub(crate) latency: [Vec<f64>; 3],
}

impl Series {
    fn of(system: &dyn System) -> Self {
        Self { traits: system.traits(), cost: Vec::new(), latency: <[_; 3]>::default() }
    }
}

/// Measures all systems and says on standard error how far it has got.
pub(crate) fn run(systems: &[Arc<dyn System>], plan: &Plan) -> Result<Vec<Series>, Fault> {
    let mut all: Vec<Series> = systems.iter().map(|system| Series::of(&**system)).collect();
    let begun = Instant::now();
    eprintln!("warming up");
    for (system, series) in systems.iter().zip(&all) {
        let Counts { throughput, latency } = plan.counts(series.traits.reach);
        carry(system, &series.traits, Load::throughput(throughput / WARM_UP_PART))?;
        if has_latency(&series.traits) {
            carry(system, &series.traits, Load::latency(latency / WARM_UP_PART))?;
        }
    }
    for round in 1..=plan.rounds {
        if round > 1 && begun.elapsed() > plan.begins_within {
            eprintln!("no time for further rounds");
            break;
        }
        eprintln!("round {round} of {}", plan.rounds);
        for (system, series) in systems.iter().zip(&mut all) {
            measure(system, series, plan.counts(series.traits.reach))?;
        }
    }
    Ok(all)
}

fn measure(system: &Arc<dyn System>, series: &mut Series, counts: Counts) -> Result<(), Fault> {
    let figures = carry(system, &series.traits, Load::throughput(counts.throughput))?;
    series.cost.push(figures.took().as_secs_f64() * 1e9 / counts.throughput as f64);
    if has_latency(&series.traits) {
        let figures = carry(system, &series.traits, Load::latency(counts.latency))?;
        for (values, per_mille) in series.latency.iter_mut().zip([500, 990, 999]) {
            values.push(figures.within(per_mille));
        }
    }
    Ok(())
}

fn has_latency(traits: &Traits) -> bool {
    traits.acks != Acks::Together
}

fn carry(system: &Arc<dyn System>, traits: &Traits, load: Load) -> Result<Figures, Fault> {
    let system = Arc::clone(system);
    patiently(&traits.name, move || system.carry(load))
}
