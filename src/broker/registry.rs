//! The queues and exchanges of a virtual host by number, as routing finds them.
//!
//! A router notes numbers, which costs nothing but noting them; who they belong to is looked up
//! once it is known that somebody is to get the message. What has been deleted in the meantime is
//! not found any more, nor taken for another one that has got its slot.
//!
//! The numbers are spread over shards with a lock each, so that publishers seldom meet.

use std::sync::Arc;

use super::{
    cell::QueueCell,
    exchange_cell::{ExchangeCell, Target},
};
use crate::{
    engine::routing,
    sync::{Mutex, Rank, RwLock},
};

/// How many shards. A power of two well above the cores of one machine; an empty shard is small.
const SHARDS: usize = 16;

/// Where a binding leads, as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TargetId {
    /// Twice the slot, and one more for exchanges.
    place: u32,
    /// Tells apart those that have a slot one after the other. So many entities come and go while
    /// one message is routed that a number comes again; nobody waits for that.
    generation: u32,
}

/// The entities that exist.
#[derive(Debug)]
pub(crate) struct Registry {
    slots: Mutex<Slots>,
    shards: [RwLock<Shard>; SHARDS],
}

/// Gives out the smallest numbers that are free, so that routing can keep a mark per number.
#[derive(Debug, Default)]
struct Slots {
    free: Vec<usize>,
    next: usize,
}

#[derive(Debug, Default)]
struct Shard {
    entries: Vec<Option<Entry>>,
    /// How many entities were ever here.
    generation: u32,
}

#[derive(Debug)]
struct Entry {
    id: TargetId,
    target: Target,
}

impl TargetId {
    const EXCHANGE: u32 = 1;

    fn new(target: &Target, generation: u32) -> Self {
        let kind = if let Target::Exchange(_) = target { Self::EXCHANGE } else { 0 };
        let place = u32::try_from(2 * target.slot()).expect("memory ends before the slots");
        Self { place: place | kind, generation }
    }

    pub(crate) fn is_exchange(self) -> bool {
        self.place & Self::EXCHANGE != 0
    }

    /// Whether any of them is an exchange.
    pub(crate) fn any_exchange(ids: &[Self]) -> bool {
        // Without a way out in the middle it is a matter of a few at a time.
        ids.iter().fold(0, |places, id| places | id.place) & Self::EXCHANGE != 0
    }
}

impl routing::Target for TargetId {
    #[inline]
    fn slot(self) -> usize {
        (self.place >> 1) as usize
    }
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self {
            slots: Mutex::new(Rank::Signal, Slots::default()),
            shards: std::array::from_fn(|_| RwLock::new(Rank::Directory, Shard::default())),
        }
    }

    /// A slot for an entity that is being made, which gives it back when it is dropped.
    pub(crate) fn take_slot(&self) -> usize {
        self.slots.lock().take()
    }

    pub(crate) fn free_slot(&self, slot: usize) {
        self.slots.lock().free.push(slot);
    }

    /// Enters one that exists from now on.
    pub(crate) fn insert(&self, target: Target) {
        let (shard, index) = self.place(target.slot());
        let mut shard = shard.write();
        shard.generation = shard.generation.wrapping_add(1);
        let id = TargetId::new(&target, shard.generation);
        if shard.entries.len() <= index {
            shard.entries.resize_with(index + 1, || None);
        }
        let entry = shard.entries.get_mut(index).expect("it has been made long enough");
        debug_assert!(entry.is_none(), "two that exist have different slots");
        *entry = Some(Entry { id, target });
    }

    /// Takes one out that is deleted. It is handed back, so that it is not dropped under the lock.
    pub(crate) fn remove(&self, slot: usize) -> Option<Target> {
        let (shard, index) = self.place(slot);
        let entry = shard.write().entries.get_mut(index).and_then(Option::take);
        entry.map(|entry| entry.target)
    }

    /// The number of one that exists.
    pub(crate) fn id(&self, target: &Target) -> Option<TargetId> {
        let (shard, index) = self.place(target.slot());
        let shard = shard.read();
        shard.entries.get(index).and_then(Option::as_ref).map(|entry| entry.id)
    }

    /// Finds a queue. Not one that has been deleted, nor an exchange.
    pub(crate) fn queue(&self, id: TargetId) -> Option<Arc<QueueCell>> {
        self.with(id, |target| match target {
            Target::Exchange(_) => None,
            Target::Queue(queue) => Some(Arc::clone(queue)),
        })
    }

    /// Does something with an exchange that has not been deleted, under the lock that keeps it
    /// from being.
    pub(crate) fn with_exchange<R>(
        &self,
        id: TargetId,
        act: impl FnOnce(&ExchangeCell) -> R,
    ) -> Option<R> {
        self.with(id, |target| match target {
            Target::Exchange(exchange) => Some(act(exchange)),
            Target::Queue(_) => None,
        })
    }

    fn with<R>(&self, id: TargetId, act: impl FnOnce(&Target) -> Option<R>) -> Option<R> {
        let (shard, index) = self.place(routing::Target::slot(id));
        let shard = shard.read();
        match shard.entries.get(index) {
            Some(Some(entry)) if entry.id == id => act(&entry.target),
            Some(_) | None => None,
        }
    }

    fn place(&self, slot: usize) -> (&RwLock<Shard>, usize) {
        let shard = self.shards.get(slot % SHARDS).expect("it is below the shard count");
        (shard, slot / SHARDS)
    }
}

