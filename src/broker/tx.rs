//! What a transaction has collected, in the order in which it was asked for.

use super::channel_state::Outstanding;
use crate::{
    Name,
    engine::queue::{Held, Settlement},
};

/// A publish that waits for the commit. Where it goes is decided already, by name: a queue that is
/// deleted and declared again before the commit gets it. A direct reply has been delivered.
#[derive(Debug)]
pub(crate) struct TxPublish {
    pub(crate) held: Held,
    pub(crate) queues: Vec<Name>,
    pub(crate) mandatory: Mandatory,
}

/// Whether a message that reaches no queue comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mandatory {
    No,
    Yes,
}

impl TxPublish {
    /// The bytes that it will count for.
    pub(crate) fn byte_size(&self) -> u64 {
        self.held.byte_size().saturating_mul(self.queues.len() as u64)
    }
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
}

impl TxBuffer {
    /// How many steps it holds.
    pub(crate) fn len(&self) -> usize {
        self.publishes.len() + self.settlements.len()
    }

    /// Takes out the settlements as a commit carries them out: those of one kind that follow one
    /// another are one, oldest delivery first.
    pub(crate) fn take_settlements(&mut self) -> Vec<TxSettlement> {
        let mut joined: Vec<TxSettlement> = Vec::new();
        for mut next in self.settlements.drain(..) {
            match joined.last_mut() {
                Some(last) if last.settlement == next.settlement => {
                    last.taken.append(&mut next.taken);
                }
                Some(_) | None => joined.push(next),
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
}
