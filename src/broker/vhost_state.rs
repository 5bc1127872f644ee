//! One virtual host: what exists in it, and every change of that.
//!
//! Changes are made one at a time under the topology lock, first in the pure [`Topology`] and then,
//! still under the lock, in what publishers and consumers look at: the directories and the routers.
//! So of two declarations that race one makes the entity and the other finds it made. Publishing,
//! delivering and settling never take this lock.

use std::sync::Arc;

use super::{
    bounds,
    cell::QueueCell,
    changing::Changing,
    consumer::EndReason,
    context::{Context, Phase},
    directory::Directory,
    exchange_cell::{ExchangeCell, Target},
    former::Former,
    memo::Stamp,
    refusal,
    registry::{Registry, TargetId},
    reply::ReplySlot,
    shield::shielded,
    tally::Tally,
};
use crate::{
    Entity, Error, ErrorKind, Name, Result, Table,
    engine::{
        definition::{ExchangeDeclaration, QueueDeclaration},
        entity::{Endpoint, OwnerId, without_line_breaks},
        queue::{DeleteConditions, DeleteRefused},
        topology::{BindingSpec, Change, Declared, Topology, TopologyError},
    },
    sync::{
        Mutex, Rank,
        atomic::{AtomicBool, Ordering},
    },
    time::Moment,
};

/// How the names begin that the broker gives to queues.
const GENERATED_PREFIX: &str = "amq.gen-";

/// One virtual host.
#[derive(Debug)]
pub(crate) struct VhostState {
    pub(crate) name: Name,
    pub(crate) context: Arc<Context>,
    topology: Mutex<Topology>,
    /// Of what routing finds: see [`memo`](super::memo).
    pub(crate) stamp: Stamp,
    queues: Directory<QueueCell>,
    exchanges: Directory<ExchangeCell>,
    /// Of the default exchange, which has no cell.
    pub(super) default_tally: Tally,
    pub(super) former: Former,
    /// Who waits for direct replies, by the name that was made up for it.
    pub(crate) replies: Directory<ReplySlot>,
    /// What exists by number, as routing finds it.
    pub(crate) registry: Registry,
    is_deleted: AtomicBool,
}

/// Entities that have ended, to be dropped once no lock is held.
#[derive(Default)]
#[must_use = "dropped where no lock is held"]
struct Ended {
    queues: Vec<Arc<QueueCell>>,
    exchanges: Vec<Arc<ExchangeCell>>,
}

/// Whether an exchange goes although others are bound to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfUnused {
    Anyway,
    OnlyUnused,
}

impl VhostState {
    pub(crate) fn new(name: Name, context: Arc<Context>) -> Arc<Self> {
        let vhost = Arc::new(Self {
            name,
            context,
            topology: Mutex::new(Rank::Topology, Topology::new()),
            stamp: Stamp::new(),
            queues: Directory::new(),
            exchanges: Directory::new(),
            default_tally: Tally::default(),
            former: Former::new(),
            replies: Directory::new(),
            registry: Registry::new(),
            is_deleted: AtomicBool::new(false),
        });
        let topology = vhost.topology.lock();
        for (name, definition) in topology.exchanges() {
            let cell = ExchangeCell::new(name.clone(), definition.clone(), &vhost);
            vhost.enter_exchange(name.clone(), cell);
        }
        drop(topology);
        vhost
    }

    /// Finds an exchange for publishing: names are taken as they are.
    pub(crate) fn exchange(&self, name: &str) -> Result<Arc<ExchangeCell>> {
        self.exchanges
            .find(name)
            .ok_or_else(|| Error::not_found(Entity::Exchange, name, &self.name))
    }

    /// Finds a queue for consuming and the like: names are taken as they are.
    pub(crate) fn queue(&self, name: &str, actor: Option<OwnerId>) -> Result<Arc<QueueCell>> {
        let cell = self
            .queues
            .find(name)
            .ok_or_else(|| Error::not_found(Entity::Queue, name, &self.name))?;
        if !cell.definition.is_open_to(actor) {
            return Err(self.locked(&cell.name));
        }
        Ok(cell)
    }

    /// Finds a queue whoever it belongs to, as routing does.
    pub(crate) fn routed_queue(&self, name: &str) -> Option<Arc<QueueCell>> {
        self.queues.find(name)
    }

