//! How the refusals of the engine look to the caller.

use super::{cell::QueueCell, membership::ConsumeRefused, vhost_state::VhostState};
use crate::{
    Denial, Entity, Error, ErrorKind, Name,
    engine::{definition::InvalidArgument, entity::Endpoint, topology::TopologyError},
};

/// The error for a refused change of the topology of a virtual host.
pub(crate) fn error(refused: TopologyError, vhost: &Name) -> Error {
    let text = refused.text(vhost);
    let kind = match refused {
        TopologyError::DefaultExchange => ErrorKind::AccessRefused {
            entity: Entity::Exchange,
            name: Name::default(),
            reason: Denial::DefaultExchange,
        },
        TopologyError::InUse(endpoint) => {
            let (entity, name) = parts(endpoint);
            ErrorKind::InUse { entity, name }
        }
        TopologyError::InvalidExchange(name, invalid) => ErrorKind::InvalidArgument {
            entity: Entity::Exchange,
            name,
            argument: invalid.argument,
            text,
        },
        TopologyError::InvalidMatch(_) => ErrorKind::InvalidArgument {
            entity: Entity::Binding,
            name: Name::default(),
            argument: Name::from("x-match"),
            text,
        },
        TopologyError::InvalidQueue(name, invalid) => ErrorKind::InvalidArgument {
            entity: Entity::Queue,
            name,
            argument: invalid.argument(),
            text,
        },
        TopologyError::KeyTooLong(key) => too_long(Entity::Binding, &key),
        TopologyError::Locked(name) => ErrorKind::Locked { entity: Entity::Queue, name },
        TopologyError::Mismatch(endpoint, mismatch) => {
            let (entity, name) = parts(endpoint);
            ErrorKind::Mismatch {
                entity,
                name,
                argument: mismatch.argument,
                expected: mismatch.current,
                found: mismatch.received,
            }
        }
        TopologyError::NameTooLong(endpoint) => {
            let (entity, name) = parts(endpoint);
            too_long(entity, &name)
        }
        TopologyError::NotFound(endpoint) => {
            let (entity, name) = parts(endpoint);
            ErrorKind::NotFound { entity, name }
        }
        TopologyError::ReservedName(endpoint) => {
            let (entity, name) = parts(endpoint);
            ErrorKind::AccessRefused { entity, name, reason: Denial::Reserved }
        }
        TopologyError::ServerNamed(_) => ErrorKind::InvalidArgument {
            entity: Entity::Queue,
            name: Name::default(),
            argument: Name::from("x-queue-type"),
            text,
        },
        TopologyError::SystemExchange(name) => {
            ErrorKind::AccessRefused { entity: Entity::Exchange, name, reason: Denial::System }
        }
        TopologyError::UnknownExchangeType(kind) => ErrorKind::UnknownExchangeType { kind },
    };
    Error::new(kind, vhost)
}

/// The error for a consumer that a queue does not take.
pub(crate) fn consume(refused: ConsumeRefused, cell: &QueueCell, vhost: &VhostState) -> Error {
    let name = cell.name.clone();
    let kind = match refused {
        ConsumeRefused::Deleted => ErrorKind::NotFound { entity: Entity::Queue, name },
        ConsumeRefused::InExclusiveUse => {
            ErrorKind::AccessRefused { entity: Entity::Queue, name, reason: Denial::ExclusiveUse }
        }
        ConsumeRefused::Limit => {
            let max = vhost.context.limits.consumers as u64;
            ErrorKind::LimitExceeded { limit: "consumers", max, found: max + 1 }
        }
    };
    Error::new(kind, &vhost.name)
}

/// The error for an argument of a consumer.
pub(crate) fn consumer_argument(queue: &Name, invalid: InvalidArgument, vhost: &Name) -> Error {
    let text = invalid.text(&Endpoint::Queue(queue.clone()).in_vhost(vhost));
    let argument = invalid.argument;
    let kind = ErrorKind::InvalidArgument {
        entity: Entity::Consumer,
        name: queue.clone(),
        argument,
        text,
    };
    Error::new(kind, vhost)
}

/// The error for a name that does not fit AMQP's short string.
pub(crate) fn too_long(entity: Entity, name: &str) -> ErrorKind {
    let name = shortened(name);
    ErrorKind::InvalidName { entity, name, reason: "it is longer than 255 bytes" }
}

/// As much of a name as fits AMQP's short string.
pub(crate) fn shortened(name: &str) -> Name {
    Name::from(name.get(..name.floor_char_boundary(Name::BYTES_MAX)).unwrap_or_default())
}

/// The error for a binding of a handle. `RabbitMQ`'s text for a bad argument names neither side,
/// so they are added, which a channel does not do.
pub(crate) fn of_binding(error: Error, from: &Name, to: &Endpoint, vhost: &Name) -> Error {
    let ErrorKind::InvalidArgument { entity: Entity::Binding, name, argument, text } = error.kind()
    else {
        return error;
    };
    let from = Endpoint::Exchange(from.clone());
    let kind = ErrorKind::InvalidArgument {
        entity: Entity::Binding,
        name: name.clone(),
        argument: argument.clone(),
        text: format!("{text}, in a binding of {to} to {}", from.in_vhost(vhost)),
    };
    Error::new(kind, vhost)
}

fn parts(endpoint: Endpoint) -> (Entity, Name) {
    match endpoint {
        Endpoint::Exchange(name) => (Entity::Exchange, name),
        Endpoint::Queue(name) => (Entity::Queue, name),
    }
}
