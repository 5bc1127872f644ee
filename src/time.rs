//! A point in time, as the rules see it.
//!
//! A [`Moment`] counts nanoseconds from the origin of the broker's clock. It is not a
//! `std::time::Instant`, because tests, models and fuzzers must be able to make one.

use std::time::Duration;

/// A point in time: nanoseconds since the origin of the broker's clock. Arithmetic saturates, so
/// a moment 584 years on is the last one there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Moment(u64);

impl Moment {
    /// The origin of the clock.
    pub(crate) const ORIGIN: Self = Self(0);

    /// The moment so long after this one.
    pub(crate) fn after(self, duration: Duration) -> Self {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanoseconds))
    }

    /// How long it is from an earlier moment to this one; zero if that is not earlier.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let late = Moment::ORIGIN.after(Duration::MAX);
        assert_eq!(late.after(Duration::from_secs(1)), late);
        assert_eq!(Moment::ORIGIN.since(late), Duration::ZERO);
        assert_eq!(
            Moment::ORIGIN.after(Duration::from_nanos(7)).since(Moment::ORIGIN).as_nanos(),
            7
        );
    }
}
