//! How hand-outs end, where messages return to, and how they die.

use std::{cmp::Reverse, time::Duration};

use super::{
    super::config::{Full, Growth},
    Cause, Corpse, Outcome, Place, Reference, is_done_again,
};
use crate::engine::{
    ids::Seq,
    queue::{Reason, Settlement, Staged, options::draw},
};

impl Reference {
    /// Ends hand-outs by their numbers, and hands out what that makes room for. The answer counts
    /// those that had not ended before.
    pub(in super::super) fn settle(
        &mut self,
        hand_outs: &[usize],
        settlement: Settlement,
        outcome: &mut Outcome,
    ) -> usize {
        let deaths = outcome.dead.len();
        let has_ended = |of: &&usize| self.settle_one(**of, false, settlement, outcome);
        let ended = hand_outs.iter().filter(has_ended).count();
        if settlement == Settlement::Reject {
            // Each level buries its own, the highest first.
            let level = |dead: &Corpse| Reverse(self.messages[dead.message].level);
            outcome.dead[deaths..].sort_by_key(level);
        }
        self.go_on_after(settlement, outcome);
        ended
    }

    /// The same for those whose holders bring the messages along.
    pub(in super::super) fn give_back(
        &mut self,
        hand_outs: &[usize],
        settlement: Settlement,
        outcome: &mut Outcome,
    ) -> usize {
        let has_ended = |of: &&usize| self.settle_one(**of, true, settlement, outcome);
        let ended = hand_outs.iter().filter(has_ended).count();
        self.go_on_after(settlement, outcome);
        ended
    }

    /// Rejects what its holder brings along, and says why.
    pub(in super::super) fn reject(
        &mut self,
        hand_out: usize,
        cause: &'static str,
        outcome: &mut Outcome,
    ) -> bool {
        let deaths = outcome.dead.len();
        let has_ended = self.settle_one(hand_out, true, Settlement::Reject, outcome);
        if let Some(dead) = outcome.dead.get_mut(deaths) {
            dead.cause = Some(cause);
        }
        self.dispatch(outcome);
        has_ended
    }

    /// A dead letter has left.
    pub(in super::super) fn bury(
        &mut self,
        message: usize,
        has_exchange: bool,
        outcome: &mut Outcome,
    ) {
        let Place::Moving(reason) = self.messages[message].place else {
            panic!("{message} is not on its way");
        };
        let cause = if has_exchange { Cause::DeadLettered } else { Cause::Died(reason) };
        self.leave(message, cause, outcome);
    }

    /// Looks whether a quorum queue that refuses opens, or the other way round: it closes after a
    /// bound was passed, and opens when a fifth of each is free.
    pub(in super::super) fn look(&mut self) {
        let (ready, bytes) = self.used();
        let length_max = self.config.length_max.unwrap_or(u64::MAX / 4);
        let bytes_max = self.config.bytes_max.unwrap_or(u64::MAX / 4);
        if ready > length_max || bytes > bytes_max {
            self.is_closed = true;
        } else if ready <= length_max * 4 / 5 && bytes <= bytes_max * 4 / 5 {
            self.is_closed = false;
        }
    }

