//! How a message enters its queues, in memory or as one step of a store.

use std::sync::Arc;

use super::{
    cell::QueueCell, context::Context, dead_letters, intake::Intake, journal::Journal,
    publish_error::PublishReason,
};
use crate::{Message, engine::queue::Held, message::OUTLINE_BYTES};

/// Puts a message into queues, and says what has become of it. What dies in one of them goes on its
/// way when all have it.
#[inline]
pub(crate) fn enqueue(queues: &[Arc<QueueCell>], held: Held) -> Intake {
    match journal_of(queues) {
        None => put(queues, held),
        Some(journal) => put_in_store(journal, queues, held),
    }
}

#[inline(never)]
fn put_in_store(journal: &Journal, queues: &[Arc<QueueCell>], held: Held) -> Intake {
    let is_stored = queues.iter().all(|cell| keeps(cell, &held));
    let intake = match queues {
        // What one queue tells is told at once.
        [cell] if !journal.is_at_step() => put_in_one(cell, held),
        _ => as_one_step(journal, || put_one_by_one(queues, held)),
    };
    intake.stored_if(is_stored)
}

fn put_in_one(cell: &Arc<QueueCell>, held: Held) -> Intake {
    let (result, position) = cell.enqueue_stored(held);
    let mut intake = Intake::of(cell, result);
    intake.position = position;
    intake
}

/// Whether a queue has the store keep a message.
pub(crate) fn keeps(cell: &QueueCell, held: &Held) -> bool {
    cell.stored.as_ref().is_some_and(|stored| stored.keeps(held.is_persistent()))
}

/// The store that some of the queues tell, if any does.
#[inline]
fn journal_of(queues: &[Arc<QueueCell>]) -> Option<&Journal> {
    let journal = queues.first()?.context().journal.as_ref()?;
    queues.iter().any(|cell| cell.stored.is_some()).then_some(journal)
}

/// Whether these queues have room for a message that comes to so many bytes, and a store where it
/// has to be kept.
#[expect(clippy::inline_always, reason = "the path of every publish, with few callers")]
#[inline(always)]
pub(crate) fn check(
    queues: &[Arc<QueueCell>],
    message: &Message,
    bytes: u64,
) -> Result<(), PublishReason> {
    let Some(context) = queues.first().map(|cell| cell.context()) else { return Ok(()) };
    if context.journal.is_none() && context.has_room(bytes) {
        return Ok(());
    }
    check_with_care(context, queues, message, bytes)
}

#[inline(never)]
fn check_with_care(
    context: &Context,
    queues: &[Arc<QueueCell>],
    message: &Message,
    bytes: u64,
) -> Result<(), PublishReason> {
    if !context.has_room(bytes) && !fits_on_disk(queues, 1, message.is_persistent()) {
        return Err(PublishReason::NO_MEMORY);
    }
    check_store(queues, message)
}

/// Whether messages may go to these queues whose bodies have no room in memory: if a store has all
/// of them.
#[cold]
pub(crate) fn fits_on_disk(
    queues: &[Arc<QueueCell>],
    messages: usize,
    is_persistent: bool,
) -> bool {
    let keeps =
        |cell: &Arc<QueueCell>| cell.stored.as_ref().is_some_and(|of| of.keeps(is_persistent));
    let Some(first) = queues.first().filter(|_| queues.iter().all(keeps)) else { return false };
    let outlines = (messages * queues.len()) as u64;
    first.context().budget.has_room(outlines.saturating_mul(OUTLINE_BYTES.into()))
}

/// Whether those of the queues that a store knows can have it keep the message.
#[inline]
pub(crate) fn check_store(
    queues: &[Arc<QueueCell>],
    message: &Message,
) -> Result<(), PublishReason> {
    let Some(context) = queues.first().map(|cell| cell.context()) else { return Ok(()) };
    let Some(journal) = &context.journal else { return Ok(()) };
    let is_persistent = message.is_persistent();
    let mut stored = queues.iter().filter_map(|cell| cell.stored.as_ref());
    if !stored.any(|stored| stored.keeps(is_persistent)) {
        return Ok(());
    }
    journal.check_accepts(context.limits.unwritten_bytes)
}

/// Puts messages into queues that a store knows: after a crash they are in all of them or in none.
/// What dies by that is taken away when it has been told.
#[inline(never)]
fn as_one_step(journal: &Journal, put: impl FnOnce() -> Intake) -> Intake {
    dead_letters::after(|| {
        let (mut intake, position) = journal.step(put);
        intake.position = intake.position.max(position);
        intake
    })
}

/// Puts a message into queues that no store knows.
#[expect(clippy::inline_always, reason = "the path of every publish, with one caller")]
#[inline(always)]
fn put(queues: &[Arc<QueueCell>], held: Held) -> Intake {
    match queues {
        _ if held.expires() => dead_letters::after(|| put_one_by_one(queues, held)),
        [cell] => Intake::of(cell, cell.enqueue_lasting(held)),
        [first, ..] if first.context().has_dead_letters() => {
            dead_letters::after(|| put_one_by_one(queues, held))
        }
        _ => enqueue_one_by_one(queues, held),
    }
}

fn enqueue_one_by_one(queues: &[Arc<QueueCell>], held: Held) -> Intake {
    let (mut intake, mut left, mut held) = (Intake::default(), queues, Some(held));
    while let Some((cell, others)) = left.split_first() {
        let copy = if others.is_empty() { held.take() } else { held.clone() };
        let copy = copy.expect("only the last queue takes it");
        match cell.enqueue_lasting(copy) {
            Ok(()) => intake.queues += 1,
            Err(refused) => intake.note(cell, refused),
        }
        left = others;
    }
    intake
}

/// Puts a message into queues as a part of something that has begun.
pub(crate) fn put_one_by_one(queues: &[Arc<QueueCell>], held: Held) -> Intake {
    let mut intake = Intake::default();
    for cell in queues {
        intake.add(cell, cell.enqueue(held.clone()));
    }
    drop(held);
    intake
}

/// Puts batches into queues, each with one lock.
pub(crate) fn enqueue_batches(queues: &[Arc<QueueCell>], put: impl FnOnce() -> Intake) -> Intake {
    match journal_of(queues) {
        None => dead_letters::after(put),
        Some(journal) => as_one_step(journal, put),
    }
}
