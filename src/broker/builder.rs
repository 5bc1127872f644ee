//! The broker, and how one is opened.

use std::{ops::Deref, sync::Arc, time::Duration};

use super::{
    broker_state::{BrokerState, CloseReport},
    budget::Budget,
    context::Context,
    journal::{Journal, Opened, StoreOptions},
    lease::Lease,
    limits::Limits,
    milliseconds::milliseconds,
    queue_stats::QueueStats,
    recovery_report::RecoveryReport,
    store_stats::StoreStats,
    timers::Driver,
    vhost::VirtualHost,
};
use crate::{
    Result,
    clock::{Clock, HostDeadline, ManualClock},
    engine::definition::QueueDefaults,
};

/// The longest time that anything can be given: ten years.
const TIMEOUT_MAX: Duration = Duration::from_hours(10 * 365 * 24);

/// An embedded broker.
///
/// It is a cheap clone and dereferences to its default virtual host `/`, so every declaration
/// works on it directly. It closes with [`close`](Self::close), or when the last handle that can
/// publish or declare is dropped: `Broker`, `VirtualHost`, `Exchange`, `Queue`, `Publisher`,
/// `Transaction`, `Connection`, `Channel`. Consumers end then; dropping never waits for anyone but,
/// with a store, up to 10 s for the disk. A handler or thread that holds one of these keeps the
/// broker open until `close`.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// use leveret::{Broker, Message};
///
/// let broker = Broker::new();
/// let orders = broker.declare_exchange("orders").topic().declare()?;
/// let billing = broker.declare_queue("billing").declare()?;
/// orders.bind(&billing, "order.*")?;
///
/// let routed = orders.publish("order.created", Message::new("order 1"))?;
/// assert_eq!(routed.queues, 1);
/// let delivery = billing.get()?.expect("it is there");
/// assert_eq!(delivery.text(), Some("order 1"));
/// delivery.ack()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Broker {
    default: VirtualHost,
}

impl Broker {
    /// A broker in memory with default limits. It starts no thread before its first deadline.
    #[must_use]
    pub fn new() -> Self {
        BrokerBuilder::new().build()
    }

    /// A broker in memory whose time stands still until [`ManualClock::advance`]. It never starts
    /// a thread.
    #[must_use]
    pub fn manual() -> (Self, ManualClock) {
        let clock = ManualClock::new();
        (BrokerBuilder::new().manual_clock(&clock).build(), clock)
    }

    /// All other settings.
    pub fn builder() -> BrokerBuilder {
        BrokerBuilder::new()
    }

    /// Creates a virtual host: an isolated set of exchanges, queues and bindings.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`, `InvalidName`, `LimitExceeded`, `Closed`.
    pub fn create_vhost(&self, name: &str) -> Result<VirtualHost> {
        Ok(VirtualHost::new(self.state().create_vhost(name)?, self.lease().clone()))
    }

    /// Finds a virtual host. The default one is `/`.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Closed`.
    pub fn vhost(&self, name: &str) -> Result<VirtualHost> {
        Ok(VirtualHost::new(self.state().vhost(name)?, self.lease().clone()))
    }

    /// Deletes a virtual host with all it holds: its connections are closed and its consumers end.
    ///
    /// # Errors
    ///
    /// `NotFound`; `AccessRefused` for the default one; `Closed`.
    pub fn delete_vhost(&self, name: &str) -> Result<()> {
        self.state().delete_vhost(name)
    }

    /// Shuts down, in at most so long of the host's time:
    ///
    /// 1. Consumers end with [`BrokerClosed`](crate::EndReason::BrokerClosed), and what they had
    ///    not received goes back. New consumers and declarations get `Closed`.
    /// 2. It waits for deliveries in hand to be settled and for handlers of workers to return.
    ///    Publishing still works meanwhile, so that they can finish.
    /// 3. Publishing gets `Closed`, and confirms are resolved.
    /// 4. What is still in hand is taken back; settling it later gets `Closed`.
    ///
    /// The report says what was met. Messages that are ready then are gone without a store: what
    /// is to be handled first, [`Queue::wait_empty`](crate::Queue::wait_empty) waits for.
    ///
    /// A second call waits, at most as long as it was told, until the first is through, and hands
    /// out the same report. If its own time is over first, its report is
    /// [`unfinished`](CloseReport::unfinished) and never clean. A handler that closes is waited for
    /// itself, so it waits as long as it, or the first call, was told; what is called by the close
    /// itself, the destructor of a message, does not wait.
    #[expect(clippy::must_use_candidate, reason = "the report is for those who want it")]
    pub fn close(&self, within: Duration) -> CloseReport {
        self.state().close(within)
    }

    /// Waits, at most so long in the host's time, until everything that has happened so far is as
    /// durable as the store of this broker makes it: acks, requeues and dead letters among it, for
    /// which nothing else waits. Without a store there is nothing to wait for.
    ///
    /// # Errors
    ///
    /// `Timeout`; `StoreFailed`.
    pub fn sync(&self, within: Duration) -> Result<()> {
        self.state().context.sync(HostDeadline::within(within))
    }

    /// Runs what is due, and says how long it is until the next deadline. For event loops, with
    /// [`BrokerBuilder::caller_timers`].
    #[expect(clippy::must_use_candidate, reason = "a caller that polls on a schedule ignores it")]
    pub fn poll_timers(&self) -> Option<Duration> {
        let context = &self.state().context;
        context.timers.run_due(context.clock.now());
        context.timers.next_deadline().map(|deadline| deadline.since(context.clock.now()))
    }

