//! A queue at one moment, in numbers.

use std::sync::Arc;

use super::{
    aftermath::Aftermath,
    cell::{CellState, QueueCell},
};
use crate::{
    engine::queue::{Counts, Flow},
    time::Moment,
};

/// The counts of a queue at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snapshot {
    pub(crate) ready: u64,
    pub(crate) unacked: u64,
    pub(crate) delayed: u64,
    pub(crate) moving: u64,
    pub(crate) bytes: u64,
    pub(crate) consumers: usize,
    pub(crate) flow: Flow,
    pub(crate) oldest: Option<Moment>,
    pub(crate) counts: Counts,
}

impl QueueCell {
    pub(crate) fn snapshot(self: &Arc<Self>) -> Snapshot {
        let mut after = Aftermath::default();
        let snapshot = {
            let CellState { core, .. } = &*self.lock(&mut after);
            Snapshot {
                ready: core.ready_messages(),
                unacked: core.unacked_messages(),
                delayed: core.delayed_messages(),
                moving: core.moving_messages(),
                bytes: core.bytes(),
                consumers: core.consumer_count(),
                flow: core.flow(),
                oldest: core.oldest(),
                counts: core.counts(),
            }
        };
        after.run(self);
        snapshot
    }
}
