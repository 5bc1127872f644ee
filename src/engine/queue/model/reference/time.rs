//! What time does: hand-outs end, delayed messages return, messages expire, and the queue itself.

use std::time::Duration;

use super::{Message, Outcome, Place, Reference};
use crate::engine::queue::{Flow, Reason, Settlement};

/// What has ended by itself, in this order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Lapsed {
    /// Each hand-out, with the consumer that had it.
    pub(in super::super) hand_outs: Vec<(usize, Option<usize>)>,
    /// Consumers that are taken off for that.
    pub(in super::super) consumers: Vec<usize>,
}

impl Reference {
    /// It is so late, and so much at most happens because of it: hand-outs end whose time is over,
    /// delayed messages return, what is too much goes, and what has expired dies, in this order.
    pub(in super::super) fn tell_time(
        &mut self,
        now: Duration,
        most: usize,
        outcome: &mut Outcome,
    ) -> Lapsed {
        self.now = self.now.max(now);
        let mut left = most;
        let mut lapsed = Lapsed::default();
        let mut sets_going = false;
        while left > 0
            && let Some((_, hand_out, consumer)) = self.next_lease().filter(|of| of.0 <= self.now)
        {
            left -= 1;
            sets_going = true;
            lapsed.hand_outs.push((hand_out, consumer));
            self.settle_one(hand_out, false, Settlement::Abandon, outcome);
            if let Some(consumer) = consumer.filter(|of| self.consumers[*of].is_there) {
                self.cancel(consumer, outcome);
                lapsed.consumers.push(consumer);
            }
        }
        while left > 0
            && let Some((_, _, message)) = self.next_delayed().filter(|of| of.0 <= self.now)
        {
            left -= 1;
            if self.is_over(message) {
                self.die(message, Reason::Expired, outcome);
            } else {
                sets_going = true;
                self.put_back(message, false, outcome);
            }
        }
        if most > 0 {
            self.make_way(outcome);
            self.expire(left, outcome);
        }
        if sets_going {
            self.set_going();
        }
        lapsed
    }

    /// Hands out what is ready after the time was told, if what comes first has not expired.
    pub(in super::super) fn go_on(&mut self, outcome: &mut Outcome) {
        if self.head().is_some_and(|head| !self.is_over(head)) {
            self.dispatch(outcome);
        }
        self.look();
    }

    /// When something happens by itself next.
    pub(in super::super) fn next_deadline(&self) -> Option<Duration> {
        if self.is_deleted {
            return None;
        }
        let lease = self.next_lease().map(|(end, ..)| end);
        let delayed = self.next_delayed().map(|(until, ..)| until);
        [self.idle_end(), lease, delayed, self.next_expiry()].into_iter().flatten().min()
    }

    /// When the queue goes if nobody uses it before.
    pub(in super::super) fn idle_end(&self) -> Option<Duration> {
        let is_unused = !self.is_deleted && self.present().next().is_none();
        self.config.expires.filter(|_| is_unused).map(|after| self.last_used + after)
    }

    pub(in super::super) fn touch(&mut self) {
        self.last_used = self.now;
    }

    /// Gives a hand-out more time, if its time is limited at all.
    pub(in super::super) fn extend(&mut self, of: usize, by: Duration) -> bool {
        let message = &mut self.messages[self.hand_outs[of]];
        match &mut message.place {
            Place::Unacked { hand_out, lease: Some(lease), .. } if *hand_out == of => {
                *lease = self.now + by;
                true
            }
            _ => false,
        }
    }

    pub(in super::super) fn set_flow(&mut self, flow: Flow, outcome: &mut Outcome) {
        self.flow = flow;
        self.dispatch(outcome);
    }

    pub(in super::super) fn flow(&self) -> Flow {
        self.flow
    }

    /// How many waits were measured, how long they were together, and the longest.
    pub(in super::super) fn waits(&self) -> Option<(u64, Duration, Duration)> {
        let longest = self.waits.iter().max().copied().unwrap_or_default();
        let waits = (self.waits.len() as u64, self.waits.iter().sum(), longest);
        (self.config.measures_latency && !self.is_deleted).then_some(waits)
    }

    /// When the oldest came of those that are first on their levels, if that is measured.
    pub(in super::super) fn oldest(&self) -> Option<Duration> {
        let waiting = self.waiting();
        let message = |number: &usize| -> &Message { &self.messages[*number] };
        let is_first = |at: &usize| {
            let level = message(&waiting[*at]).level;
            waiting[..*at].iter().all(|before| message(before).level != level)
        };
        let firsts = (0..waiting.len()).filter(is_first);
        let came = firsts.map(|at| message(&waiting[at]).came);
        came.min().filter(|_| self.config.measures_latency)
    }

    /// Ends what has expired, so much at most: what is first in line, as long as that has; with
    /// exact expiry whatever has, the earliest first.
    pub(super) fn expire(&mut self, most: usize, outcome: &mut Outcome) {
        for _ in 0..most {
            let Some(message) = self.next_to_expire().filter(|of| self.is_over(*of)) else {
                return;
            };
            self.take(message);
            self.die(message, Reason::Expired, outcome);
        }
    }

    pub(super) fn is_over(&self, message: usize) -> bool {
        self.messages[message].ends.is_some_and(|end| end <= self.now)
    }

    pub(super) fn timeout_of(&self, consumer: Option<usize>) -> Option<Duration> {
        let of_consumer = consumer.and_then(|of| self.consumers[of].terms.timeout_ms);
        let of_consumer = of_consumer.map(|ms| Duration::from_millis(ms.into()));
        of_consumer.or(self.config.timeout)
    }

    fn next_expiry(&self) -> Option<Duration> {
        self.messages[self.next_to_expire()?].ends
    }

    fn next_to_expire(&self) -> Option<usize> {
        if !self.config.exact_expiry {
            return self.head();
        }
        let waiting = self.returned.iter().chain(&self.line).copied();
        let ending = waiting.filter(|number| self.messages[*number].ends.is_some());
        ending.min_by_key(|number| self.messages[*number].ends)
    }

    /// The lease that ends first, and of which hand-out and consumer it is.
    fn next_lease(&self) -> Option<(Duration, usize, Option<usize>)> {
        let lease = |message: &Message| match message.place {
            Place::Unacked { hand_out, consumer, lease: Some(lease), .. } => {
                Some((lease, hand_out, consumer))
            }
            _ => None,
        };
        self.messages.iter().filter_map(lease).min()
    }

    /// The message that returns first.
    fn next_delayed(&self) -> Option<(Duration, u64, usize)> {
        let delayed = |(number, message): (usize, &Message)| match message.place {
            Place::Delayed { until } => Some((until, message.seq, number)),
            _ => None,
        };
        self.messages.iter().enumerate().filter_map(delayed).min()
    }
}
