//! What exists in a vhost, what is bound to what, and what goes when something else goes.
//!
//! This is the control plane: it knows names and no messages. Whoever keeps queues and routing
//! tables applies the [`Change`]s told here, in order.
//!
//! Whatever is removed costs time in proportion to the bindings that go with it (times the
//! logarithm of how many there are), however many stay.

mod binding;
mod change;
mod error;
#[cfg(test)]
mod model;
mod record;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use foldhash::fast::RandomState;

use crate::{
    Name,
    engine::{
        definition::{
            ExchangeDeclaration, ExchangeDefinition, InvalidQueue, QueueDeclaration,
            QueueDefinition, QueueType,
        },
        entity::{self, Endpoint, OwnerId},
        routing::{self, ExchangeKind},
    },
};

pub(crate) use binding::BindingSpec;
pub(crate) use change::{Change, Declared};
pub(crate) use error::{TopologyError, unknown_exchange_type};

use record::{Bindings, ExchangeRecord, QueueRecord, Serial};

/// The exchanges, queues and bindings of one vhost.
///
/// Names given to it have no line breaks left (see [`entity::without_line_breaks`]); a
/// [`BindingSpec`] takes them out itself. An `actor` is the connection on behalf of which
/// something is done: exclusive queues are open to one connection only.
#[derive(Debug)]
pub(crate) struct Topology {
    /// Invariant: holds the predeclared exchanges, and never one without a name.
    exchanges: BTreeMap<Name, ExchangeRecord>,
    queues: BTreeMap<Name, QueueRecord>,
    /// All bindings, to know whether there is one. Invariant: each is `outgoing` of its source and
    /// `incoming` of its destination under the same serial, and both exist.
    bindings: HashMap<Arc<BindingSpec>, Serial, RandomState>,
    /// The exclusive queues by owner. Invariant: what the definitions of the queues say.
    owned: BTreeSet<(OwnerId, Name)>,
    /// Invariant: greater than the serial of every binding.
    next_serial: Serial,
}

/// The kind of exchange which a client names in a declaration.
///
/// This is checked before anything else in the declaration.
pub(crate) fn exchange_kind(name: &str) -> Result<ExchangeKind, TopologyError> {
    ExchangeKind::from_name(name)
        .ok_or_else(|| TopologyError::UnknownExchangeType(Name::from(name)))
}

impl Topology {
    /// A vhost with the predeclared exchanges and nothing else.
    pub(crate) fn new() -> Self {
        let exchanges = record::predeclared().map(|(name, declaration)| {
            let definition =
                ExchangeDefinition::new(declaration).expect("predeclared without arguments");
            (Name::from(name), ExchangeRecord::new(definition))
        });
        Self {
            exchanges: BTreeMap::from(exchanges),
            queues: BTreeMap::new(),
            bindings: HashMap::default(),
            owned: BTreeSet::new(),
            next_serial: Serial::default(),
        }
    }

    /// Makes an exchange, or finds it to be there as declared.
    ///
    /// # Errors
    ///
    /// `DefaultExchange`, `NameTooLong`; if it exists, `Mismatch`; else `ReservedName`,
    /// `InvalidExchange`.
    pub(crate) fn declare_exchange(
        &mut self,
        name: &Name,
        declaration: ExchangeDeclaration,
    ) -> Result<Declared, TopologyError> {
        check_exchange_name(name)?;
        if let Some(existing) = self.exchanges.get(name) {
            return match existing.definition.compare(&declaration) {
                Ok(()) => Ok(Declared::Existing),
                Err(mismatch) => Err(TopologyError::Mismatch(
                    Endpoint::Exchange(name.clone()),
                    Box::new(mismatch),
                )),
            };
        }
        check_not_reserved(Endpoint::Exchange(name.clone()))?;
        let definition = ExchangeDefinition::new(declaration)
            .map_err(|invalid| TopologyError::InvalidExchange(name.clone(), Box::new(invalid)))?;
        self.exchanges.insert(name.clone(), ExchangeRecord::new(definition));
        Ok(Declared::Created)
    }

