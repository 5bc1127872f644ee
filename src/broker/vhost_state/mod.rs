//! One virtual host: what exists in it, and every change of that.
//!
//! Changes are made one at a time under the topology lock, first in the pure [`Topology`] and then,
//! still under the lock, in what publishers and consumers look at: the directories and the routers.
//! So of two declarations that race one makes the entity and the other finds it made. Publishing,
//! delivering and settling never take this lock.

mod ending;
#[cfg(all(feature = "persist", not(loom)))]
mod restoring;
mod telling;

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
    journal::{Position, StoredVhost, Story},
    memo::Stamp,
    refusal,
    registry::{Registry, TargetId},
    reply::ReplySlot,
    tally::Tally,
};
use crate::{
    Entity, Error, ErrorKind, Name, Result, Table,
    engine::{
        definition::{ExchangeDeclaration, QueueDeclaration},
        entity::{Endpoint, OwnerId, without_line_breaks},
        queue::DeleteConditions,
        topology::{BindingSpec, Change, Declared, Topology, TopologyError},
    },
    shield::shielded,
    sync::{
        Mutex, Rank,
        atomic::{AtomicBool, Ordering},
    },
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
    /// What the store of the broker knows of it, if there is one.
    stored: Option<StoredVhost>,
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
    pub(crate) fn new(name: Name, context: Arc<Context>, stored: Option<StoredVhost>) -> Arc<Self> {
        let vhost = Arc::new(Self {
            name,
            context,
            topology: Mutex::new(Rank::Topology, Topology::new()),
            stamp: Stamp::new(),
            queues: Directory::new(),
            exchanges: Directory::new(),
            default_tally: Tally::default(),
            former: Former::new(),
            stored,
            replies: Directory::new(),
            registry: Registry::new(),
            is_deleted: AtomicBool::new(false),
        });
        let topology = vhost.topology.lock();
        for (name, definition) in topology.exchanges() {
            let cell = ExchangeCell::new(name.clone(), definition.clone(), &vhost, None);
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
        self.check_stores(is_new && declaration.durable)?;
        let declared =
            topology.declare_exchange(&name, declaration).map_err(|error| self.error(error))?;
        match declared {
            Declared::Existing => {
                let cell = self.exchange(&name)?;
                drop(topology);
                self.await_others(cell.stored.is_some())?;
                Ok(cell)
            }
            Declared::Created => {
                let definition = topology.exchange(&name).expect("it was declared just now");
                let mut story = Story::default();
                let stored = self.tell_exchange(&name, definition, &mut story);
                let cell = ExchangeCell::new(name.clone(), definition.clone(), self, stored);
                self.enter_exchange(name, Arc::clone(&cell));
                let position = self.tell(story);
                drop(topology);
                self.await_durable(position)?;
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
        self.check_stores(is_new && declaration.durable)?;
        let (name, declared) = if name.is_empty() {
            // One that a store remembers may have a name of an earlier life.
            let names = std::iter::repeat_with(|| self.generated_name(GENERATED_PREFIX));
            let mut free = names.filter(|name| topology.queue(name).is_none());
            let name = free.next().expect("there is no end of names");
            drop(free);
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
                self.await_others(cell.stored.is_some())?;
                Ok(cell)
            }
            Declared::Created => {
                let definition = topology.queue(&name).expect("it was declared just now");
                let mut story = Story::default();
                let stored = self.tell_queue(&name, definition, &mut story);
                let cell = QueueCell::new(name.clone(), definition.clone(), self, stored);
                self.enter_queue(name, &cell);
                let position = self.tell(story);
                drop(topology);
                self.await_durable(position)?;
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
        let (ended, position) = {
            let mut topology = self.change();
            if let Some(gone) = ends.iter().find(|end| !self.has(end)) {
                return Err(self.error(TopologyError::NotFound(gone.endpoint())));
            }
            let (is_new, bindings) = (!topology.has_binding(&spec), topology.binding_count());
            self.check_count("bindings", self.context.limits.bindings, bindings, is_new)?;
            self.check_stores(is_new && ends.iter().all(Target::is_durable))?;
            topology.bind(actor, spec, &mut changes).map_err(|error| self.error(error))?;
            let mut story = Story::default();
            let ended = self.apply(changes, &mut story);
            (ended, self.tell(story))
        };
        drop(ended);
        self.await_durable(position)
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
        let (ended, position) = {
            let mut topology = self.change();
            if !ends.iter().all(|end| self.has(end)) {
                return Ok(());
            }
            topology.unbind(actor, &spec, &mut changes).map_err(|error| self.error(error))?;
            let mut story = Story::default();
            let ended = self.apply(changes, &mut story);
            (ended, self.tell(story))
        };
        drop(ended);
        self.await_durable(position)
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
        let mut story = Story::default();
        for cell in self.exchanges.all() {
            cell.delete();
            if let Some(stored) = cell.stored {
                story.remove_exchange(stored);
            }
        }
        if reason != EndReason::BrokerClosed {
            self.tell(story);
        }
        messages
    }

    /// Tells the store that the virtual host goes with all it holds, and says when that is durable.
    pub(crate) fn tell_gone(&self) -> Position {
        let mut story = Story::default();
        if let Some(stored) = &self.stored {
            story.remove_vhost(stored);
        }
        self.tell(story)
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

    fn enter_queue(&self, name: Name, cell: &Arc<QueueCell>) {
        self.registry.insert(Target::Queue(Arc::clone(cell)));
        self.queues.insert(name, Arc::clone(cell));
    }

    fn enter_exchange(&self, name: Name, cell: Arc<ExchangeCell>) {
        self.registry.insert(Target::Exchange(Arc::clone(&cell)));
        self.exchanges.insert(name, cell);
    }

    fn change(&self) -> Changing<'_> {
        Changing::new(self.topology.lock(), &self.stamp)
    }

    /// Carries changes of the topology over to what publishers look at. Called under its lock.
    fn apply(&self, changes: Vec<Change>, story: &mut Story) -> Ended {
        let mut ended = Ended::default();
        for change in changes {
            match change {
                Change::Bound(spec) => {
                    let source = self.exchanges.find(spec.source()).expect("bound exchanges exist");
                    source.bind(spec.key(), spec.arguments(), self.id(spec.destination()));
                    self.tell_bound(&spec, &source, story);
                }
                Change::Unbound(spec) => {
                    let source = self.exchanges.find(spec.source()).expect("it goes after this");
                    source.unbind(spec.key(), spec.arguments(), self.id(spec.destination()));
                    self.tell_unbound(&spec, story);
                }
                Change::ExchangeDeleted(name) => {
                    let cell = self.exchanges.remove(&name).expect("what is deleted has a cell");
                    drop(self.registry.remove(cell.slot()));
                    if let Some(stored) = cell.stored {
                        story.remove_exchange(stored);
                    }
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
        self.registry.id(&self.target(endpoint)).expect("what exists has a number")
    }

    fn target(&self, endpoint: &Endpoint) -> Target {
        match endpoint {
            Endpoint::Exchange(name) => {
                Target::Exchange(self.exchanges.find(name).expect("bound exchanges exist"))
            }
            Endpoint::Queue(name) => {
                Target::Queue(self.queues.find(name).expect("bound queues exist"))
            }
        }
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
