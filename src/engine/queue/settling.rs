//! How hand-outs end, and what becomes of messages then.

use std::cmp::Reverse;

use super::{
    Burial, Dead, Effects, Held, QueueCore, Reason, Recipient, Settlement, Staged, UnackedKey,
    consumers::Ending,
    entry::{Entry, Stamp},
    options::Place,
    unacked::HandOut,
};
use crate::engine::ids::Seq;

impl<C: Recipient> QueueCore<C> {
    /// Ends hand-outs, in this order, and then hands out what that made room for; what returns sets
    /// a chosen consumer going, too. A key whose hand-out has ended already is passed over; the
    /// answer counts the others.
    ///
    /// What goes back has to be in the custody of the queue; see [`give_back`](Self::give_back).
    pub(crate) fn settle(
        &mut self,
        keys: &[UnackedKey],
        settlement: Settlement,
        effects: &mut Effects,
    ) -> usize {
        if settlement == Settlement::Accept && !self.needs_care() {
            let settled = keys.iter().filter(|key| self.end_plainly(**key, None, effects)).count();
            self.serve(effects);
            return settled;
        }
        let deaths = effects.dead.len();
        let settled = keys.iter().filter(|key| self.end(**key, None, settlement, effects)).count();
        self.sort_deaths(settlement, deaths, effects);
        self.go_on_after(settlement, effects);
        settled
    }

    /// Accepts hand-outs like [`settle`](Self::settle). Whoever had them has told the store.
    pub(crate) fn accept_told(&mut self, keys: &[UnackedKey], effects: &mut Effects) {
        let staged = effects.staged.len();
        let needs_care = self.needs_care();
        for key in keys {
            if needs_care {
                self.end_with_care(*key, None, Settlement::Accept, effects);
            } else {
                self.end_plainly(*key, None, effects);
            }
        }
        effects.staged.truncate(staged);
        self.serve(effects);
    }

    /// Like [`settle`](Self::settle), for hand-outs whose holders have the messages.
    pub(crate) fn give_back(
        &mut self,
        handed: impl IntoIterator<Item = (UnackedKey, Held)>,
        settlement: Settlement,
        effects: &mut Effects,
    ) -> usize {
        let ended = handed
            .into_iter()
            .map(|(key, held)| self.end(key, Some(held), settlement, effects))
            .filter(|has_ended| *has_ended)
            .count();
        self.go_on_after(settlement, effects);
        ended
    }

    /// Rejects a hand-out, and says why. `false` if it has ended before.
    pub(crate) fn reject(
        &mut self,
        key: UnackedKey,
        held: Held,
        cause: Box<str>,
        effects: &mut Effects,
    ) -> bool {
        let deaths = effects.dead.len();
        let has_ended = self.end(key, Some(held), Settlement::Reject, effects);
        if let Some(dead) = effects.dead.get_mut(deaths) {
            dead.cause = Some(cause);
        }
        self.serve(effects);
        has_ended
    }

    /// Accepts a hand-out and all earlier ones of the same consumer.
    pub(crate) fn accept_through(&mut self, last: UnackedKey, effects: &mut Effects) -> u32 {
        let Self { unacked, consumers, bytes, counts, options, .. } = self;
        let (mut accepted, mut whose) = (0, None);
        unacked.remove_through(
            last,
            |of| consumers.newest(of),
            |serial, HandOut { stamp, held, consumer, .. }| {
                accepted += 1;
                whose = consumer;
                *bytes -= stamp.bytes_in_hand();
                effects.freed.extend(held);
                if let Some(options) = options {
                    effects.stage_end(stamp);
                    options.leases.end(serial);
                    options.notes.forget(stamp.seq);
                }
            },
        );
        counts.acked += u64::from(accepted);
        if let Some(consumer) = whose {
            consumers.settled(consumer, accepted, Ending::Accepted);
        }
        self.serve(effects);
        accepted
    }

