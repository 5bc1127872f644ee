//! Time: the only place that asks the host for it.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, UNIX_EPOCH},
};

use crate::{
    broker::Timers,
    sync::{Mutex, Rank},
    time::Moment,
};

/// Time that moves only when told to.
///
/// A broker on a manual clock starts no thread: what falls due runs inside
/// [`advance`](Self::advance), on the calling thread, so that a test of time-dependent behaviour
/// is deterministic. Blocking calls still wait in the host's time: tests use the `try_` forms.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// # fn main() -> leveret::Result<()> {
/// let (broker, time) = leveret::Broker::manual();
/// let idle = broker.declare_queue("idle").expires_after(Duration::from_secs(60)).declare()?;
/// time.advance(Duration::from_secs(59));
/// assert!(broker.queue("idle").is_ok());
/// time.advance(Duration::from_secs(1));
/// assert!(broker.queue("idle").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<ManualTime>);

#[derive(Debug)]
struct ManualTime {
    /// Nanoseconds since the origin. Only `advance` stores, so relaxed loads are as new as any.
    now: AtomicU64,
    /// The timers of the brokers that follow this clock.
    timers: Mutex<Vec<Weak<Timers>>>,
}

impl ManualClock {
    /// A clock that stands still at its origin.
    #[must_use]
    pub fn new() -> Self {
        let timers = Mutex::new(Rank::Broker, Vec::new());
        Self(Arc::new(ManualTime { now: AtomicU64::new(0), timers }))
    }

    /// Moves time on, and runs all that falls due on the way, in the order of the deadlines, each
    /// at its own deadline. One advance does the same as many small ones of the same sum.
    pub fn advance(&self, by: Duration) {
        let target = self.now().after(by);
        while let Some((deadline, timers)) = self.earliest()
            && deadline <= target
        {
            self.set(deadline);
            timers.run_due(deadline);
        }
        self.set(target);
    }

    /// How long it is until the next thing falls due; `None` if nothing is scheduled. What is due
    /// then may turn out to have been put off.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.earliest().map(|(deadline, _)| deadline.since(self.now()))
    }

    /// How far it has moved since it was made.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now().since(Moment::ORIGIN)
    }

    fn now(&self) -> Moment {
        Moment::ORIGIN.after(Duration::from_nanos(self.0.now.load(Ordering::Relaxed)))
    }

    fn set(&self, now: Moment) {
        let nanoseconds = u64::try_from(now.since(Moment::ORIGIN).as_nanos()).unwrap_or(u64::MAX);
        self.0.now.fetch_max(nanoseconds, Ordering::Relaxed);
    }

    fn earliest(&self) -> Option<(Moment, Arc<Timers>)> {
        let followers: Vec<_> = self.0.timers.lock().iter().filter_map(Weak::upgrade).collect();
        let deadlines = followers.into_iter().filter_map(|timers| {
            let deadline = timers.next_deadline()?;
            Some((deadline, timers))
        });
        deadlines.min_by_key(|(deadline, _)| *deadline)
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

/// Where a broker takes its time from.
#[derive(Debug)]
pub(crate) enum Clock {
    Manual(ManualClock),
    System { origin: Instant },
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the clock is where the host's time comes in")]
    pub(crate) fn system() -> Self {
        Self::System { origin: Instant::now() }
    }

    pub(crate) fn now(&self) -> Moment {
        match self {
            Self::Manual(clock) => clock.now(),
            Self::System { origin } => Moment::ORIGIN.after(origin.elapsed()),
        }
    }

    /// The time of day: seconds since the beginning of 1970. A manual clock begins there.
    pub(crate) fn unix_seconds(&self) -> u64 {
        match self {
            Self::Manual(clock) => clock.elapsed().as_secs(),
            Self::System { .. } => {
                UNIX_EPOCH.elapsed().map(|since| since.as_secs()).unwrap_or_default()
            }
        }
    }

    /// The same in milliseconds.
    #[allow(dead_code, reason = "only a broker with a store does that")]
    pub(crate) fn unix_milliseconds(&self) -> u64 {
        let since = match self {
            Self::Manual(clock) => clock.elapsed(),
            Self::System { .. } => UNIX_EPOCH.elapsed().unwrap_or_default(),
        };
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// Makes `advance` run these timers, if this is a clock that is advanced.
    pub(crate) fn drive(&self, timers: &Arc<Timers>) {
        match self {
            Self::Manual(clock) => {
                let mut followers = clock.0.timers.lock();
                followers.retain(|timers| timers.strong_count() > 0);
                followers.push(Arc::downgrade(timers));
            }
            Self::System { .. } => {}
        }
    }
}

/// How much time a wait leaves beside what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leisure {
    /// Each microsecond counts.
    Nothing,
    /// Some microseconds make no difference.
    Moment,
    /// Nor do some turns of other threads, which on a busy machine take milliseconds each.
    Plenty,
}

/// Of a wait longer than this some microseconds are little.
const MOMENT: Duration = Duration::from_millis(1);

/// Of a wait longer than this some turns of other threads are.
const PLENTY: Duration = Duration::from_secs(1);

/// The end of a blocking wait, in the host's time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostDeadline(Option<Instant>);

impl HostDeadline {
    /// So long from now; never, if that is beyond what the host can express.
    #[expect(clippy::disallowed_methods, reason = "blocking waits are in the host's time")]
    pub(crate) fn within(duration: Duration) -> Self {
        Self(Instant::now().checked_add(duration))
    }

    /// Never.
    pub(crate) const NEVER: Self = Self(None);

    /// How much time there is to spend awake.
    #[expect(clippy::disallowed_methods, reason = "blocking waits are in the host's time")]
    pub(crate) fn leisure(self) -> Leisure {
        let Some(at) = self.0 else { return Leisure::Plenty };
        match at.saturating_duration_since(Instant::now()) {
            left if left > PLENTY => Leisure::Plenty,
            left if left > MOMENT => Leisure::Moment,
            _ => Leisure::Nothing,
        }
    }

    /// How much of the wait is left; `None` once it is over.
    #[expect(clippy::disallowed_methods, reason = "blocking waits are in the host's time")]
    pub(crate) fn left(self) -> Option<Duration> {
        match self.0 {
            None => Some(Duration::MAX),
            Some(at) => at.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()),
        }
    }
}
