//! A queue too simple to be wrong: every message that ever came in, each in exactly one place; two
//! lists of those that wait; and one of consumers that have turns. Everything else is found by
//! looking through them. Time is what has passed since the queue began.

mod settling;
mod time;
mod turns;

use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

use super::{
    config::{Config, Full},
    is_kept, moment,
    step::{Terms, WINDOWS},
};
use crate::engine::{
    definition::RetryPolicy,
    ids::Seq,
    queue::{AckMode, Counts, DeleteConditions, DeleteRefused, Fate, Flow, Kept, Reason, Staged},
};

/// Where a message is. Hand-outs and consumers go by numbers that count from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Delayed {
        until: Duration,
    },
    Gone(Cause),
    /// Dead, and on its way.
    Moving(Reason),
    Ready,
    Unacked {
        hand_out: usize,
        consumer: Option<usize>,
        /// Whether the queue keeps the message itself, too.
        is_kept: bool,
        /// When the hand-out ends by itself.
        lease: Option<Duration>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Acked,
    AutoAcked,
    DeadLettered,
    Deleted,
    /// It died, and had nowhere to go.
    Died(Reason),
    /// It gave way to another.
    Displaced,
    Purged,
}

#[derive(Debug)]
struct Message {
    bytes: u64,
    body_bytes: u64,
    level: u8,
    came: Duration,
    ends: Option<Duration>,
    /// By which number a store would know it.
    seq: u64,
    place: Place,
    redelivered: bool,
    returns: u32,
}

#[derive(Debug)]
struct Consumer {
    terms: Terms,
    is_there: bool,
    /// Whether it lost its turns to its own prefetch, rather than to its window.
    is_full: bool,
    acked: u64,
    rejected: u64,
    returned: u64,
}

/// A message that comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fresh {
    pub(super) bytes: u64,
    pub(super) body_bytes: u64,
    pub(super) priority: u8,
    pub(super) expiration: Option<Duration>,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Deleted,
    Full { bound: &'static str, fate: Fate },
}

/// What someone sees who gets a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sight {
    pub(super) message: usize,
    pub(super) redelivered: bool,
    pub(super) returns: u32,
    /// How many returns a header tells.
    pub(super) told_returns: Option<i64>,
    pub(super) has_lease: bool,
    /// `None` if there is nothing to settle.
    pub(super) hand_out: Option<usize>,
}

/// A dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Corpse {
    pub(super) message: usize,
    pub(super) reason: Reason,
    pub(super) cause: Option<&'static str>,
    /// Whether it was in the queue, which knows it until it is buried.
    pub(super) was_in: bool,
}

/// What a step leads to, each list in order.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Outcome {
    /// To whom what is handed over.
    pub(super) pushed: Vec<(usize, Sight)>,
    /// Messages to be dropped by the caller.
    pub(super) freed: Vec<usize>,
    pub(super) dead: Vec<Corpse>,
    /// What a store would write.
    pub(super) staged: Vec<Staged<usize>>,
    /// How often the last consumer left a queue that goes then.
    pub(super) abandoned: usize,
}

/// What a queue leaves behind.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Estate {
    pub(super) ready: u64,
    /// Oldest first.
    pub(super) consumers: Vec<usize>,
    /// What it had itself, in the order in which it came.
    pub(super) messages: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct Reference {
    config: Config,
    policy: Option<RetryPolicy>,
    /// The time that it was told last.
    now: Duration,
    messages: Vec<Message>,
    /// What waits: first those of a quorum queue that came back,
    returned: Vec<usize>,
    /// then all others. A priority queue hands these out by level.
    line: Vec<usize>,
    next_seq: u64,
    next_returned_seq: u64,
    /// The message of each hand-out.
    hand_outs: Vec<usize>,
    consumers: Vec<Consumer>,
    /// Who takes part, next turn first. Priorities are looked at when somebody's turn comes.
    turns: Vec<usize>,
    /// Whom a window refused, in that order.
    refused: Vec<usize>,
    active: Option<usize>,
    /// The active one as long as nothing has set it going.
    chosen: Option<usize>,
    limits: [Option<u8>; WINDOWS as usize],
    flow: Flow,
    last_used: Duration,
    /// Whether a quorum queue refuses messages.
    is_closed: bool,
    refusals: u64,
    times_returned: u64,
    times_auto_acked: u64,
    /// How long messages waited for their first hand-out.
    waits: Vec<Duration>,
    is_deleted: bool,
}