    /// A dead letter has left for good.
    pub(crate) fn buried(&mut self, dead: &Dead, burial: Burial, effects: &mut Effects) {
        let Some(stamp) = dead.stamp else { return };
        self.moving.messages -= 1;
        self.moving.bytes -= stamp.bytes();
        match burial {
            Burial::Routed => self.counts.dead_lettered += 1,
            Burial::NoExchange => *self.counts.without_burial(dead.reason) += 1,
        }
        self.leave(stamp, effects);
    }

    /// Those who died together in a queue with priorities leave the highest first, as in
    /// `RabbitMQ`, where the levels are queues of their own.
    fn sort_deaths(&self, settlement: Settlement, from: usize, effects: &mut Effects) {
        if settlement == Settlement::Reject
            && let Some(dead) = effects.dead.get_mut(from..)
        {
            dead.sort_by_key(|dead| Reverse(self.ready.level_of(&dead.held)));
        }
    }

    fn go_on_after(&mut self, settlement: Settlement, effects: &mut Effects) {
        match settlement {
            Settlement::Accept
            | Settlement::AcceptOnReceipt
            | Settlement::Drop
            | Settlement::Reject => self.serve(effects),
            Settlement::Abandon
            | Settlement::Fail
            | Settlement::Requeue
            | Settlement::RetryIn(_)
            | Settlement::ReturnUnseen => {
                // A quorum queue hands out before it looks at its bounds.
                if !self.is_quorum() {
                    self.make_way(effects);
                }
                self.expire(usize::MAX, effects);
                self.dispatch(effects);
                if self.is_quorum() {
                    self.make_way(effects);
                }
            }
        }
    }

    /// Ends one hand-out, with the message if its holder has it. `false` if it has ended before.
    #[inline]
    pub(super) fn end(
        &mut self,
        key: UnackedKey,
        returned: Option<Held>,
        settlement: Settlement,
        effects: &mut Effects,
    ) -> bool {
        if settlement == Settlement::Accept && !self.needs_care() {
            return self.end_plainly(key, returned, effects);
        }
        self.end_with_care(key, returned, settlement, effects)
    }

    /// Accepts what was handed out by a queue that needs no care.
    #[inline]
    fn end_plainly(
        &mut self,
        key: UnackedKey,
        returned: Option<Held>,
        effects: &mut Effects,
    ) -> bool {
        effects.freed.extend(returned);
        let consumers = &mut self.consumers;
        let Some(handed) = self.unacked.remove(key, |of| consumers.newest(of)) else {
            return false;
        };
        let HandOut { stamp, held, consumer, .. } = handed;
        self.counts.acked += 1;
        self.bytes -= stamp.bytes_in_hand();
        effects.stage_end(stamp);
        effects.freed.extend(held);
        if let Some(consumer) = consumer {
            self.consumers.settled(consumer, 1, Ending::Accepted);
        }
        true
    }

    #[inline(never)]
    fn end_with_care(
        &mut self,
        key: UnackedKey,
        returned: Option<Held>,
        settlement: Settlement,
        effects: &mut Effects,
    ) -> bool {
        let consumers = &mut self.consumers;
        let Some(handed) = self.unacked.remove(key, |of| consumers.newest(of)) else {
            effects.freed.extend(returned);
            return false;
        };
        if let Some(options) = &mut self.options {
            options.leases.end(key.serial());
        }
        let HandOut { stamp, held: kept, consumer, .. } = handed;
        // What the holder has may show how often it was delivered; the queue's own does not.
        let held = match kept {
            None => returned,
            Some(kept) => {
                effects.freed.extend(returned);
                Some(kept)
            }
        };
        let ending = self.finish(stamp, held, settlement, effects);
        if let Some(consumer) = consumer {
            self.consumers.settled(consumer, 1, ending);
        }
        true
    }

