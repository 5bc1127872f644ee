//! What has become of a message that was put into its queues.

use super::{cell::QueueCell, journal::Position, publish_error::PublishReason};
use crate::{
    Message, Name,
    engine::{
        definition::QueueType,
        queue::{Fate, Held, NoRoom, Refused},
    },
};

/// Who took a message, and who did not.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    /// How many queues took it; for several messages, the sum.
    pub(crate) queues: u32,
    /// When all of them have it for good.
    pub(crate) position: Position,
    /// Whether a store has it for all of them.
    pub(crate) is_stored: bool,
    /// Mostly there are none.
    refusals: Option<Box<Refusals>>,
}

/// What declared bounds kept out.
#[derive(Debug)]
struct Refusals {
    count: u32,
    /// The first queue that had no room, and the argument that says so.
    queue: Name,
    bound: &'static str,
    /// What has become of most of it: whether anything is a dead letter.
    fate: Fate,
    /// The latest, as it came back.
    held: Held,
    /// Whether the commit of a transaction fails by it. That of a quorum queue does not hear of it.
    fails_commit: bool,
}

impl Intake {
    /// What one queue did with a message.
    #[inline]
    pub(crate) fn of(cell: &QueueCell, result: Result<(), Refused>) -> Self {
        match result {
            Ok(()) => Self { queues: 1, ..Self::default() },
            Err(refused) => Self::of_refused(cell, refused),
        }
    }

    #[cold]
    fn of_refused(cell: &QueueCell, refused: Refused) -> Self {
        let mut intake = Self::default();
        intake.note(cell, refused);
        intake
    }

    /// Notes whether a store has it for all queues.
    pub(crate) fn stored_if(self, is_stored: bool) -> Self {
        Self { is_stored, ..self }
    }

    /// Counts what a queue did with a message.
    pub(crate) fn add(&mut self, cell: &QueueCell, result: Result<(), Refused>) {
        match result {
            Ok(()) => self.queues += 1,
            Err(refused) => self.note(cell, refused),
        }
    }

    /// Notes why a queue did not take a message.
    #[cold]
    pub(crate) fn note(&mut self, cell: &QueueCell, refused: Refused) {
        match refused {
            // Nothing is there any more of one that has been deleted since.
            Refused::Deleted(_) => {}
            Refused::Full(full) => self.refuse(cell, *full),
        }
    }

    /// Adds what became of other messages, or in other queues.
    pub(crate) fn join(&mut self, other: Self) {
        self.queues += other.queues;
        self.position = self.position.max(other.position);
        match (&mut self.refusals, other.refusals) {
            (Some(own), Some(more)) => {
                own.count += more.count;
                own.fate = own.fate.or(more.fate);
                own.fails_commit |= more.fails_commit;
            }
            (own, more) => *own = own.take().or(more),
        }
    }

    /// How many queues had no room.
    pub(crate) fn refused(&self) -> u32 {
        self.refusals.as_ref().map_or(0, |refusals| refusals.count)
    }

    /// Whether the commit that it was part of fails.
    pub(crate) fn fails_commit(&self) -> bool {
        self.refusals.as_ref().is_some_and(|refusals| refusals.fails_commit)
    }

    /// Whether anyone was there to take it.
    pub(crate) fn has_reached(&self) -> bool {
        self.queues > 0 || self.refusals.is_some()
    }

    /// The first queue that had no room.
    pub(crate) fn full_queue(&self) -> Option<&Name> {
        self.refusals.as_ref().map(|refusals| &refusals.queue)
    }

    /// Whether no bound kept it out of any queue.
    #[inline]
    pub(crate) fn is_whole(&self) -> bool {
        self.refusals.is_none()
    }

    /// Whether bounds kept it out of every queue that it reached.
    #[inline]
    pub(crate) fn has_failed(&self) -> bool {
        self.queues == 0 && self.refusals.is_some()
    }

    /// Why nobody took it at all, if that is so because of bounds, and the message.
    #[cold]
    pub(crate) fn into_failure(self) -> Option<(PublishReason, Message)> {
        if self.queues > 0 {
            return None;
        }
        let Refusals { bound: limit, fate, held, .. } = *self.refusals?;
        let reason = match fate {
            Fate::Returned => PublishReason::Full { limit },
            Fate::DeadLettered => PublishReason::DeadLettered { limit },
        };
        let Held::Resident(message) = held;
        Some((reason, message))
    }

    fn refuse(&mut self, cell: &QueueCell, NoRoom { held, bound, fate }: NoRoom) {
        let fails_commit = cell.definition.parsed.queue_type == QueueType::Classic;
        match &mut self.refusals {
            None => {
                let queue = cell.name.clone();
                let refusals = Refusals { count: 1, queue, bound, fate, held, fails_commit };
                self.refusals = Some(Box::new(refusals));
            }
            Some(refusals) => {
                refusals.count += 1;
                refusals.fate = refusals.fate.or(fate);
                refusals.held = held;
                refusals.fails_commit |= fails_commit;
            }
        }
    }
}

impl Fate {
    fn or(self, other: Self) -> Self {
        if self == Self::DeadLettered { self } else { other }
    }
}
