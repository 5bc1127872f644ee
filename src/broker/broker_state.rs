//! What one broker consists of.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use super::{
    bounds,
    connection_state::ConnectionState,
    consumer::{ConsumerCore, EndReason},
    context::{Context, Phase},
    journal::{Position, StoredVhost},
    queue_stats::QueueStats,
    recovery_report::RecoveryReport,
    vhost_state::VhostState,
    workers::Pool,
};
use crate::{
    Denial, Entity, Error, ErrorKind, Name, Result,
    clock::HostDeadline,
    shield::shielded,
    sync::{
        Mutex, Rank,
        thread::{self, ThreadId},
    },
};

/// The name of the virtual host that is always there.
pub(crate) const DEFAULT_VHOST: &str = "/";

/// One broker.
#[derive(Debug)]
pub(crate) struct BrokerState {
    pub(crate) context: Arc<Context>,
    pub(crate) default: Arc<VhostState>,
    state: Mutex<State>,
    /// What was in the store.
    recovery: OnceLock<RecoveryReport>,
}

#[derive(Debug)]
struct State {
    vhosts: HashMap<Name, Arc<VhostState>>,
    /// The counts of virtual hosts that are deleted.
    /// Those that are still there are told when the broker closes.
    connections: Vec<Weak<ConnectionState>>,
    consumers: Vec<Weak<ConsumerCore>>,
    /// Kept until their threads have ended: those of workers that were dropped are joined too.
    pools: Vec<Arc<Pool>>,
    /// Set once, by the first who closes.
    close: Option<Close>,
}

/// A close that has begun.
#[derive(Debug)]
struct Close {
    /// It runs other people's destructors, who may close in turn and must not wait for themselves.
    thread: ThreadId,
    /// Its figures, once they are known.
    report: Option<CloseReport>,
}

/// Has the figures of a close told to everyone who waits for them, also if it panics.
struct Reporting<'b> {
    broker: &'b BrokerState,
    report: CloseReport,
}

/// What [`Broker::close`](crate::Broker::close) met.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// use std::time::Duration;
/// use leveret::{Broker, Message};
///
/// let broker = Broker::new();
/// let queue = broker.declare_queue("tasks").declare()?;
/// queue.send(Message::new("nobody comes"))?;
/// let report = broker.close(Duration::from_secs(1));
/// assert!(report.is_clean());
/// assert_eq!(report.messages_lost, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseReport {
    /// Deliveries that were still in somebody's hand, and were taken back.
    pub requeued: u64,
    /// Worker threads whose handler still ran.
    pub workers_running: u32,
    /// Confirms that ended as `Closed`. Zero without a store, where publishing decides them.
    pub unconfirmed: u64,
    /// Messages that are gone because nothing persists them.
    pub messages_lost: u64,
    /// Whether another call was still closing when the time of this one was over, or was ended by
    /// a panic. The figures are those of that moment then.
    pub unfinished: bool,
}

impl CloseReport {
    /// Whether everybody was done in time. Messages that nobody persists do not count: see
    /// [`messages_lost`](Self::messages_lost).
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let in_hand = self.requeued + self.unconfirmed + u64::from(self.workers_running);
        in_hand == 0 && !self.unfinished
    }
}

impl BrokerState {
    pub(crate) fn new(context: Context, stored: Option<StoredVhost>) -> Arc<Self> {
        let context = Arc::new(context);
        let name = Name::from(DEFAULT_VHOST);
        let default = VhostState::new(name.clone(), Arc::clone(&context), stored);
        let state = State {
            vhosts: HashMap::from([(name, Arc::clone(&default))]),
            connections: Vec::new(),
            consumers: Vec::new(),
            pools: Vec::new(),
            close: None,
        };
        let (state, recovery) = (Mutex::new(Rank::Broker, state), OnceLock::new());
        Arc::new(Self { context, default, state, recovery })
    }

    /// Notes what was in the store.
    pub(crate) fn note_recovery(&self, report: RecoveryReport) {
        self.recovery.get_or_init(|| report);
    }

    pub(crate) fn recovery(&self) -> RecoveryReport {
        self.recovery.get().copied().unwrap_or_default()
    }

    /// Makes a virtual host that a store remembers.
    #[allow(dead_code, reason = "only a broker with a store does that")]
    pub(crate) fn restore_vhost(&self, name: Name, stored: StoredVhost) -> Arc<VhostState> {
        let vhost = VhostState::new(name.clone(), Arc::clone(&self.context), Some(stored));
        self.state.lock().vhosts.insert(name, Arc::clone(&vhost));
        vhost
    }

