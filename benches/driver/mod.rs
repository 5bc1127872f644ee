//! Drives the workloads of `load` with criterion: one group per comparison, its sides in a row.
#![allow(dead_code, reason = "each bench uses a part of it")]

use std::time::Duration;

use criterion::{Criterion, Throughput};

/// A name, and the closure that runs so many messages and says how long they took.
pub(crate) type Side = (&'static str, Box<dyn FnMut(u64) -> Duration>);

/// All groups of one bench.
pub(crate) struct Driver(Criterion);

impl Driver {
    pub(crate) fn new() -> Self {
        let criterion = Criterion::default()
            .sample_size(20)
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_millis(700))
            .configure_from_args();
        Self(criterion)
    }

    /// Measures the sides on the same work, so many messages at a time. Each message comes to so
    /// many pieces of work, by which the throughput is counted.
    pub(crate) fn compare<const SIDES: usize>(
        &mut self,
        name: &str,
        (at_a_time, pieces): (u64, u64),
        sides: [Side; SIDES],
    ) {
        let mut group = self.0.benchmark_group(name);
        group.throughput(Throughput::Elements(at_a_time * pieces));
        for (side, mut run) in sides {
            group.bench_function(side, |bencher| {
                bencher.iter_custom(|times| run(times * at_a_time));
            });
        }
        group.finish();
    }

    pub(crate) fn finish(self) {
        self.0.final_summary();
    }
}

/// A side that gives the time of all its messages together.
pub(crate) fn side(name: &'static str, run: impl FnMut(u64) -> Duration + 'static) -> Side {
    (name, Box::new(run))
}

/// A side that gives the time of each turn.
pub(crate) fn latency(
    name: &'static str,
    mut run: impl FnMut(u64) -> Vec<Duration> + 'static,
) -> Side {
    (name, Box::new(move |turns| run(turns).into_iter().sum()))
}
