//! What a virtual host tells the store of its broker, and what it waits for.

use std::sync::Arc;

use super::VhostState;
use crate::{
    Name, Result,
    broker::{
        cell::QueueCell,
        exchange_cell::{ExchangeCell, Target},
        journal::{Position, StoredExchange, StoredQueue, Story},
    },
    engine::{
        definition::{ExchangeDefinition, QueueDefinition},
        topology::BindingSpec,
    },
};

impl VhostState {
    /// Whether something new can be stored, if it has to be.
    pub(super) fn check_stores(&self, is_durable: bool) -> Result<()> {
        match &self.context.journal {
            Some(journal) if is_durable => journal.check_works(),
            Some(_) | None => Ok(()),
        }
    }

    /// Waits until what was told is durable. No lock may be held. While the disk is full it does
    /// not wait: what was told is written when there is space again.
    pub(super) fn await_durable(&self, position: Position) -> Result<()> {
        self.context.await_unless_full(position)
    }

    /// Waits for what others have told and may be waiting for.
    pub(super) fn await_others(&self, is_durable: bool) -> Result<()> {
        match &self.context.journal {
            Some(journal) if is_durable => self.context.await_unless_full(journal.position()),
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn tell(&self, story: Story) -> Position {
        match &self.context.journal {
            Some(journal) => story.tell(journal),
            None => Position::NONE,
        }
    }

    pub(super) fn tell_exchange(
        &self,
        name: &Name,
        definition: &ExchangeDefinition,
        story: &mut Story,
    ) -> Option<StoredExchange> {
        let (journal, stored) = (self.context.journal.as_ref()?, self.stored.as_ref()?);
        story.add_exchange(journal, stored, name, definition)
    }

    pub(super) fn tell_queue(
        &self,
        name: &Name,
        definition: &QueueDefinition,
        story: &mut Story,
    ) -> Option<StoredQueue> {
        let (journal, stored) = (self.context.journal.as_ref()?, self.stored.as_ref()?);
        story.add_queue(journal, stored, name, definition)
    }

    pub(super) fn tell_bound(
        &self,
        spec: &BindingSpec,
        source: &Arc<ExchangeCell>,
        story: &mut Story,
    ) {
        if let (Some(journal), Some(stored)) = (&self.context.journal, &self.stored) {
            let ends = (&Target::Exchange(Arc::clone(source)), &self.target(spec.destination()));
            story.bind(journal, stored, spec, ends);
        }
    }

    pub(super) fn tell_unbound(&self, spec: &BindingSpec, story: &mut Story) {
        if let Some(stored) = &self.stored {
            story.unbind(stored, spec);
        }
    }

    /// Tells that a queue has gone: now, or when its last dead letter has left it. Says when that
    /// is durable. No lock may be held.
    pub(super) fn tell_queue_gone(&self, cell: &QueueCell, mut story: Story) -> Position {
        if let Some(stored) = &cell.stored {
            story.remove_queue(stored);
            stored.end_later(story);
            return cell.tell_ending();
        }
        self.tell(story)
    }
}

impl QueueCell {
    /// Tells the store that the queue has gone, unless dead letters are on their way from it.
    pub(crate) fn tell_ending(&self) -> Position {
        let (Some(journal), Some(stored)) = (&self.context().journal, &self.stored) else {
            return Position::NONE;
        };
        if self.has_letters_on_their_way() {
            return Position::NONE;
        }
        stored.take_ending().tell(journal)
    }
}
