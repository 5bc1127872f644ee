//! What ledgers tell, put together: where each message has to be.
//!
//! Kept are only messages that may still be somewhere, and how many each thread made, so that one
//! that comes back is known.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    entry::{Entry, Verb},
    item::Id,
    order::Order,
    place::{Place, Queue},
    slot::Slot,
    verdict::{Fault, Verdict},
};

#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) verdict: Verdict,
    pub(super) messages: BTreeMap<Id, Published>,
    /// What is to be settled in transactions of which it is not known whether they happened.
    pub(super) transactions: HashMap<Id, Transaction>,
    /// The line of the last publish, commit or sync that was confirmed. An ack that had returned
    /// when that was begun stays.
    pub(super) horizon: u64,
    /// Where syncs were intended that have not returned.
    syncs: HashMap<Id, u64>,
    /// Whether exchanges and queues have to be there.
    pub(super) is_declared: bool,
    refused: HashSet<Id>,
    /// The greatest number of each thread of each life.
    made: HashMap<(u32, u16), u32>,
    /// What each consumer got unflagged.
    orders: HashMap<(u16, Place), Order>,
    line: u64,
}

/// A message.
#[derive(Debug, Default)]
pub(crate) struct Published {
    /// Where in the ledger it was intended.
    line: u64,
    /// What happens with it or not at all: itself or a transaction. `None` once it is known.
    pub(super) group: Option<Id>,
    pub(super) slots: Vec<(Queue, Slot)>,
}

#[derive(Debug, Default)]
pub(crate) struct Transaction {
    /// Where in the ledger its commit was intended.
    line: u64,
    published: Vec<Id>,
    pub(super) settled: Vec<(Id, Place)>,
}