    /// Makes a queue, or finds it to be there as declared.
    ///
    /// # Errors
    ///
    /// `NameTooLong`, `ReservedName` (even if the queue exists); if it exists, `Locked` or
    /// `Mismatch`; else `InvalidQueue`.
    pub(crate) fn declare_queue(
        &mut self,
        name: &Name,
        declaration: QueueDeclaration,
    ) -> Result<Declared, TopologyError> {
        check_length(Endpoint::Queue(name.clone()))?;
        check_not_reserved(Endpoint::Queue(name.clone()))?;
        let Some(QueueRecord { definition, .. }) = self.queues.get(name) else {
            return self.create_queue(name, declaration).map(|()| Declared::Created);
        };
        if definition.owner != declaration.owner {
            return Err(TopologyError::Locked(name.clone()));
        }
        match definition.compare(&declaration) {
            Ok(()) => Ok(Declared::Existing),
            Err(mismatch) => {
                Err(TopologyError::Mismatch(Endpoint::Queue(name.clone()), Box::new(mismatch)))
            }
        }
    }

    /// Makes a queue under a name which the broker chose, which may be a reserved one. If the name
    /// is taken, nothing is compared, and `Existing` asks for another name.
    ///
    /// # Errors
    ///
    /// `ServerNamed` unless the queue is a classic one; `InvalidQueue`.
    pub(crate) fn declare_server_named_queue(
        &mut self,
        name: &Name,
        declaration: QueueDeclaration,
    ) -> Result<Declared, TopologyError> {
        if self.queues.contains_key(name) {
            return Ok(Declared::Existing);
        }
        match QueueType::read(&declaration.arguments) {
            Ok(QueueType::Classic) => self.create_queue(name, declaration)?,
            Ok(QueueType::Quorum) => return Err(TopologyError::ServerNamed(QueueType::Quorum)),
            Err(invalid) => return Err(invalid_queue(name, InvalidQueue::Argument(invalid))),
        }
        Ok(Declared::Created)
    }

    #[allow(dead_code, reason = "only a broker with a store does that")]
    /// Makes a queue that a store remembers, whoever chose its name.
    ///
    /// # Errors
    ///
    /// `InvalidQueue`.
    pub(crate) fn restore_queue(
        &mut self,
        name: &Name,
        declaration: QueueDeclaration,
    ) -> Result<(), TopologyError> {
        self.create_queue(name, declaration)
    }

    /// Makes a binding unless it is there.
    ///
    /// # Errors
    ///
    /// `NotFound` for the source, then for the destination; `InvalidMatch`; `Locked`.
    pub(crate) fn bind(
        &mut self,
        actor: Option<OwnerId>,
        spec: BindingSpec,
        changes: &mut Vec<Change>,
    ) -> Result<(), TopologyError> {
        let Some(source) = self.exchanges.get(spec.source()) else {
            return Err(TopologyError::NotFound(Endpoint::Exchange(spec.source().clone())));
        };
        if self.incoming(spec.destination()).is_none() {
            return Err(TopologyError::NotFound(spec.destination().clone()));
        }
        if source.definition.kind == ExchangeKind::Headers {
            routing::check_arguments(spec.arguments()).map_err(TopologyError::InvalidMatch)?;
        }
        self.check_destination_is_open(actor, &spec)?;
        if self.has_binding(&spec) {
            return Ok(());
        }
        self.insert_binding(Arc::new(spec), changes);
        Ok(())
    }

    /// Removes a binding if it is there; if it was the last one leading away from an auto-delete
    /// exchange, that goes as well.
    ///
    /// # Errors
    ///
    /// `Locked`, only if there is such a binding.
    pub(crate) fn unbind(
        &mut self,
        actor: Option<OwnerId>,
        spec: &BindingSpec,
        changes: &mut Vec<Change>,
    ) -> Result<(), TopologyError> {
        if self.bindings.contains_key(spec) {
            self.check_destination_is_open(actor, spec)?;
            let mut orphans = Vec::new();
            self.remove_binding(spec, &mut orphans, changes);
            self.delete_orphans(orphans, changes);
        }
        Ok(())
    }