    pub(crate) fn create_vhost(&self, name: &str) -> Result<Arc<VhostState>> {
        self.check_open()?;
        bounds::check_name(Entity::VirtualHost, name)?;
        let key = Name::from(name);
        let mut state = self.state.lock();
        if state.vhosts.contains_key(&key) {
            let kind = ErrorKind::AlreadyExists { entity: Entity::VirtualHost, name: key };
            return Err(Error::plain(kind));
        }
        check_count("vhosts", self.context.limits.vhosts, state.vhosts.len())?;
        let (stored, position) = match &self.context.journal {
            None => (None, Position::NONE),
            Some(journal) => {
                journal.check_works()?;
                journal.add_vhost(&key)
            }
        };
        let vhost = VhostState::new(key.clone(), Arc::clone(&self.context), stored);
        state.vhosts.insert(key, Arc::clone(&vhost));
        drop(state);
        self.context.await_unless_full(position)?;
        Ok(vhost)
    }

    pub(crate) fn vhost(&self, name: &str) -> Result<Arc<VhostState>> {
        self.check_open()?;
        let found = self.state.lock().vhosts.get(name).cloned();
        found.ok_or_else(|| vhost_not_found(name))
    }

    /// Deletes a virtual host with all it holds: its connections are closed, its consumers end.
    pub(crate) fn delete_vhost(&self, name: &str) -> Result<()> {
        self.check_open()?;
        if name == DEFAULT_VHOST {
            let kind = ErrorKind::AccessRefused {
                entity: Entity::VirtualHost,
                name: Name::from(name),
                reason: Denial::System,
            };
            return Err(Error::new(kind, &Name::from(name)));
        }
        let removed = self.state.lock().vhosts.remove(name);
        let vhost = removed.ok_or_else(|| vhost_not_found(name))?;
        vhost.close();
        self.context.room.made();
        for connection in self.connections() {
            if Arc::ptr_eq(&connection.vhost, &vhost) {
                connection.close(Some(&vhost_not_found(name)));
            }
        }
        let position = vhost.tell_gone();
        vhost.end(EndReason::QueueDeleted);
        self.context.former.join(&vhost.former);
        self.context.await_unless_full(position)
    }

    /// The sums over all queues that there are or were.
    pub(crate) fn stats(&self) -> QueueStats {
        let vhosts: Vec<_> = self.state.lock().vhosts.values().cloned().collect();
        let mut sum = self.context.former.stats();
        for vhost in vhosts {
            sum.add(&vhost.stats());
        }
        sum
    }

    pub(crate) fn add_connection(&self, connection: &Arc<ConnectionState>) -> Result<()> {
        let mut state = self.state.lock();
        state.connections.retain(|known| known.strong_count() > 0);
        check_count("connections", self.context.limits.connections, state.connections.len())?;
        state.connections.push(Arc::downgrade(connection));
        Ok(())
    }

    /// Remembers a consumer of the handle tier, to end it when the broker closes.
    pub(crate) fn add_consumer(&self, consumer: &Arc<ConsumerCore>) {
        let mut state = self.state.lock();
        if state.consumers.len() == state.consumers.capacity() {
            state.consumers.retain(|known| known.strong_count() > 0);
        }
        state.consumers.push(Arc::downgrade(consumer));
    }

    pub(crate) fn add_pool(&self, pool: &Arc<Pool>) {
        let mut state = self.state.lock();
        state.pools.retain(|known| Arc::strong_count(known) > 1 || !known.has_ended());
        state.pools.push(Arc::clone(pool));
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        if self.context.phase() > Phase::Open {
            return Err(Error::closed());
        }
        Ok(())
    }

    /// Closes the broker; see [`Broker::close`](crate::Broker::close).
    pub(crate) fn close(&self, within: Duration) -> CloseReport {
        let until = HostDeadline::within(within);
        if !self.begin_close() {
            return self.await_close(until);
        }
        let report = CloseReport { unfinished: true, ..CloseReport::default() };
        let mut reporting = Reporting { broker: self, report };
        self.end_consumers();
        let pools = self.pools();
        let mut watch = self.context.progress.watch();
        let report = loop {
            let report = self.in_hand(&pools);
            if report.is_clean() && pools.iter().all(|pool| pool.is_over()) {
                // A consumer that is starting may be handed something yet, and gives it back.
                break report;
            }
            if !watch.wait(until) {
                self.context.enter(Phase::Closed);
                break self.in_hand(&pools);
            }
        };
        // While channels are open, so that they tell what was confirmed.
        let _ = self.context.sync(until);
        self.context.enter(Phase::Closed);
        reporting.report = CloseReport { unfinished: true, ..report };
        let (messages_lost, unconfirmed) = self.end(until);
        let report = CloseReport { unconfirmed, messages_lost, ..report };
        reporting.report = report;
        // Told before threads are joined: what they run at their end may wait for it.
        drop(reporting);
        for pool in &pools {
            pool.join_finished();
        }
        self.context.timers.join();
        report
    }

