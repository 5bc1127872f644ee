//! What a store is told of a queue when its broker closes.

use super::{Effects, QueueCore, Recipient, entry::Stamp};

impl<C: Recipient> QueueCore<C> {
    /// Tells the store of what is handed out as of messages that were given back, since whoever has
    /// them is about to go. Says how many messages the store has.
    pub(crate) fn stage_rest(&mut self, effects: &mut Effects) -> u64 {
        let ends = |seq| self.options.as_ref().and_then(|options| options.notes.end_of(seq));
        let mut kept = 0;
        for handed in self.unacked.iter().filter(|handed| handed.stamp.past.is_stored()) {
            let stamp = Stamp { past: handed.stamp.past.returned(), ..handed.stamp };
            effects.stage_return(stamp, ends(stamp.seq), None);
            kept += 1;
        }
        let delayed = self.options.iter().flat_map(|options| options.delayed.iter());
        let waiting = self.ready.iter().chain(delayed);
        kept + waiting.filter(|entry| entry.stamp.past.is_stored()).count() as u64
    }
}