impl Reference {
    pub(super) fn new(config: Config, policy: Option<RetryPolicy>) -> Self {
        Self {
            config,
            policy,
            now: Duration::ZERO,
            messages: Vec::new(),
            returned: Vec::new(),
            line: Vec::new(),
            // The lower half is for what comes back.
            next_seq: if config.is_quorum { 1 << 63 } else { 0 },
            next_returned_seq: 0,
            hand_outs: Vec::new(),
            consumers: Vec::new(),
            turns: Vec::new(),
            refused: Vec::new(),
            active: None,
            chosen: None,
            limits: Default::default(),
            flow: Flow::Running,
            last_used: Duration::ZERO,
            is_closed: false,
            refusals: 0,
            times_returned: 0,
            times_auto_acked: 0,
            waits: Vec::new(),
            is_deleted: false,
        }
    }

    /// A message comes. Bounds that refuse are looked at before anything else; whoever finds
    /// nothing waiting and a consumer ready passes by all others.
    pub(super) fn publish(
        &mut self,
        fresh: Fresh,
        is_bounded: bool,
        outcome: &mut Outcome,
    ) -> Result<(), Refusal> {
        let Fresh { bytes, body_bytes, priority, expiration } = fresh;
        let number = self.messages.len();
        if self.is_deleted {
            return Err(Refusal::Deleted);
        }
        if let Some(bound) = self.refusing_bound(body_bytes).filter(|_| is_bounded) {
            self.refusals += 1;
            let is_buried =
                self.config.overflow == Full::RejectDeadLetter && self.config.has_dead_letters;
            if is_buried {
                let reason = Reason::MaxLen;
                outcome.dead.push(Corpse { message: number, reason, cause: None, was_in: false });
            }
            let fate = if is_buried { Fate::DeadLettered } else { Fate::Returned };
            return Err(Refusal::Full { bound, fate });
        }
        let lives = [self.config.ttl, expiration].into_iter().flatten().min();
        self.messages.push(Message {
            bytes,
            body_bytes,
            level: priority.min(self.config.priority_max.unwrap_or(0)),
            came: self.now,
            ends: lives.map(|lives| self.now + lives),
            seq: self.next_seq,
            place: Place::Ready,
            redelivered: false,
            returns: 0,
        });
        self.next_seq += 1;
        if self.is_kept(number) {
            outcome.staged.push(Staged::Added(self.kept(number, None), number));
        }
        let finds_nothing = self.head().is_none();
        self.line.push(number);
        let sets_going = self.set_going();
        if finds_nothing && let Some(consumer) = self.next_turn() {
            self.push(number, consumer, outcome);
            return Ok(());
        }
        self.make_way(outcome);
        self.expire(usize::MAX, outcome);
        if sets_going {
            self.dispatch(outcome);
        }
        Ok(())
    }

    /// Takes the head, and says what is seen of it.
    pub(super) fn get(
        &mut self,
        mode: AckMode,
        is_kept: bool,
        outcome: &mut Outcome,
    ) -> Option<Sight> {
        self.touch();
        let message = self.head().filter(|_| self.flow == Flow::Running)?;
        let mut sight = self.hand_out(message, None, mode, is_kept, outcome);
        sight.told_returns = self.config.is_quorum.then_some(sight.returns.into());
        self.expire(usize::MAX, outcome);
        Some(sight)
    }

