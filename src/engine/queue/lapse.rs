//! What time does to a queue: hand-outs end, delayed messages return, messages expire.
//!
//! The queue is told the time before anything else that happens to it, and does what is due by
//! then. So the rules never ask for the time, and what is late by a thread that was slow is late
//! for nobody.

use std::time::Duration;

use super::{
    Effects, QueueCore, Reason, Recipient, Settlement, UnackedKey,
    consumers::ConsumerId,
    entry::{Entry, Stamp},
    options::{Needs, Options, Place},
};
use crate::time::Moment;

impl<C: Recipient> QueueCore<C> {
    /// Whether it does more than plain queues, but for what a store is told.
    #[inline]
    pub(crate) fn needs_care(&self) -> bool {
        self.options.as_ref().is_some_and(|options| options.needs != Needs::Nothing)
    }

    /// Prepares for being more than a plain queue.
    pub(crate) fn begin_options(&mut self, now: Moment) {
        self.options.get_or_insert_with(|| Box::new(Options::plain(now)));
    }

    /// Whether the queue has to be told the time.
    #[inline]
    pub(crate) fn watches_time(&self) -> bool {
        self.options.as_ref().is_some_and(|options| options.needs == Needs::Time)
    }

    /// Prepares for something that depends on time: a message that expires, a delay.
    pub(crate) fn begin_time(&mut self, now: Moment) {
        let options = self.options.get_or_insert_with(|| Box::new(Options::plain(now)));
        options.now = options.now.max(now);
        options.needs = Needs::Time;
    }

    /// Tells what time it is, and does what is due, as much of it as `most` at once: what is left
    /// then is the next deadline, which has passed. Hands nothing out: a call of
    /// [`go_on`](Self::go_on) has to follow.
    ///
    /// Consumers whose deliveries were unsettled for too long are taken off, oldest first. What
    /// they were handed in vain is the caller's to return.
    #[must_use]
    pub(crate) fn tell_time(&mut self, now: Moment, most: usize, effects: &mut Effects) -> Vec<C> {
        let Some(options) = &mut self.options else { return Vec::new() };
        options.now = options.now.max(now);
        let now = options.now;
        let mut taken_off = Vec::new();
        let mut left = most;
        let mut has_returned = false;
        while left > 0
            && let Some(key) = self.options.as_ref().and_then(|options| options.leases.over(now))
        {
            left -= 1;
            has_returned = true;
            let consumer = self.unacked.consumer_of(key);
            let mut recipient = consumer.and_then(|of| self.remove_consumer(of, effects));
            // Nobody has failed at what nobody saw.
            let unseen = recipient.as_mut().map(C::take_unseen).unwrap_or_default();
            if !unseen.iter().any(|(unseen, _)| *unseen == key) {
                self.end(key, None, Settlement::Abandon, effects);
            }
            for (key, held) in unseen {
                self.end(key, Some(held), Settlement::ReturnUnseen, effects);
            }
            taken_off.extend(recipient);
        }
        while left > 0
            && let Some(entry) =
                self.options.as_mut().and_then(|options| options.delayed.pop_due(now))
        {
            left -= 1;
            if self.is_over(&entry.stamp, now) {
                self.die(entry, Reason::Expired, effects);
            } else {
                has_returned = true;
                let place = self
                    .options
                    .as_ref()
                    .map_or(Place::Own, |options| options.place_of(Settlement::Abandon));
                self.return_to_line(entry, place, effects);
            }
        }
        if most > 0 {
            // As wherever something returns, so that what has expired is never first in the end.
            self.make_way(effects);
            self.expire(left, effects);
        }
        if has_returned {
            self.consumers.set_going();
        }
        taken_off
    }

    /// Hands out what is ready after the time was told, if all that has expired is gone.
    pub(crate) fn go_on(&mut self, effects: &mut Effects) {
        if !self.ready.is_empty() && !self.is_behind() {
            self.serve(effects);
        }
        self.look();
    }

