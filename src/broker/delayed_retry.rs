//! Describes how messages wait before they are tried again.

use std::time::Duration;

use super::milliseconds::milliseconds;
use crate::{Table, Value};

/// How long messages that went back to their queue wait before they are tried again, for
/// [`QueueBuilder::delayed_retry`](crate::QueueBuilder::delayed_retry).
///
/// The delay depends on how often a message has come back, and so on the first delay, which is
/// given to the constructors; at most [`at_most`](Self::at_most), and spread by
/// [`jitter`](Self::jitter). Durations are whole milliseconds, rounded up, of 1 ms to ten years.
/// What is out of range is refused when the queue is declared.
///
/// | | after the first return | after the n-th |
/// |---|---|---|
/// | [`fixed`](Self::fixed) | `first` | `first` |
/// | [`linear`](Self::linear) | `first` | `first * n` |
/// | [`exponential`](Self::exponential) | `first` | `first * multiplier^(n - 1)` |
///
/// # AMQP
///
/// The arguments are `x-delayed-retry-type`, `-min`, `-max`, `-backoff`, `-multiplier` and
/// `-jitter`. `RabbitMQ` 4.3 has the first three, for quorum queues, and grows linearly.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// use std::time::Duration;
///
/// use leveret::{Broker, DelayedRetry};
///
/// let broker = Broker::new();
/// let retry = DelayedRetry::exponential(Duration::from_secs(1))
///     .at_most(Duration::from_secs(60))
///     .jitter(0.2)
///     .only_failed();
/// let tasks = broker.declare_queue("tasks").delayed_retry(retry).declare()?;
/// assert_eq!(tasks.name(), "tasks");
///
/// // Declared again, a queue waits as long, or it is another one.
/// assert!(broker.declare_queue("tasks").delayed_retry(retry).declare().is_ok());
/// let other = broker.declare_queue("tasks").delayed_retry(retry.jitter(0.5)).declare();
/// assert!(other.unwrap_err().is_mismatch());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use = "it takes effect in the queue that is declared with it"]
pub struct DelayedRetry {
    /// The value of `x-delayed-retry-type`.
    which: &'static str,
    /// The value of `x-delayed-retry-backoff`; `None` where the default says the same.
    backoff: Option<&'static str>,
    first: Duration,
    longest: Option<Duration>,
    multiplier: Option<f64>,
    jitter: Option<f64>,
}

impl DelayedRetry {
    /// Always the same delay (`x-delayed-retry-backoff` is `fixed`).
    pub fn fixed(delay: Duration) -> Self {
        Self { backoff: Some("fixed"), ..Self::linear(delay) }
    }

    /// A delay that grows by `first` with each return (`x-delayed-retry-backoff` is not given,
    /// which means `linear`): the queue equals one that a client of `RabbitMQ` declares with the
    /// type, the minimum and the maximum.
    pub fn linear(first: Duration) -> Self {
        Self { which: "all", backoff: None, first, longest: None, multiplier: None, jitter: None }
    }

    /// A delay that doubles with each return, or grows by another
    /// [`multiplier`](Self::multiplier) (`x-delayed-retry-backoff` is `exponential`).
    pub fn exponential(first: Duration) -> Self {
        Self { backoff: Some("exponential"), ..Self::linear(first) }
    }

    /// No delay is longer (`x-delayed-retry-max`): the first delay to ten years, which is the
    /// default.
    pub fn at_most(mut self, longest: Duration) -> Self {
        self.longest = Some(longest);
        self
    }

    /// By how much an exponential delay grows with each return (`x-delayed-retry-multiplier`): 1 to
    /// 1000, and 2 by default. It is given as a float, which in comparisons differs from the
    /// integer of the same value. Where the delay is not exponential, `declare` refuses it.
    pub fn multiplier(mut self, factor: f64) -> Self {
        self.multiplier = Some(factor);
        self
    }

    /// By which share a delay is shorter or longer at random, so that what failed together is not
    /// tried again together (`x-delayed-retry-jitter`): 0 to 1, and 0 by default. It is given as a
    /// float, which in comparisons differs from the integer of the same value.
    pub fn jitter(mut self, share: f64) -> Self {
        self.jitter = Some(share);
        self
    }

    /// Only messages wait at which somebody failed: rejected with requeue, by a panic, by a
    /// delivery that is dropped unsettled, by the end of a channel (`x-delayed-retry-type` is
    /// `failed`). The others are ready at once. By default all wait (`all`).
    pub fn only_failed(mut self) -> Self {
        self.which = "failed";
        self
    }

    /// Only messages wait that were given back on purpose: nacked with requeue, or recovered
    /// (`x-delayed-retry-type` is `returned`). The others are ready at once. By default all wait
    /// (`all`).
    pub fn only_returned(mut self) -> Self {
        self.which = "returned";
        self
    }

    /// Writes the arguments of a queue, in place of those which described another delay.
    pub(crate) fn write(self, arguments: &mut Table) {
        arguments.insert("x-delayed-retry-type", self.which);
        arguments.insert("x-delayed-retry-min", milliseconds(self.first));
        let longest = self.longest.map(milliseconds);
        replace(arguments, "x-delayed-retry-max", longest);
        replace(arguments, "x-delayed-retry-backoff", self.backoff);
        replace(arguments, "x-delayed-retry-multiplier", self.multiplier);
        replace(arguments, "x-delayed-retry-jitter", self.jitter);
    }
}

fn replace(arguments: &mut Table, name: &str, value: Option<impl Into<Value>>) {
    match value {
        Some(value) => arguments.insert(name, value),
        None => arguments.remove(name),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[track_caller]
    fn check<const N: usize>(retry: DelayedRetry, entries: [(&str, Value); N]) {
        // What was there of another retry goes.
        let mut written = Table::from([("x-max-length", 1)]);
        DelayedRetry::exponential(SECOND)
            .at_most(SECOND)
            .multiplier(3.0)
            .jitter(1.0)
            .write(&mut written);
        retry.write(&mut written);
        let mut expected = Table::from(entries);
        expected.insert("x-max-length", 1);
        assert_eq!(written.sorted(), expected.sorted());
    }

    #[test]
    fn linear_retries_write_what_clients_of_rabbitmq_do() {
        let of_type = |name: &str| {
            [
                ("x-delayed-retry-type", name.into()),
                ("x-delayed-retry-min", 1_000_i64.into()),
                ("x-delayed-retry-max", 2_000_i64.into()),
            ]
        };
        let linear = DelayedRetry::linear(SECOND).at_most(2 * SECOND);
        check(linear, of_type("all"));
        check(linear.only_failed(), of_type("failed"));
        check(linear.only_returned(), of_type("returned"));
    }

    #[test]
    fn only_what_is_asked_for_is_written() {
        let fixed = DelayedRetry::fixed(Duration::from_micros(1_500)).jitter(0.5);
        let written = [
            ("x-delayed-retry-type", "all".into()),
            ("x-delayed-retry-min", 2_i64.into()),
            ("x-delayed-retry-backoff", "fixed".into()),
            ("x-delayed-retry-jitter", 0.5.into()),
        ];
        check(fixed, written);
        let exponential = DelayedRetry::exponential(SECOND).multiplier(1.5);
        let written = [
            ("x-delayed-retry-type", "all".into()),
            ("x-delayed-retry-min", 1_000_i64.into()),
            ("x-delayed-retry-backoff", "exponential".into()),
            ("x-delayed-retry-multiplier", 1.5.into()),
        ];
        check(exponential, written);
    }
}
