//! A queue too simple to be wrong: every message that ever came in, in order, each in exactly one
//! place; and one list of consumers that have turns. Everything else is found by looking through
//! them.

use super::step::Terms;
use crate::engine::queue::{AckMode, Counts, DeleteConditions, DeleteRefused, Settlement, Sharing};

/// How the queue is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Config {
    pub(super) auto_delete: bool,
    pub(super) single_active: bool,
    pub(super) expires_ms: Option<u32>,
}

/// Where a message is. Hand-outs and consumers go by numbers that count from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Gone(Cause),
    Ready,
    Unacked { hand_out: usize, consumer: Option<usize> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Acked,
    AutoAcked,
    Deleted,
    Dropped,
    Purged,
    Rejected,
}

#[derive(Debug)]
struct Message {
    bytes: u64,
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
}

/// What someone sees who gets a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sight {
    pub(super) message: usize,
    pub(super) redelivered: bool,
    pub(super) returns: u32,
    /// `None` if there is nothing to settle.
    pub(super) hand_out: Option<usize>,
}

/// What a step leads to, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// To whom what is handed over.
    pub(super) pushed: Vec<(usize, Sight)>,
    /// Messages to be dropped by the caller.
    pub(super) freed: Vec<usize>,
    /// Messages that came in (`true`) or left for good.
    pub(super) staged: Vec<(bool, u64)>,
    pub(super) abandoned: bool,
}

#[derive(Debug)]
pub(super) struct Reference {
    config: Config,
    messages: Vec<Message>,
    consumers: Vec<Consumer>,
    hand_outs: usize,
    /// Who takes part, next turn first. Priorities are looked at when somebody's turn comes.
    turns: Vec<usize>,
    /// Whom a window refused, in that order.
    refused: Vec<usize>,
    active: Option<usize>,
    /// The active one as long as nothing has set it going.
    chosen: Option<usize>,
    limits: [Option<u8>; super::step::WINDOWS as usize],
    last_used_ms: u64,
    is_deleted: bool,
}

