//! The prefetch window that all consumers of a channel share: `basic.qos` with `global`.
//!
//! While it is full, consumers with automatic acknowledgement stand still too, although they never
//! add to it.
//!
//! What was got from a queue without a consumer counts as in `RabbitMQ`: if it was unsettled when
//! the limit came, it takes room that settling it does not give back, until the limit is lifted.

use crate::engine::queue::AckMode;

/// How many deliveries take room in a channel, and how many may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// `None` is unlimited.
    limit: Option<u32>,
    /// Invariant: zero while there is no limit. Negative when more was settled than the limit had
    /// found: in a transaction, what waits for its commit is not found.
    volume: i64,
}

impl Window {
    /// Takes room for one delivery, unless the window is full.
    pub(crate) fn try_take(&mut self, mode: AckMode) -> bool {
        let Some(limit) = self.limit else { return true };
        if self.volume >= i64::from(limit) {
            return false;
        }
        if mode == AckMode::Manual {
            self.volume += 1;
        }
        true
    }

    pub(crate) fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// So many deliveries to consumers are settled.
    pub(crate) fn release(&mut self, deliveries: u32) {
        if self.volume != 0 {
            self.volume -= i64::from(deliveries);
        }
    }

    /// Changes the limit. One that comes where there was none finds so many `unsettled`, whoever
    /// they were for; another limit goes on with what has been counted.
    pub(crate) fn set_limit(&mut self, limit: Option<u32>, unsettled: usize) {
        match (self.limit, limit) {
            (None, Some(_)) => self.volume = i64::try_from(unsettled).unwrap_or(i64::MAX),
            (Some(_), Some(_)) => {}
            (_, None) => self.volume = 0,
        }
        self.limit = limit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_window_stops_everyone_and_automatic_never_fills_it() {
        let mut window = Window::default();
        window.set_limit(Some(1), 0);
        assert!(window.try_take(AckMode::Auto) && window.try_take(AckMode::Auto));
        assert!(window.try_take(AckMode::Manual));
        assert!(!window.try_take(AckMode::Manual) && !window.try_take(AckMode::Auto));
        window.release(1);
        assert!(window.try_take(AckMode::Auto));
    }

    #[test]
    fn a_limit_below_what_is_outstanding_waits_for_it_to_fall() {
        let mut window = Window::default();
        assert!((0..3).all(|_| window.try_take(AckMode::Manual)));
        window.set_limit(Some(2), 3);
        window.release(1);
        assert!(!window.try_take(AckMode::Manual));
        window.release(1);
        assert!(window.try_take(AckMode::Manual));
        window.set_limit(None, 2);
        assert!((0..100).all(|_| window.try_take(AckMode::Manual)));
    }

    #[test]
    fn what_was_got_before_the_limit_takes_room_until_it_is_lifted() {
        let mut window = Window::default();
        window.set_limit(Some(2), 1);
        assert!(window.try_take(AckMode::Manual) && !window.try_take(AckMode::Manual));
        window.release(1);
        window.set_limit(Some(1), 0);
        assert!(!window.try_take(AckMode::Manual), "another limit counts nothing anew");
        window.set_limit(None, 0);
        window.set_limit(Some(1), 0);
        assert!(window.try_take(AckMode::Manual));
    }
}
