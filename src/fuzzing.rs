//! The bridge from the fuzz targets to what the crate keeps to itself, compiled only under
//! `cfg(fuzzing)`; not a part of the interface.

use crate::{
    Broker, Channel, ExchangeKind, Name, Table,
    engine::{
        queue::model::{Life, Step},
        routing::{self, Routes, Target},
    },
};

/// A target of bindings that is nothing but its number.
#[derive(Clone, Copy, Debug)]
struct Slot(usize);

impl Target for Slot {
    fn slot(self) -> usize {
        self.0
    }
}

/// The bindings of one exchange, whose targets are small numbers.
#[derive(Debug)]
pub struct Router {
    router: routing::Router<Slot>,
    /// Kept from message to message, as a publisher does, so that what one leaves is met by the
    /// next.
    routes: Routes<Slot>,
}

impl Router {
    /// A router without bindings.
    #[must_use]
    pub fn new(kind: ExchangeKind) -> Self {
        Self { router: routing::Router::new(kind), routes: Routes::new() }
    }

    /// Adds a binding that is not there yet; `x-match` has to be a known one.
    pub fn bind(&mut self, key: &str, arguments: &Table, target: usize) {
        self.router.bind(&Name::from(key), arguments, Slot(target));
    }

    /// Removes a binding that is there.
    pub fn unbind(&mut self, key: &str, arguments: &Table, target: usize) {
        self.router.unbind(key, arguments, &Slot(target));
    }

    /// The targets of a message in the order found, each at most once.
    pub fn route(&mut self, key: &str, headers: Option<&Table>) -> Vec<usize> {
        self.routes.clear();
        self.router.route(key, headers, &mut self.routes);
        self.routes.as_slice().iter().map(|slot| slot.0).collect()
    }

    /// Whether nothing is bound.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.router.is_empty()
    }

    /// Panics if the arrangement contradicts itself.
    pub fn check_invariants(&self) {
        self.router.check_invariants();
    }
}

/// The life of one queue beside a reference: any bytes describe the queue and what happens to it.
/// Panics where the two differ.
pub fn queue_life(program: &[u8]) {
    let Some((config, steps)) = program.split_first_chunk() else { return };
    let mut life = Life::new(*config);
    for step in steps.as_chunks().0 {
        life.step(Step::decode(*step));
    }
    life.end();
}

/// Panics if a broker contradicts itself.
pub fn check_broker(broker: &Broker) {
    broker.state().default.check_invariants();
}

/// Panics if a channel contradicts itself.
pub fn check_channel(channel: &Channel) {
    channel.check_invariants();
}
