//! `x-expires`: a queue that nobody uses for a time goes away.
//!
//! A consumer is use for as long as it is there; `basic.get` and declaring the queue again are use
//! at that moment. Publishing and passive declaring are not.

use std::time::Duration;

use crate::time::Moment;

/// When a queue was last used, and how long it outlives that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Idle {
    after: Duration,
    last_used: Moment,
}

impl Idle {
    pub(crate) fn new(after: Duration, now: Moment) -> Self {
        Self { after, last_used: now }
    }

    pub(crate) fn touch(&mut self, now: Moment) {
        self.last_used = self.last_used.max(now);
    }

    pub(crate) fn deadline(&self) -> Moment {
        self.last_used.after(self.after)
    }
}
