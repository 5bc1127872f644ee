//! What a producer has published and does not know to be confirmed, and what its consumer may take.

use std::{collections::VecDeque, mem, sync::Arc, time::Instant};

use futures_lite::future::block_on;
use tokio::sync::Semaphore;

use super::Load;
use crate::load::nanos;

/// Holds what a confirm comes through, from when its message is published. When it is dropped the
/// consumer stops.
pub(super) struct Window<C> {
    in_flight: usize,
    /// The oldest first, with when it was published.
    unconfirmed: VecDeque<(Instant, C)>,
    /// In nanoseconds.
    latencies: Vec<u64>,
    /// How many are confirmed that the consumer has no turns for yet.
    confirmed: usize,
    turns: Arc<Semaphore>,
}

/// The consumer's part: it may take a message for each that is confirmed.
pub(super) struct Turns {
    left: u64,
    given: Arc<Semaphore>,
}

impl<C> Window<C> {
    pub(super) fn new(load: Load) -> (Self, Turns) {
        let in_flight = load.in_flight as usize;
        let messages = usize::try_from(load.messages).unwrap_or_default();
        let turns = Arc::new(Semaphore::new(0));
        let given = Arc::clone(&turns);
        let window = Self {
            in_flight,
            unconfirmed: VecDeque::with_capacity(in_flight),
            latencies: Vec::with_capacity(messages),
            confirmed: 0,
            turns,
        };
        (window, Turns { left: load.messages, given })
    }

    pub(super) fn push(&mut self, published: Instant, confirm: C) {
        self.unconfirmed.push_back((published, confirm));
    }

    /// The oldest has turned out to be confirmed.
    pub(super) fn pop(&mut self, now: Instant) {
        if let Some((published, _)) = self.unconfirmed.pop_front() {
            self.latencies.push(nanos(now - published));
            self.confirmed += 1;
        }
    }

    /// Gives the consumer a turn for each that was confirmed since.
    pub(super) fn give_turns(&mut self) {
        self.turns.add_permits(mem::take(&mut self.confirmed));
    }

    pub(super) fn oldest(&mut self) -> Option<&mut C> {
        self.unconfirmed.front_mut().map(|(_, confirm)| confirm)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unconfirmed.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.unconfirmed.len() >= self.in_flight
    }

    pub(super) fn into_latencies(mut self) -> Vec<u64> {
        mem::take(&mut self.latencies)
    }
}

impl<C> Drop for Window<C> {
    fn drop(&mut self) {
        self.turns.close();
    }
}

impl Turns {
    /// Waits as a task until it may take a message; `None` after the last, or when nobody sends any
    /// more.
    pub(super) async fn next(&mut self) -> Option<()> {
        let left = self.left.checked_sub(1)?;
        self.given.acquire().await.ok()?.forget();
        self.left = left;
        Some(())
    }

    /// The same for a thread.
    pub(super) fn next_blocking(&mut self) -> Option<()> {
        block_on(self.next())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_lite::future::poll_once;

    use super::*;

    #[test]
    fn latencies_last_from_the_publish_to_the_confirm() {
        let (mut window, _) = Window::new(Load { messages: 3, in_flight: 2 });
        let begun = Instant::now();
        let at = |nanos| begun + Duration::from_nanos(nanos);
        window.push(at(0), 'a');
        assert!(!window.is_full());
        window.push(at(10), 'b');
        assert!(window.is_full());
        assert_eq!(window.oldest(), Some(&mut 'a'));
        window.pop(at(15));
        assert!(!window.is_full());
        window.push(at(20), 'c');
        assert_eq!(window.oldest(), Some(&mut 'b'));
        window.pop(at(40));
        window.pop(at(40));
        assert!(window.is_empty());
        assert_eq!(window.into_latencies(), [15, 30, 20]);
    }

    #[test]
    fn a_turn_follows_each_confirm() {
        let (mut window, mut turns) = Window::new(Load { messages: 3, in_flight: 3 });
        let now = Instant::now();
        for _ in 0..2 {
            window.push(now, ());
            window.pop(now);
        }
        window.give_turns();
        let mut next = || block_on(poll_once(turns.next()));
        assert_eq!([next(), next(), next()], [Some(Some(())), Some(Some(())), None]);
        drop(window);
        assert_eq!(next(), Some(None));
    }
}