    pub(crate) fn declare_exchange(
        self: &Arc<Self>,
        name: &str,
        declaration: ExchangeDeclaration,
    ) -> Result<Arc<ExchangeCell>> {
        let of = Endpoint::Exchange(Name::from(name));
        self.check_arguments(&declaration.arguments, Entity::Exchange, &of)?;
        let name = without_line_breaks(bounds::name(Entity::Exchange, name)?);
        let mut topology = self.change();
        self.check_open()?;
        let is_new = topology.exchange(&name).is_none();
        let exchanges = topology.exchanges().len();
        self.check_count("exchanges", self.context.limits.exchanges, exchanges, is_new)?;
        let declared =
            topology.declare_exchange(&name, declaration).map_err(|error| self.error(error))?;
        match declared {
            Declared::Existing => self.exchange(&name),
            Declared::Created => {
                let definition = topology.exchange(&name).expect("it was declared just now");
                let cell = ExchangeCell::new(name.clone(), definition.clone(), self);
                self.enter_exchange(name, Arc::clone(&cell));
                Ok(cell)
            }
        }
    }

    /// What a passive declaration does.
    pub(crate) fn find_exchange(&self, name: &str) -> Result<Arc<ExchangeCell>> {
        let name = without_line_breaks(Name::from(name));
        let topology = self.topology.lock();
        topology.find_exchange(&name).map_err(|error| self.error(error))?;
        self.exchange(&name)
    }

    /// Declares a queue. The empty name asks for a generated one.
    pub(crate) fn declare_queue(
        self: &Arc<Self>,
        name: &str,
        declaration: QueueDeclaration,
    ) -> Result<Arc<QueueCell>> {
        let of = Endpoint::Queue(Name::from(name));
        self.check_arguments(&declaration.arguments, Entity::Queue, &of)?;
        let name = without_line_breaks(bounds::name(Entity::Queue, name)?);
        let mut topology = self.change();
        self.check_open()?;
        let is_new = topology.queue(&name).is_none();
        let queues = topology.queues().len();
        self.check_count("queues", self.context.limits.queues, queues, is_new)?;
        let (name, declared) = if name.is_empty() {
            let name = self.generated_name(GENERATED_PREFIX);
            (name.clone(), topology.declare_server_named_queue(&name, declaration))
        } else {
            let declared = topology.declare_queue(&name, declaration);
            (name, declared)
        };
        match declared.map_err(|error| self.error(error))? {
            Declared::Existing => {
                let cell = self.queues.find(&name).expect("what exists has a cell");
                drop(topology);
                cell.touch();
                Ok(cell)
            }
            Declared::Created => {
                let definition = topology.queue(&name).expect("it was declared just now");
                let cell = QueueCell::new(name.clone(), definition.clone(), self);
                self.registry.insert(Target::Queue(Arc::clone(&cell)));
                self.queues.insert(name, Arc::clone(&cell));
                Ok(cell)
            }
        }
    }

    /// What a passive declaration does.
    pub(crate) fn find_queue(&self, name: &str, actor: Option<OwnerId>) -> Result<Arc<QueueCell>> {
        let name = without_line_breaks(Name::from(name));
        let topology = self.topology.lock();
        topology.find_queue(actor, &name).map_err(|error| self.error(error))?;
        Ok(self.queues.find(&name).expect("what exists has a cell"))
    }

    /// Binds by name. Those of `ends` that handles stand for have to be there still.
    pub(crate) fn bind(
        &self,
        source: &str,
        destination: Endpoint,
        key: &str,
        arguments: &Table,
        actor: Option<OwnerId>,
        ends: &[Target],
    ) -> Result<()> {
        self.check_open()?;
        self.check_arguments(arguments, Entity::Binding, &destination)?;
        let spec = BindingSpec::new(Name::from(source), destination, Name::from(key), arguments)
            .map_err(|error| self.error(error))?;
        let mut changes = Vec::new();
        let ended = {
            let mut topology = self.change();
            if let Some(gone) = ends.iter().find(|end| !self.has(end)) {
                return Err(self.error(TopologyError::NotFound(gone.endpoint())));
            }
            let (is_new, bindings) = (!topology.has_binding(&spec), topology.binding_count());
            self.check_count("bindings", self.context.limits.bindings, bindings, is_new)?;
            topology.bind(actor, spec, &mut changes).map_err(|error| self.error(error))?;
            self.apply(changes)
        };
        drop(ended);
        Ok(())
    }

