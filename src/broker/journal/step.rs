//! Steps: what one call does to several queues, told as one.
//!
//! A thread has a list for the step that it is at, so queues are told from under their locks
//! without meeting each other. Other people's code runs in between (wakers, destructors), so there
//! may be steps within steps, also of other brokers: each is told by itself.

use std::{cell::RefCell, mem, sync::Arc};

use super::{Journal, Position};
use crate::{
    Message,
    shield::shielded,
    store::{
        Slot, Store, Told,
        record::{Amendment, ItemId},
    },
};

/// A thread keeps so much memory for what it will note in later steps.
const SPARE_BYTES_MAX: usize = 64 * 1_024;

thread_local! {
    static DESK: RefCell<Desk> =
        const { RefCell::new(Desk { steps: Vec::new(), spare: Told::new() }) };
}

/// What a thread is at.
#[derive(Debug)]
struct Desk {
    /// The innermost step is the last.
    steps: Vec<Step>,
    /// Empty, with memory for what is told next.
    spare: Told,
}

/// What is noted with a step, or by itself.
#[derive(Debug)]
pub(super) struct Note<'s> {
    told: &'s mut Told,
    /// Messages that may come to be in further queues. They are dropped when the step has ended, as
    /// their destructors are other people's code.
    messages: Option<&'s mut Vec<Message>>,
}

#[derive(Debug)]
struct Step {
    /// Whose it is.
    journal: u64,
    store: Arc<Store>,
    /// Its place among all that is told; none if it was told early.
    slot: Option<Slot>,
    told: Told,
    messages: Vec<Message>,
    /// Where it was told, if it was.
    position: Position,
}

/// A step that has begun. It is told also when something panics in it: what happened, happened.
struct Begun {
    is_over: bool,
}

/// Does something, and tells all that was noted in it as one.
///
/// It has its place from the beginning: what others do with a message that one queue has by then,
/// while the next has not, is told behind it.
pub(super) fn run<R>(journal: &Journal, act: impl FnOnce() -> R) -> (R, Position) {
    let open = |desk: &RefCell<Desk>| {
        let mut desk = desk.borrow_mut();
        let slot = Some(journal.store.reserve());
        let step = Step {
            journal: journal.number,
            store: Arc::clone(&journal.store),
            slot,
            told: mem::take(&mut desk.spare),
            messages: Vec::new(),
            position: Position::NONE,
        };
        desk.steps.push(step);
    };
    if DESK.try_with(open).is_err() {
        // A thread that is ending keeps no list: each note is told by itself.
        return (act(), journal.position());
    }
    let mut begun = Begun { is_over: false };
    let result = act();
    (result, begun.end())
}

/// Notes something in the step that the thread is at, or tells it at once and says where.
pub(super) fn note(journal: &Journal, write: impl FnOnce(&mut Note<'_>)) -> Position {
    let mut write = Some(write);
    let _ = DESK.try_with(|desk| {
        let mut desk = desk.borrow_mut();
        if let Some(step) = desk.steps.last_mut().filter(|step| step.is_open_of(journal))
            && let Some(write) = write.take()
        {
            write(&mut Note { told: &mut step.told, messages: Some(&mut step.messages) });
        }
    });
    write.map_or(Position::NONE, |write| {
        journal.store.tell(|told| write(&mut Note { told, messages: None }))
    })
}

/// Whether the thread is at a step that something can be noted in.
pub(super) fn is_at(journal: &Journal) -> bool {
    let is_last = |desk: &RefCell<Desk>| {
        desk.borrow().steps.last().is_some_and(|step| step.is_open_of(journal))
    };
    DESK.try_with(is_last).unwrap_or(false)
}

/// Tells what this thread has noted in steps that it is still at, since it is about to wait for a
/// disk that waits for these steps. Only other people's code does that, if it runs in a step.
pub(super) fn let_go() {
    let _ = DESK.try_with(|desk| desk.borrow_mut().steps.iter_mut().for_each(Step::tell));
}

impl Step {
    fn is_open_of(&self, journal: &Journal) -> bool {
        self.journal == journal.number && self.slot.is_some()
    }

    fn tell(&mut self) {
        if let Some(slot) = self.slot.take() {
            let is_empty = self.told.is_empty();
            let position = self.store.fill(slot, &mut self.told);
            self.position = if is_empty { Position::NONE } else { position };
        }
    }
}

impl Begun {
    fn end(&mut self) -> Position {
        self.is_over = true;
        let step = DESK.try_with(|desk| desk.borrow_mut().steps.pop()).ok().flatten();
        let Some(mut step) = step else { return Position::NONE };
        step.tell();
        let Step { mut told, messages, position, .. } = step;
        for message in messages {
            let _ = shielded(|| drop(message));
        }
        told.clear(SPARE_BYTES_MAX);
        let _ = DESK.try_with(|desk| desk.borrow_mut().spare = told);
        position
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if !self.is_over {
            self.end();
        }
    }
}

impl Note<'_> {
    pub(super) fn message(&mut self, id: ItemId, state: Amendment, message: &Message) {
        match &mut self.messages {
            Some(known) if known.last().is_some_and(|last| last.is_same(message)) => {
                return self.told.joined(id, state, message);
            }
            Some(known) => known.push(message.clone()),
            None => {}
        }
        self.told.message(id, state, message);
    }

    pub(super) fn amended(&mut self, id: ItemId, state: Amendment) {
        self.told.amended(id, state);
    }

    pub(super) fn moved(&mut self, id: ItemId, place: u64) {
        self.told.moved(id, place);
    }

    pub(super) fn settled(&mut self, id: ItemId) {
        self.told.settled(id);
    }
}
