//! Describes an exchange.

use super::{exchange::Exchange, publish::Source, vhost::VirtualHost};
use crate::{
    Entity, Error, ExchangeKind, Name, Result, Table, Value,
    engine::{definition::ExchangeDeclaration, topology},
};

/// Describes an exchange; `direct` unless told otherwise.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// use leveret::{Broker, ExchangeKind};
///
/// let broker = Broker::new();
/// let lost = broker.declare_exchange("lost").fanout().declare()?;
/// let orders = broker.declare_exchange("orders").topic().alternate(&lost).declare()?;
/// assert_eq!(orders.name(), "orders");
/// // Declaring it again finds it, with other settings it does not.
/// assert!(broker.declare_exchange("orders").topic().declare().unwrap_err().is_mismatch());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing happens before declare()"]
pub struct ExchangeBuilder {
    vhost: VirtualHost,
    name: Name,
    kind: Name,
    durable: bool,
    auto_delete: bool,
    internal: bool,
    arguments: Table,
    /// What the alternate exchange is refused with, if it is of another virtual host.
    foreign: Option<Error>,
}

impl ExchangeBuilder {
    pub(crate) fn new(vhost: VirtualHost, name: &str) -> Self {
        Self {
            vhost,
            name: Name::from(name),
            kind: Name::from(ExchangeKind::Direct.as_str()),
            durable: false,
            auto_delete: false,
            internal: false,
            arguments: Table::new(),
            foreign: None,
        }
    }

    /// A binding matches by equal key. The default.
    pub fn direct(self) -> Self {
        self.kind(ExchangeKind::Direct.as_str())
    }

    /// Every binding matches.
    pub fn fanout(self) -> Self {
        self.kind(ExchangeKind::Fanout.as_str())
    }

    /// Bindings are patterns of words separated by dots, where `*` stands for one word and `#` for
    /// any number of words.
    pub fn topic(self) -> Self {
        self.kind(ExchangeKind::Topic.as_str())
    }

    /// Bindings compare headers; see [`BindingKey::all`](crate::BindingKey::all).
    pub fn headers(self) -> Self {
        self.kind(ExchangeKind::Headers.as_str())
    }

    /// A kind by its AMQP name.
    pub fn kind(mut self, name: &str) -> Self {
        self.kind = Name::from(name);
        self
    }

    /// Outlives the process, when the broker persists. Until then it is kept in memory.
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Goes away when its last outgoing binding does. One that never had any stays.
    pub fn auto_delete(mut self) -> Self {
        self.auto_delete = true;
        self
    }

    /// Takes messages from other exchanges only.
    pub fn internal(mut self) -> Self {
        self.internal = true;
        self
    }

    /// Where messages go that match no binding here. The exchange is looked up by name for each of
    /// them, so one that is deleted and declared again is found again. One of another virtual host
    /// is refused at `declare`.
    pub fn alternate(mut self, exchange: &Exchange) -> Self {
        self.foreign = self.vhost.foreign(exchange.vhost(), Entity::Exchange, exchange.name());
        self.argument("alternate-exchange", exchange.name())
    }

    /// Any argument by its AMQP name. Those that nobody knows are kept and ignored.
    pub fn argument(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.arguments.insert(name, value);
        self
    }

    /// Creates the exchange, or finds it if it exists with equal settings.
    ///
    /// # Errors
    ///
    /// `Mismatch` if it exists with other settings; `AccessRefused` (reserved name, default
    /// exchange); `UnknownExchangeType`, `InvalidArgument`, `InvalidName`, `LimitExceeded`,
    /// `Foreign`, `Closed`.
    pub fn declare(self) -> Result<Exchange> {
        if let Some(foreign) = self.foreign {
            return Err(foreign);
        }
        let vhost = self.vhost.state();
        let kind = topology::exchange_kind(&self.kind).map_err(|error| vhost.error(error))?;
        let declaration = ExchangeDeclaration {
            kind,
            durable: self.durable,
            auto_delete: self.auto_delete,
            internal: self.internal,
            arguments: self.arguments,
        };
        let cell = vhost.declare_exchange(&self.name, declaration)?;
        Ok(Exchange::new(Source::Exchange(cell), self.vhost))
    }
}
