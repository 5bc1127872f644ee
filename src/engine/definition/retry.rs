//! Trying again after a while: what the arguments `x-delayed-retry-*` ask for.
//!
//! # AMQP
//!
//! `RabbitMQ` 4.3 has the type, the least and the longest delay, of quorum queues, and back-off
//! that is linear. The other arguments, and those three of classic queues, are only known here.

use std::time::Duration;

use crate::Value;

use super::{
    fault::{ArgumentFault, InvalidArgument},
    reader::{EXPIRY_MS_MAX, Reader, number, positive_expiry_ms, string},
};

const TYPE: &str = "x-delayed-retry-type";
const MIN: &str = "x-delayed-retry-min";

/// By how much exponential back-off grows from one return to the next unless it is told.
const DEFAULT_MULTIPLIER: f64 = 2.0;

/// Which messages wait before they are tried again, and how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RetryPolicy {
    pub(crate) which: Retried,
    /// The delay after the first return. Invariant: 1 ms to ten years.
    pub(crate) min_ms: u64,
    /// No delay is longer. Invariant: `min_ms` to ten years.
    pub(crate) max_ms: u64,
    pub(crate) backoff: Backoff,
    /// The share of a delay by which it may be shorter or longer. Invariant: 0 to 1.
    pub(crate) jitter: f64,
}

/// The returns after which a message waits; after others it is ready at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retried {
    /// Every return.
    All,
    /// Somebody failed at it: a reject with requeue, a panic, a dropped delivery, a closed channel.
    Failed,
    /// It was given back on purpose: a nack with requeue, a recover.
    Returned,
}

/// How delays grow with the number of returns.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Backoff {
    Fixed,
    #[default]
    Linear,
    Exponential {
        /// Invariant: 1 to 1000.
        multiplier: f64,
    },
}

impl RetryPolicy {
    /// What the arguments of a queue ask for; `None` if messages are tried again at once.
    ///
    /// # Errors
    ///
    /// The first argument that is wrong, in the order type, min, max, backoff, multiplier, jitter:
    /// its value, or else that it means nothing without another one.
    pub(super) fn read(reader: &Reader<'_>) -> Result<Option<Self>, InvalidArgument> {
        let which = reader.read(TYPE, |value| match retried(value)? {
            Some(_) if !reader.is_given(MIN) => Err(ArgumentFault::MissingRetryMin),
            which => Ok(which),
        })?;
        let which = which.flatten();
        let min_ms = reader.read(MIN, |value| beside(which, positive_expiry_ms(value)?))?;
        let max_ms = reader.read("x-delayed-retry-max", |value| {
            let max_ms = beside(which, positive_expiry_ms(value)?)?;
            if Some(max_ms) < min_ms { Err(ArgumentFault::RetryMaxBelowMin) } else { Ok(max_ms) }
        })?;
        let backoff = reader
            .read("x-delayed-retry-backoff", |value| beside(which, backoff(value)?))?
            .unwrap_or_default();
        let multiplier = reader.read("x-delayed-retry-multiplier", |value| {
            let multiplier = number(value, 1.0..=1_000.0, ArgumentFault::MultiplierOutOfRange)?;
            match beside(which, backoff)? {
                Backoff::Exponential { .. } => Ok(multiplier),
                Backoff::Fixed | Backoff::Linear => {
                    Err(ArgumentFault::MultiplierWithoutExponential)
                }
            }
        })?;
        let jitter = reader.read("x-delayed-retry-jitter", |value| {
            beside(which, number(value, 0.0..=1.0, ArgumentFault::JitterOutOfRange)?)
        })?;
        let (Some(which), Some(min_ms)) = (which, min_ms) else { return Ok(None) };
        Ok(Some(Self {
            which,
            min_ms,
            max_ms: max_ms.unwrap_or(EXPIRY_MS_MAX),
            backoff: multiplier.map_or(backoff, |multiplier| Backoff::Exponential { multiplier }),
            jitter: jitter.unwrap_or_default(),
        }))
    }

    /// How long a message waits that has come back so many times, the first time being 1.
    ///
    /// `draw`, a random number of 0 to 1, spreads the delays: it is multiplied by
    /// `1 - jitter + 2 * jitter * draw`, and is never longer than the maximum.
    pub(crate) fn delay(&self, returns: u32, draw: f64) -> Duration {
        let (min, max) = (Duration::from_millis(self.min_ms), Duration::from_millis(self.max_ms));
        let returns = returns.max(1);
        let even = match self.backoff {
            Backoff::Fixed => min,
            Backoff::Linear => min.saturating_mul(returns),
            Backoff::Exponential { multiplier } => {
                stretched(min, multiplier.powf(f64::from(returns - 1)))
            }
        };
        let even = even.min(max);
        if self.jitter <= 0.0 {
            return even;
        }
        stretched(even, 1.0 - self.jitter + 2.0 * self.jitter * draw).min(max)
    }
}

