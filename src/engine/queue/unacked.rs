//! The messages that are handed out and not settled.
//!
//! Those of one consumer are linked in the order in which it got them, so that accepting one and
//! all earlier ones looks at no others.

use std::{collections::HashSet, num::NonZeroU64};

use slab::Slab;

use super::{
    consumers::ConsumerId,
    entry::{Held, Stamp},
};

/// No hand-out: where a chain ends.
const NONE: usize = usize::MAX;

/// Names one hand-out of one message. Invariant: `serial` is never used twice in a queue, so that
/// a key outlived by its hand-out never settles a later one that got the same slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct UnackedKey {
    slot: usize,
    /// Counts hand-outs of the queue, so it also says which of two was handed out first.
    serial: NonZeroU64,
}

/// One message that is handed out.
#[derive(Debug)]
pub(crate) struct HandOut {
    pub(crate) stamp: Stamp,
    /// The message, unless whoever has it in hand keeps it.
    pub(crate) held: Option<Held>,
    /// To whom; `None` for one that was got rather than pushed.
    pub(crate) consumer: Option<ConsumerId>,
    serial: NonZeroU64,
    /// The slots of the neighbours in the chain of the consumer's hand-outs.
    older: usize,
    newer: usize,
}

/// The end of the chain of one consumer: its newest hand-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Newest(usize);

/// What is handed out, by key.
#[derive(Debug, Default)]
pub(crate) struct Unacked {
    slots: Slab<HandOut>,
    /// The serial number of the latest hand-out, and zero before the first.
    serial: u64,
}

impl UnackedKey {
    /// Grows with each hand-out of the queue.
    pub(crate) fn serial(self) -> u64 {
        self.serial.get()
    }
}

impl HandOut {
    const BLANK: Self = Self {
        stamp: Stamp::BLANK,
        held: None,
        consumer: None,
        serial: NonZeroU64::MIN,
        older: NONE,
        newer: NONE,
    };
}

impl Newest {
    /// Of a consumer that has nothing.
    pub(crate) const NOTHING: Self = Self(NONE);
}

impl Unacked {
    /// Notes a message as handed out to a consumer.
    #[inline]
    pub(crate) fn push(
        &mut self,
        stamp: Stamp,
        held: Option<Held>,
        consumer: ConsumerId,
        newest: &mut Newest,
    ) -> UnackedKey {
        let key = self.insert(stamp, held, Some(consumer), newest.0);
        if let Some(older) = self.slots.get_mut(newest.0) {
            older.newer = key.slot;
        }
        *newest = Newest(key.slot);
        key
    }

    /// Notes a message as handed out to whoever asked for it.
    pub(crate) fn insert_got(&mut self, stamp: Stamp, held: Option<Held>) -> UnackedKey {
        self.insert(stamp, held, None, NONE)
    }

