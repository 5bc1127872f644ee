//! What a transaction has collected, in the order in which it was asked for.

use super::{channel_state::Outstanding, publish::Source, room::ByteRoom};
use crate::{
    Name,
    engine::queue::{Held, Settlement},
};

/// A publish that waits for the commit. Where it goes is decided already, by name: a queue that is
/// deleted and declared again before the commit gets it. A direct reply has been delivered.
#[derive(Debug)]
pub(crate) struct TxPublish {
    /// Where it was published to.
    pub(crate) source: Source,
    pub(crate) held: Held,
    pub(crate) queues: Vec<Name>,
    pub(crate) mandatory: Mandatory,
    /// Drawn until the queues have drawn theirs.
    pub(crate) room: ByteRoom,
}

/// Whether a message that reaches no queue comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mandatory {
    No,
    Yes,
}

/// A settlement that waits for the commit.
#[derive(Debug)]
pub(crate) struct TxSettlement {
    pub(crate) settlement: Settlement,
    pub(crate) taken: Vec<(u64, Outstanding)>,
}

/// The open transaction of a channel.
#[derive(Debug, Default)]
pub(crate) struct TxBuffer {
    pub(crate) publishes: Vec<TxPublish>,
    pub(crate) settlements: Vec<TxSettlement>,
    /// Changes with each step, and when the steps are taken out.
    version: u64,
}

/// What has to be known of a transaction to find out which events its commit causes.
#[derive(Debug)]
pub(crate) struct TxOutline {
    /// Of the transaction that this is about.
    pub(crate) version: u64,
    /// The queues of each mandatory publish.
    pub(crate) mandatory: Vec<Vec<Name>>,
}

/// The bytes that a message counts for while it waits for the commit: as much as in its queues,
/// and once if it reaches none, since it is there.
pub(crate) fn waiting_bytes(size: u32, queues: usize) -> u64 {
    u64::from(size).saturating_mul(queues.max(1) as u64)
}

impl TxBuffer {
    pub(crate) fn publish(&mut self, publish: TxPublish) {
        self.publishes.push(publish);
        self.version += 1;
    }

    pub(crate) fn settle(&mut self, settlement: TxSettlement) {
        self.settlements.push(settlement);
        self.version += 1;
    }

    /// Takes all steps out.
    pub(crate) fn take(&mut self) -> Self {
        let version = self.version + 1;
        std::mem::replace(self, Self { version, ..Self::default() })
    }

    /// How many steps it holds.
    pub(crate) fn len(&self) -> usize {
        self.publishes.len() + self.settlements.len()
    }

    /// Takes out the settlements as a commit carries them out: those of one kind that follow one
    /// another are one, oldest delivery first. What is given back by `basic.nack` and by
    /// `basic.reject` is of one kind, as in `RabbitMQ`; it counts as a failure if some of it does.
    pub(crate) fn take_settlements(&mut self) -> Vec<TxSettlement> {
        let mut joined: Vec<TxSettlement> = Vec::new();
        for mut next in self.settlements.drain(..) {
            if let Some(last) = joined.last_mut()
                && let Some(settlement) = as_one(last.settlement, next.settlement)
            {
                last.settlement = settlement;
                last.taken.append(&mut next.taken);
            } else {
                joined.push(next);
            }
        }
        for one in &mut joined {
            one.taken.sort_unstable_by_key(|(tag, _)| *tag);
        }
        joined
    }

    /// Everything that would be settled.
    pub(crate) fn settled(&self) -> impl Iterator<Item = &(u64, Outstanding)> {
        self.settlements.iter().flat_map(|settlement| &settlement.taken)
    }

    /// Whether this is what the outline was made of.
    pub(crate) fn is_as_in(&self, outline: &TxOutline) -> bool {
        self.version == outline.version
    }

    pub(crate) fn outline(&self) -> TxOutline {
        let mandatory = self.publishes.iter().filter(|of| of.mandatory == Mandatory::Yes);
        TxOutline {
            version: self.version,
            mandatory: mandatory.map(|of| of.queues.clone()).collect(),
        }
    }
}

/// What two settlements are that follow one another, unless they stay two.
fn as_one(one: Settlement, next: Settlement) -> Option<Settlement> {
    match (one, next) {
        _ if one == next => Some(one),
        (Settlement::Fail, Settlement::Requeue) | (Settlement::Requeue, Settlement::Fail) => {
            Some(Settlement::Fail)
        }
        _ => None,
    }
}