    /// `false` if somebody has begun before.
    fn begin_close(&self) -> bool {
        let mut state = self.state.lock();
        if state.close.is_some() {
            return false;
        }
        state.close = Some(Close { thread: thread::current().id(), report: None });
        self.context.enter(Phase::Draining);
        true
    }

    /// Waits for the close that somebody else has begun. Says what is in hand if the time is over
    /// first.
    fn await_close(&self, until: HostDeadline) -> CloseReport {
        let mut watch = self.context.progress.watch();
        loop {
            let close = self.state.lock().close.as_ref().map(|close| (close.thread, close.report));
            let (thread, report) = close.expect("a close that has begun is never forgotten");
            if let Some(report) = report {
                return report;
            }
            if thread == thread::current().id() || !watch.wait(until) {
                return CloseReport { unfinished: true, ..self.in_hand(&self.pools()) };
            }
        }
    }

    /// What nobody has settled, and who still works at it.
    fn in_hand(&self, pools: &[Arc<Pool>]) -> CloseReport {
        CloseReport {
            requeued: self.unacked(),
            workers_running: pools.iter().map(|pool| pool.running()).sum(),
            ..CloseReport::default()
        }
    }

    /// Ends everything at once and waits for nobody but the disk. Says how many messages are gone
    /// with it, and how much of what was told is not durable.
    pub(crate) fn end(&self, until: HostDeadline) -> (u64, u64) {
        self.context.enter(Phase::Closed);
        let vhosts: Vec<_> = self.state.lock().vhosts.values().cloned().collect();
        for vhost in &vhosts {
            vhost.close();
        }
        // Whoever waits for room learns that none will come.
        self.context.room.made();
        for connection in self.connections() {
            connection.close(Some(&Error::closed()));
        }
        let (kept, unconfirmed) = self.put_to_rest(&vhosts, until);
        let messages: u64 = vhosts.iter().map(|vhost| vhost.end(EndReason::BrokerClosed)).sum();
        self.context.timers.stop();
        (messages.saturating_sub(kept), unconfirmed)
    }

    /// Has the store know all that there is to be known, and closes it. Says how many messages it
    /// has, and how much of what it was told is not durable.
    fn put_to_rest(&self, vhosts: &[Arc<VhostState>], until: HostDeadline) -> (u64, u64) {
        let Some(journal) = &self.context.journal else { return (0, 0) };
        let queues = vhosts.iter().flat_map(|vhost| vhost.all_queues());
        let kept = queues.map(|queue| queue.put_to_rest()).sum();
        let unconfirmed = journal.close(until);
        self.context.durable.made();
        (if unconfirmed == 0 { kept } else { 0 }, unconfirmed)
    }

    /// Ends every consumer of both tiers; what was not received goes back.
    fn end_consumers(&self) {
        let consumers: Vec<_> = {
            let state = self.state.lock();
            state.consumers.iter().filter_map(Weak::upgrade).collect()
        };
        for consumer in consumers {
            consumer.end(EndReason::BrokerClosed);
        }
        for connection in self.connections() {
            connection.end_consumers();
        }
    }

    fn unacked(&self) -> u64 {
        let vhosts: Vec<_> = self.state.lock().vhosts.values().cloned().collect();
        let queues = vhosts.iter().flat_map(|vhost| vhost.all_queues());
        queues.map(|queue| queue.snapshot().unacked).sum()
    }

    fn connections(&self) -> Vec<Arc<ConnectionState>> {
        self.state.lock().connections.iter().filter_map(Weak::upgrade).collect()
    }

    fn pools(&self) -> Vec<Arc<Pool>> {
        self.state.lock().pools.clone()
    }
}

impl Drop for Reporting<'_> {
    fn drop(&mut self) {
        if let Some(close) = &mut self.broker.state.lock().close {
            close.report = Some(self.report);
        }
        // Those who wait have wakers of their own.
        let _ = shielded(|| self.broker.context.progress.made());
    }
}

fn check_count(limit: &'static str, max: usize, count: usize) -> Result<()> {
    if count >= max {
        let (max, found) = (max as u64, count as u64 + 1);
        return Err(Error::plain(ErrorKind::LimitExceeded { limit, max, found }));
    }
    Ok(())
}

fn vhost_not_found(name: &str) -> Error {
    Error::not_found(Entity::VirtualHost, name, &Name::from(name))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use crate::Broker;

    #[test]
    fn consumers_that_have_ended_are_forgotten_in_time() {
        let broker = Broker::new();
        let queue = broker.declare_queue("q").declare().unwrap();
        let stays = queue.consume().start().unwrap();
        for _ in 0..10_000 {
            drop(queue.consume().start().unwrap());
        }
        let known = broker.state().state.lock().consumers.len();
        assert!((1..100).contains(&known), "{known} are remembered, for one that is there");
        assert!(stays.end().is_none());
    }
}
