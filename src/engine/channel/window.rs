//! The prefetch window that all consumers of a channel share: `basic.qos` with `global`.
//!
//! While it is full, consumers with automatic acknowledgement stand still too, although they never
//! add to it.

use crate::engine::queue::AckMode;

/// How many deliveries to consumers of a channel are outstanding, and how many may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// `None` is unlimited.
    limit: Option<u32>,
    outstanding: u32,
}

impl Window {
    /// Takes room for one delivery, unless the window is full.
    pub(crate) fn try_take(&mut self, mode: AckMode) -> bool {
        if self.limit.is_some_and(|limit| self.outstanding >= limit) {
            return false;
        }
        if mode == AckMode::Manual {
            self.outstanding += 1;
        }
        true
    }

    /// So many deliveries are settled.
    pub(crate) fn release(&mut self, deliveries: u32) {
        debug_assert!(deliveries <= self.outstanding, "only what was taken is released");
        self.outstanding -= deliveries;
    }

    pub(crate) fn set_limit(&mut self, limit: Option<u32>) {
        self.limit = limit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_window_stops_everyone_and_automatic_never_fills_it() {
        let mut window = Window::default();
        window.set_limit(Some(1));
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
        window.set_limit(Some(2));
        window.release(1);
        assert!(!window.try_take(AckMode::Manual));
        window.release(1);
        assert!(window.try_take(AckMode::Manual));
        window.set_limit(None);
        assert!((0..100).all(|_| window.try_take(AckMode::Manual)));
    }
}
