//! How exchanges and queues end.

use std::sync::Arc;

use super::{IfUnused, VhostState};
use crate::{
    Entity, Error, ErrorKind, Name, Result,
    broker::{
        cell::QueueCell,
        changing::Changing,
        consumer::EndReason,
        exchange_cell::ExchangeCell,
        journal::{Position, Story},
    },
    engine::{
        entity::{OwnerId, without_line_breaks},
        queue::{DeleteConditions, DeleteRefused},
    },
    time::Moment,
};

impl VhostState {
    /// Deletes an exchange with its bindings; no error if there is none.
    pub(crate) fn delete_exchange(&self, name: &str, condition: IfUnused) -> Result<()> {
        let name = without_line_breaks(Name::from(name));
        self.end_exchange(self.change(), &name, condition)
    }

    /// Deletes this very exchange, not another one that has got its name meanwhile.
    pub(crate) fn delete_this_exchange(
        &self,
        cell: &Arc<ExchangeCell>,
        condition: IfUnused,
    ) -> Result<()> {
        let topology = self.change();
        match self.exchanges.find(&cell.name) {
            Some(found) if Arc::ptr_eq(&found, cell) => {
                self.end_exchange(topology, &cell.name, condition)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Deletes a queue with its bindings and says how many messages were ready; zero if there is
    /// none.
    pub(crate) fn delete_queue(
        &self,
        name: &str,
        actor: Option<OwnerId>,
        conditions: DeleteConditions,
    ) -> Result<u64> {
        let name = without_line_breaks(Name::from(name));
        let topology = self.change();
        let Some(cell) = self.queues.find(&name) else { return Ok(0) };
        if !cell.definition.is_open_to(actor) {
            return Err(self.locked(&cell.name));
        }
        self.end_queue(topology, &cell, conditions, EndReason::QueueDeleted)
    }

    /// Deletes this very queue, not another one that has got its name meanwhile.
    pub(crate) fn delete_this_queue(
        &self,
        cell: &Arc<QueueCell>,
        conditions: DeleteConditions,
    ) -> Result<u64> {
        let topology = self.change();
        match self.queues.find(&cell.name) {
            Some(found) if Arc::ptr_eq(&found, cell) => {
                self.end_queue(topology, cell, conditions, EndReason::QueueDeleted)
            }
            Some(_) | None => Ok(0),
        }
    }

    /// The last consumer of an auto-delete queue has gone.
    pub(crate) fn delete_abandoned_queue(&self, cell: &Arc<QueueCell>) {
        let conditions = DeleteConditions { unused: true, ..DeleteConditions::default() };
        // In use means that there is a new consumer, so it is not abandoned any more.
        let _ = self.delete_this_queue(cell, conditions);
    }

    /// A queue has been unused for too long.
    pub(crate) fn delete_expired_queue(&self, cell: &Arc<QueueCell>, now: Moment) {
        let conditions = DeleteConditions { expired_by: Some(now), ..DeleteConditions::default() };
        // In use means that its expiry was put off in the meantime.
        let _ = self.delete_this_queue(cell, conditions);
    }

    /// Deletes the exclusive queues of a connection that has ended.
    pub(crate) fn delete_queues_of(&self, owner: OwnerId) {
        let names: Vec<_> = self.topology.lock().queues_of(owner).cloned().collect();
        for name in names {
            // Nobody but the owner may delete it, and the owner has ended.
            let _ = self.delete_queue(&name, Some(owner), DeleteConditions::default());
        }
    }

    /// Takes an exchange out of the topology and ends it; `topology` is the held lock.
    fn end_exchange(
        &self,
        mut topology: Changing<'_>,
        name: &Name,
        condition: IfUnused,
    ) -> Result<()> {
        let mut changes = Vec::new();
        match condition {
            IfUnused::Anyway => topology.delete_exchange(name, &mut changes),
            IfUnused::OnlyUnused => topology.delete_exchange_if_unused(name, &mut changes),
        }
        .map_err(|error| self.error(error))?;
        let mut story = Story::default();
        let ended = self.apply(changes, &mut story);
        let position = self.tell(story);
        drop(topology);
        drop(ended);
        self.await_durable(position)
    }

    /// Ends a queue and takes it out of the topology; `topology` is the held lock.
    pub(super) fn end_queue(
        &self,
        mut topology: Changing<'_>,
        cell: &Arc<QueueCell>,
        conditions: DeleteConditions,
        reason: EndReason,
    ) -> Result<u64> {
        let (deleted, after) = cell.delete(conditions, reason);
        let deletion = match deleted {
            Ok(deletion) => deletion,
            Err(refused) => {
                drop(topology);
                after.run(cell);
                return Err(self.not_deleted(refused, cell));
            }
        };
        let mut changes = Vec::new();
        let mut story = Story::default();
        topology.delete_queue(&cell.name, &mut changes);
        let ended = self.apply(changes, &mut story);
        drop(topology);
        drop(ended);
        after.run(cell);
        self.former.add(cell);
        let position = match reason {
            // It only ends here.
            EndReason::BrokerClosed => Position::NONE,
            _ => self.tell_queue_gone(cell, story),
        };
        let ready = deletion.finish();
        self.await_durable(position)?;
        Ok(ready)
    }

    fn not_deleted(&self, refused: DeleteRefused, cell: &QueueCell) -> Error {
        let name = cell.name.clone();
        let kind = match refused {
            DeleteRefused::InUse => ErrorKind::InUse { entity: Entity::Queue, name },
            DeleteRefused::NotEmpty => ErrorKind::NotEmpty { queue: name },
        };
        Error::new(kind, &self.name)
    }
}