    /// Deletes an exchange with all its bindings, and auto-delete exchanges that are thereby left
    /// without a binding. Deleting what does not exist changes nothing.
    ///
    /// # Errors
    ///
    /// `DefaultExchange`; `SystemExchange`, whether or not it exists.
    pub(crate) fn delete_exchange(
        &mut self,
        name: &Name,
        changes: &mut Vec<Change>,
    ) -> Result<(), TopologyError> {
        check_deletable(name)?;
        let mut orphans = Vec::new();
        self.remove_exchange(name, &mut orphans, changes);
        self.delete_orphans(orphans, changes);
        Ok(())
    }

    /// Deletes an exchange as [`delete_exchange`](Self::delete_exchange) does, if no binding leads
    /// away from it; bindings that lead to it are no use of it.
    ///
    /// # Errors
    ///
    /// As there; `InUse`.
    pub(crate) fn delete_exchange_if_unused(
        &mut self,
        name: &Name,
        changes: &mut Vec<Change>,
    ) -> Result<(), TopologyError> {
        check_deletable(name)?;
        if self.exchanges.get(name).is_some_and(|record| !record.outgoing.is_empty()) {
            return Err(TopologyError::InUse(Endpoint::Exchange(name.clone())));
        }
        self.delete_exchange(name, changes)
    }

    /// Deletes a queue with all its bindings, and auto-delete exchanges that are thereby left
    /// without a binding. Deleting what does not exist changes nothing.
    ///
    /// Whether the actor may do this and whether the queue is unused and empty is asked before;
    /// see [`find_queue`](Self::find_queue).
    pub(crate) fn delete_queue(&mut self, name: &Name, changes: &mut Vec<Change>) {
        let Some(record) = self.queues.remove(name) else { return };
        if let Some(owner) = record.definition.owner {
            self.owned.remove(&(owner, name.clone()));
        }
        let mut orphans = Vec::new();
        for spec in record.incoming.into_values() {
            self.remove_binding(&spec, &mut orphans, changes);
        }
        changes.push(Change::QueueDeleted(name.clone()));
        self.delete_orphans(orphans, changes);
    }

    /// The exchange of this name; the default exchange is none.
    pub(crate) fn exchange(&self, name: &str) -> Option<&ExchangeDefinition> {
        self.exchanges.get(name).map(|record| &record.definition)
    }

    /// The queue of this name.
    pub(crate) fn queue(&self, name: &str) -> Option<&QueueDefinition> {
        self.queues.get(name).map(|record| &record.definition)
    }

    /// The exchange that a passive declaration asks for.
    ///
    /// # Errors
    ///
    /// `DefaultExchange`; `NotFound`.
    pub(crate) fn find_exchange(&self, name: &Name) -> Result<&ExchangeDefinition, TopologyError> {
        if name.is_empty() {
            return Err(TopologyError::DefaultExchange);
        }
        self.exchange(name).ok_or_else(|| TopologyError::NotFound(Endpoint::Exchange(name.clone())))
    }

    /// The queue that the actor wants to use.
    ///
    /// # Errors
    ///
    /// `NotFound`; `Locked`.
    pub(crate) fn find_queue(
        &self,
        actor: Option<OwnerId>,
        name: &Name,
    ) -> Result<&QueueDefinition, TopologyError> {
        match self.queue(name) {
            None => Err(TopologyError::NotFound(Endpoint::Queue(name.clone()))),
            Some(queue) if queue.is_open_to(actor) => Ok(queue),
            Some(_) => Err(TopologyError::Locked(name.clone())),
        }
    }

    /// All exchanges but the default one, by name.
    pub(crate) fn exchanges(&self) -> impl ExactSizeIterator<Item = (&Name, &ExchangeDefinition)> {
        self.exchanges.iter().map(|(name, record)| (name, &record.definition))
    }