impl History {
    /// Adds what happened next.
    pub(crate) fn add(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            self.line += 1;
            self.add_one(entry);
        }
    }

    fn add_one(&mut self, entry: Entry) {
        match entry {
            Entry::Life(_) => self.begin_life(),
            Entry::Declared => self.is_declared = true,
            Entry::Publish { id, queues, transaction } => self.publish(id, &queues, transaction),
            Entry::Confirmed(id) => self.confirm(id, None),
            Entry::Refused(id) => self.refuse(id),
            Entry::Got { consumer, id, place, is_redelivered } => {
                self.get(consumer, id, place, is_redelivered);
            }
            Entry::Settle { verb, id, place, transaction } => {
                self.settle(verb, id, place, transaction);
            }
            Entry::Settled { verb, id, place } => {
                let line = self.line;
                if removes(verb, place) {
                    self.slot(id, place).remove(place, line);
                }
            }
            Entry::Kept { id, place } => self.slot(id, place).remove_for_good(place),
            Entry::Sync(id) => drop(self.syncs.insert(id, self.line)),
            Entry::Synced(id) => {
                let line = self.syncs.remove(&id).unwrap_or_default();
                self.horizon = self.horizon.max(line);
            }
            Entry::Commit(id) => self.transactions.entry(id).or_default().line = self.line,
            Entry::Committed(id) => self.commit(id),
            Entry::RolledBack(id) => self.roll_back(id),
            Entry::Closed => self.horizon = u64::MAX,
            Entry::Wrong(text) => self.verdict.find(Fault::WrongPayload, text),
            Entry::Failed(text) => self.verdict.find(Fault::Failure, text),
        }
    }

    /// The last one ended, however it did.
    fn begin_life(&mut self) {
        for (_, slot) in self.messages.values_mut().flat_map(|message| &mut message.slots) {
            slot.crash(self.horizon);
        }
        self.orders.clear();
        self.syncs.clear();
        self.horizon = 0;
    }

    fn publish(&mut self, id: Id, queues: &[Queue], transaction: Option<Id>) {
        let made = self.made.entry((id.life, id.thread)).or_default();
        *made = id.number.max(*made);
        if let Some(transaction) = transaction {
            self.transactions.entry(transaction).or_default().published.push(id);
        }
        let slots = queues.iter().map(|queue| (*queue, Slot::new(Place::Home(*queue))));
        let group = Some(transaction.unwrap_or(id));
        let message = Published { line: self.line, group, slots: slots.collect() };
        self.messages.insert(id, message);
    }

    fn confirm(&mut self, id: Id, commit: Option<u64>) {
        let Some(message) = self.messages.get_mut(&id) else { return };
        self.verdict.confirmed += 1;
        message.slots.iter_mut().for_each(|(_, slot)| slot.is_certain = true);
        self.horizon = self.horizon.max(commit.unwrap_or(message.line));
    }

    fn commit(&mut self, id: Id) {
        let Some(transaction) = self.transactions.remove(&id) else { return };
        for published in transaction.published {
            self.confirm(published, Some(transaction.line));
        }
        for (id, place) in transaction.settled {
            self.slot(id, place).remove_for_good(place);
        }
        self.horizon = self.horizon.max(transaction.line);
    }

    fn roll_back(&mut self, transaction: Id) {
        let Some(changes) = self.transactions.remove(&transaction) else { return };
        changes.published.into_iter().for_each(|id| self.refuse(id));
        for (id, place) in changes.settled {
            self.slot(id, place).keep(place, transaction);
        }
    }

    fn refuse(&mut self, id: Id) {
        self.messages.remove(&id);
        self.refused.insert(id);
    }

    fn settle(&mut self, verb: Verb, id: Id, place: Place, transaction: Option<Id>) {
        let removes = removes(verb, place);
        let slot = self.slot(id, place);
        if removes {
            slot.intend(place, transaction);
        } else if verb == Verb::Reject {
            slot.may_die = true;
        }
        if let Some(transaction) = transaction.filter(|_| removes) {
            self.transactions.entry(transaction).or_default().settled.push((id, place));
        }
    }

    fn get(&mut self, consumer: u16, id: Id, place: Place, is_redelivered: bool) {
        self.meet(id, place);
        for (fault, what) in self.slot(id, place).get(place, is_redelivered) {
            self.verdict.find(fault, format!("{id} in {place} {what}"));
        }
        if !is_redelivered && place.is_ordered(is_redelivered) {
            let order = self.orders.entry((consumer, place)).or_default();
            if let Err(wrong) = order.add(id) {
                let text = format!("{wrong} at consumer {consumer} of {place}");
                self.verdict.find(Fault::OrderViolation, text);
            }
        }
    }

    /// Somebody saw a message. If it should not be there, that is found, once.
    pub(super) fn meet(&mut self, id: Id, place: Place) {
        let is_known = |message: &Published| message.has(place.home());
        if self.messages.get(&id).is_some_and(is_known) {
            return;
        }
        let made = self.made.get(&(id.life, id.thread)).copied().unwrap_or_default();
        let (fault, what) = if made < id.number {
            (Fault::Unexpected, "was never published")
        } else if self.refused.contains(&id) {
            (Fault::Unexpected, "was refused")
        } else {
            (Fault::ResurrectedAck, "is back after it was gone")
        };
        self.verdict.find(fault, format!("{id} in {place} {what}"));
        let slot = self.slot(id, place);
        slot.is_certain = true;
        slot.may_die = true;
    }

    /// A slot that is there, or is made.
    fn slot(&mut self, id: Id, place: Place) -> &mut Slot {
        let slots = &mut self.messages.entry(id).or_default().slots;
        let queue = place.home();
        let index = slots.iter().position(|(of, _)| *of == queue).unwrap_or_else(|| {
            slots.push((queue, Slot::new(place)));
            slots.len() - 1
        });
        &mut slots[index].1
    }
}

impl Published {
    fn has(&self, queue: Queue) -> bool {
        self.slots.iter().any(|(of, _)| *of == queue)
    }
}

/// Whether a message is nowhere after that.
pub(super) fn removes(verb: Verb, place: Place) -> bool {
    match verb {
        Verb::Ack => true,
        Verb::Reject => match place {
            Place::Home(queue) => !queue.has_letters(),
            Place::Letter(_) => true,
        },
        Verb::Requeue | Verb::Retry => false,
    }
}
