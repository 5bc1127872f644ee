//! What a broker tells its store of exchanges, queues, bindings and virtual hosts.
//!
//! Each durable one has a serial, by which bindings and messages refer to it. So what is declared
//! again under a name is never taken for its predecessor, in whichever order a crash finds them.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{Journal, Position};
use crate::{
    Name,
    broker::exchange_cell::Target,
    engine::{
        definition::{
            ExchangeDeclaration, ExchangeDefinition, QueueDeclaration, QueueDefinition, QueueType,
        },
        queue::Staging,
        topology::BindingSpec,
    },
    store::record::{ENTITIES, End, Entity, ItemId, Record, Serial},
    sync::{Mutex, Rank},
};

/// What an exchange is to a store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredExchange(Serial);

/// What a queue is to a store.
#[derive(Debug)]
pub(crate) struct StoredQueue {
    serial: Serial,
    staging: Staging,
    /// When the store knows that messages may have been handed out; zero if nobody told it.
    used: AtomicU64,
    /// By which it knows.
    use_serial: Serial,
    /// Whether the store knew of a use when the broker opened.
    was_used: bool,
    /// Messages with a lower number may have been handed out before that.
    below: AtomicU64,
    /// What is to be told once the last dead letter has left it.
    ending: Mutex<Vec<Record>>,
}

/// What a virtual host is to a store.
#[derive(Debug)]
pub(crate) struct StoredVhost {
    /// `None` for the default one.
    serial: Option<Serial>,
    bindings: Mutex<HashMap<BindingSpec, Serial>>,
}

/// What a change of the topology leads to, to be told as one step.
#[derive(Debug, Default)]
pub(crate) struct Story(Vec<Record>);

impl StoredQueue {
    pub(super) fn serial(&self) -> Serial {
        self.serial
    }

    /// Of which messages a queue tells.
    pub(crate) fn staging(&self) -> Staging {
        self.staging
    }

    /// Messages with a lower number may have been handed out before the broker opened.
    pub(super) fn note_below(&self, below: u64) {
        self.below.store(below, Ordering::Relaxed);
    }

    fn is_known_as_used(&self) -> bool {
        self.was_used || self.used.load(Ordering::Acquire) > 0
    }

    /// Whether the store is told of such a message, persistent or not.
    #[inline]
    pub(crate) fn keeps(&self, is_persistent: bool) -> bool {
        self.staging.keeps(is_persistent)
    }

    /// Keeps what is to be told when the last letter has left.
    pub(crate) fn end_later(&self, story: Story) {
        *self.ending.lock() = story.0;
    }

    /// What is to be told now that the last letter has left.
    pub(crate) fn take_ending(&self) -> Story {
        Story(std::mem::take(&mut *self.ending.lock()))
    }
}

impl StoredVhost {
    pub(super) fn new(serial: Option<Serial>) -> Self {
        Self { serial, bindings: Mutex::new(Rank::Signal, HashMap::new()) }
    }

    /// A binding was in the store when the broker opened.
    pub(crate) fn know(&self, spec: BindingSpec, serial: Serial) {
        self.bindings.lock().insert(spec, serial);
    }
}

impl Story {
    /// A durable exchange was made.
    pub(crate) fn add_exchange(
        &mut self,
        journal: &Journal,
        vhost: &StoredVhost,
        name: &Name,
        definition: &ExchangeDefinition,
    ) -> Option<StoredExchange> {
        if !definition.durable {
            return None;
        }
        let ExchangeDefinition { kind, durable, auto_delete, internal, .. } = *definition;
        let arguments = definition.arguments.clone();
        let declaration = ExchangeDeclaration { kind, durable, auto_delete, internal, arguments };
        let entity = Entity::Exchange { vhost: vhost.serial, name: name.clone(), declaration };
        Some(StoredExchange(self.add(journal, entity)))
    }

    /// A durable queue was made.
    pub(crate) fn add_queue(
        &mut self,
        journal: &Journal,
        vhost: &StoredVhost,
        name: &Name,
        definition: &QueueDefinition,
    ) -> Option<StoredQueue> {
        if !definition.durable {
            return None;
        }
        let QueueDefinition { durable, auto_delete, owner, .. } = *definition;
        let arguments = definition.arguments.clone();
        let declaration = QueueDeclaration { durable, auto_delete, owner, arguments };
        let entity = Entity::Queue { vhost: vhost.serial, name: name.clone(), declaration };
        let serial = self.add(journal, entity);
        Some(journal.stored_queue(serial, definition, None))
    }