    /// All queues, by name.
    pub(crate) fn queues(&self) -> impl ExactSizeIterator<Item = (&Name, &QueueDefinition)> {
        self.queues.iter().map(|(name, record)| (name, &record.definition))
    }

    /// The queues that go with this connection, by name.
    pub(crate) fn queues_of(&self, owner: OwnerId) -> impl Iterator<Item = &Name> {
        let from = (owner, Name::default());
        self.owned.range(from..).take_while(move |(of, _)| *of == owner).map(|(_, name)| name)
    }

    /// Whether there is this binding.
    pub(crate) fn has_binding(&self, spec: &BindingSpec) -> bool {
        self.bindings.contains_key(spec)
    }

    /// How many bindings there are, those of the default exchange not counted.
    pub(crate) fn binding_count(&self) -> usize {
        self.bindings.len()
    }

    /// The bindings that lead away from an exchange, oldest first.
    #[cfg(test)]
    pub(crate) fn bindings_from(&self, source: &str) -> impl Iterator<Item = &Arc<BindingSpec>> {
        let record = self.exchanges.get(source);
        record.into_iter().flat_map(|record| record.outgoing.values())
    }

    /// The bindings that lead to an exchange or queue, oldest first.
    #[cfg(test)]
    pub(crate) fn bindings_to(
        &self,
        destination: &Endpoint,
    ) -> impl Iterator<Item = &Arc<BindingSpec>> {
        self.incoming(destination).into_iter().flat_map(Bindings::values)
    }

