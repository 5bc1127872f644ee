//! Bodies that are on disk only: when they leave memory, and how they come back.

use std::sync::Arc;

use super::cell::{CellState, QueueCell};
use crate::{
    Message, Result,
    engine::{
        definition::QueueMode,
        ids::Seq,
        queue::{AckMode, Bodies, Custody, Flow, Handed, Held, More, Peeked, UnackedKey},
    },
};

/// What is first in line is on disk.
struct OnDisk;

impl QueueCell {
    /// Takes the message that is first in line, and says how many are ready behind it.
    pub(crate) fn get(
        self: &Arc<Self>,
        mode: AckMode,
        custody: Custody,
    ) -> Option<(Handed, Option<UnackedKey>, u64)> {
        loop {
            let got = self.with(|core, effects| {
                if core.is_on_disk() && core.flow() == Flow::Running {
                    return Err(OnDisk);
                }
                let got = core.get(mode, custody, effects);
                Ok(got.map(|(handed, key)| (handed, key, core.ready_messages())))
            });
            match got {
                Ok(got) => return got,
                // Others may take what was read, so it may have to be read again.
                Err(OnDisk) if self.read_bodies().is_some() => {}
                Err(OnDisk) => return None,
            }
        }
    }

    /// Reads what somebody has credit for, and hands it out. No lock may be held.
    pub(super) fn read_ahead(self: &Arc<Self>) {
        while self.read_bodies() == Some(More::Wanted) {}
        self.with(|core, _| core.end_reading());
    }

    /// Reads what is first in line, and hands it out as far as somebody has credit for it. `None`
    /// if there is something that cannot be read. No lock may be held.
    pub(super) fn read_bodies(self: &Arc<Self>) -> Option<More> {
        let wanted = self.untold().core.wanted();
        let is_wanted = !wanted.is_empty();
        let read = wanted.into_iter().filter_map(|wanted| {
            let message = self.stored_message(wanted.seq)?;
            Some((wanted, Held::Resident(message)))
        });
        let read: Vec<_> = read.collect();
        if is_wanted && read.is_empty() {
            return None;
        }
        Some(self.with(|core, effects| core.read(read, effects)))
    }

    /// Whether what is first in line can be read.
    pub(super) fn check_readable(&self) -> Result<()> {
        match &self.context().journal {
            Some(journal) if self.untold().core.is_on_disk() => journal.check_readable(),
            Some(_) | None => Ok(()),
        }
    }

    /// Reads a message that somebody looks at. `false` if it has gone meanwhile.
    pub(super) fn read_peeked(&self, peeked: &mut Peeked) -> bool {
        let Held::Resident(message) = &peeked.held;
        if !message.is_outline() {
            return true;
        }
        match self.stored_message(peeked.seq) {
            Some(message) => {
                peeked.held = Held::Resident(message);
                true
            }
            None => false,
        }
    }

    /// A message that the store has; `None` if it has gone, or cannot be read, in which case the
    /// store has failed.
    pub(super) fn stored_message(&self, seq: Seq) -> Option<Message> {
        let (journal, stored) = (self.context().journal.as_ref()?, self.stored.as_ref()?);
        journal.fetch(stored, seq)
    }

    /// Where the bodies of what comes next are to stay.
    #[inline]
    pub(super) fn place_bodies(self: &Arc<Self>, state: &mut CellState, held: &Held) {
        if let Some(stored) = &self.stored
            && stored.keeps(held.is_persistent())
        {
            let is_lazy = self.definition.parsed.mode == QueueMode::Lazy;
            let bodies = if is_lazy || self.context().budget.is_short_with(held.bytes().into()) {
                Bodies::OnDisk
            } else {
                Bodies::InMemory
            };
            state.effects.bodies = bodies;
        }
    }
}