    pub(super) fn purge(&mut self, most: u64, outcome: &mut Outcome) -> u64 {
        let mut purged = 0;
        while purged < most
            && let Some(message) = self.head()
        {
            self.take(message);
            self.leave(message, Cause::Purged, outcome);
            outcome.freed.push(message);
            purged += 1;
        }
        self.expire(usize::MAX, outcome);
        purged
    }

    pub(super) fn delete(
        &mut self,
        conditions: DeleteConditions,
        at: Duration,
    ) -> Result<Estate, DeleteRefused> {
        let consumers: Vec<usize> = self.present().collect();
        let waits =
            |message: &Message| matches!(message.place, Place::Ready | Place::Delayed { .. });
        if conditions.empty && self.messages.iter().any(waits) {
            return Err(DeleteRefused::NotEmpty);
        }
        let is_due = self.idle_end().is_some_and(|end| end <= at);
        if conditions.expired_by.is_some() && !is_due || conditions.unused && !consumers.is_empty()
        {
            return Err(DeleteRefused::InUse);
        }
        let ready = self.ready() as u64;
        let mut messages = Vec::new();
        for (number, message) in self.messages.iter_mut().enumerate() {
            match message.place {
                Place::Gone(_) | Place::Moving(_) => continue,
                Place::Unacked { is_kept: false, .. } => {}
                Place::Delayed { .. } | Place::Ready | Place::Unacked { .. } => {
                    messages.push(number);
                }
            }
            message.place = Place::Gone(Cause::Deleted);
        }
        self.returned.clear();
        self.line.clear();
        self.consumers.iter_mut().for_each(|consumer| consumer.is_there = false);
        self.turns.clear();
        self.refused.clear();
        self.active = None;
        self.chosen = None;
        self.is_deleted = true;
        Ok(Estate { ready, consumers, messages })
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.is_deleted
    }

