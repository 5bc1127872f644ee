//! Consumers that come to a queue and leave it.

use std::sync::Arc;

use super::{
    aftermath::Aftermath,
    cell::QueueCell,
    consumer::EndReason,
    mailbox::{Mailbox, Taken},
    outlet::Outlet,
};
use crate::engine::{
    definition::QueueType,
    queue::{
        ConsumerId, ConsumerTerms, Effects, InExclusiveUse, QueueCore, Settlement, UnackedKey,
    },
};

/// Whether a consumer joins those that a queue has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Succession {
    Beside,
    /// It takes the place of all, unless the queue selects one by itself.
    InPlaceOfOthers,
}

/// Why nobody new may consume from a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConsumeRefused {
    Deleted,
    InExclusiveUse,
    Limit,
}

impl QueueCell {
    /// Registers a consumer. `started` runs under the lock of the queue, before the first message
    /// is handed over: it may take locks of a later rank, and nothing else.
    pub(crate) fn consume(
        self: &Arc<Self>,
        terms: ConsumerTerms,
        outlet: Outlet,
        succession: Succession,
        started: impl FnOnce(ConsumerId),
    ) -> Result<ConsumerId, ConsumeRefused> {
        if terms.timeout.is_some() {
            self.begin_time(&mut self.untold());
        }
        let mut after = Aftermath::default();
        let mut superseded = Vec::new();
        let consumed = self.with_aftermath(&mut after, |core, effects| {
            if core.is_deleted() {
                return Err(ConsumeRefused::Deleted);
            }
            if succession == Succession::InPlaceOfOthers
                && !self.definition.parsed.single_active_consumer
            {
                superseded = self.supersede(core, effects);
            }
            if core.consumer_count() >= self.context().limits.consumers {
                return Err(ConsumeRefused::Limit);
            }
            let id = core
                .consume(terms, outlet)
                .map_err(|InExclusiveUse| ConsumeRefused::InExclusiveUse)?;
            started(id);
            core.dispatch(effects);
            Ok(id)
        });
        after.run(self);
        for outlet in superseded {
            self.return_taken(&outlet);
            outlet.end();
        }
        consumed
    }

    /// Ends a consumer. What it was handed stays unacked, and nobody is handed anything; of a
    /// quorum queue, the single active consumer that follows is.
    pub(crate) fn cancel(self: &Arc<Self>, consumer: ConsumerId) {
        let outlet = self.with(|core, effects| {
            let outlet = core.remove_consumer(consumer, effects);
            if self.definition.parsed.queue_type == QueueType::Quorum {
                core.dispatch(effects);
            }
            outlet
        });
        drop(outlet);
    }

    /// Ends consumers and returns messages to the queue in one step, so that no other consumer
    /// gets a younger message before an older one is back; whoever is left is served. `returned`
    /// runs under the lock of the queue, when nothing more can be handed to these consumers: it may
    /// take locks of a later rank, and nothing else.
    pub(crate) fn withdraw(
        self: &Arc<Self>,
        consumers: &[ConsumerId],
        settlement: Settlement,
        returned: impl FnOnce() -> Vec<UnackedKey>,
    ) {
        let outlets: Vec<_> = self.with(|core, effects| {
            let outlets =
                consumers.iter().filter_map(|id| core.remove_consumer(*id, effects)).collect();
            core.settle(&returned(), settlement, effects);
            outlets
        });
        // They may be the last to hold their channel, so they go where no lock is held.
        drop(outlets);
    }

    /// Takes a consumer of the handle tier off the queue. What nobody has received goes back to its
    /// place. Does nothing if the consumer is off already.
    pub(crate) fn withdraw_mailbox(
        self: &Arc<Self>,
        consumer: ConsumerId,
        mailbox: &Mailbox,
        reason: EndReason,
    ) {
        let mut after = Aftermath::default();
        let tray = {
            let mut taken = mailbox.taken();
            self.with_aftermath(&mut after, |core, effects| {
                let Outlet::Mailbox(mut tray) = core.remove_consumer(consumer, effects)? else {
                    unreachable!("consumers of channels have no mailbox")
                };
                mailbox.end(reason);
                self.end_urgency(&mut tray);
                core.give_back(tray.unreceived(&mut taken), Settlement::ReturnUnseen, effects);
                Some(tray)
            })
        };
        after.run(self);
        if let Some(tray) = tray {
            tray.close();
        }
    }

    /// Takes all consumers off the queue. What lies in their trays goes back.
    fn supersede(&self, core: &mut QueueCore<Outlet>, effects: &mut Effects) -> Vec<Outlet> {
        let mut outlets = Vec::new();
        for id in core.consumer_ids() {
            let Some(mut outlet) = core.remove_consumer(id, effects) else { continue };
            outlet.note_end(EndReason::Superseded);
            self.return_tray(&mut outlet, core, effects);
            outlets.push(outlet);
        }
        outlets
    }

    /// What lies in the tray of a consumer that was taken off goes back.
    pub(super) fn return_tray(
        &self,
        outlet: &mut Outlet,
        core: &mut QueueCore<Outlet>,
        effects: &mut Effects,
    ) {
        if let Some(tray) = outlet.tray() {
            self.end_urgency(tray);
            let unreceived = tray.unreceived(&mut Taken::default());
            core.give_back(unreceived, Settlement::ReturnUnseen, effects);
        }
    }

    /// What lies in the mailbox of a consumer that was taken off goes back.
    pub(super) fn return_taken(self: &Arc<Self>, outlet: &Outlet) {
        let Outlet::Mailbox(tray) = outlet else { return };
        let mut after = Aftermath::default();
        {
            let mut taken = tray.mailbox.taken();
            self.with_aftermath(&mut after, |core, effects| {
                core.give_back(taken.drain(), Settlement::ReturnUnseen, effects);
            });
        }
        after.run(self);
    }
}
