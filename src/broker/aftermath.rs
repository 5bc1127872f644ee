//! What a change of a queue leaves to do once no lock is held: waking, dropping, telling.

use std::sync::Arc;

use super::{
    cell::QueueCell,
    dead_letters,
    outlet::{Outlet, Wake},
};
use crate::{
    engine::queue::{Held, Outward, Remains},
    shield::shielded,
};

/// What is left to do once the queue is let go. Nothing of it allocates in the common case of one
/// message and one waiter.
#[derive(Debug, Default)]
#[must_use = "somebody may have to be woken"]
pub(crate) struct Aftermath {
    /// What concerns others. Mostly there is nothing.
    errands: Option<Errands>,
    /// Whether bytes were given back that a publisher may wait for.
    pub(super) made_room: bool,
    /// Whether the queue was changed, rather than only looked at.
    pub(super) has_changed: bool,
    /// Whether the queue has dead letters that somebody has to take where they go.
    pub(super) has_dead: bool,
}

#[derive(Debug, Default)]
struct Errands {
    wake: Option<Wake>,
    /// A message that is dropped.
    freed: Option<Held>,
    /// Invariant: there is nothing of a kind in here while there is none above.
    more: Option<Box<More>>,
}

/// What is seldom left, in the order in which it came.
#[derive(Debug, Default)]
struct More {
    wakes: Vec<Wake>,
    freed: Vec<Held>,
    outward: Vec<Outward>,
    /// Consumers that their queue has taken off.
    ended: Vec<Outlet>,
}

/// A queue that has just ended. It has to be finished once no lock is held.
#[derive(Debug)]
#[must_use = "consumers are told when it is finished"]
pub(crate) struct Deletion {
    pub(super) remains: Remains<Outlet>,
}

impl Aftermath {
    pub(crate) fn has_changed(&self) -> bool {
        self.has_changed
    }

    pub(super) fn wake(&mut self, wake: Wake) {
        let errands = self.errands.get_or_insert_default();
        if errands.wake.is_none() {
            errands.wake = Some(wake);
        } else {
            errands.more().wakes.push(wake);
        }
    }

    /// Empties the list of messages that are to be dropped.
    pub(super) fn free(&mut self, freed: &mut Vec<Held>) {
        let Some(last) = freed.pop() else { return };
        let errands = self.errands.get_or_insert_default();
        if errands.freed.is_none() {
            errands.freed = Some(last);
        } else {
            freed.push(last);
        }
        if !freed.is_empty() {
            errands.more().freed.append(freed);
        }
    }

    /// A message is to be dropped.
    pub(super) fn free_one(&mut self, held: Held) {
        let errands = self.errands.get_or_insert_default();
        if errands.freed.is_none() {
            errands.freed = Some(held);
        } else {
            errands.more().freed.push(held);
        }
    }

    /// Empties the list of what concerns others than the queue.
    pub(super) fn add(&mut self, outward: &mut Vec<Outward>) {
        if !outward.is_empty() {
            self.errands.get_or_insert_default().more().outward.append(outward);
        }
    }

    /// A consumer has to be told that its queue has taken it off.
    pub(super) fn end(&mut self, outlet: Outlet) {
        self.errands.get_or_insert_default().more().ended.push(outlet);
    }

    /// Does it. Runs other people's code, so no lock may be held.
    #[expect(clippy::inline_always, reason = "the path of every message: mostly nothing is left")]
    #[inline(always)]
    pub(crate) fn run(self, cell: &Arc<QueueCell>) {
        if self.has_changed {
            cell.context().progress.made();
        }
        if self.made_room || self.has_dead || self.errands.is_some() {
            self.run_errands(cell);
        }
    }

    #[inline(never)]
    fn run_errands(self, cell: &Arc<QueueCell>) {
        if self.made_room {
            cell.context().room.made();
        }
        if let Some(errands) = self.errands {
            errands.run(cell);
        }
        if self.has_dead {
            dead_letters::bury(cell);
        }
    }
}

impl Errands {
    fn run(self, cell: &Arc<QueueCell>) {
        if let Some(wake) = self.wake {
            wake.wake();
        }
        if let Some(more) = self.more {
            more.run(cell);
        }
        if let Some(freed) = self.freed {
            drop_message(freed);
        }
    }

    #[cold]
    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }
}

impl More {
    #[cold]
    fn run(self, cell: &Arc<QueueCell>) {
        self.wakes.into_iter().for_each(Wake::wake);
        for outlet in self.ended {
            cell.return_taken(&outlet);
            outlet.end();
        }
        for outward in self.outward {
            match outward {
                Outward::WantsBodies => cell.read_ahead(),
                Outward::Abandoned => {
                    if let Some(vhost) = cell.vhost() {
                        vhost.delete_abandoned_queue(cell);
                    }
                }
            }
        }
        self.freed.into_iter().for_each(drop_message);
    }
}

impl Deletion {
    /// Tells the consumers, drops the messages, and says how many were ready. Those of a channel
    /// are told in the order of their tags.
    pub(crate) fn finish(mut self) -> u64 {
        self.remains.consumers.sort_by(|one, other| one.channel_tag().cmp(&other.channel_tag()));
        for outlet in self.remains.consumers.drain(..) {
            outlet.end();
        }
        let ready = self.remains.ready;
        self.remains.into_messages().for_each(drop_message);
        ready
    }
}

/// Drops a message where no lock is held. A destructor that panics ends nothing but itself: others
/// are still to be dropped, and whoever does this may have nothing to do with them.
fn drop_message(held: Held) {
    let _ = shielded(|| drop(held));
}