impl Reference {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            messages: Vec::new(),
            consumers: Vec::new(),
            hand_outs: 0,
            turns: Vec::new(),
            refused: Vec::new(),
            active: None,
            chosen: None,
            limits: Default::default(),
            last_used_ms: 0,
            is_deleted: false,
        }
    }

    pub(super) fn publish(&mut self, bytes: u64, outcome: &mut Outcome) {
        outcome.staged.push((true, self.messages.len() as u64));
        let message = Message { bytes, place: Place::Ready, redelivered: false, returns: 0 };
        self.messages.push(message);
        self.start(outcome);
    }

    /// Whether it is refused.
    pub(super) fn consume(&mut self, terms: Terms, now_ms: u64) -> Result<(), ()> {
        let others: Vec<usize> = self.present().collect();
        let asks_exclusive = terms.sharing == Sharing::Exclusive;
        let is_taken = others
            .iter()
            .any(|consumer| self.consumers[*consumer].terms.sharing == Sharing::Exclusive);
        if is_taken || asks_exclusive && (self.config.single_active || !others.is_empty()) {
            return Err(());
        }
        let consumer = self.consumers.len();
        self.consumers.push(Consumer { terms, is_there: true, is_full: false });
        if !self.config.single_active || self.active.is_none() {
            self.active = Some(consumer);
            self.turns.push(consumer);
        }
        self.last_used_ms = now_ms;
        Ok(())
    }

    pub(super) fn cancel(&mut self, consumer: usize, now_ms: u64, outcome: &mut Outcome) {
        self.consumers[consumer].is_there = false;
        self.turns.retain(|other| *other != consumer);
        self.refused.retain(|other| *other != consumer);
        if self.config.single_active && self.active == Some(consumer) {
            let priority = |of: &usize| self.consumers[*of].terms.priority;
            let highest = self.present().map(|of| priority(&of)).max();
            let active = self.present().find(|of| Some(priority(of)) == highest);
            self.active = active;
            self.chosen = active;
        }
        self.last_used_ms = now_ms;
        outcome.abandoned |= self.config.auto_delete && self.present().next().is_none();
    }

    pub(super) fn settle(
        &mut self,
        hand_outs: &[usize],
        settlement: Settlement,
        outcome: &mut Outcome,
    ) -> usize {
        let settled = hand_outs
            .iter()
            .filter(|hand_out| self.settle_one(**hand_out, settlement, outcome))
            .count();
        if matches!(settlement, Settlement::Requeue | Settlement::ReturnUnseen) {
            self.start(outcome);
        }
        self.dispatch(outcome);
        settled
    }

    /// Sets going who was chosen.
    pub(super) fn start(&mut self, outcome: &mut Outcome) {
        self.turns.extend(self.chosen.take());
        self.dispatch(outcome);
    }

    /// Takes the head, and says what is seen of it.
    pub(super) fn get(
        &mut self,
        mode: AckMode,
        now_ms: u64,
        outcome: &mut Outcome,
    ) -> Option<Sight> {
        self.last_used_ms = now_ms;
        let message = self.head()?;
        Some(self.hand_out(message, None, mode, outcome))
    }

    pub(super) fn limit(&mut self, window: u8, limit: Option<u8>) {
        self.limits[usize::from(window)] = limit;
    }

    pub(super) fn resume(&mut self, outcome: &mut Outcome) {
        self.turns.append(&mut self.refused);
        self.dispatch(outcome);
    }

    pub(super) fn purge(&mut self, outcome: &mut Outcome) -> u64 {
        let mut purged = 0;
        while let Some(message) = self.head() {
            self.end(message, Cause::Purged, outcome);
            purged += 1;
        }
        purged
    }

    /// Whom it leaves behind, oldest first.
    pub(super) fn delete(
        &mut self,
        conditions: DeleteConditions,
        now_ms: u64,
    ) -> Result<Vec<usize>, DeleteRefused> {
        let consumers: Vec<usize> = self.present().collect();
        let is_due = self.expiry_ms().is_some_and(|expiry| expiry <= now_ms);
        if conditions.empty && self.head().is_some() {
            return Err(DeleteRefused::NotEmpty);
        }
        if conditions.expired_by.is_some() && !is_due || conditions.unused && !consumers.is_empty()
        {
            return Err(DeleteRefused::InUse);
        }
        for message in &mut self.messages {
            if !matches!(message.place, Place::Gone(_)) {
                message.place = Place::Gone(Cause::Deleted);
            }
        }
        self.consumers.iter_mut().for_each(|consumer| consumer.is_there = false);
        self.turns.clear();
        self.refused.clear();
        self.active = None;
        self.chosen = None;
        self.is_deleted = true;
        Ok(consumers)
    }

    pub(super) fn touch(&mut self, now_ms: u64) {
        self.last_used_ms = now_ms;
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.is_deleted
    }

    /// When the queue goes if nobody uses it before.
    pub(super) fn expiry_ms(&self) -> Option<u64> {
        let is_unused = !self.is_deleted && self.present().next().is_none();
        self.config
            .expires_ms
            .filter(|_| is_unused)
            .map(|after| self.last_used_ms + u64::from(after))
    }

    /// The consumers that are there, oldest first.
    pub(super) fn present(&self) -> impl Iterator<Item = usize> {
        (0..self.consumers.len()).filter(|consumer| self.consumers[*consumer].is_there)
    }

    /// The hand-outs of a consumer that have not ended, oldest first.
    pub(super) fn hand_outs_of(&self, of: impl Fn(Option<usize>) -> bool) -> Vec<usize> {
        let mut hand_outs: Vec<usize> = self
            .messages
            .iter()
            .filter_map(|message| match message.place {
                Place::Unacked { hand_out, consumer } if of(consumer) => Some(hand_out),
                Place::Unacked { .. } | Place::Ready | Place::Gone(_) => None,
            })
            .collect();
        hand_outs.sort_unstable();
        hand_outs
    }

    /// To which consumer a message was handed; `None` if it was got, or the hand-out has ended.
    pub(super) fn consumer_of(&self, hand_out: usize) -> Option<usize> {
        match self.messages[self.message_of(hand_out)?].place {
            Place::Unacked { consumer, .. } => consumer,
            Place::Ready | Place::Gone(_) => None,
        }
    }

    pub(super) fn is_unacked(&self, hand_out: usize) -> bool {
        self.message_of(hand_out).is_some()
    }

    pub(super) fn window_of(&self, consumer: usize) -> u8 {
        self.consumers[consumer].terms.window
    }

    /// How many ever came in.
    pub(super) fn enqueued(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn ready(&self) -> usize {
        self.messages.iter().filter(|message| message.place == Place::Ready).count()
    }

    pub(super) fn bytes(&self) -> u64 {
        let held = self.messages.iter().filter(|message| !matches!(message.place, Place::Gone(_)));
        held.map(|message| message.bytes).sum()
    }

    pub(super) fn counts(&self) -> Counts {
        let gone = |cause| {
            self.messages.iter().filter(|message| message.place == Place::Gone(cause)).count()
                as u64
        };
        Counts {
            enqueued: self.messages.len() as u64,
            acked: gone(Cause::Acked),
            auto_acked: gone(Cause::AutoAcked),
            rejected: gone(Cause::Rejected),
            dropped: gone(Cause::Dropped),
            purged: gone(Cause::Purged),
            deleted: gone(Cause::Deleted),
            ..Counts::default()
        }
    }

    fn head(&self) -> Option<usize> {
        self.messages.iter().position(|message| message.place == Place::Ready)
    }

    fn message_of(&self, wanted: usize) -> Option<usize> {
        self.messages.iter().position(|message| {
            matches!(message.place, Place::Unacked { hand_out, .. } if hand_out == wanted)
        })
    }

    fn settle_one(
        &mut self,
        hand_out: usize,
        settlement: Settlement,
        outcome: &mut Outcome,
    ) -> bool {
        let Some(message) = self.message_of(hand_out) else { return false };
        let consumer = self.consumer_of(hand_out);
        let cause = match settlement {
            Settlement::Accept => Some(Cause::Acked),
            Settlement::AcceptOnReceipt => Some(Cause::AutoAcked),
            Settlement::Drop => Some(Cause::Dropped),
            Settlement::Reject => Some(Cause::Rejected),
            Settlement::Abandon
            | Settlement::Fail
            | Settlement::Requeue
            | Settlement::RetryIn(_) => {
                self.messages[message].returns += 1;
                None
            }
            Settlement::ReturnUnseen => None,
        };
        if let Some(cause) = cause {
            self.end(message, cause, outcome);
        } else {
            self.messages[message].redelivered = true;
            self.messages[message].place = Place::Ready;
        }
        if let Some(consumer) = consumer
            && std::mem::take(&mut self.consumers[consumer].is_full)
            && self.consumers[consumer].is_there
        {
            self.turns.push(consumer);
        }
        true
    }

    fn end(&mut self, message: usize, cause: Cause, outcome: &mut Outcome) {
        self.messages[message].place = Place::Gone(cause);
        outcome.staged.push((false, message as u64));
        outcome.freed.push(message);
    }

    fn dispatch(&mut self, outcome: &mut Outcome) {
        while let Some(message) = self.head() {
            let Some(consumer) = self.next_turn() else { return };
            let mode = self.consumers[consumer].terms.mode;
            let sight = self.hand_out(message, Some(consumer), mode, outcome);
            outcome.pushed.push((consumer, sight));
        }
    }

    /// The first in line among those of the highest priority. Who can take nothing loses its turns
    /// until it can; who can goes to the end of the line.
    fn next_turn(&mut self) -> Option<usize> {
        loop {
            let priority = |of: &usize| self.consumers[*of].terms.priority;
            let highest = self.turns.iter().map(priority).max()?;
            let at = self.turns.iter().position(|of| priority(of) == highest)?;
            let consumer = self.turns.remove(at);
            if !self.has_room(consumer) {
                self.consumers[consumer].is_full = true;
            } else if !self.window_has_room(consumer) {
                self.refused.push(consumer);
            } else {
                self.turns.push(consumer);
                return Some(consumer);
            }
        }
    }

    fn has_room(&self, consumer: usize) -> bool {
        let terms = self.consumers[consumer].terms;
        let unacked = self.hand_outs_of(|of| of == Some(consumer)).len();
        let is_bounded = terms.mode == AckMode::Manual;
        terms.prefetch.is_none_or(|most| !is_bounded || unacked < usize::from(most))
    }

    fn window_has_room(&self, consumer: usize) -> bool {
        let window = self.window_of(consumer);
        let is_inside = |of: Option<usize>| of.is_some_and(|of| self.window_of(of) == window);
        let unacked = self.hand_outs_of(is_inside).len();
        self.limits[usize::from(window)].is_none_or(|most| unacked < usize::from(most))
    }

    fn hand_out(
        &mut self,
        message: usize,
        consumer: Option<usize>,
        mode: AckMode,
        outcome: &mut Outcome,
    ) -> Sight {
        let hand_out = match mode {
            AckMode::Auto => {
                self.messages[message].place = Place::Gone(Cause::AutoAcked);
                outcome.staged.push((false, message as u64));
                None
            }
            AckMode::Manual => {
                let hand_out = self.hand_outs;
                self.hand_outs += 1;
                self.messages[message].place = Place::Unacked { hand_out, consumer };
                Some(hand_out)
            }
        };
        let Message { redelivered, returns, .. } = self.messages[message];
        Sight { message, redelivered, returns, hand_out }
    }
}
