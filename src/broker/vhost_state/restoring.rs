//! What a store remembers of a virtual host, made again.

use std::sync::Arc;

use super::VhostState;
use crate::{
    Name, Result,
    broker::{
        cell::QueueCell,
        exchange_cell::ExchangeCell,
        journal::{Serial, StoredExchange, StoredQueue},
    },
    engine::{
        definition::{ExchangeDeclaration, QueueDeclaration, QueueDefinition},
        topology::{BindingSpec, Change},
    },
};

impl VhostState {
    pub(crate) fn restore_exchange(
        self: &Arc<Self>,
        name: &Name,
        declaration: ExchangeDeclaration,
        stored: StoredExchange,
    ) -> Result<Arc<ExchangeCell>> {
        let mut topology = self.change();
        topology.declare_exchange(name, declaration).map_err(|error| self.error(error))?;
        let definition = topology.exchange(name).expect("it was declared just now").clone();
        let cell = ExchangeCell::new(name.clone(), definition, self, Some(stored));
        self.enter_exchange(name.clone(), Arc::clone(&cell));
        Ok(cell)
    }

    pub(crate) fn restore_queue(
        self: &Arc<Self>,
        name: &Name,
        declaration: QueueDeclaration,
        stored: impl FnOnce(&QueueDefinition) -> StoredQueue,
    ) -> Result<Arc<QueueCell>> {
        let mut topology = self.change();
        topology.restore_queue(name, declaration).map_err(|error| self.error(error))?;
        let definition = topology.queue(name).expect("it was declared just now").clone();
        let stored = stored(&definition);
        let cell = QueueCell::new(name.clone(), definition, self, Some(stored));
        self.enter_queue(name.clone(), &cell);
        Ok(cell)
    }

    pub(crate) fn restore_binding(&self, spec: BindingSpec, serial: Serial) -> Result<()> {
        let mut changes = Vec::new();
        let mut topology = self.change();
        topology.bind(None, spec, &mut changes).map_err(|error| self.error(error))?;
        for change in changes {
            if let Change::Bound(spec) = change {
                let source = self.exchanges.find(spec.source()).expect("bound exchanges exist");
                source.bind(spec.key(), spec.arguments(), self.id(spec.destination()));
                if let Some(stored) = &self.stored {
                    stored.know((*spec).clone(), serial);
                }
            }
        }
        Ok(())
    }
}