/// The duration times a factor: zero if that is less or no number, the longest there is if more.
fn stretched(duration: Duration, factor: f64) -> Duration {
    let seconds = (duration.as_secs_f64() * factor).max(0.0);
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// What an argument says that means something only beside a type of retry.
fn beside<T>(which: Option<Retried>, parsed: T) -> Result<T, ArgumentFault> {
    if which.is_some() { Ok(parsed) } else { Err(ArgumentFault::MissingRetryType) }
}

fn retried(value: &Value) -> Result<Option<Retried>, ArgumentFault> {
    match string(value)? {
        b"all" => Ok(Some(Retried::All)),
        b"disabled" => Ok(None),
        b"failed" => Ok(Some(Retried::Failed)),
        b"returned" => Ok(Some(Retried::Returned)),
        _ => Err(ArgumentFault::UnknownRetryType),
    }
}

fn backoff(value: &Value) -> Result<Backoff, ArgumentFault> {
    match string(value)? {
        b"exponential" => Ok(Backoff::Exponential { multiplier: DEFAULT_MULTIPLIER }),
        b"fixed" => Ok(Backoff::Fixed),
        b"linear" => Ok(Backoff::Linear),
        _ => Err(ArgumentFault::UnknownRetryBackoff),
    }
}

#[cfg(test)]
mod tests {
    use crate::Table;

    use super::{super::arguments::QueueArguments, *};

    const QUEUE: &str = "queue 'q' in vhost '/'";
    const TEN_YEARS_MS: u64 = 315_360_000_000;

    const PLAIN: RetryPolicy = RetryPolicy {
        which: Retried::All,
        min_ms: 100,
        max_ms: TEN_YEARS_MS,
        backoff: Backoff::Linear,
        jitter: 0.0,
    };

    /// Retries of all messages after 100 ms, and one more argument.
    fn retries(argument: &str, value: impl Into<Value>) -> [(&str, Value); 3] {
        [(TYPE, "all".into()), (MIN, 100.into()), (argument, value.into())]
    }

    /// Exponential retries with a multiplier.
    fn multiplied(multiplier: impl Into<Value>) -> [(&'static str, Value); 4] {
        [
            (TYPE, "all".into()),
            (MIN, 100.into()),
            ("x-delayed-retry-backoff", "exponential".into()),
            ("x-delayed-retry-multiplier", multiplier.into()),
        ]
    }

    /// Checks what arguments ask of a queue, of either type.
    #[track_caller]
    fn check<const N: usize>(entries: [(&str, Value); N], expected: Option<RetryPolicy>) {
        let mut table = Table::from(entries);
        for queue_type in ["classic", "quorum"] {
            table.insert("x-queue-type", queue_type);
            let parsed = QueueArguments::parse(&table).expect("valid arguments");
            assert_eq!(parsed.retry, expected, "{queue_type}");
        }
    }

    /// Checks which argument is refused, and the reason in the text.
    #[track_caller]
    fn check_refused<const N: usize>(entries: [(&str, Value); N], argument: &str, reason: &str) {
        let fault = QueueArguments::parse(&Table::from(entries)).unwrap_err();
        assert_eq!(fault.text(QUEUE), format!("invalid arg '{argument}' for {QUEUE}: {reason}"));
    }

    #[track_caller]
    fn check_delays<const N: usize>(policy: RetryPolicy, delays_ms: [(u32, u64); N]) {
        for (returns, ms) in delays_ms {
            assert_eq!(policy.delay(returns, 0.5), Duration::from_millis(ms), "{returns} returns");
        }
    }

    #[test]
    fn retries_are_of_a_type_and_linear_without_bound() {
        check([], None);
        check([(TYPE, "disabled".into())], None);
        for (name, which) in
            [("all", Retried::All), ("failed", Retried::Failed), ("returned", Retried::Returned)]
        {
            let policy = RetryPolicy { which, ..PLAIN };
            check([(TYPE, name.into()), (MIN, 100_i64.into())], Some(policy));
        }
    }

    #[test]
    fn every_argument_of_retries_gets_its_type() {
        let of_max = RetryPolicy { max_ms: 100, ..PLAIN };
        check(retries("x-delayed-retry-max", 100), Some(of_max));
        let of_backoff = |backoff| Some(RetryPolicy { backoff, ..PLAIN });
        let backoff = "x-delayed-retry-backoff";
        check(retries(backoff, "linear"), of_backoff(Backoff::Linear));
        check(retries(backoff, "fixed"), of_backoff(Backoff::Fixed));
        let by = |multiplier| of_backoff(Backoff::Exponential { multiplier });
        check(retries(backoff, "exponential"), by(2.0));
        for three in [Value::U8(3), Value::I64(3), Value::F32(3.0), Value::F64(3.0)] {
            check(multiplied(three), by(3.0));
        }
        check(multiplied(1), by(1.0));
        check(multiplied(1_000.0), by(1_000.0));
        for (given, jitter) in [(Value::I32(0), 0.0), (Value::I8(1), 1.0), (Value::F32(0.5), 0.5)] {
            let policy = RetryPolicy { jitter, ..PLAIN };
            check(retries("x-delayed-retry-jitter", given), Some(policy));
        }
    }

    #[test]
    fn delays_are_bounded_by_ten_years() {
        let longest = Value::I64(315_360_000_000);
        let policy = RetryPolicy { min_ms: TEN_YEARS_MS, ..PLAIN };
        check([(TYPE, "all".into()), (MIN, longest.clone())], Some(policy));
        check(retries("x-delayed-retry-max", longest), Some(PLAIN));
        let too_long = Value::I64(315_360_000_001);
        let reason = "{value_too_large,315360000001}";
        check_refused([(TYPE, "all".into()), (MIN, too_long.clone())], MIN, reason);
        let max = "x-delayed-retry-max";
        check_refused(retries(max, too_long), max, reason);
        check_refused([(TYPE, "all".into()), (MIN, 0.into())], MIN, "{value_zero,0}");
        check_refused(retries(max, -1), max, "{value_negative,-1}");
        check_refused(retries(max, 1.5), max, "\"expected integer, got double\"");
    }

    #[test]
    fn words_of_retries_are_checked() {
        check_refused([(TYPE, "some".into())], TYPE, "\"unknown delayed retry type 'some'\"");
        check_refused([(TYPE, true.into())], TYPE, "{unacceptable_type,bool}");
        let backoff = "x-delayed-retry-backoff";
        check_refused(
            retries(backoff, "steep"),
            backoff,
            "\"unknown delayed retry backoff 'steep'\"",
        );
        check_refused(retries(backoff, 2), backoff, "{unacceptable_type,signedint}");
    }

    #[test]
    fn a_type_of_retry_needs_the_least_delay() {
        let reason = "\"delayed retry type 'failed' needs x-delayed-retry-min\"";
        check_refused([(TYPE, "failed".into())], TYPE, reason);
    }

    #[test]
    fn arguments_of_retries_are_refused_without_a_type() {
        let reason = "\"needs an x-delayed-retry-type that is not 'disabled'\"";
        for (argument, value) in [
            (MIN, Value::from(100)),
            ("x-delayed-retry-max", Value::from(100)),
            ("x-delayed-retry-backoff", Value::from("linear")),
            ("x-delayed-retry-multiplier", Value::from(2)),
            ("x-delayed-retry-jitter", Value::from(0)),
        ] {
            check_refused([(argument, value.clone())], argument, reason);
            check_refused([(TYPE, "disabled".into()), (argument, value)], argument, reason);
        }
    }

    #[test]
    fn the_longest_delay_is_no_shorter_than_the_least() {
        let max = "x-delayed-retry-max";
        check_refused(retries(max, 99), max, "\"99 is less than x-delayed-retry-min\"");
    }

    #[test]
    fn only_exponential_retries_have_a_multiplier() {
        let multiplier = "x-delayed-retry-multiplier";
        let reason = "\"needs x-delayed-retry-backoff 'exponential'\"";
        check_refused(retries(multiplier, 2), multiplier, reason);
        let mut fixed = multiplied(2);
        fixed[2].1 = "fixed".into();
        check_refused(fixed, multiplier, reason);
    }

    #[test]
    fn multipliers_and_jitters_are_numbers_in_their_range() {
        let multiplier = "x-delayed-retry-multiplier";
        for (value, shown) in [
            (Value::from(0), "0"),
            (Value::from(0.5), "0.5"),
            (Value::from(1_001), "1001"),
            (Value::from(i64::MIN), "-9223372036854775808"),
        ] {
            let reason = format!("\"{shown} is not within 1 and 1000\"");
            check_refused(multiplied(value), multiplier, &reason);
        }
        let jitter = "x-delayed-retry-jitter";
        for (value, shown) in [
            (Value::from(-1), "-1"),
            (Value::from(1.5), "1.5"),
            (Value::from(i64::MAX), "9223372036854775807"),
        ] {
            let reason = format!("\"{shown} is not within 0 and 1\"");
            check_refused(retries(jitter, value), jitter, &reason);
        }
        let nan = Table::from(retries(jitter, f64::NAN));
        let fault = QueueArguments::parse(&nan).unwrap_err().fault;
        assert_eq!(fault, ArgumentFault::JitterOutOfRange);
        let reason = "\"expected number, got longstr\"";
        check_refused(retries(jitter, "0.5"), jitter, reason);
        check_refused(multiplied("2"), multiplier, reason);
        let reason = "\"expected number, got timestamp\"";
        check_refused(retries(jitter, Value::Timestamp(1)), jitter, reason);
    }

    #[test]
    fn linear_delays_grow_by_the_least_one_up_to_the_longest() {
        let policy = RetryPolicy { max_ms: 350, ..PLAIN };
        check_delays(policy, [(1, 100), (2, 200), (3, 300), (4, 350), (u32::MAX, 350)]);
        check_delays(PLAIN, [(u32::MAX, TEN_YEARS_MS)]);
        let longest = RetryPolicy { min_ms: TEN_YEARS_MS, ..PLAIN };
        check_delays(longest, [(1, TEN_YEARS_MS), (u32::MAX, TEN_YEARS_MS)]);
    }

    #[test]
    fn fixed_delays_stay_the_same() {
        let policy = RetryPolicy { backoff: Backoff::Fixed, ..PLAIN };
        check_delays(policy, [(1, 100), (2, 100), (u32::MAX, 100)]);
    }

    #[test]
    fn exponential_delays_multiply_up_to_the_longest() {
        let by = |multiplier| RetryPolicy { backoff: Backoff::Exponential { multiplier }, ..PLAIN };
        check_delays(by(2.0), [(1, 100), (2, 200), (3, 400), (4, 800), (11, 102_400)]);
        check_delays(by(2.0), [(u32::MAX, TEN_YEARS_MS)]);
        check_delays(by(1.5), [(1, 100), (2, 150), (3, 225)]);
        check_delays(by(1.0), [(1, 100), (2, 100), (u32::MAX, 100)]);
        check_delays(by(1_000.0), [(2, 100_000), (1_000, TEN_YEARS_MS), (u32::MAX, TEN_YEARS_MS)]);
        let bounded = RetryPolicy { max_ms: 250, ..by(2.0) };
        check_delays(bounded, [(1, 100), (2, 200), (3, 250), (u32::MAX, 250)]);
    }

    #[test]
    fn before_the_first_return_the_delay_is_that_of_the_first() {
        for backoff in [Backoff::Fixed, Backoff::Linear, Backoff::Exponential { multiplier: 2.0 }] {
            check_delays(RetryPolicy { backoff, ..PLAIN }, [(0, 100), (1, 100)]);
        }
    }

    #[test]
    fn jitter_spreads_delays_between_nothing_and_the_longest() {
        let half = RetryPolicy { jitter: 0.5, ..PLAIN };
        let full = RetryPolicy { jitter: 1.0, ..PLAIN };
        let bounded = RetryPolicy { max_ms: 120, ..full };
        let longest = RetryPolicy { min_ms: TEN_YEARS_MS, ..full };
        for (policy, returns, draw, ms) in [
            (PLAIN, 1, 0.0, 100),
            (PLAIN, 1, 1.0, 100),
            (half, 1, 0.0, 50),
            (half, 1, 0.5, 100),
            (half, 1, 1.0, 150),
            (half, 2, 0.0, 100),
            (half, 2, 1.0, 300),
            (full, 1, 0.0, 0),
            (full, 1, 0.5, 100),
            (full, 1, 1.0, 200),
            (full, u32::MAX, 0.0, 0),
            (full, u32::MAX, 1.0, TEN_YEARS_MS),
            (bounded, 1, 1.0, 120),
            (bounded, u32::MAX, 0.5, 120),
            (longest, u32::MAX, 1.0, TEN_YEARS_MS),
        ] {
            let delay = policy.delay(returns, draw);
            assert_eq!(delay, Duration::from_millis(ms), "{policy:?}, {returns}, {draw}");
        }
        assert_eq!(full.delay(1, f64::NAN), Duration::ZERO, "no panic for what is no number");
    }
}
