//! Bindings of the handle tier.

use std::sync::Arc;

use super::{exchange::Exchange, exchange_cell::Target, queue::Queue, vhost::VirtualHost};
use crate::{
    Entity, Error, Name, Result, Table, Value,
    engine::entity::{Endpoint, OwnerId},
};

/// Where a binding or dead letters lead; made from `&Queue` or `&Exchange`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Destination {
    /// To an exchange, which routes on.
    Exchange(Exchange),
    /// To a queue.
    Queue(Queue),
}

impl Destination {
    pub(crate) fn endpoint(&self) -> Endpoint {
        match self {
            Self::Exchange(exchange) => Endpoint::Exchange(Name::from(exchange.name())),
            Self::Queue(queue) => Endpoint::Queue(Name::from(queue.name())),
        }
    }

    /// What it is refused with where one of this virtual host is needed.
    pub(crate) fn foreign_to(&self, vhost: &VirtualHost) -> Option<Error> {
        match self {
            Self::Exchange(exchange) => {
                vhost.foreign(exchange.vhost(), Entity::Exchange, exchange.name())
            }
            Self::Queue(queue) => vhost.foreign(queue.vhost(), Entity::Queue, queue.name()),
        }
    }

    /// What the handle stands for; nothing for the default exchange.
    pub(crate) fn target(&self) -> Option<Target> {
        match self {
            Self::Exchange(exchange) => exchange.source().target(),
            Self::Queue(queue) => Some(Target::Queue(Arc::clone(queue.cell()))),
        }
    }

    /// As whom to bind it: who holds a handle to a temporary queue may.
    pub(crate) fn actor(&self) -> Option<OwnerId> {
        match self {
            Self::Exchange(_) => None,
            Self::Queue(queue) => queue.cell().definition.owner,
        }
    }
}

impl From<&Exchange> for Destination {
    fn from(exchange: &Exchange) -> Self {
        Self::Exchange(exchange.clone())
    }
}

impl From<&Queue> for Destination {
    fn from(queue: &Queue) -> Self {
        Self::Queue(queue.clone())
    }
}

/// What a binding matches: a key or pattern (from `&str`), or headers.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// use leveret::{BindingKey, Broker, Message, Value};
///
/// let broker = Broker::new();
/// let reports = broker.declare_exchange("reports").headers().declare()?;
/// let pdf = broker.declare_queue("pdf").declare()?;
/// reports.bind(&pdf, BindingKey::all([("format", Value::from("pdf")), ("draft", Value::Void)]))?;
///
/// let report = Message::new("%PDF").with_header("format", "pdf");
/// assert_eq!(reports.publish("", report.clone())?.queues, 0);
/// assert_eq!(reports.publish("", report.with_header("draft", true))?.queues, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct BindingKey {
    pub(crate) key: Name,
    pub(crate) arguments: Table,
}

impl BindingKey {
    /// Matches messages that have all of these headers. A [`Void`](Value::Void) asks for presence
    /// only. Names that begin with `x-` are not compared.
    pub fn all(headers: impl Into<Table>) -> Self {
        Self { key: Name::default(), arguments: headers.into() }.argument("x-match", "all")
    }

    /// Matches messages that have at least one of these headers.
    pub fn any(headers: impl Into<Table>) -> Self {
        Self { key: Name::default(), arguments: headers.into() }.argument("x-match", "any")
    }

    /// Adds an argument. Arguments are part of a binding's identity, on every kind of exchange.
    #[must_use]
    pub fn argument(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.arguments.insert(name, value);
        self
    }
}

impl From<&str> for BindingKey {
    fn from(key: &str) -> Self {
        Self { key: Name::from(key), arguments: Table::new() }
    }
}

impl From<&String> for BindingKey {
    fn from(key: &String) -> Self {
        key.as_str().into()
    }
}

/// A binding. Dropping the handle leaves it in place.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// use leveret::{Broker, Message};
///
/// let broker = Broker::new();
/// let events = broker.declare_exchange("events").fanout().declare()?;
/// let binding = events.bind(&broker.declare_queue("log").declare()?, "")?;
/// binding.unbind()?;
/// assert_eq!(events.publish("", Message::new("unheard"))?.queues, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Binding {
    exchange: Exchange,
    to: Destination,
    key: BindingKey,
}

impl Binding {
    pub(crate) fn new(exchange: Exchange, to: Destination, key: BindingKey) -> Self {
        Self { exchange, to, key }
    }

    /// Takes it away; no error if it is gone already.
    ///
    /// # Errors
    ///
    /// `Closed`.
    pub fn unbind(&self) -> Result<()> {
        self.exchange.remove_binding(&self.to, &self.key)
    }
}