    /// A binding was made. It is durable if both its ends are.
    pub(crate) fn bind(
        &mut self,
        journal: &Journal,
        vhost: &StoredVhost,
        spec: &BindingSpec,
        (source, destination): (&Target, &Target),
    ) {
        let (Some(source), Some(destination)) = (end(source), end(destination)) else { return };
        let entity = Entity::Binding {
            vhost: vhost.serial,
            source,
            destination,
            key: spec.key().clone(),
            arguments: spec.arguments().clone(),
        };
        let serial = self.add(journal, entity);
        vhost.know(spec.clone(), serial);
    }

    /// A binding has gone.
    pub(crate) fn unbind(&mut self, vhost: &StoredVhost, spec: &BindingSpec) {
        let serial = vhost.bindings.lock().remove(spec);
        self.0.extend(serial.map(gone));
    }

    pub(crate) fn remove_exchange(&mut self, stored: StoredExchange) {
        self.0.push(gone(stored.0));
    }

    /// A queue has gone with all that was in it.
    pub(crate) fn remove_queue(&mut self, stored: &StoredQueue) {
        self.0.push(gone(stored.serial));
        self.0.push(Record::QueueEnded(stored.serial));
        if stored.is_known_as_used() {
            self.0.push(gone(stored.use_serial));
        }
    }

    /// A virtual host has gone.
    pub(crate) fn remove_vhost(&mut self, stored: &StoredVhost) {
        self.0.extend(stored.serial.map(gone));
    }

    /// Tells it, and says when it will be durable.
    pub(crate) fn tell(self, journal: &Journal) -> Position {
        if self.0.is_empty() { Position::NONE } else { journal.append(&self.0) }
    }

    fn add(&mut self, journal: &Journal, entity: Entity) -> Serial {
        let serial = journal.store.next_serial();
        self.0.push(Record::Entity(serial, Box::new(entity)));
        serial
    }
}

impl Journal {
    /// A virtual host was made.
    pub(crate) fn add_vhost(&self, name: &Name) -> (Option<StoredVhost>, Position) {
        let mut story = Story::default();
        let serial = story.add(self, Entity::VirtualHost { name: name.clone() });
        (Some(StoredVhost::new(Some(serial))), story.tell(self))
    }

    /// Notes that messages of a queue may be handed out from now on. Says when that is durable.
    pub(crate) fn note_use(&self, queue: &StoredQueue) -> Position {
        let told = queue.used.load(Ordering::Acquire);
        if told > 0 {
            return Position(told);
        }
        // Two who come at the same time both tell it, which does no harm.
        let entity = Entity::Used { queue: queue.serial, below: None };
        let position = self.append(&[Record::Entity(queue.use_serial, Box::new(entity))]);
        queue.used.fetch_max(position.0, Ordering::Release);
        position
    }

    /// Notes that what a queue has told of its messages is all there is to be known of them, except
    /// of those that were there when the broker opened.
    pub(crate) fn note_rest(&self, queue: &StoredQueue) {
        if !queue.is_known_as_used() {
            return;
        }
        let record = match queue.below.load(Ordering::Relaxed) {
            0 => gone(queue.use_serial),
            below => {
                let entity = Entity::Used { queue: queue.serial, below: Some(below) };
                Record::Entity(queue.use_serial, Box::new(entity))
            }
        };
        self.append(&[record]);
    }

    /// A queue that is in the store, and the serial by which that knows of its use, if it does.
    pub(super) fn stored_queue(
        &self,
        serial: Serial,
        definition: &QueueDefinition,
        used: Option<Serial>,
    ) -> StoredQueue {
        // A quorum queue keeps all messages, as in `RabbitMQ`.
        let staging = match definition.parsed.queue_type {
            QueueType::Classic => Staging::Persistent,
            QueueType::Quorum => Staging::All,
        };
        StoredQueue {
            serial,
            staging,
            used: AtomicU64::new(0),
            use_serial: used.unwrap_or_else(|| self.store.next_serial()),
            was_used: used.is_some(),
            below: AtomicU64::new(0),
            ending: Mutex::new(Rank::Signal, Vec::new()),
        }
    }
}

impl StoredExchange {
    pub(super) fn new(serial: Serial) -> Self {
        Self(serial)
    }
}

fn gone(serial: Serial) -> Record {
    Record::Settled(ItemId { queue: ENTITIES, seq: serial })
}

/// What a binding is told of its end; `None` if that is not durable.
fn end(target: &Target) -> Option<End> {
    match target {
        Target::Exchange(cell) => match cell.stored {
            Some(StoredExchange(serial)) => Some(End::Exchange(serial)),
            None => cell.definition.durable.then(|| End::Predeclared(cell.name.clone())),
        },
        Target::Queue(cell) => cell.stored.as_ref().map(|stored| End::Queue(stored.serial)),
    }
}
