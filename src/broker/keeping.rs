//! A queue and the store that keeps it.

use std::sync::Arc;

use super::{
    aftermath::Aftermath,
    cell::{CellState, KEPT_EFFECTS, QueueCell},
    journal::Position,
};
use crate::engine::queue::{Handed, Held, Kept, QueueCore, Refused, Staged};

impl QueueCell {
    /// Takes in what the store had of it, before anybody uses it. Nothing comes of it before it is
    /// set going.
    #[allow(dead_code, reason = "only a broker with a store does that")]
    pub(crate) fn restore(
        self: &Arc<Self>,
        messages: impl Iterator<Item = (Kept, Held, Option<u32>)>,
    ) {
        let mut state = self.untold();
        let CellState { core, effects, .. } = &mut *state;
        let needed_care = core.needs_care();
        for (kept, held, on_disk) in messages {
            core.restore(kept, held, on_disk, effects);
        }
        if core.needs_care() && !needed_care {
            // As with a queue that is declared so.
            let _nothing_yet = self.acks.begin_urgency();
        }
    }

    /// Has done what is due by now, and what declared bounds ask for.
    #[allow(dead_code, reason = "only a broker with a store does that")]
    pub(crate) fn set_going(self: &Arc<Self>) {
        self.with(QueueCore::settle_in);
    }

    /// Tells the store what is still in somebody's hand, as the last of this life of the broker.
    /// Says how many messages the store has.
    pub(crate) fn put_to_rest(self: &Arc<Self>) -> u64 {
        let (Some(journal), Some(stored)) = (&self.context().journal, &self.stored) else {
            return 0;
        };
        let kept = self.with(QueueCore::stage_rest);
        journal.note_rest(stored);
        kept
    }

    /// Waits until the store knows that messages of it may have been handed out, so that what
    /// comes back after a crash is flagged. No lock may be held. One that has failed keeps nobody
    /// from consuming what is in memory.
    pub(crate) fn begin_use(&self) {
        if let (Some(journal), Some(stored)) = (&self.context().journal, &self.stored) {
            let _ = self.context().await_unless_full(journal.note_use(stored));
        }
    }

    pub(crate) fn has_letters_on_their_way(&self) -> bool {
        self.untold().core.moving_messages() > 0
    }

    /// Adds a message, and says when the store will have it, unless that is told with the step that
    /// this thread is at.
    pub(crate) fn enqueue_stored(self: &Arc<Self>, held: Held) -> (Result<(), Refused>, Position) {
        if held.expires() {
            self.begin_time(&mut self.untold());
        }
        self.enqueue_told(held)
    }

    /// Tells the store that a message is done with, if it has it.
    #[inline(never)]
    pub(super) fn tell_accepted(&self, handed: &Handed) {
        if let (Some(journal), Some(stored), Some(seq)) =
            (&self.context().journal, &self.stored, handed.stored_seq())
        {
            journal.note_settled(stored, seq);
        }
    }

    /// Tells the store what has happened to messages, and says when it will have it, unless that is
    /// told with the step that this thread is at.
    #[inline(never)]
    pub(super) fn tell_store(&self, staged: &mut Vec<Staged>, after: &mut Aftermath) -> Position {
        let position = match (&self.context().journal, &self.stored) {
            (Some(journal), Some(stored)) => journal.note(stored, staged),
            _ => Position::NONE,
        };
        while let Some(staged) = staged.pop() {
            if let Staged::Added(_, held) = staged {
                after.free_one(held);
            }
        }
        staged.shrink_to(KEPT_EFFECTS);
        position
    }
}
