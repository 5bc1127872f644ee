//! Virtual hosts of the handle tier.

use std::{fmt, sync::Arc};

use super::{
    bounds,
    connection::{ConnectOptions, Connection},
    connection_state::ConnectionState,
    exchange::Exchange,
    exchange_builder::ExchangeBuilder,
    lease::Lease,
    publish::Source,
    queue::Queue,
    queue_builder::QueueBuilder,
    queue_stats::QueueStats,
    transaction::Transaction,
    vhost_state::VhostState,
};
use crate::{Entity, Error, ErrorKind, Name, Result};

/// An isolated set of exchanges, queues and bindings.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// use leveret::Broker;
///
/// let broker = Broker::new();
/// let staging = broker.create_vhost("staging")?;
/// staging.declare_queue("orders").declare()?;
/// assert!(broker.queue("orders").unwrap_err().is_not_found());
/// broker.delete_vhost("staging")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct VirtualHost {
    state: Arc<VhostState>,
    lease: Lease,
}

impl VirtualHost {
    pub(crate) fn new(state: Arc<VhostState>, lease: Lease) -> Self {
        Self { state, lease }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// Describes an exchange; [`declare`](ExchangeBuilder::declare) creates it, or finds it if it
    /// exists with equal settings.
    pub fn declare_exchange(&self, name: &str) -> ExchangeBuilder {
        ExchangeBuilder::new(self.clone(), name)
    }

    /// Describes a queue; [`declare`](QueueBuilder::declare) creates it, or finds it if it exists
    /// with equal settings. The empty name lets the broker choose one.
    pub fn declare_queue(&self, name: &str) -> QueueBuilder {
        QueueBuilder::new(self.clone(), name)
    }

    /// Finds an exchange, whatever its settings. The empty name is the default exchange.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Closed`.
    pub fn exchange(&self, name: &str) -> Result<Exchange> {
        self.state.check_open()?;
        let source = match name {
            "" => Source::Default,
            name => Source::Exchange(self.state.exchange(name)?),
        };
        Ok(Exchange::new(source, self.clone()))
    }

    /// Finds a queue, whatever its settings.
    ///
    /// # Errors
    ///
    /// `NotFound`; `Locked` if it belongs to a connection or is temporary; `Closed`.
    pub fn queue(&self, name: &str) -> Result<Queue> {
        self.state.check_open()?;
        Ok(Queue::new(self.state.queue(name, None)?, self.clone(), None))
    }

    /// The exchange that routes to the queue named by the key.
    #[must_use]
    pub fn default_exchange(&self) -> Exchange {
        Exchange::new(Source::Default, self.clone())
    }

    /// Short for `declare_queue("").temporary().declare()`: a queue with a name chosen by the
    /// broker that goes away with its last handle or consumer.
    ///
    /// # Errors
    ///
    /// `LimitExceeded`, `Closed`.
    pub fn temporary_queue(&self) -> Result<Queue> {
        self.declare_queue("").temporary().declare()
    }

    /// The sums over all its queues, those included that are deleted, exact whenever no call is in
    /// progress: these counters never fall. Each queue is looked at for as long as its counts are
    /// copied, one after the other.
    #[must_use]
    pub fn stats(&self) -> QueueStats {
        self.state.stats()
    }

    /// Collects publishes and settlements that take effect together at
    /// [`commit`](Transaction::commit).
    pub fn transaction(&self) -> Transaction {
        Transaction::new(self.clone())
    }

    /// Opens a connection of the channel tier.
    ///
    /// # Errors
    ///
    /// `LimitExceeded`, `InvalidName` for the user, `Closed`.
    pub fn connect(&self, options: ConnectOptions) -> Result<Connection> {
        self.state.check_open()?;
        bounds::check_name(Entity::Connection, &options.user)?;
        let ConnectOptions { user, cancel_notify } = options;
        let state = Arc::new(ConnectionState::new(Arc::clone(&self.state), user, cancel_notify));
        self.lease.broker().add_connection(&state)?;
        let connection = Connection::new(state, self.lease.clone());
        // Whoever has closed the broker in between may not have seen it; dropping it closes it.
        self.state.check_open()?;
        Ok(connection)
    }

    /// What a handle of `other` is refused with where one of this virtual host is needed; nothing
    /// if it is of this one.
    pub(crate) fn foreign(&self, other: &Self, entity: Entity, name: &str) -> Option<Error> {
        if Arc::ptr_eq(&self.state, &other.state) {
            return None;
        }
        let kind = ErrorKind::Foreign { entity, name: Name::from(name) };
        Some(Error::new(kind, &self.state.name))
    }

    pub(crate) fn state(&self) -> &Arc<VhostState> {
        &self.state
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }
}

impl fmt::Debug for VirtualHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VirtualHost").field(&self.name()).finish()
    }
}
