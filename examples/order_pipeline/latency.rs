//! Durations and their percentiles.

use std::time::Duration;

/// Measured durations.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    samples: Vec<Duration>,
    is_sorted: bool,
}

impl Latency {
    pub(crate) fn add(&mut self, sample: Duration) {
        self.samples.push(sample);
        self.is_sorted = false;
    }

    /// The smallest sample that at least so many percent of all do not exceed; zero without any.
    pub(crate) fn percentile(&mut self, percent: usize) -> Duration {
        if !self.is_sorted {
            self.samples.sort_unstable();
            self.is_sorted = true;
        }
        let rank = (self.samples.len() * percent).div_ceil(100);
        self.samples.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}