impl Slots {
    fn take(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Broker;

    fn cell(broker: &Broker) -> Arc<QueueCell> {
        let queue = broker.declare_queue("").declare().expect("the broker is open");
        Arc::clone(queue.cell())
    }

    #[test]
    fn a_successor_in_a_slot_is_somebody_else() {
        let (broker, registry) = (Broker::new(), Registry::new());
        let queue = Target::Queue(cell(&broker));
        assert_eq!(registry.id(&queue), None);
        registry.insert(queue.clone());
        let first = registry.id(&queue).expect("it was inserted");
        assert!(registry.queue(first).is_some() && !first.is_exchange());
        let removed = registry.remove(queue.slot());
        assert!(matches!(removed, Some(Target::Queue(_))));
        assert!(registry.queue(first).is_none() && registry.id(&queue).is_none());
        registry.insert(queue.clone());
        let second = registry.id(&queue).expect("it was inserted again");
        assert!(registry.queue(first).is_none() && registry.queue(second).is_some());
    }

    #[test]
    fn what_is_deleted_is_let_go() {
        let broker = Broker::new();
        let from = broker.declare_exchange("from").fanout().declare().unwrap();
        let to = broker.declare_exchange("to").fanout().declare().unwrap();
        let queue = broker.declare_queue("q").declare().unwrap();
        let binding = from.bind(&queue, "").unwrap();
        from.bind(&to, "").unwrap();
        from.publish("", crate::Message::new("x")).unwrap();
        let vhost = broker.state().default.clone();
        let kept = Arc::downgrade(&vhost.exchange("to").unwrap());
        to.delete().unwrap();
        drop(to);
        assert_eq!(kept.strong_count(), 0);
        let kept = Arc::downgrade(queue.cell());
        queue.delete().unwrap();
        drop((binding, queue));
        // The memo of routes may keep a queue until the next publish.
        from.publish("", crate::Message::new("x")).unwrap();
        assert_eq!(kept.strong_count(), 0);
    }

    #[test]
    fn exchanges_are_told_from_queues() {
        let broker = Broker::new();
        let (vhost, queue) = (broker.state().default.clone(), Target::Queue(cell(&broker)));
        let exchange = Target::Exchange(vhost.exchange("amq.topic").expect("it is always there"));
        let [queue, exchange] =
            [queue, exchange].map(|target| vhost.registry.id(&target).expect("both exist"));
        assert!(!TargetId::any_exchange(&[queue, queue, queue]));
        assert!(TargetId::any_exchange(&[queue, exchange, queue]) && exchange.is_exchange());
        assert!(!TargetId::any_exchange(&[]));
    }
}
