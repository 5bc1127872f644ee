//! Durations as AMQP counts them.

use std::time::Duration;

/// The duration in whole milliseconds, rounded up, so that nothing ends before its time and a
/// short while does not become none. What exceeds all bounds anyway is the largest number there is.
pub(crate) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_rounded_up() {
        for (duration, ms) in [
            (Duration::ZERO, 0),
            (Duration::from_nanos(1), 1),
            (Duration::from_micros(500), 1),
            (Duration::from_millis(1), 1),
            (Duration::from_nanos(1_000_001), 2),
            (Duration::from_hours(10 * 365 * 24), 315_360_000_000),
            (Duration::MAX, i64::MAX),
        ] {
            assert_eq!(milliseconds(duration), ms, "{duration:?}");
        }
    }
}
