//! What can not be done to a topology, and how `RabbitMQ` words it.

use crate::{
    Name,
    engine::{
        definition::{InvalidArgument, InvalidQueue, Mismatch, QueueType},
        entity::Endpoint,
        routing::InvalidMatch,
    },
};

/// Why an operation on the topology was refused. Nothing was changed then.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TopologyError {
    /// The default exchange can not be declared, bound, unbound or deleted. 403.
    DefaultExchange,
    /// An exchange that others are bound to was to be deleted only if unused. 406.
    InUse(Endpoint),
    /// An argument of an exchange can not be accepted. 406.
    InvalidExchange(Name, Box<InvalidArgument>),
    /// The arguments of a binding are none for its source. 406.
    InvalidMatch(InvalidMatch),
    /// An argument or property of a queue can not be accepted. 406.
    InvalidQueue(Name, Box<InvalidQueue>),
    /// A binding key that no AMQP client could send. 406.
    KeyTooLong(Name),
    /// An exclusive queue of another connection, or a redeclaration which is exclusive where the
    /// queue is not or the other way round. 405.
    Locked(Name),
    /// What exists is not what is declared. 406.
    Mismatch(Endpoint, Box<Mismatch>),
    /// A name that no AMQP client could send. 406.
    NameTooLong(Endpoint),
    /// An exchange or queue that does not exist. 404.
    NotFound(Endpoint),
    /// The name of something new begins with `amq.`. 403.
    ReservedName(Endpoint),
    /// Queues of this type do not get their name from the broker. 406.
    ServerNamed(QueueType),
    /// An exchange of the broker itself was to be deleted. 403.
    SystemExchange(Name),
    /// No exchange type has this name. 503, which closes the connection.
    UnknownExchangeType(Name),
}

impl TopologyError {
    /// The text that follows the name of the reply code, such as `no queue 'q' in vhost '/'`.
    pub(crate) fn text(&self, vhost: &str) -> String {
        match self {
            Self::DefaultExchange => "operation not permitted on the default exchange".to_owned(),
            Self::InUse(endpoint) => format!("{} in use", endpoint.in_vhost(vhost)),
            Self::InvalidExchange(name, invalid) => invalid.text(&exchange(name, vhost)),
            Self::InvalidMatch(invalid) => invalid.to_string(),
            Self::InvalidQueue(name, invalid) => invalid.text(&queue(name, vhost)),
            Self::KeyTooLong(key) => {
                format!("routing key '{key}' is longer than {} bytes", Name::BYTES_MAX)
            }
            Self::Locked(name) => format!(
                "cannot obtain exclusive access to locked {}. It could be originally declared on \
                 another connection or the exclusive property value does not match that of the \
                 original declaration.",
                queue(name, vhost)
            ),
            Self::Mismatch(endpoint, mismatch) => mismatch.text(&endpoint.in_vhost(vhost)),
            Self::NameTooLong(endpoint) => {
                format!("name of {endpoint} is longer than {} bytes", Name::BYTES_MAX)
            }
            Self::NotFound(endpoint) => format!("no {}", endpoint.in_vhost(vhost)),
            Self::ReservedName(endpoint) => {
                let (kind, name) = (endpoint.kind(), endpoint.name());
                format!("{kind} name '{name}' contains reserved prefix 'amq.*'")
            }
            Self::ServerNamed(queue_type) => {
                format!("Cannot declare a server-named queue for type {}", queue_type.module())
            }
            Self::SystemExchange(name) => {
                format!("deletion of system {} not allowed", exchange(name, vhost))
            }
            Self::UnknownExchangeType(name) => unknown_exchange_type(name),
        }
    }
}

/// Nobody knows the empty type either, but the reference has another word for it.
pub(crate) fn unknown_exchange_type(kind: &str) -> String {
    let word = if kind.is_empty() { "invalid" } else { "unknown" };
    format!("{word} exchange type '{kind}'")
}

fn exchange(name: &Name, vhost: &str) -> String {
    Endpoint::Exchange(name.clone()).in_vhost(vhost)
}

fn queue(name: &Name, vhost: &str) -> String {
    Endpoint::Queue(name.clone()).in_vhost(vhost)
}