    /// What becomes of a message whose hand-out has ended.
    fn finish(
        &mut self,
        mut stamp: Stamp,
        held: Option<Held>,
        settlement: Settlement,
        effects: &mut Effects,
    ) -> Ending {
        let ending = match settlement {
            Settlement::Accept => {
                self.counts.acked += 1;
                Ending::Accepted
            }
            Settlement::AcceptOnReceipt => {
                self.counts.auto_acked += 1;
                Ending::Accepted
            }
            Settlement::Drop => {
                self.counts.dropped += 1;
                Ending::Rejected
            }
            Settlement::Reject => {
                let held = held.expect("what is rejected is brought along or was kept");
                self.die(Entry { stamp, held }, Reason::Rejected, effects);
                return Ending::Rejected;
            }
            Settlement::ReturnUnseen => {
                stamp.past = stamp.past.unseen();
                Ending::Returned
            }
            Settlement::Abandon
            | Settlement::Fail
            | Settlement::Requeue
            | Settlement::RetryIn(_) => {
                stamp.past = stamp.past.returned();
                Ending::Returned
            }
        };
        if ending == Ending::Returned {
            let held = held.expect("what goes back is brought along or was kept");
            self.counts.returned += 1;
            self.take_back(Entry { stamp, held }, settlement, effects);
        } else {
            self.leave(stamp, effects);
            effects.freed.extend(held);
        }
        ending
    }

    /// Takes a message back that was handed out.
    #[inline]
    fn take_back(&mut self, entry: Entry, settlement: Settlement, effects: &mut Effects) {
        match &mut self.options {
            None => self.return_to_line(entry, Place::Own, effects),
            Some(options) => {
                let is_seen = settlement != Settlement::ReturnUnseen;
                if is_seen && options.is_exhausted(entry.stamp.past.returns()) {
                    return self.die(entry, Reason::DeliveryLimit, effects);
                }
                match options.delay_of(&entry, settlement) {
                    None => {
                        let place = options.place_of(settlement);
                        self.return_to_line(entry, place, effects);
                    }
                    Some(until) => {
                        // One that ends before then will end there.
                        let end = options.notes.end_of(entry.stamp.seq);
                        let until = end.map_or(until, |end| end.min(until));
                        effects.stage_return(entry.stamp, end, Some(until));
                        options.delayed.add(until, entry);
                    }
                }
            }
        }
    }

    /// A message is ready again.
    pub(super) fn return_to_line(&mut self, mut entry: Entry, place: Place, effects: &mut Effects) {
        let Some(options) = &mut self.options else { return self.ready.put_back(entry) };
        let seq = match place {
            Place::Own => entry.stamp.seq,
            Place::Front => options.next_returned(),
            Place::End => {
                self.next_seq += 1;
                Seq(self.next_seq - 1)
            }
        };
        if place != Place::Own {
            let former = std::mem::replace(&mut entry.stamp.seq, seq);
            if let Some(note) = options.notes.forget(former) {
                options.notes.add(seq, note);
            }
            if entry.stamp.past.is_stored() {
                effects.staged.push(Staged::Renumbered(former, seq));
            }
        }
        effects.stage_return(entry.stamp, options.notes.end_of(seq), None);
        options.entered(&entry, self.ready.level_of(&entry.held));
        self.page_out(&mut entry, effects);
        self.ready.put_back(entry);
    }

    /// The message is dead. It goes to where its queue's dead letters go, or nowhere.
    pub(super) fn die(&mut self, entry: Entry, reason: Reason, effects: &mut Effects) {
        let Entry { stamp, held } = entry;
        if let Some(options) = &mut self.options
            && options.has_dead_letters
        {
            options.notes.forget(stamp.seq);
            self.moving.messages += 1;
            self.moving.bytes += stamp.bytes();
            effects.stage_death(stamp, reason);
            effects.dead.push(Dead { held, reason, cause: None, stamp: Some(stamp) });
        } else {
            *self.counts.without_burial(reason) += 1;
            self.leave(stamp, effects);
            effects.freed.push(held);
        }
    }

    /// The message is gone for good.
    #[inline]
    pub(super) fn leave(&mut self, stamp: Stamp, effects: &mut Effects) {
        self.bytes -= stamp.bytes();
        // Also of a queue that has been deleted, whose options have gone: a letter has left it.
        effects.stage_end(stamp);
        if let Some(options) = &mut self.options {
            options.notes.forget(stamp.seq);
        }
    }
}