    /// How many ever came in.
    pub(super) fn enqueued(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn ready(&self) -> usize {
        self.count(|place| place == Place::Ready)
    }

    pub(super) fn unacked(&self) -> usize {
        self.count(|place| matches!(place, Place::Unacked { .. }))
    }

    pub(super) fn delayed(&self) -> usize {
        self.count(|place| matches!(place, Place::Delayed { .. }))
    }

    pub(super) fn moving(&self) -> usize {
        self.count(|place| matches!(place, Place::Moving(_)))
    }

    pub(super) fn bytes(&self) -> u64 {
        let held = self.messages.iter().filter(|message| !matches!(message.place, Place::Gone(_)));
        held.map(|message| message.bytes).sum()
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts {
            enqueued: self.messages.len() as u64,
            refused: self.refusals,
            delivered: self.hand_outs.len() as u64 + self.times_auto_acked,
            returned: self.times_returned,
            ..Counts::default()
        };
        for message in &self.messages {
            let Place::Gone(cause) = message.place else { continue };
            *match cause {
                Cause::Acked => &mut counts.acked,
                Cause::AutoAcked => &mut counts.auto_acked,
                Cause::DeadLettered => &mut counts.dead_lettered,
                Cause::Deleted => &mut counts.deleted,
                Cause::Died(Reason::DeliveryLimit) => &mut counts.exhausted,
                Cause::Died(Reason::Expired) => &mut counts.expired,
                Cause::Died(Reason::MaxLen) | Cause::Displaced => &mut counts.dropped,
                Cause::Died(Reason::Rejected) => &mut counts.rejected,
                Cause::Purged => &mut counts.purged,
            } += 1;
        }
        counts
    }

    /// What one sees who looks and takes nothing: what could be handed out, in that order, and how
    /// often each was handed out and came back.
    pub(super) fn visible(&self) -> Vec<(usize, bool, u32)> {
        let seen = |number: usize| {
            let Message { redelivered, returns, .. } = self.messages[number];
            (number, redelivered, returns)
        };
        let waiting = self.waiting().into_iter().filter(|number| !self.is_over(*number));
        waiting.map(seen).collect()
    }

    /// The messages that wait, in the order in which they are to be handed out: the highest level
    /// first.
    fn waiting(&self) -> Vec<usize> {
        let mut line = self.line.clone();
        line.sort_by_key(|number| Reverse(self.messages[*number].level));
        [self.returned.clone(), line].concat()
    }

    /// The first of them.
    fn head(&self) -> Option<usize> {
        self.waiting().first().copied()
    }

    fn count(&self, is_there: impl Fn(Place) -> bool) -> usize {
        self.messages.iter().filter(|message| is_there(message.place)).count()
    }

    /// Takes a message out of those that wait.
    fn take(&mut self, message: usize) {
        self.returned.retain(|other| *other != message);
        self.line.retain(|other| *other != message);
    }

    /// A message is gone for good.
    fn leave(&mut self, message: usize, cause: Cause, outcome: &mut Outcome) {
        self.messages[message].place = Place::Gone(cause);
        if self.is_kept(message) {
            outcome.staged.push(Staged::Settled(Seq(self.messages[message].seq)));
        }
    }

    /// Whether a store is told of a message.
    pub(super) fn is_kept(&self, message: usize) -> bool {
        self.config.is_stored && is_kept(message)
    }

    /// What a store has: all that is kept and not gone. What died of time or of others is there as
    /// it was before.
    pub(super) fn stored(&self) -> BTreeMap<Seq, (Option<Kept>, usize)> {
        let there = self.messages.iter().enumerate().filter_map(|(number, message)| {
            let until = match message.place {
                Place::Gone(_) => return None,
                Place::Delayed { until } => Some(until),
                Place::Moving(_) | Place::Ready | Place::Unacked { .. } => None,
            };
            let is_told = match message.place {
                Place::Moving(reason) => !is_done_again(reason),
                _ => true,
            };
            let kept = is_told.then(|| self.kept(number, until));
            self.is_kept(number).then_some((Seq(message.seq), (kept, number)))
        });
        there.collect()
    }

    /// What a store is told of a message.
    pub(super) fn kept(&self, message: usize, until: Option<Duration>) -> Kept {
        let Message { seq, returns, redelivered, ends, place, .. } = self.messages[message];
        let death = match place {
            Place::Moving(reason) => Some(reason),
            _ => None,
        };
        Kept {
            seq: Seq(seq),
            returns,
            is_redelivered: redelivered,
            ends: ends.filter(|_| death.is_none()).map(moment),
            until: until.map(moment),
            death,
        }
    }

    /// Hands a message out that waits.
    fn hand_out(
        &mut self,
        message: usize,
        consumer: Option<usize>,
        mode: AckMode,
        is_asked_to_keep: bool,
        outcome: &mut Outcome,
    ) -> Sight {
        self.take(message);
        let Message { redelivered, returns, came, .. } = self.messages[message];
        if self.config.measures_latency && !redelivered {
            self.waits.push(self.now.saturating_sub(came));
        }
        let mut has_lease = false;
        let hand_out = match mode {
            AckMode::Auto => {
                self.leave(message, Cause::AutoAcked, outcome);
                self.times_auto_acked += 1;
                None
            }
            AckMode::Manual => {
                let timeout = self.timeout_of(consumer);
                has_lease = timeout.is_some();
                let hand_out = self.hand_outs.len();
                self.hand_outs.push(message);
                self.messages[message].place = Place::Unacked {
                    hand_out,
                    consumer,
                    // It has to be there when nobody brings it back, and without the header.
                    is_kept: is_asked_to_keep || has_lease || self.config.is_quorum,
                    lease: timeout.map(|timeout| self.now + timeout),
                };
                Some(hand_out)
            }
        };
        let told_returns = (self.config.is_quorum && returns > 0).then_some(returns.into());
        Sight { message, redelivered, returns, told_returns, has_lease, hand_out }
    }
}

/// Whether a message that is there again would die of it again, by itself.
fn is_done_again(reason: Reason) -> bool {
    match reason {
        Reason::Expired | Reason::MaxLen => true,
        Reason::DeliveryLimit | Reason::Rejected => false,
    }
}
