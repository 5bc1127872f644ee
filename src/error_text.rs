//! What errors say: the texts of `RabbitMQ` where it knows the mistake.

use std::fmt;

use crate::{
    Denial, DirectReplyFault, Entity, Error, ErrorKind, Name,
    engine::{self, definition::Mismatch},
};

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, vhost) = self.parts();
        match kind {
            ErrorKind::AccessRefused { entity, name, reason } => {
                f.write_str(&denied(*reason, *entity, name, vhost))
            }
            ErrorKind::AlreadyExists { entity, name } => {
                write!(f, "{entity} '{name}' exists already")
            }
            ErrorKind::Closed => f.write_str("the broker, connection or channel is closed"),
            ErrorKind::ConsumerEnded { reason } => {
                write!(f, "the consumer has ended: {reason}")
            }
            ErrorKind::DeadLettered { limit } => write!(
                f,
                "no room in the queue, the bound is '{limit}', and it is a dead letter now"
            ),
            ErrorKind::DirectReply(fault) => f.write_str(match fault {
                DirectReplyFault::AlreadyConsuming => "reply consumer already set",
                DirectReplyFault::NeedsAutoAck => "reply consumer cannot acknowledge",
                DirectReplyFault::NoConsumer => "fast reply consumer does not exist",
            }),
            ErrorKind::DuplicateConsumerTag { consumer_tag } => {
                write!(f, "attempt to reuse consumer tag '{consumer_tag}'")
            }
            ErrorKind::Foreign { entity, name } => {
                write!(f, "{entity} '{name}' is not of vhost '{vhost}', but of another")
            }
            ErrorKind::Full { limit } => write!(f, "no room now, the bound is '{limit}'"),
            ErrorKind::InUse { entity, name } => {
                write!(f, "{entity} '{name}' in vhost '{vhost}' in use")
            }
            ErrorKind::InvalidArgument { text, .. }
            | ErrorKind::InvalidMessage { text, .. }
            | ErrorKind::StoreUnusable { text, .. } => f.write_str(text),
            ErrorKind::InvalidName { entity: Entity::Binding | Entity::Message, name, reason } => {
                write!(f, "invalid routing key '{name}': {reason}")
            }
            ErrorKind::InvalidName { entity, name, reason } => {
                write!(f, "invalid {entity} name '{name}': {reason}")
            }
            ErrorKind::Lapsed { queue } => write!(
                f,
                "the delivery was unsettled for too long and has gone back to queue '{queue}'"
            ),
            ErrorKind::LimitExceeded { limit, max, found } => {
                write!(f, "'{limit}' is {max}, but this would come to {found}")
            }
            ErrorKind::Locked { entity, name } => write!(
                f,
                "cannot obtain exclusive access to locked {entity} '{name}' in vhost '{vhost}'. It \
                 could be originally declared on another connection or the exclusive property \
                 value does not match that of the original declaration."
            ),
            ErrorKind::Mismatch { entity, name, argument, expected, found } => {
                let mismatch = Mismatch {
                    argument: argument.clone(),
                    received: found.clone(),
                    current: expected.clone(),
                };
                f.write_str(&mismatch.text(&format!("{entity} '{name}' in vhost '{vhost}'")))
            }
            ErrorKind::NoPreviousQueue => f.write_str("no previously declared queue"),
            ErrorKind::NoResponder => f.write_str("nobody serves the queues that it reaches"),
            ErrorKind::NotEmpty { queue } => {
                write!(f, "queue '{queue}' in vhost '{vhost}' not empty")
            }
            ErrorKind::NotFound { entity: Entity::VirtualHost, name } => {
                write!(f, "no vhost '{name}'")
            }
            ErrorKind::NotFound { entity, name } => {
                write!(f, "no {entity} '{name}' in vhost '{vhost}'")
            }
            ErrorKind::NotImplemented { what } => f.write_str(what),
            ErrorKind::PartialCommit => f.write_str("partial tx completion"),
            ErrorKind::StoreFailed { text } => write!(f, "the store failed: {text}"),
            ErrorKind::SingleActive { queue } => write!(
                f,
                "cannot obtain access to locked queue '{queue}' in vhost '{vhost}'. basic.get \
                 operations are not supported by quorum queues with single active consumer"
            ),
            ErrorKind::Thread { text } => write!(f, "a thread could not be started: {text}"),
            ErrorKind::Timeout => f.write_str("nothing happened within the time given"),
            ErrorKind::UnknownDelivery { delivery_tag } => {
                write!(f, "unknown delivery tag {delivery_tag}")
            }
            ErrorKind::UnknownExchangeType { kind } => {
                f.write_str(&engine::topology::unknown_exchange_type(kind))
            }
            ErrorKind::Unroutable => f.write_str("no queue was reached"),
            ErrorKind::WrongMode { reason } => f.write_str(reason),
        }
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Binding => "binding",
            Self::Channel => "channel",
            Self::Connection => "connection",
            Self::Consumer => "consumer",
            Self::Exchange => "exchange",
            Self::Message => "message",
            Self::Queue => "queue",
            Self::VirtualHost => "vhost",
        })
    }
}

fn denied(reason: Denial, entity: Entity, name: &Name, vhost: &Name) -> String {
    match reason {
        Denial::DefaultExchange => "operation not permitted on the default exchange".to_owned(),
        Denial::ExclusiveUse => format!("{entity} '{name}' in vhost '{vhost}' in exclusive use"),
        Denial::Internal => {
            format!("cannot publish to internal exchange '{name}' in vhost '{vhost}'")
        }
        Denial::Reserved => format!("{entity} name '{name}' contains reserved prefix 'amq.*'"),
        Denial::System => {
            format!("deletion of system {entity} '{name}' in vhost '{vhost}' not allowed")
        }
    }
}
