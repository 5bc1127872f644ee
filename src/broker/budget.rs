//! The memory of a broker, in accounted bytes.
//!
//! The counter is one for the whole broker, so queues do not touch it per message: each draws
//! from it in steps and keeps up to three steps in hand while there is plenty. A publish that
//! finds too little left is refused before it changes anything. What waits for the commit of a
//! transaction is in no queue yet, and draws exactly what it will count for.

use crate::sync::atomic::{AtomicU64, Ordering};

/// The largest step in which queues draw from the counter.
const STEP_BYTES_MAX: u64 = 4_096;

/// A step is at most this fraction of the bound, so that a small bound is kept closely.
const STEPS_MIN: u64 = 4_096;

/// The accounted bytes of all queues and transactions of a broker.
#[derive(Debug)]
pub(crate) struct Budget {
    max: u64,
    /// How many bytes a queue draws, or gives back, at a time.
    step: u64,
    /// Invariant: the sum of what queues and transactions have drawn. Sequentially consistent,
    /// because publishers that wait for room announce themselves before they look here.
    drawn: AtomicU64,
}

/// What one queue has drawn.
#[derive(Debug, Default)]
pub(crate) struct Allowance {
    drawn: u64,
}

impl Budget {
    pub(crate) fn new(max: u64) -> Self {
        let step = (max / STEPS_MIN).clamp(1, STEP_BYTES_MAX);
        Self { max, step, drawn: AtomicU64::new(0) }
    }

    /// Whether so many bytes more would fit now. Publishers that ask at the same time may all be
    /// told yes: together they can pass the bound by one publish each. Nothing always fits, also
    /// while the bound is passed.
    #[inline]
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        bytes == 0 || self.drawn.load(Ordering::SeqCst).saturating_add(bytes) <= self.max
    }

    /// How much of so much memory bodies may take that a store has as well: three eighths. The rest
    /// is for what is in memory only, and for outlines: so a backlog of bodies of 1 KiB may be ten
    /// times as large as memory.
    pub(crate) fn resident_max(max: u64) -> u64 {
        max / 8 * 3
    }

    /// Whether so many bytes more are too many for bodies that a store has as well.
    #[inline]
    pub(crate) fn is_short_with(&self, bytes: u64) -> bool {
        let drawn = self.drawn.load(Ordering::Relaxed);
        drawn.saturating_add(bytes) > Self::resident_max(self.max)
    }

    /// Draws so many bytes, unless they do not fit. Nothing always fits.
    #[must_use]
    pub(crate) fn try_draw(&self, bytes: u64) -> bool {
        let draw = |drawn: u64| drawn.checked_add(bytes).filter(|sum| *sum <= self.max);
        bytes == 0 || self.drawn.fetch_update(Ordering::SeqCst, Ordering::SeqCst, draw).is_ok()
    }

    /// Gives back what was drawn like this.
    pub(crate) fn give_back(&self, bytes: u64) {
        self.drawn.fetch_sub(bytes, Ordering::SeqCst);
    }

    /// Whether so much is drawn that queues keep no steps in hand: however many there are, what
    /// they keep together leaves about half of the memory to messages.
    pub(crate) fn is_tight(&self) -> bool {
        self.drawn.load(Ordering::Relaxed) > self.max / 2
    }

    /// The accounted bytes, up to three steps per queue more than they hold.
    pub(crate) fn drawn(&self) -> u64 {
        self.drawn.load(Ordering::SeqCst)
    }
}

impl Allowance {
    /// Draws or gives back so that what is drawn covers what the queue holds. Says whether it gave
    /// back.
    #[inline]
    pub(crate) fn cover(&mut self, held: u64, budget: &Budget) -> bool {
        if self.drawn < held {
            let more = (held - self.drawn).next_multiple_of(budget.step);
            self.drawn += more;
            budget.drawn.fetch_add(more, Ordering::SeqCst);
            return false;
        }
        let spare = self.drawn - held;
        if spare < budget.step || (spare < 3 * budget.step && !budget.is_tight()) {
            return false;
        }
        let returned = spare / budget.step * budget.step;
        self.drawn -= returned;
        budget.drawn.fetch_sub(returned, Ordering::SeqCst);
        true
    }

    /// Gives everything back.
    pub(crate) fn release(&mut self, budget: &Budget) {
        budget.drawn.fetch_sub(self.drawn, Ordering::SeqCst);
        self.drawn = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_always_covers_what_is_held() {
        let budget = Budget::new(u64::MAX);
        let (mut one, mut other) = (Allowance::default(), Allowance::default());
        for held in [1, 5_000, 100_000, 90_000, 4_096, 10, 0, 7] {
            one.cover(held, &budget);
            other.cover(held / 2, &budget);
            let most = held + held / 2 + 6 * STEP_BYTES_MAX;
            assert!((held + held / 2..=most).contains(&budget.drawn()), "{held}: {budget:?}");
        }
        one.release(&budget);
        other.release(&budget);
        assert_eq!(budget.drawn(), 0);
    }

    #[test]
    fn room_is_what_the_bound_leaves() {
        let budget = Budget::new(10_000);
        assert!(budget.has_room(10_000));
        assert!(!budget.has_room(10_001));
        let mut queue = Allowance::default();
        assert!(!queue.cover(8_001, &budget));
        assert!(budget.has_room(1_998));
        assert!(!budget.has_room(1_999), "8 001 bytes are drawn in steps of 2");
        assert!(queue.cover(0, &budget));
        assert!(budget.has_room(9_999));
    }

    #[test]
    fn what_is_drawn_at_once_never_passes_the_bound() {
        let budget = Budget::new(10_000);
        assert!(budget.try_draw(9_999));
        assert!(!budget.try_draw(2) && !budget.try_draw(u64::MAX));
        assert!(budget.try_draw(1) && budget.try_draw(0));
        assert_eq!(budget.drawn(), 10_000);
        budget.give_back(10_000);
        assert_eq!(budget.drawn(), 0);
    }
}