    /// Unbinds by name. If one of `ends`, that handles stand for, is not there any more, then its
    /// bindings are not either.
    pub(crate) fn unbind(
        &self,
        source: &str,
        destination: Endpoint,
        key: &str,
        arguments: &Table,
        actor: Option<OwnerId>,
        ends: &[Target],
    ) -> Result<()> {
        self.check_arguments(arguments, Entity::Binding, &destination)?;
        let spec = BindingSpec::new(Name::from(source), destination, Name::from(key), arguments)
            .map_err(|error| self.error(error))?;
        let mut changes = Vec::new();
        let ended = {
            let mut topology = self.change();
            if !ends.iter().all(|end| self.has(end)) {
                return Ok(());
            }
            topology.unbind(actor, &spec, &mut changes).map_err(|error| self.error(error))?;
            self.apply(changes)
        };
        drop(ended);
        Ok(())
    }

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

    /// Takes no more declarations, and tells those who wait for replies or for room that there
    /// will be none.
    pub(crate) fn close(&self) {
        self.is_deleted.store(true, Ordering::Release);
        // Publishers that remember a way through it ask again.
        self.stamp.renew();
        self.context.room.tell_all();
        for reply in self.replies.all() {
            if let ReplySlot::Call(call) = &*reply {
                call.end();
            }
        }
    }

    /// Ends everything in it, for good, and says how many messages are gone with it.
    pub(crate) fn end(&self, reason: EndReason) -> u64 {
        // Whoever declares under the lock from now on finds that it is closed.
        drop(self.topology.lock());
        let mut messages = 0;
        for cell in self.queues.all() {
            let topology = self.change();
            // A message whose destructor panics keeps no other queue from its end.
            let ended =
                shielded(|| self.end_queue(topology, &cell, DeleteConditions::default(), reason));
            if !matches!(ended, Ok(Err(_))) {
                messages += cell.snapshot().counts.deleted;
            }
        }
        for cell in self.exchanges.all() {
            cell.delete();
        }
        messages
    }

    /// Nobody waits for replies at this address any more, so whoever waited for room to send one
    /// goes on. Runs other people's wakers, so no lock may be held.
    pub(crate) fn forget_reply_address(&self, address: &str) {
        drop(self.replies.remove(address));
        self.context.room.made();
    }

    pub(crate) fn all_queues(&self) -> Vec<Arc<QueueCell>> {
        self.queues.all()
    }

    /// Checks what exists, and each queue.
    #[cfg(fuzzing)]
    pub(crate) fn check_invariants(&self) {
        self.topology.lock().check_invariants();
        for cell in self.queues.all() {
            cell.check_invariants();
        }
    }

    /// Neither the broker nor this virtual host has ended.
    pub(crate) fn check_open(&self) -> Result<()> {
        self.check_phase(Phase::Open)
    }

    /// Messages are still taken.
    #[inline]
    pub(crate) fn check_publishing(&self) -> Result<()> {
        self.check_phase(Phase::Draining)
    }

    /// Whether messages are still taken.
    pub(crate) fn is_publishing(&self) -> bool {
        self.check_publishing().is_ok()
    }

    /// The broker has got no further in closing than this, and this virtual host is there.
    #[inline]
    fn check_phase(&self, last: Phase) -> Result<()> {
        // Looked at first: a broker that closes ends its virtual hosts after it has gone on to the
        // phase, so one that seems to be deleted then is seen to be closed.
        let is_deleted = self.is_deleted.load(Ordering::Acquire);
        if self.context.phase() > last {
            return Err(Error::closed());
        }
        if is_deleted {
            return Err(Error::not_found(Entity::VirtualHost, self.name.clone(), &self.name));
        }
        Ok(())
    }

    /// A name that no other entity of the broker has.
    pub(crate) fn generated_name(&self, prefix: &str) -> Name {
        Name::from(format!("{prefix}{:016x}", self.context.next_number()))
    }

    /// Gives a number back that an entity had.
    pub(crate) fn free_slot(&self, slot: usize) {
        self.registry.free_slot(slot);
    }

    pub(crate) fn take_slot(&self) -> usize {
        self.registry.take_slot()
    }

    pub(crate) fn error(&self, error: TopologyError) -> Error {
        refusal::error(error, &self.name)
    }

