//! An exchange in its lock, and the places that messages are routed to.

use std::sync::{Arc, Weak};

use super::{
    cell::QueueCell, journal::StoredExchange, registry::TargetId, tally::Tally,
    vhost_state::VhostState,
};
use crate::{
    Name, Table,
    engine::{
        definition::ExchangeDefinition,
        entity::Endpoint,
        routing::{Router, Routes},
    },
    sync::{Rank, RwLock},
};

/// One exchange of a virtual host.
#[derive(Debug)]
pub(crate) struct ExchangeCell {
    pub(crate) name: Name,
    pub(crate) definition: ExchangeDefinition,
    /// Distinguishes it from all other targets of routing that are alive.
    slot: usize,
    /// Weak, since the virtual host owns its exchanges.
    vhost: Weak<VhostState>,
    pub(crate) tally: Tally,
    /// What the store of the broker knows it by, if it is durable and there is one.
    pub(crate) stored: Option<StoredExchange>,
    state: RwLock<ExchangeState>,
}

#[derive(Debug)]
struct ExchangeState {
    router: Router<TargetId>,
    /// Set once, when the exchange is deleted.
    is_deleted: bool,
}

/// Where a binding leads.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Exchange(Arc<ExchangeCell>),
    Queue(Arc<QueueCell>),
}

/// The exchange has been deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExchangeGone;

impl ExchangeCell {
    pub(crate) fn new(
        name: Name,
        definition: ExchangeDefinition,
        vhost: &Arc<VhostState>,
        stored: Option<StoredExchange>,
    ) -> Arc<Self> {
        let router = Router::new(definition.kind);
        let state = RwLock::new(Rank::Exchange, ExchangeState { router, is_deleted: false });
        let (slot, vhost) = (vhost.take_slot(), Arc::downgrade(vhost));
        Arc::new(Self { name, definition, slot, vhost, tally: Tally::default(), stored, state })
    }

    pub(crate) fn bind(&self, key: &Name, arguments: &Table, target: TargetId) {
        self.state.write().router.bind(key, arguments, target);
    }

    pub(crate) fn unbind(&self, key: &str, arguments: &Table, target: TargetId) {
        self.state.write().router.unbind(key, arguments, &target);
    }

    /// Adds what a message goes to. All its keys see the same bindings. Says whether any binding
    /// matched, also one to a target that was reached before.
    pub(crate) fn route<'k>(
        &self,
        keys: impl Iterator<Item = &'k str>,
        headers: Option<&Table>,
        routes: &mut Routes<TargetId>,
    ) -> Result<bool, ExchangeGone> {
        let state = self.state.read();
        if state.is_deleted {
            return Err(ExchangeGone);
        }
        let offered = routes.offered();
        for key in keys {
            state.router.route(key, headers, routes);
        }
        Ok(routes.offered() > offered)
    }

    /// Ends it: nothing is routed any more, and no binding is kept.
    pub(crate) fn delete(&self) {
        let router = {
            let mut state = self.state.write();
            state.is_deleted = true;
            std::mem::replace(&mut state.router, Router::new(self.definition.kind))
        };
        drop(router);
    }

    pub(crate) fn slot(&self) -> usize {
        self.slot
    }
}

impl Target {
    pub(crate) fn endpoint(&self) -> Endpoint {
        match self {
            Self::Exchange(exchange) => Endpoint::Exchange(exchange.name.clone()),
            Self::Queue(queue) => Endpoint::Queue(queue.name.clone()),
        }
    }

    /// Whether it outlives the broker.
    pub(crate) fn is_durable(&self) -> bool {
        match self {
            Self::Exchange(exchange) => exchange.definition.durable,
            Self::Queue(queue) => queue.definition.durable,
        }
    }

    pub(crate) fn slot(&self) -> usize {
        match self {
            Self::Exchange(exchange) => exchange.slot(),
            Self::Queue(queue) => queue.slot(),
        }
    }
}

impl Drop for ExchangeCell {
    fn drop(&mut self) {
        if let Some(vhost) = self.vhost.upgrade() {
            vhost.free_slot(self.slot);
        }
    }
}
