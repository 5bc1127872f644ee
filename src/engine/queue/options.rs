//! What some queues do and most do not, in one place that the others do not have.

use std::time::Duration;

use super::{
    delayed::Delayed,
    entry::{Entry, Stamp},
    idle::Idle,
    latency::Latency,
    leases::Leases,
    limit::Limit,
    notes::{Note, Notes},
};
use crate::{
    Message,
    engine::{
        definition::{QueueDefaults, QueueDefinition, QueueType, Retried, RetryPolicy},
        ids::Seq,
    },
    time::Moment,
};

use super::{Handed, Held, Settlement, UnackedKey};
#[cfg(any(test, fuzzing))]
use super::{ready::Ready, unacked::Unacked};

/// The options of one queue, and what they need to know.
#[derive(Debug)]
pub(super) struct Options {
    /// The time that the queue was told last. Everything that it does, it does now.
    pub(super) now: Moment,
    pub(super) needs: Needs,
    /// `x-expires`: the queue goes when nobody has used it for a time.
    pub(super) idle: Option<Idle>,
    /// `x-message-ttl`.
    ttl: Option<Duration>,
    pub(super) notes: Notes,
    pub(super) limit: Option<Limit>,
    /// Whether what dies has a place to go.
    pub(super) has_dead_letters: bool,
    /// `x-delivery-limit`: how often a message may come back.
    delivery_limit: Option<u64>,
    retry: Option<RetryPolicy>,
    pub(super) delayed: Delayed,
    pub(super) leases: Leases,
    /// How long messages have waited, if that is asked for.
    pub(super) latency: Option<Box<Latency>>,
    /// What quorum queues do: count deliveries in a header, and put what returns elsewhere.
    pub(super) is_quorum: bool,
    /// How many messages have returned to the front.
    returned: u64,
    /// Whether somebody was asked to read what is first in line.
    pub(super) is_reading: bool,
    /// What stayed of a message that went to disk; nothing if none ever has.
    pub(super) outline: Option<Message>,
}

/// What a queue with options needs on its way. Once it needs something, it stays so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// What a plain one does, but that a store is told of it.
    Nothing,
    Care,
    /// To be told the time, too.
    Time,
}

/// Where a message returns to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Where it was.
    Own,
    /// Behind those that returned before, and before all others.
    Front,
    End,
}

/// The sequence numbers of a quorum queue begin here; those below are of messages that returned to
/// the front.
const QUORUM_BEGINS: u64 = 1 << 63;

impl Options {
    /// `None` if the definition asks for nothing that is not plain.
    pub(super) fn new(
        definition: &QueueDefinition,
        defaults: QueueDefaults,
        now: Moment,
    ) -> Option<Box<Self>> {
        let parsed = &definition.parsed;
        let timeout = parsed.consumer_timeout_ms.map(Duration::from_millis);
        let options = Self {
            idle: parsed.expires_ms.map(|ms| Idle::new(Duration::from_millis(ms), now)),
            ttl: parsed.message_ttl_ms.map(Duration::from_millis),
            notes: Notes::new(parsed.exact_expiry),
            limit: Limit::new(parsed),
            has_dead_letters: parsed.dead_letter_exchange.is_some(),
            delivery_limit: parsed.delivery_limit.or(defaults.delivery_limit),
            retry: parsed.retry,
            leases: Leases::new(timeout.or(defaults.consumer_timeout)),
            latency: parsed.measures_latency.then(Box::default),
            is_quorum: parsed.queue_type == QueueType::Quorum,
            ..Self::plain(now)
        };
        let needs = if options.is_timed() { Needs::Time } else { Needs::Care };
        let options = Self { needs, ..options };
        let is_used = needs == Needs::Time
            || options.limit.is_some()
            || options.has_dead_letters
            || options.delivery_limit.is_some()
            || options.is_quorum;
        is_used.then(|| Box::new(options))
    }

    /// For a queue that has got something to remember without having been declared so.
    pub(super) fn plain(now: Moment) -> Self {
        Self {
            now,
            needs: Needs::Nothing,
            idle: None,
            ttl: None,
            notes: Notes::default(),
            limit: None,
            has_dead_letters: false,
            delivery_limit: None,
            retry: None,
            delayed: Delayed::default(),
            leases: Leases::default(),
            latency: None,
            is_quorum: false,
            returned: 0,
            is_reading: false,
            outline: None,
        }
    }

    /// Whether anything that was declared depends on time.
    fn is_timed(&self) -> bool {
        self.idle.is_some()
            || self.ttl.is_some()
            || self.retry.is_some()
            || self.leases.usual.is_some()
            || self.latency.is_some()
            || self.notes.is_exact()
    }

    /// Notes what is to be remembered of a message that comes now. Says when it ends, if it does.
    pub(super) fn note_arrival(&mut self, seq: Seq, held: &Held) -> Option<Moment> {
        let ttl = match (self.ttl, held.expiration()) {
            (Some(of_queue), Some(own)) => Some(of_queue.min(own)),
            (of_queue, own) => of_queue.or(own),
        };
        let ends = ttl.map(|ttl| self.now.after(ttl));
        if ends.is_some() || self.latency.is_some() {
            self.notes.add(seq, Note { ends, came: self.now });
        }
        ends
    }

