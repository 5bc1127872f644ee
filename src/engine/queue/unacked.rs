//! The messages that are handed out and not settled.

use slab::Slab;

use super::{consumers::ConsumerId, entry::Entry};

/// Names one hand-out of one message. Invariant: `serial` is never used twice in a queue, so that
/// a key outlived by its hand-out never settles a later one that got the same slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct UnackedKey {
    slot: u32,
    /// Counts hand-outs of the queue, so it also says which of two was handed out first.
    serial: u64,
}

/// One message that is handed out.
#[derive(Debug)]
pub(crate) struct HandOut {
    pub(crate) entry: Entry,
    serial: u64,
    /// To whom; `None` for one that was got rather than pushed.
    pub(crate) consumer: Option<ConsumerId>,
}

/// What is handed out, by key.
#[derive(Debug, Default)]
pub(crate) struct Unacked {
    slots: Slab<HandOut>,
    next_serial: u64,
}

impl Unacked {
    /// Notes a message as handed out.
    pub(crate) fn insert(&mut self, entry: Entry, consumer: Option<ConsumerId>) -> UnackedKey {
        let serial = self.next_serial;
        self.next_serial += 1;
        let slot = self.slots.insert(HandOut { entry, serial, consumer });
        UnackedKey { slot: u32::try_from(slot).expect("fewer than 2^32 messages"), serial }
    }

    /// Ends a hand-out; `None` if it has ended before.
    pub(crate) fn remove(&mut self, key: UnackedKey) -> Option<HandOut> {
        let slot = key.slot as usize;
        match self.slots.get(slot) {
            Some(handed) if handed.serial == key.serial => Some(self.slots.remove(slot)),
            Some(_) | None => None,
        }
    }

    /// The keys of what a consumer was handed no later than `last`, in the order of hand-outs.
    pub(crate) fn through(&self, last: UnackedKey, consumer: ConsumerId) -> Vec<UnackedKey> {
        let mut keys: Vec<_> = self
            .iter()
            .filter(|(key, handed)| key.serial <= last.serial && handed.consumer == Some(consumer))
            .map(|(key, _)| key)
            .collect();
        keys.sort_unstable_by_key(|key| key.serial);
        keys
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Every hand-out, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (UnackedKey, &HandOut)> {
        self.slots.iter().map(|(slot, handed)| {
            let slot = u32::try_from(slot).expect("fewer than 2^32 messages");
            (UnackedKey { slot, serial: handed.serial }, handed)
        })
    }
}
