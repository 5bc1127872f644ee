//! A queue as a store remembers it.

use super::{
    Dead, Effects, Held, Kept, QueueCore, Recipient,
    entry::{Entry, Past, Stamp},
    options::Needs,
};

impl<C: Recipient> QueueCore<C> {
    #[allow(dead_code, reason = "only a broker with a store does that")]
    /// Takes in what a store had of this queue when the broker opened: before anybody uses it, in
    /// the order of the numbers, and with the time told when it began to have options.
    ///
    /// Of one whose body is on disk there is the outline, and how long the body is. It counts as
    /// enqueued. Bounds are not looked at before [all are there](Self::settle_in). What had died
    /// goes on its way.
    pub(crate) fn restore(
        &mut self,
        kept: Kept,
        held: Held,
        on_disk: Option<u32>,
        effects: &mut Effects,
    ) {
        let Kept { seq, returns, is_redelivered, ends, until, death } = kept;
        let past = Past::restored(returns, is_redelivered);
        let mut entry = Entry { stamp: Stamp { past, ..Stamp::fresh(seq, &held) }, held };
        if let Some(body_bytes) = on_disk {
            entry.stamp.bytes = body_bytes;
            entry.stamp.past = entry.stamp.past.on_disk();
        }
        self.bytes += entry.stamp.bytes();
        self.counts.enqueued += 1;
        let Some(options) = &mut self.options else {
            self.next_seq = self.next_seq.max(seq.0 + 1);
            return self.ready.push(entry);
        };
        if ends.is_some() || until.is_some() {
            options.needs = Needs::Time;
        }
        if on_disk.is_some() {
            let Held::Resident(outline) = &entry.held;
            options.outline.get_or_insert_with(|| outline.clone());
        }
        options.note_restored(seq, ends, &mut self.next_seq);
        if let Some(reason) = death.filter(|_| options.has_dead_letters) {
            let Entry { stamp, held } = entry;
            self.moving.messages += 1;
            self.moving.bytes += stamp.bytes();
            return effects.dead.push(Dead { held, reason, cause: None, stamp: Some(stamp) });
        }
        match until {
            Some(until) => options.delayed.add(ends.map_or(until, |end| end.min(until)), entry),
            None => self.line_up(entry),
        }
    }

    #[allow(dead_code, reason = "only a broker with a store does that")]
    /// All that the store had is there. What was in somebody's hand waits again, so there may be
    /// more than declared bounds allow; as in `RabbitMQ`, the first in line go then.
    pub(crate) fn settle_in(&mut self, effects: &mut Effects) {
        self.make_way(effects);
    }
}
