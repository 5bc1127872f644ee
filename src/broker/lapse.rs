//! A queue and the time: told before anything that happens to it, and when a timer says so.

use std::{sync::Arc, time::Duration};

use super::{
    aftermath::Aftermath,
    cell::{CellState, QueueCell},
    consumer::EndReason,
};
use crate::{engine::queue::UnackedKey, time::Moment};

/// A timer does so much at a time, so that nobody waits long for a queue where a lot is due.
const DUE_AT_ONCE: usize = 1_024;

impl QueueCell {
    /// Someone uses the queue by declaring it again.
    pub(crate) fn touch(self: &Arc<Self>) {
        self.with(|core, _| core.touch());
    }

    /// Does what is due at a moment, or a good part of it: then there is a timer for the rest.
    pub(crate) fn run_due(self: &Arc<Self>, now: Moment) {
        let mut after = Aftermath::default();
        let is_expired = {
            let mut state = self.untold();
            // Another one, for later, may have been set in the meantime.
            if state.scheduled.as_ref().is_some_and(|scheduled| scheduled.at <= now) {
                state.scheduled = None;
            }
            self.tell(&mut state, now, DUE_AT_ONCE, &mut after);
            self.apply_acks(&mut state);
            self.carry_out(&mut state, &mut after);
            state.core.is_expired(now)
        };
        after.run(self);
        if is_expired && let Some(vhost) = self.vhost() {
            vhost.delete_expired_queue(self, now);
            // If it is still there, it has a new deadline to wait for.
            self.with(|_, _| ());
        }
    }

    /// Puts off the moment at which a hand-out ends by itself. `false` if it has none.
    pub(crate) fn extend(self: &Arc<Self>, key: UnackedKey, by: Duration) -> bool {
        self.with(|core, _| core.extend(key, by))
    }

    /// From now on the queue is told the time.
    #[cold]
    pub(super) fn begin_time(&self, state: &mut CellState) {
        if !state.core.needs_care() && self.acks.begin_urgency() {
            self.apply_acks(state);
        }
        if !state.core.watches_time() {
            state.core.begin_time(self.context().clock.now());
        }
    }

    /// Tells the queue what time it is, if it wants to know.
    #[inline]
    pub(super) fn tell_time(&self, state: &mut CellState, after: &mut Aftermath) {
        if state.core.watches_time() {
            self.tell(state, self.context().clock.now(), usize::MAX, after);
        }
    }

    #[inline(never)]
    fn tell(&self, state: &mut CellState, now: Moment, most: usize, after: &mut Aftermath) {
        let CellState { core, effects, .. } = state;
        for mut outlet in core.tell_time(now, most, effects) {
            outlet.note_end(EndReason::TimedOut);
            self.return_tray(&mut outlet, core, effects);
            after.end(outlet);
        }
        core.go_on(effects);
    }
}