    pub(crate) fn locked(&self, queue: &Name) -> Error {
        Error::new(ErrorKind::Locked { entity: Entity::Queue, name: queue.clone() }, &self.name)
    }

    /// Checks arguments of an exchange, a queue, or what there is at one.
    pub(crate) fn check_arguments(
        &self,
        arguments: &Table,
        entity: Entity,
        at: &Endpoint,
    ) -> Result<()> {
        bounds::check_arguments(arguments, &self.context.limits, (entity, at.name()), || {
            match entity {
                Entity::Binding => "a binding".to_owned(),
                Entity::Consumer => format!("a consumer of {}", at.in_vhost(&self.name)),
                _ => at.in_vhost(&self.name),
            }
        })
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
        let ended = self.apply(changes);
        drop(topology);
        drop(ended);
        Ok(())
    }

    /// Ends a queue and takes it out of the topology; `topology` is the held lock.
    fn end_queue(
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
        topology.delete_queue(&cell.name, &mut changes);
        let ended = self.apply(changes);
        drop(topology);
        drop(ended);
        after.run(cell);
        self.former.add(cell);
        Ok(deletion.finish())
    }

    fn not_deleted(&self, refused: DeleteRefused, cell: &QueueCell) -> Error {
        let name = cell.name.clone();
        let kind = match refused {
            DeleteRefused::InUse => ErrorKind::InUse { entity: Entity::Queue, name },
            DeleteRefused::NotEmpty => ErrorKind::NotEmpty { queue: name },
        };
        Error::new(kind, &self.name)
    }

    fn enter_exchange(&self, name: Name, cell: Arc<ExchangeCell>) {
        self.registry.insert(Target::Exchange(Arc::clone(&cell)));
        self.exchanges.insert(name, cell);
    }

    fn change(&self) -> Changing<'_> {
        Changing::new(self.topology.lock(), &self.stamp)
    }

    /// Carries changes of the topology over to what publishers look at. Called under its lock.
    fn apply(&self, changes: Vec<Change>) -> Ended {
        let mut ended = Ended::default();
        for change in changes {
            match change {
                Change::Bound(spec) => {
                    let source = self.exchanges.find(spec.source()).expect("bound exchanges exist");
                    source.bind(spec.key(), spec.arguments(), self.id(spec.destination()));
                }
                Change::Unbound(spec) => {
                    let source = self.exchanges.find(spec.source()).expect("it goes after this");
                    source.unbind(spec.key(), spec.arguments(), self.id(spec.destination()));
                }
                Change::ExchangeDeleted(name) => {
                    let cell = self.exchanges.remove(&name).expect("what is deleted has a cell");
                    drop(self.registry.remove(cell.slot()));
                    ended.exchanges.push(cell);
                }
                Change::QueueDeleted(name) => {
                    let cell = self.queues.remove(&name).expect("what is deleted has a cell");
                    drop(self.registry.remove(cell.slot()));
                    ended.queues.push(cell);
                }
            }
        }
        for cell in &ended.exchanges {
            cell.delete();
        }
        ended
    }

    /// Whether this very entity is there: not deleted, and not of another virtual host.
    fn has(&self, target: &Target) -> bool {
        match target {
            Target::Exchange(cell) => {
                self.exchanges.find(&cell.name).is_some_and(|found| Arc::ptr_eq(&found, cell))
            }
            Target::Queue(cell) => {
                self.queues.find(&cell.name).is_some_and(|found| Arc::ptr_eq(&found, cell))
            }
        }
    }

    fn id(&self, endpoint: &Endpoint) -> TargetId {
        let target = match endpoint {
            Endpoint::Exchange(name) => {
                Target::Exchange(self.exchanges.find(name).expect("bound exchanges exist"))
            }
            Endpoint::Queue(name) => {
                Target::Queue(self.queues.find(name).expect("bound queues exist"))
            }
        };
        self.registry.id(&target).expect("what exists has a number")
    }

    fn check_count(
        &self,
        limit: &'static str,
        max: usize,
        count: usize,
        is_new: bool,
    ) -> Result<()> {
        if is_new && count >= max {
            let (max, found) = (max as u64, count as u64 + 1);
            return Err(Error::new(ErrorKind::LimitExceeded { limit, max, found }, &self.name));
        }
        Ok(())
    }
}