    /// Whether what is first in line has expired, and was left for later.
    pub(super) fn is_behind(&self) -> bool {
        let Some(options) = &self.options else { return false };
        self.ready.front().is_some_and(|head| self.is_over(&head.stamp, options.now))
    }

    /// Someone uses the queue, which puts off its expiry.
    pub(crate) fn touch(&mut self) {
        if let Some(options) = &mut self.options
            && let Some(idle) = &mut options.idle
        {
            idle.touch(options.now);
        }
    }

    /// Whether the queue has been unused for so long that it goes.
    pub(crate) fn is_expired(&self, now: Moment) -> bool {
        self.idle_deadline().is_some_and(|deadline| deadline <= now)
    }

    /// When something falls due unless something else happens before: asked for after each call.
    #[must_use]
    #[inline]
    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        self.options.as_ref()?;
        self.idle_deadline().into_iter().chain(self.next_lapse()).min()
    }

    /// Whether a hand-out would end by itself.
    pub(crate) fn has_lease(&self, key: UnackedKey) -> bool {
        self.options.as_ref().is_some_and(|options| options.leases.has(key))
    }

    /// Lets a hand-out end by itself so long from now, if it would by itself at all.
    pub(crate) fn extend(&mut self, key: UnackedKey, by: Duration) -> bool {
        let Some(options) = &mut self.options else { return false };
        let has_lease = options.leases.has(key);
        if has_lease {
            options.leases.grant(key, options.now.after(by));
        }
        has_lease
    }

    /// When the message that has waited longest came, of those that are ready at the head of their
    /// levels; `None` unless that is measured.
    pub(crate) fn oldest(&self) -> Option<Moment> {
        let options = self.options.as_ref().filter(|options| options.latency.is_some())?;
        self.ready.heads().filter_map(|head| options.notes.came(head.stamp.seq)).min()
    }

    /// Ends what has expired where it may expire, so many at most.
    pub(super) fn expire(&mut self, most: usize, effects: &mut Effects) {
        for _ in 0..most {
            let Some(entry) = self.pop_over() else { return };
            self.die(entry, Reason::Expired, effects);
        }
    }

    /// How long a delivery to a consumer, or to nobody in particular, may be unsettled.
    pub(super) fn timeout_of(&self, consumer: Option<ConsumerId>) -> Option<Duration> {
        let options = self.options.as_ref()?;
        consumer.and_then(|of| self.consumers.timeout(of)).or(options.leases.usual)
    }

    /// Takes a message whose time is over, where one may leave.
    fn pop_over(&mut self) -> Option<Entry> {
        let Self { options: Some(options), ready, .. } = self else { return None };
        let now = options.now;
        let entry = if options.notes.is_exact() {
            let (seq, level) = options.notes.first_over(now)?;
            ready.remove(level, seq)?
        } else if options.notes.is_empty()
            || !ready.front().is_some_and(|head| options.notes.is_over(head.stamp.seq, now))
        {
            return None;
        } else {
            ready.pop()?
        };
        options.left(&entry);
        Some(entry)
    }

    pub(super) fn is_over(&self, stamp: &Stamp, now: Moment) -> bool {
        self.options.as_ref().is_some_and(|options| options.notes.is_over(stamp.seq, now))
    }

    fn idle_deadline(&self) -> Option<Moment> {
        let idle = self.options.as_ref()?.idle.as_ref()?;
        self.consumers.is_empty().then(|| idle.deadline())
    }

    /// When a hand-out, a delay or a message ends next.
    fn next_lapse(&self) -> Option<Moment> {
        let Options { notes, leases, delayed, .. } = &**self.options.as_ref()?;
        let expiry = if notes.is_exact() {
            notes.first_end()
        } else if notes.is_empty() {
            None
        } else {
            self.ready.front().and_then(|head| notes.end_of(head.stamp.seq))
        };
        [leases.first(), delayed.first(), expiry].into_iter().flatten().min()
    }
}
