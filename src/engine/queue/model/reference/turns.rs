//! Consumers, and whose turn it is.

use super::{super::step::Terms, Consumer, Outcome, Place, Reference};
use crate::engine::queue::{AckMode, ConsumerCounts, Custody, Flow, Settlement, Sharing};

impl Reference {
    /// Whether it is refused.
    pub(in super::super) fn consume(&mut self, terms: Terms) -> Result<(), ()> {
        let others: Vec<usize> = self.present().collect();
        let asks_exclusive = terms.sharing == Sharing::Exclusive;
        let is_taken = others
            .iter()
            .any(|consumer| self.consumers[*consumer].terms.sharing == Sharing::Exclusive);
        if is_taken || asks_exclusive && (self.config.single_active || !others.is_empty()) {
            return Err(());
        }
        let consumer = self.consumers.len();
        self.consumers.push(Consumer {
            terms,
            is_there: true,
            is_full: false,
            acked: 0,
            rejected: 0,
            returned: 0,
        });
        if !self.config.single_active || self.active.is_none() {
            self.active = Some(consumer);
            self.turns.push(consumer);
        }
        self.touch();
        Ok(())
    }

    pub(in super::super) fn cancel(&mut self, consumer: usize, outcome: &mut Outcome) {
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
        self.touch();
        let is_abandoned = self.config.auto_delete && self.present().next().is_none();
        outcome.abandoned += usize::from(is_abandoned);
    }

    /// Sets going who was chosen.
    pub(in super::super) fn start(&mut self, outcome: &mut Outcome) {
        self.set_going();
        self.dispatch(outcome);
    }

    pub(in super::super) fn limit(&mut self, window: u8, limit: Option<u8>) {
        self.limits[usize::from(window)] = limit;
    }

    pub(in super::super) fn resume(&mut self, outcome: &mut Outcome) {
        self.turns.append(&mut self.refused);
        self.dispatch(outcome);
    }

    /// The consumers that are there, oldest first.
    pub(in super::super) fn present(&self) -> impl Iterator<Item = usize> {
        (0..self.consumers.len()).filter(|consumer| self.consumers[*consumer].is_there)
    }

    /// The hand-outs of a consumer that have not ended, oldest first.
    pub(in super::super) fn hand_outs_of(&self, of: impl Fn(Option<usize>) -> bool) -> Vec<usize> {
        let unacked = |message: &super::Message| match message.place {
            Place::Unacked { hand_out, consumer, .. } if of(consumer) => Some(hand_out),
            _ => None,
        };
        let mut hand_outs: Vec<usize> = self.messages.iter().filter_map(unacked).collect();
        hand_outs.sort_unstable();
        hand_outs
    }

    /// To which consumer a message was handed; `None` if it was got, or the hand-out has ended.
    pub(in super::super) fn consumer_of(&self, wanted: usize) -> Option<usize> {
        match self.messages[self.hand_outs[wanted]].place {
            Place::Unacked { hand_out, consumer, .. } if hand_out == wanted => consumer,
            _ => None,
        }
    }

    pub(in super::super) fn window_of(&self, consumer: usize) -> u8 {
        self.consumers[consumer].terms.window
    }

    /// What a consumer has, and what became of what it had.
    pub(in super::super) fn counts_of(&self, consumer: usize) -> ConsumerCounts {
        let Consumer { acked, rejected, returned, .. } = self.consumers[consumer];
        let unacked = self.hand_outs_of(|of| of == Some(consumer)).len() as u64;
        ConsumerCounts { unacked, acked, rejected, returned }
    }

    /// How many consumers AMQP tells of. Of a quorum queue these are those who do not stand by,
    /// those who have gone and not settled all, and whoever got something, each for one.
    pub(in super::super) fn told_consumers(&self) -> usize {
        if !self.config.is_quorum {
            return self.present().count();
        }
        let stands_by = |of: &usize| self.config.single_active && self.active != Some(*of);
        let taking_part = self.present().filter(|of| !stands_by(of)).count();
        let got = self.hand_outs_of(|of| of.is_none()).len();
        let has_any = |of: &usize| !self.hand_outs_of(|other| other == Some(*of)).is_empty();
        let gone = (0..self.consumers.len()).filter(|of| !self.consumers[*of].is_there);
        taking_part + got + gone.filter(has_any).count()
    }

    /// Whether that was to be done.
    pub(super) fn set_going(&mut self) -> bool {
        let chosen = self.chosen.take();
        self.turns.extend(chosen);
        chosen.is_some()
    }

    pub(super) fn dispatch(&mut self, outcome: &mut Outcome) {
        while let Some(message) = self.head() {
            let Some(consumer) = self.next_turn() else { return };
            assert!(!self.is_over(message), "what has expired is handed to nobody");
            self.push(message, consumer, outcome);
            self.expire(usize::MAX, outcome);
        }
    }

    /// Hands a message to a consumer.
    pub(super) fn push(&mut self, message: usize, consumer: usize, outcome: &mut Outcome) {
        let Terms { mode, custody, .. } = self.consumers[consumer].terms;
        let is_kept = custody == Custody::Queue;
        let sight = self.hand_out(message, Some(consumer), mode, is_kept, outcome);
        outcome.pushed.push((consumer, sight));
    }

    /// The first in line among those of the highest priority. Who can take nothing loses its turns
    /// until it can; who can goes to the end of the line.
    pub(super) fn next_turn(&mut self) -> Option<usize> {
        if self.flow == Flow::Paused {
            return None;
        }
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

    /// A hand-out of a consumer has ended.
    pub(super) fn note_end(&mut self, number: usize, settlement: Settlement) {
        let consumer = &mut self.consumers[number];
        if !consumer.is_there {
            return;
        }
        let count = match settlement {
            Settlement::Accept | Settlement::AcceptOnReceipt => &mut consumer.acked,
            Settlement::Drop | Settlement::Reject => &mut consumer.rejected,
            Settlement::Abandon
            | Settlement::Fail
            | Settlement::Requeue
            | Settlement::RetryIn(_)
            | Settlement::ReturnUnseen => &mut consumer.returned,
        };
        *count += 1;
        if std::mem::take(&mut consumer.is_full) {
            self.turns.push(number);
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
}