    /// The sums over all queues of all virtual hosts, those included that are deleted, exact
    /// whenever no call is in progress: these counters never fall. Those of the default virtual
    /// host alone are `broker.vhost("/")?.stats()`.
    #[must_use]
    pub fn stats(&self) -> QueueStats {
        self.state().stats()
    }

    /// The accounted bytes of all messages, which [`Limits::memory_bytes`] bounds: at most some
    /// 12 KiB per queue more than they come to.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.state().context.drawn_bytes()
    }

    /// What was in the store when it was opened; nothing for a broker in memory.
    #[must_use]
    pub fn recovery_report(&self) -> RecoveryReport {
        self.state().recovery()
    }

    /// How much the store holds and takes; `None` without one.
    #[must_use]
    pub fn store_stats(&self) -> Option<StoreStats> {
        self.state().context.journal.as_ref().map(Journal::stats)
    }

    pub(crate) fn state(&self) -> &Arc<BrokerState> {
        self.lease().broker()
    }

    fn lease(&self) -> &Lease {
        self.default.lease()
    }
}

impl Default for Broker {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Broker {
    type Target = VirtualHost;

    fn deref(&self) -> &VirtualHost {
        &self.default
    }
}

/// Settings of a broker.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// use leveret::{Broker, Limits};
///
/// let mut limits = Limits::default();
/// limits.memory_bytes = 64 << 20;
/// let broker = Broker::builder().limits(limits).caller_timers().open()?;
/// assert_eq!(broker.poll_timers(), None);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing happens before open()"]
pub struct BrokerBuilder {
    limits: Limits,
    queue_defaults: QueueDefaults,
    clock: Option<ManualClock>,
    driver: Driver,
    pub(super) store: StoreOptions,
}

impl BrokerBuilder {
    fn new() -> Self {
        Self {
            limits: Limits::default(),
            queue_defaults: QueueDefaults::default(),
            clock: None,
            driver: Driver::Thread,
            store: StoreOptions::default(),
        }
    }

    /// Replaces the bounds. Some have a largest value, and what is more counts as that.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits.within_reason();
        self
    }

    /// How often a message may go back to a queue that sets no `x-delivery-limit` itself, see
    /// [`QueueBuilder::delivery_limit`](crate::QueueBuilder::delivery_limit): 0 and up; without
    /// limit by default. Declarations do not compare it.
    pub fn delivery_limit(mut self, returns: u64) -> Self {
        self.queue_defaults.delivery_limit = Some(returns);
        self
    }

    /// How long a consumer may keep a delivery unsettled if neither it nor its queue sets an
    /// `x-consumer-timeout`, see
    /// [`QueueBuilder::consumer_timeout`](crate::QueueBuilder::consumer_timeout): whole
    /// milliseconds, rounded up; less than 1 ms counts as that, and more than ten years as those.
    /// For ever by default. Declarations do not compare it.
    pub fn consumer_timeout(mut self, limit: Duration) -> Self {
        let ms = u64::try_from(milliseconds(limit)).unwrap_or_default().max(1);
        self.queue_defaults.consumer_timeout = Some(Duration::from_millis(ms).min(TIMEOUT_MAX));
        self
    }

    /// Takes time from this clock; implies [`caller_timers`](Self::caller_timers). Several brokers
    /// may follow one clock.
    pub fn manual_clock(mut self, clock: &ManualClock) -> Self {
        self.clock = Some(clock.clone());
        self.driver = Driver::Caller;
        self
    }

    /// Never starts the timer thread: the caller runs [`Broker::poll_timers`].
    pub fn caller_timers(mut self) -> Self {
        self.driver = Driver::Caller;
        self
    }

    /// Opens the broker.
    ///
    /// # Errors
    ///
    /// None as long as everything is in memory.
    pub fn open(self) -> Result<Broker> {
        self.open_with(StoreOptions::open)
    }

    /// Opens the broker with what a store gives.
    pub(super) fn open_with(
        self,
        open: impl FnOnce(StoreOptions, &Clock, u64) -> Result<Opened>,
    ) -> Result<Broker> {
        let Self { limits, queue_defaults, clock, driver, store } = self;
        let clock = clock.map_or_else(Clock::system, Clock::Manual);
        let mut opened = open(store, &clock, Budget::resident_max(limits.memory_bytes))?;
        let (journal, stored) = (opened.take_journal(), opened.default_vhost());
        let broker =
            BrokerState::new(Context::new(limits, queue_defaults, clock, driver, journal), stored);
        let report = opened.restore(&broker)?;
        broker.note_recovery(report);
        let default = Arc::clone(&broker.default);
        Ok(Broker { default: VirtualHost::new(default, Lease::new(broker)) })
    }

    /// One in memory.
    fn build(self) -> Broker {
        self.open().expect("there is no store that could fail to open")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_get_no_defaults_unless_told() {
        let defaults = Broker::new().state().context.queue_defaults;
        assert_eq!((defaults.delivery_limit, defaults.consumer_timeout), (None, None));
        let broker = Broker::builder().delivery_limit(u64::MAX).build();
        assert_eq!(broker.state().context.queue_defaults.delivery_limit, Some(u64::MAX));
    }

    #[test]
    fn a_default_timeout_keeps_to_its_range() {
        for (given, kept) in [
            (Duration::ZERO, Duration::from_millis(1)),
            (Duration::from_micros(1_500), Duration::from_millis(2)),
            (Duration::from_secs(30), Duration::from_secs(30)),
            (Duration::MAX, TIMEOUT_MAX),
        ] {
            let broker = Broker::builder().consumer_timeout(given).build();
            assert_eq!(broker.state().context.queue_defaults.consumer_timeout, Some(kept));
        }
    }
}
