//! How long messages wait before they are handed out: counts in buckets, when asked for.

use std::time::Duration;

/// The upper bounds of the buckets: 1, 2 and 5 of each power of ten, from a microsecond to a
/// hundred seconds. What took longer is in one more.
const STEPS: [u64; 3] = [1, 2, 5];
const DECADES: u32 = 8;

/// How many waits there were of which length.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// use std::time::Duration;
/// use leveret::{Broker, Message};
///
/// let (broker, time) = Broker::manual();
/// let queue = broker.declare_queue("tasks").measure_latency().declare()?;
/// queue.send(Message::new("sweep"))?;
/// time.advance(Duration::from_millis(30));
/// queue.get()?.expect("it is there").ack()?;
///
/// let waits = queue.latency().expect("it is measured");
/// assert_eq!((waits.count(), waits.longest()), (1, Duration::from_millis(30)));
/// assert_eq!(waits.quantile(0.5), Some(Duration::from_millis(50)), "the bound above it");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    counts: Vec<u64>,
    count: u64,
    total: Duration,
    longest: Duration,
}

impl Latency {
    /// How many messages were handed out for the first time.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How long they waited together.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.total
    }

    /// How long the one waited that waited longest; zero while there is none.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// A bound that this part of the waits, from 0 to 1, did not pass: the upper end of a bucket,
    /// so at most two and a half times the true figure. `None` while nothing is counted.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        if self.count == 0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "of 2^53 messages some make no difference")]
        let is_enough = |below: u64| below as f64 >= part * self.count as f64;
        let mut below = 0;
        for (bound, count) in self.buckets() {
            below += count;
            if is_enough(below) {
                return Some(bound.unwrap_or(self.longest));
            }
        }
        Some(self.longest)
    }

    /// Each bucket: its upper bound, which is part of it, and how many waits were in it. The last
    /// has no bound.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let counts = self.counts.iter().copied().chain(std::iter::repeat(0));
        bounds().map(Some).chain([None]).zip(counts)
    }

    pub(super) fn add(&mut self, wait: Duration) {
        let buckets = bounds().count() + 1;
        self.counts.resize(buckets, 0);
        let at = bounds().position(|bound| wait <= bound).unwrap_or(buckets - 1);
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
        }
        self.count += 1;
        self.total = self.total.saturating_add(wait);
        self.longest = self.longest.max(wait);
    }
}

fn bounds() -> impl Iterator<Item = Duration> {
    let decades = (0..DECADES).map(|exponent| 10_u64.pow(exponent));
    let bounds = decades.flat_map(|decade| STEPS.map(|step| step * decade));
    bounds.chain([10_u64.pow(DECADES)]).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_in_the_bucket_whose_bound_it_does_not_pass() {
        let mut latency = Latency::default();
        let waits = [0, 1_000, 1_001, 2_000, 99_000_000_000, 100_000_000_001];
        waits.map(Duration::from_nanos).into_iter().for_each(|wait| latency.add(wait));
        let of = |micros| {
            let bound = Some(Duration::from_micros(micros));
            latency.buckets().find(|bucket| bucket.0 == bound).map(|(_, count)| count)
        };
        assert_eq!((of(1), of(2), of(5), of(100_000_000)), (Some(2), Some(2), Some(0), Some(1)));
        assert_eq!(latency.buckets().last(), Some((None, 1)));
        assert_eq!(latency.buckets().map(|(_, count)| count).sum::<u64>(), latency.count());
        assert_eq!(latency.longest(), Duration::from_nanos(100_000_000_001));
    }

    #[test]
    fn quantiles_are_bounds_and_the_longest_beyond_them() {
        assert_eq!(Latency::default().quantile(0.5), None);
        let mut latency = Latency::default();
        (0..99).for_each(|_| latency.add(Duration::from_micros(3)));
        latency.add(Duration::from_secs(1_000));
        assert_eq!(latency.quantile(0.0), Some(Duration::from_micros(1)));
        assert_eq!(latency.quantile(0.99), Some(Duration::from_micros(5)));
        assert_eq!(latency.quantile(1.0), Some(Duration::from_secs(1_000)));
    }
}
