//! What a store should hold after what it was told: the plain version.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Message,
    store::record::{Amendment, ENTITIES, Entity, ItemId, Record, Serial},
};

/// What is in a store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) messages: BTreeMap<ItemId, Held>,
    pub(crate) entities: BTreeMap<Serial, Entity>,
    /// What was told of items before they came. It lives no longer than the process.
    early: BTreeMap<ItemId, Early>,
    ended: BTreeSet<Serial>,
}

/// A message, and what has become of it.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) state: Amendment,
    pub(crate) message: Message,
}

#[derive(Clone, Copy, Debug, Default)]
struct Early {
    is_settled: bool,
    state: Option<Amendment>,
    place: Option<u64>,
}

impl Model {
    /// The greatest serial of anything in it; zero if it is empty.
    pub(crate) fn serial_max(&self) -> Serial {
        let queues = self.messages.keys().map(|id| id.queue);
        queues.chain(self.entities.keys().copied()).max().unwrap_or_default()
    }

    pub(crate) fn tell_all(&mut self, group: &[Record]) {
        for record in group {
            self.tell(record);
        }
    }

    pub(crate) fn tell(&mut self, record: &Record) {
        match record {
            Record::Entity(serial, entity) => {
                let id = ItemId { queue: ENTITIES, seq: *serial };
                if !self.early.remove(&id).is_some_and(|news| news.is_settled) {
                    self.entities.insert(*serial, (**entity).clone());
                }
            }
            Record::Message(told) => {
                let held = Held { state: told.state, message: told.message.clone() };
                self.arrive(told.id, held);
            }
            Record::Settled(id) if id.queue == ENTITIES => {
                if self.entities.remove(&id.seq).is_none() {
                    self.early.entry(*id).or_default().is_settled = true;
                }
            }
            Record::Settled(id) => {
                if self.messages.remove(id).is_none() {
                    self.early.entry(*id).or_default().is_settled = true;
                }
            }
            Record::Amended(id, state) => {
                if let Some(held) = self.messages.get_mut(id) {
                    held.state = newer(held.state, *state);
                } else {
                    let news = self.early.entry(*id).or_default();
                    news.state = Some(news.state.map_or(*state, |known| newer(known, *state)));
                }
            }
            Record::Moved(id, place) => match self.messages.remove(id) {
                Some(held) => self.arrive(ItemId { seq: *place, ..*id }, held),
                None => self.early.entry(*id).or_default().place = Some(*place),
            },
            Record::QueueEnded(queue) => {
                self.messages.retain(|id, _| id.queue != *queue);
                self.early.retain(|id, _| id.queue != *queue);
                self.ended.insert(*queue);
            }
        }
    }

    /// The same without what is neither in `least` nor in `found`.
    pub(crate) fn without_those_missing(&self, least: &Self, found: &Self) -> Self {
        let mut left = self.clone();
        left.messages
            .retain(|id, _| least.messages.contains_key(id) || found.messages.contains_key(id));
        left.entities.retain(|serial, _| {
            least.entities.contains_key(serial) || found.entities.contains_key(serial)
        });
        left
    }

    /// What is not as it is in the other one; nothing if they hold the same.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        let ids: BTreeSet<_> = self.messages.keys().chain(other.messages.keys()).collect();
        let message = ids.into_iter().find_map(|id| {
            let (left, right) = (self.messages.get(id), other.messages.get(id));
            let is_same = match (left, right) {
                (Some(left), Some(right)) => left.is_same(right),
                (left, right) => left.is_none() && right.is_none(),
            };
            (!is_same).then(|| format!("{id:?}: {left:?} and {right:?}"))
        });
        message.or_else(|| {
            let serials: BTreeSet<_> = self.entities.keys().chain(other.entities.keys()).collect();
            let differs =
                |serial: &&Serial| self.entities.get(serial) != other.entities.get(serial);
            let serial = serials.into_iter().find(differs)?;
            let (left, right) = (self.entities.get(serial), other.entities.get(serial));
            Some(format!("entity {serial}: {left:?} and {right:?}"))
        })
    }

    fn arrive(&mut self, id: ItemId, mut held: Held) {
        if self.ended.contains(&id.queue) {
            return;
        }
        let Some(news) = self.early.remove(&id) else {
            self.messages.insert(id, held);
            return;
        };
        if news.is_settled {
            return;
        }
        held.state = news.state.map_or(held.state, |told| newer(held.state, told));
        match news.place {
            Some(seq) => self.arrive(ItemId { seq, ..id }, held),
            None => {
                self.messages.insert(id, held);
            }
        }
    }
}

impl Held {
    fn is_same(&self, other: &Self) -> bool {
        let (left, right) = (self.message.address(), other.message.address());
        self.state == other.state
            && self.message == other.message
            && left.exchange == right.exchange
            && left.routing_key == right.routing_key
    }
}

/// Which of two states is the later one: threads may tell of them in another order.
fn newer(known: Amendment, told: Amendment) -> Amendment {
    if told.returns < known.returns { known } else { told }
}