    /// Asserts all invariants, in time linear in everything there is.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn check_invariants(&self) {
        for (name, declaration) in record::predeclared() {
            let existing = self.exchange(name).expect("predeclared exchanges stay");
            assert_eq!(existing.compare(&declaration), Ok(()), "{name} stays as it was");
        }
        assert!(self.exchange("").is_none(), "the default exchange has no record");
        for (spec, serial) in &self.bindings {
            assert!(*serial < self.next_serial, "{spec:?} has a serial that was given");
            let source = self.exchanges.get(spec.source()).expect("a binding has a source");
            assert_eq!(source.outgoing.get(serial), Some(spec), "its source knows it");
            let incoming = self.incoming(spec.destination()).expect("a binding has a target");
            assert_eq!(incoming.get(serial), Some(spec), "its target knows it");
        }
        let outgoing = self.exchanges.values().map(|record| record.outgoing.len());
        assert_eq!(outgoing.sum::<usize>(), self.bindings.len(), "sources know nothing else");
        let to_exchanges = self.exchanges.values().map(|record| record.incoming.len());
        let to_queues = self.queues.values().map(|record| record.incoming.len());
        let incoming = to_exchanges.chain(to_queues).sum::<usize>();
        assert_eq!(incoming, self.bindings.len(), "targets know nothing else");
        let owned = self.queues().filter_map(|(name, queue)| Some((queue.owner?, name.clone())));
        assert_eq!(owned.collect::<BTreeSet<_>>(), self.owned, "owners know their queues");
        for (name, queue) in self.queues() {
            assert!(queue.owner.is_none() || !queue.durable, "{name} is exclusive and durable");
        }
    }

    fn create_queue(
        &mut self,
        name: &Name,
        declaration: QueueDeclaration,
    ) -> Result<(), TopologyError> {
        let definition =
            QueueDefinition::new(declaration).map_err(|invalid| invalid_queue(name, invalid))?;
        if let Some(owner) = definition.owner {
            self.owned.insert((owner, name.clone()));
        }
        self.queues.insert(name.clone(), QueueRecord::new(definition));
        Ok(())
    }

    fn insert_binding(&mut self, spec: Arc<BindingSpec>, changes: &mut Vec<Change>) {
        let serial = self.next_serial.take();
        let source = self.exchanges.get_mut(spec.source()).expect("the source was found");
        source.outgoing.insert(serial, Arc::clone(&spec));
        let incoming = self.incoming_mut(spec.destination()).expect("the destination was found");
        incoming.insert(serial, Arc::clone(&spec));
        self.bindings.insert(Arc::clone(&spec), serial);
        changes.push(Change::Bound(spec));
    }

    /// Removes a binding if it is there, from whichever of its sides still exist, and adds the
    /// source to `orphans` if it is to go.
    fn remove_binding(
        &mut self,
        spec: &BindingSpec,
        orphans: &mut Vec<Name>,
        changes: &mut Vec<Change>,
    ) {
        let Some((spec, serial)) = self.bindings.remove_entry(spec) else { return };
        if let Some(source) = self.exchanges.get_mut(spec.source()) {
            source.outgoing.remove(&serial);
            // This is the transition to none, so that no exchange becomes an orphan twice, and one
            // that was never bound does not become one.
            if source.outgoing.is_empty() && source.definition.auto_delete {
                orphans.push(spec.source().clone());
            }
        }
        if let Some(incoming) = self.incoming_mut(spec.destination()) {
            incoming.remove(&serial);
        }
        changes.push(Change::Unbound(spec));
    }

    fn remove_exchange(&mut self, name: &Name, orphans: &mut Vec<Name>, changes: &mut Vec<Change>) {
        let Some(record) = self.exchanges.remove(name) else { return };
        // A binding of the exchange to itself is on both sides and is removed once.
        for spec in record.outgoing.values().chain(record.incoming.values()) {
            self.remove_binding(spec, orphans, changes);
        }
        changes.push(Change::ExchangeDeleted(name.clone()));
    }

    /// Deletes auto-delete exchanges that lost their last binding, and those which lose theirs
    /// with them. A loop rather than a recursion, however long the chain.
    fn delete_orphans(&mut self, mut orphans: Vec<Name>, changes: &mut Vec<Change>) {
        while let Some(name) = orphans.pop() {
            self.remove_exchange(&name, &mut orphans, changes);
        }
    }

    fn incoming(&self, destination: &Endpoint) -> Option<&Bindings> {
        match destination {
            Endpoint::Exchange(name) => self.exchanges.get(name).map(|record| &record.incoming),
            Endpoint::Queue(name) => self.queues.get(name).map(|record| &record.incoming),
        }
    }

    fn incoming_mut(&mut self, destination: &Endpoint) -> Option<&mut Bindings> {
        match destination {
            Endpoint::Exchange(name) => {
                self.exchanges.get_mut(name).map(|record| &mut record.incoming)
            }
            Endpoint::Queue(name) => self.queues.get_mut(name).map(|record| &mut record.incoming),
        }
    }

    fn check_destination_is_open(
        &self,
        actor: Option<OwnerId>,
        spec: &BindingSpec,
    ) -> Result<(), TopologyError> {
        match spec.destination() {
            Endpoint::Exchange(_) => Ok(()),
            Endpoint::Queue(name) => self.find_queue(actor, name).map(drop),
        }
    }
}

fn check_length(endpoint: Endpoint) -> Result<(), TopologyError> {
    if entity::fits_short_string(endpoint.name()) {
        Ok(())
    } else {
        Err(TopologyError::NameTooLong(endpoint))
    }
}

fn check_exchange_name(name: &Name) -> Result<(), TopologyError> {
    if name.is_empty() {
        return Err(TopologyError::DefaultExchange);
    }
    check_length(Endpoint::Exchange(name.clone()))
}

fn check_not_reserved(endpoint: Endpoint) -> Result<(), TopologyError> {
    if entity::is_reserved(endpoint.name()) {
        Err(TopologyError::ReservedName(endpoint))
    } else {
        Ok(())
    }
}

fn check_deletable(name: &Name) -> Result<(), TopologyError> {
    if name.is_empty() {
        return Err(TopologyError::DefaultExchange);
    }
    if entity::is_reserved(name) {
        return Err(TopologyError::SystemExchange(name.clone()));
    }
    Ok(())
}

fn invalid_queue(name: &Name, invalid: InvalidQueue) -> TopologyError {
    TopologyError::InvalidQueue(name.clone(), Box::new(invalid))
}