    /// The bound that one more message finds passed, in a queue that refuses messages.
    pub(super) fn refusing_bound(&self, body_bytes: u64) -> Option<&'static str> {
        let names = ["x-max-length", "x-max-length-bytes"];
        let (ready, bytes) = self.used();
        let config = &self.config;
        match config.overflow {
            Full::DropHead => None,
            Full::RejectDeadLetter if config.is_quorum => None,
            Full::Reject if config.is_quorum => {
                let name = names[usize::from(config.length_max.is_none())];
                let has_bound = config.length_max.is_some() || config.bytes_max.is_some();
                (has_bound && self.is_closed).then_some(name)
            }
            Full::Reject | Full::RejectDeadLetter => {
                let is_long = config.length_max.is_some_and(|most| ready + 1 > most);
                let is_large = config.bytes_max.is_some_and(|most| bytes + body_bytes > most);
                if is_long { Some(names[0]) } else { is_large.then_some(names[1]) }
            }
        }
    }

    /// Drops the head until the bounds are kept, if that is how they are. What a quorum queue drops
    /// at once leaves last first.
    pub(super) fn make_way(&mut self, outcome: &mut Outcome) {
        let drops = self.config.overflow == Full::DropHead
            || self.config.is_quorum && self.config.overflow == Full::RejectDeadLetter;
        let is_over = |queue: &Self| {
            let (ready, bytes) = queue.used();
            queue.config.length_max.is_some_and(|most| ready > most)
                || queue.config.bytes_max.is_some_and(|most| bytes > most)
        };
        let deaths = outcome.dead.len();
        while drops
            && is_over(self)
            && let Some(head) = self.head()
        {
            self.take(head);
            self.die(head, Reason::MaxLen, outcome);
        }
        if self.config.is_quorum {
            outcome.dead[deaths..].reverse();
        }
    }

    /// Puts a message back among those that wait. In a classic queue that is its old place. In a
    /// quorum queue it joins those that came back before; but without a delivery limit, one that is
    /// given back on purpose or failed at goes to the very end.
    pub(super) fn put_back(&mut self, message: usize, to_the_end: bool, outcome: &mut Outcome) {
        self.messages[message].place = Place::Ready;
        if !self.config.is_quorum {
            let later = self.line.iter().position(|other| *other > message);
            self.line.insert(later.unwrap_or(self.line.len()), message);
            if self.is_kept(message) {
                outcome.staged.push(Staged::Amended(self.kept(message, None)));
            }
            return;
        }
        let (list, next_seq) = if to_the_end {
            (&mut self.line, &mut self.next_seq)
        } else {
            (&mut self.returned, &mut self.next_returned_seq)
        };
        list.push(message);
        let former = std::mem::replace(&mut self.messages[message].seq, *next_seq);
        let renumbered = Staged::Renumbered(Seq(former), Seq(*next_seq));
        *next_seq += 1;
        if self.is_kept(message) {
            outcome.staged.push(renumbered);
            outcome.staged.push(Staged::Amended(self.kept(message, None)));
        }
    }

    /// A message dies that is in no list.
    pub(super) fn die(&mut self, message: usize, reason: Reason, outcome: &mut Outcome) {
        if self.config.has_dead_letters {
            self.messages[message].place = Place::Moving(reason);
            if self.is_kept(message) && !is_done_again(reason) {
                outcome.staged.push(Staged::Amended(self.kept(message, None)));
            }
            outcome.dead.push(Corpse { message, reason, cause: None, was_in: true });
        } else {
            self.leave(message, Cause::Died(reason), outcome);
            outcome.freed.push(message);
        }
    }

    /// Ends one hand-out. Whatever its holder brings along is to be dropped if the queue has the
    /// message itself, or has done with it.
    pub(super) fn settle_one(
        &mut self,
        hand_out: usize,
        is_brought: bool,
        settlement: Settlement,
        outcome: &mut Outcome,
    ) -> bool {
        let message = self.hand_outs[hand_out];
        let place = self.messages[message].place;
        let is_it = matches!(place, Place::Unacked { hand_out: of, .. } if of == hand_out);
        let Place::Unacked { consumer, is_kept, .. } = place else {
            outcome.freed.extend(is_brought.then_some(message));
            return false;
        };
        if !is_it || is_brought && is_kept {
            outcome.freed.extend(is_brought.then_some(message));
        }
        if !is_it {
            return false;
        }
        let cause = match settlement {
            Settlement::Accept => Some(Cause::Acked),
            Settlement::AcceptOnReceipt => Some(Cause::AutoAcked),
            Settlement::Drop => Some(Cause::Displaced),
            Settlement::Abandon
            | Settlement::Fail
            | Settlement::Reject
            | Settlement::Requeue
            | Settlement::RetryIn(_)
            | Settlement::ReturnUnseen => None,
        };
        if let Some(cause) = cause {
            self.leave(message, cause, outcome);
            outcome.freed.extend((is_brought || is_kept).then_some(message));
        } else if settlement == Settlement::Reject {
            self.die(message, Reason::Rejected, outcome);
        } else {
            self.come_back(message, settlement, outcome);
        }
        if let Some(consumer) = consumer {
            self.note_end(consumer, settlement);
        }
        true
    }

    fn come_back(&mut self, message: usize, settlement: Settlement, outcome: &mut Outcome) {
        let is_seen = settlement != Settlement::ReturnUnseen;
        self.times_returned += 1;
        self.messages[message].redelivered = true;
        self.messages[message].returns += u32::from(is_seen);
        let returns = self.messages[message].returns;
        let is_exhausted = |limit: u64| is_seen && u64::from(returns) > limit;
        if self.config.delivery_limit.is_some_and(is_exhausted) {
            self.die(message, Reason::DeliveryLimit, outcome);
        } else if let Some(delay) = self.delay_of(message, settlement) {
            let ends = self.messages[message].ends.unwrap_or(Duration::MAX);
            let until = ends.min(self.now + delay);
            self.messages[message].place = Place::Delayed { until };
            if self.is_kept(message) {
                outcome.staged.push(Staged::Amended(self.kept(message, Some(until))));
            }
        } else {
            let is_given = matches!(settlement, Settlement::Fail | Settlement::Requeue);
            let to_the_end = is_given && self.config.delivery_limit.is_none();
            self.put_back(message, to_the_end, outcome);
        }
    }

    /// How long a message waits that comes back; `None` if it does not.
    fn delay_of(&self, message: usize, settlement: Settlement) -> Option<Duration> {
        let delay = match settlement {
            Settlement::Abandon | Settlement::Fail => {
                self.config.retry.filter(|retry| retry.of_failed).map(|_| self.retry_of(message))
            }
            Settlement::Requeue => {
                self.config.retry.filter(|retry| retry.of_returned).map(|_| self.retry_of(message))
            }
            Settlement::RetryIn(delay) => Some(delay),
            Settlement::Accept
            | Settlement::AcceptOnReceipt
            | Settlement::Drop
            | Settlement::Reject
            | Settlement::ReturnUnseen => None,
        };
        delay.filter(|delay| !delay.is_zero())
    }

    /// What the queue says about that. What jitter makes of it is not the queue's to know, so that
    /// is asked for; it is never more than a half.
    fn retry_of(&self, message: usize) -> Duration {
        let (retry, policy) =
            (self.config.retry.expect("declared"), self.policy.expect("declared"));
        let returns = self.messages[message].returns;
        let factor = match retry.growth {
            Growth::Even => 1,
            Growth::ByTheFirst => u64::from(returns),
            Growth::Threefold => 3_u64.pow(returns - 1),
        };
        let even = Duration::from_millis(retry.min_ms * factor)
            .min(Duration::from_millis(retry.max_ms.unwrap_or(u64::MAX)));
        if !retry.has_jitter {
            return even;
        }
        let spread = policy.delay(returns, draw(Seq(self.messages[message].seq), returns));
        assert!((even / 2..=even * 3 / 2).contains(&spread), "{spread:?} is about {even:?}");
        spread
    }

    /// What follows when hand-outs have ended. Where something has come back the bounds are looked
    /// at first, then what has expired, and then messages are handed out; a quorum queue looks at
    /// the bounds last.
    fn go_on_after(&mut self, settlement: Settlement, outcome: &mut Outcome) {
        match settlement {
            Settlement::Accept
            | Settlement::AcceptOnReceipt
            | Settlement::Drop
            | Settlement::Reject => self.dispatch(outcome),
            Settlement::Abandon
            | Settlement::Fail
            | Settlement::Requeue
            | Settlement::RetryIn(_)
            | Settlement::ReturnUnseen => {
                if !self.config.is_quorum {
                    self.make_way(outcome);
                }
                self.expire(usize::MAX, outcome);
                self.start(outcome);
                if self.config.is_quorum {
                    self.make_way(outcome);
                }
            }
        }
    }

    /// How many messages are ready, and how many bytes their bodies have.
    fn used(&self) -> (u64, u64) {
        let ready = self.messages.iter().filter(|message| message.place == Place::Ready);
        ready.fold((0, 0), |(count, bytes), message| (count + 1, bytes + message.body_bytes))
    }
}