    #[allow(dead_code, reason = "only a broker with a store does that")]
    /// Notes what is to be remembered of a message that was there when the broker closed.
    pub(super) fn note_restored(&mut self, seq: Seq, ends: Option<Moment>, next_seq: &mut u64) {
        if ends.is_some() || self.latency.is_some() {
            self.notes.add(seq, Note { ends, came: self.now });
        }
        if seq.0 < self.first_seq() {
            self.returned = self.returned.max(seq.0 + 1);
        } else {
            *next_seq = (*next_seq).max(seq.0 + 1);
        }
    }

    /// A message has become ready.
    pub(super) fn entered(&mut self, entry: &Entry, level: u8) {
        if let Some(limit) = &mut self.limit {
            limit.add(entry.body_bytes());
        }
        self.notes.enter(entry.stamp.seq, level);
    }

    /// A message is ready no more.
    pub(super) fn left(&mut self, entry: &Entry) {
        if let Some(limit) = &mut self.limit {
            limit.remove(entry.body_bytes());
        }
        self.notes.leave(entry.stamp.seq);
    }

    /// A message is handed out, for the first time or again.
    pub(super) fn measure(&mut self, stamp: Stamp) {
        if let Some(latency) = &mut self.latency
            && !stamp.past.is_redelivered()
            && let Some(came) = self.notes.came(stamp.seq)
        {
            latency.add(self.now.since(came));
        }
    }

    /// What is done to a message that is handed to a consumer.
    #[cold]
    pub(super) fn note_hand_out(
        &mut self,
        message: &mut Handed,
        key: Option<UnackedKey>,
        timeout: Option<Duration>,
    ) {
        if self.is_quorum && message.returns() > 0 {
            message.show_returns();
        }
        self.begin_lease(key, timeout, message);
    }

    /// Lets a hand-out end by itself, if it was granted a time.
    pub(super) fn begin_lease(
        &mut self,
        key: Option<UnackedKey>,
        timeout: Option<Duration>,
        handed: &mut Handed,
    ) {
        if let (Some(key), Some(timeout)) = (key, timeout) {
            self.leases.grant(key, self.now.after(timeout));
            handed.note_lease();
        }
    }

    /// The number of the first message that comes in.
    pub(super) fn first_seq(&self) -> u64 {
        if self.is_quorum { QUORUM_BEGINS } else { 0 }
    }

    /// The number of a message that returns to the front.
    pub(super) fn next_returned(&mut self) -> Seq {
        self.returned += 1;
        Seq(self.returned - 1)
    }

    /// Where a message goes that comes back like this. In a quorum queue of `RabbitMQ` 3.10, it is
    /// published anew if it was given back, unless there is a delivery limit; otherwise it goes to
    /// a line of its own before all others.
    pub(super) fn place_of(&self, settlement: Settlement) -> Place {
        match settlement {
            _ if !self.is_quorum => Place::Own,
            Settlement::Fail | Settlement::Requeue if self.delivery_limit.is_none() => Place::End,
            _ => Place::Front,
        }
    }

    /// Whether a message has come back too often.
    pub(super) fn is_exhausted(&self, returns: u32) -> bool {
        self.delivery_limit.is_some_and(|limit| u64::from(returns) > limit)
    }

    /// Until when a message that comes back is not to be tried again; `None` for no delay.
    pub(super) fn delay_of(&self, entry: &Entry, settlement: Settlement) -> Option<Moment> {
        let retried = |which: Retried| {
            let policy =
                self.retry.filter(|retry| retry.which == Retried::All || retry.which == which)?;
            let (seq, returns) = (entry.stamp.seq, entry.stamp.past.returns());
            Some(policy.delay(returns, draw(seq, returns)))
        };
        let delay = match settlement {
            Settlement::Abandon | Settlement::Fail => retried(Retried::Failed)?,
            Settlement::Requeue => retried(Retried::Returned)?,
            Settlement::RetryIn(delay) => delay,
            Settlement::Accept
            | Settlement::AcceptOnReceipt
            | Settlement::Drop
            | Settlement::Reject
            | Settlement::ReturnUnseen => return None,
        };
        (!delay.is_zero()).then(|| self.now.after(delay))
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn check_invariants(&self, ready: &Ready, unacked: &Unacked, held: u64) {
        if let Some(limit) = &self.limit {
            limit.check_invariants(ready.iter().map(Entry::body_bytes).sum());
        }
        let levels: Vec<_> =
            ready.iter().map(|entry| (entry.stamp.seq, ready.level_of(&entry.held))).collect();
        self.notes.check_invariants(&levels, usize::try_from(held).unwrap_or(usize::MAX));
        self.leases.check_invariants(|key| unacked.has(key));
    }
}

/// Something from 0 to 1 that differs from message to message and from try to try, and is the same
/// whenever the same happens: jitter spreads what returns together, and needs no chance for that.
pub(super) fn draw(seq: Seq, returns: u32) -> f64 {
    let mut bits = seq.0.wrapping_add(u64::from(returns) << 48).wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    let top = u32::try_from(bits >> 32).unwrap_or(u32::MAX);
    f64::from(top) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_spread_evenly() {
        let draws: Vec<f64> = (0..10_000).map(|seq| draw(Seq(seq), 1)).collect();
        assert!(draws.iter().all(|draw| (0.0..=1.0).contains(draw)));
        for tenth in 0..10 {
            let from = f64::from(tenth) / 10.0;
            let there = draws.iter().filter(|draw| (from..from + 0.1).contains(*draw)).count();
            assert!((850..1_150).contains(&there), "{there} of 10 000 from {from}");
        }
        assert!((draw(Seq(1), 1) - draw(Seq(1), 2)).abs() > 0.001, "each try draws anew");
    }
}
