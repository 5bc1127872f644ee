//! What is kept for each exchange and queue.

use std::{collections::BTreeMap, sync::Arc};

use crate::engine::{
    definition::{ExchangeDeclaration, ExchangeDefinition, QueueDefinition},
    routing::ExchangeKind,
};

use super::BindingSpec;

/// A number that bindings get in the order of their making, and never twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Serial(u64);

impl Serial {
    /// The number, which is counted on for the next binding.
    pub(super) fn take(&mut self) -> Self {
        let taken = *self;
        self.0 += 1;
        taken
    }
}

/// The bindings on one side of an exchange or queue, oldest first.
pub(super) type Bindings = BTreeMap<Serial, Arc<BindingSpec>>;

#[derive(Debug)]
pub(super) struct ExchangeRecord {
    pub(super) definition: ExchangeDefinition,
    /// Bindings that lead away from the exchange; the last of them takes an auto-delete one along.
    pub(super) outgoing: Bindings,
    /// Bindings that lead to the exchange, and go when it goes.
    pub(super) incoming: Bindings,
}

#[derive(Debug)]
pub(super) struct QueueRecord {
    pub(super) definition: QueueDefinition,
    /// Bindings that lead to the queue, and go when it goes.
    pub(super) incoming: Bindings,
}

impl ExchangeRecord {
    pub(super) fn new(definition: ExchangeDefinition) -> Self {
        Self { definition, outgoing: Bindings::new(), incoming: Bindings::new() }
    }
}

impl QueueRecord {
    pub(super) fn new(definition: QueueDefinition) -> Self {
        Self { definition, incoming: Bindings::new() }
    }
}

/// The exchanges that every vhost has from the start.
///
/// The default exchange is not among them: it is bound to every queue under the name of the
/// queue, which nobody can change, so there is nothing to keep.
pub(super) fn predeclared() -> [(&'static str, ExchangeDeclaration); 6] {
    let durable = |kind| ExchangeDeclaration { durable: true, ..ExchangeDeclaration::new(kind) };
    let trace = ExchangeDeclaration { internal: true, ..durable(ExchangeKind::Topic) };
    [
        ("amq.direct", durable(ExchangeKind::Direct)),
        ("amq.fanout", durable(ExchangeKind::Fanout)),
        ("amq.headers", durable(ExchangeKind::Headers)),
        ("amq.match", durable(ExchangeKind::Headers)),
        ("amq.rabbitmq.trace", trace),
        ("amq.topic", durable(ExchangeKind::Topic)),
    ]
}
