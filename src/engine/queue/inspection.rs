//! Looking at a queue without changing it.

#[cfg(any(test, fuzzing))]
use super::Flow;
use super::{Held, Past, QueueCore, Recipient, entry::Entry};
use crate::engine::ids::Seq;

/// What one sees of a message without taking it.
#[derive(Clone, Debug)]
pub(crate) struct Peeked {
    pub(crate) seq: Seq,
    pub(crate) held: Held,
    pub(crate) past: Past,
}

impl Peeked {
    fn of(entry: &Entry) -> Self {
        let Entry { stamp, held } = entry;
        Self { seq: stamp.seq, held: held.clone(), past: stamp.past }
    }
}

impl<C: Recipient> QueueCore<C> {
    /// What would be handed out next, so much at most. Takes nothing.
    pub(crate) fn browse(&self, most: usize) -> Vec<Peeked> {
        let is_over = |entry: &&Entry| {
            self.options.as_ref().is_some_and(|options| self.is_over(&entry.stamp, options.now))
        };
        let seen = self.ready.iter().filter(|entry| !is_over(entry)).take(most);
        seen.map(Peeked::of).collect()
    }

    /// Checks every invariant of this layer. Takes time in proportion to the messages held.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn check_invariants(&self) {
        self.ready.check_invariants();
        self.consumers.check_invariants(|id, newest| {
            self.unacked.check_chain(id, newest);
            let handed = self.unacked.iter().filter(|handed| handed.consumer == Some(id));
            u32::try_from(handed.count()).expect("fewer than a consumer may have")
        });
        let (ready, unacked) = (self.ready_messages(), self.unacked_messages());
        let held = ready + unacked + self.delayed_messages() + self.moving_messages();
        assert_eq!(
            self.counts.enqueued,
            held + self.counts.gone(),
            "conservation: {:?}",
            self.counts
        );
        let ready = self.ready.iter().map(|entry| entry.stamp.bytes());
        let unacked = self.unacked.iter().map(|handed| handed.stamp.bytes());
        let delayed = self.options.iter().flat_map(|options| options.delayed.iter());
        let delayed = delayed.map(|entry| entry.stamp.bytes());
        let bytes = ready.chain(unacked).chain(delayed).sum::<u64>() + self.moving.bytes;
        assert_eq!(self.bytes, bytes, "bytes held");
        if !self.ready.is_empty()
            && self.flow() == Flow::Running
            && !self.is_behind()
            && !self.is_on_disk()
        {
            assert!(self.consumers.all_parked(), "nobody with credit is kept waiting");
        }
        if let Some(options) = &self.options {
            options.check_invariants(&self.ready, &self.unacked, held);
        }
    }
}