    /// Ends a hand-out; `None` if it has ended before. If it was the newest of its consumer,
    /// `newest_of` has to forget that.
    pub(crate) fn remove<'n>(
        &mut self,
        key: UnackedKey,
        newest_of: impl FnOnce(ConsumerId) -> Option<&'n mut Newest>,
    ) -> Option<HandOut> {
        self.get(key)?;
        let handed = self.slots.remove(key.slot);
        let Some(consumer) = handed.consumer else { return Some(handed) };
        if let Some(older) = self.slots.get_mut(handed.older) {
            older.newer = handed.newer;
        }
        if let Some(newer) = self.slots.get_mut(handed.newer) {
            newer.older = handed.older;
        } else if let Some(newest) = newest_of(consumer) {
            *newest = Newest(handed.older);
        }
        Some(handed)
    }

    /// Ends a hand-out and all earlier ones of the same consumer, oldest first, unless it has ended
    /// before. If it was the newest, `newest_of` has to forget that.
    pub(crate) fn remove_through<'n>(
        &mut self,
        last: UnackedKey,
        newest_of: impl FnOnce(ConsumerId) -> Option<&'n mut Newest>,
        mut ended: impl FnMut(u64, HandOut),
    ) {
        let Some(&HandOut { consumer, newer, .. }) = self.get(last) else { return };
        for key in self.through(last) {
            ended(key.serial(), self.slots.remove(key.slot));
        }
        if let Some(newer) = self.slots.get_mut(newer) {
            newer.older = NONE;
        } else if let Some(newest) = consumer.and_then(newest_of) {
            *newest = Newest::NOTHING;
        }
    }

    /// The keys of what a consumer was handed no later than `last`, in the order of hand-outs;
    /// none if `last` has ended.
    fn through(&self, last: UnackedKey) -> Vec<UnackedKey> {
        let mut keys = Vec::new();
        let mut next = self.get(last).map(|handed| (last.slot, handed));
        while let Some((slot, handed)) = next {
            keys.push(UnackedKey { slot, serial: handed.serial });
            next = self.slots.get(handed.older).map(|older| (handed.older, older));
        }
        keys.reverse();
        keys
    }

    /// To whom something was handed; `None` if it was got.
    pub(crate) fn consumer_of(&self, key: UnackedKey) -> Option<ConsumerId> {
        self.get(key)?.consumer
    }

    /// How many have something: of consumers, those that are asked for; each message that was got
    /// is somebody's of its own.
    pub(crate) fn holders(&self, of: impl Fn(ConsumerId) -> bool) -> usize {
        let got = self.slots.iter().filter(|(_, handed)| handed.consumer.is_none()).count();
        let consumers: HashSet<_> = self
            .slots
            .iter()
            .filter_map(|(_, handed)| handed.consumer.filter(|consumer| of(*consumer)))
            .collect();
        got + consumers.len()
    }

    /// How often anything was handed out.
    pub(crate) fn handed(&self) -> u64 {
        self.serial
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn has(&self, key: UnackedKey) -> bool {
        self.get(key).is_some()
    }

    /// All messages that nobody else has, in no particular order.
    pub(crate) fn into_messages(mut self) -> impl Iterator<Item = Held> {
        let handed: Vec<_> = self.slots.drain().collect();
        handed.into_iter().filter_map(|handed| handed.held)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Every hand-out, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &HandOut> {
        self.slots.iter().map(|(_, handed)| handed)
    }

    /// Checks the chain of one consumer: all that it has, oldest first.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn check_chain(&self, consumer: ConsumerId, newest: Newest) {
        let of_consumer = self.iter().filter(|handed| handed.consumer == Some(consumer)).count();
        let newest = self.slots.get(newest.0).map(|handed| {
            assert_eq!(handed.newer, NONE, "nothing is newer than the newest");
            UnackedKey { slot: newest.0, serial: handed.serial }
        });
        let chain = newest.map(|newest| self.through(newest)).unwrap_or_default();
        assert_eq!(chain.len(), of_consumer, "the chain has all of {consumer:?}");
        assert!(chain.is_sorted_by_key(|key| key.serial), "the oldest comes first");
    }

    #[inline]
    fn insert(
        &mut self,
        stamp: Stamp,
        held: Option<Held>,
        consumer: Option<ConsumerId>,
        older: usize,
    ) -> UnackedKey {
        self.serial += 1;
        let serial = NonZeroU64::new(self.serial).expect("it counts from one");
        let entry = self.slots.vacant_entry();
        let key = UnackedKey { slot: entry.key(), serial };
        // Written in place, field by field: a struct that is made first and copied then makes the
        // processor wait for its own writes.
        let handed = entry.insert(HandOut::BLANK);
        handed.stamp = stamp;
        handed.held = held;
        handed.consumer = consumer;
        handed.serial = serial;
        handed.older = older;
        key
    }

    #[inline]
    fn get(&self, key: UnackedKey) -> Option<&HandOut> {
        self.slots.get(key.slot).filter(|handed| handed.serial == key.serial)
    }
}
