//! Steps: what one call does to several queues, told as one.
//!
//! A thread has a list for the step that it is at, so queues are told from under their locks
//! without meeting each other. Other people's code runs in between (wakers, destructors), so there
//! may be steps within steps, also of other brokers: each is told by itself.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use super::{Journal, Position};
use crate::store::{Slot, Store, record::Record};

/// Lists that grew beyond this are given back.
const KEPT_RECORDS: usize = 1_024;

thread_local! {
    /// The innermost step is the last.
    static STEPS: RefCell<Vec<Step>> = const { RefCell::new(Vec::new()) };
    /// A list that the next step uses.
    static SPARE: Cell<Vec<Record>> = const { Cell::new(Vec::new()) };
}

#[derive(Debug)]
struct Step {
    /// Whose it is.
    journal: u64,
    store: Arc<Store>,
    /// Its place among all that is told; none if it was told early.
    slot: Option<Slot>,
    records: Vec<Record>,
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
    let open = |steps: &RefCell<Vec<Step>>| {
        let slot = Some(journal.store.reserve());
        let (store, records) = (Arc::clone(&journal.store), spare());
        let number = journal.number;
        let step = Step { journal: number, store, slot, records, position: Position::NONE };
        steps.borrow_mut().push(step);
    };
    if STEPS.try_with(open).is_err() {
        // A thread that is ending keeps no list: each note is told by itself.
        return (act(), journal.position());
    }
    let mut begun = Begun { is_over: false };
    let result = act();
    (result, begun.end())
}

/// Notes something in the step that the thread is at, or tells it at once and says where.
pub(super) fn note(journal: &Journal, records: impl Iterator<Item = Record>) -> Position {
    let mut records = Some(records);
    let _ = STEPS.try_with(|steps| {
        let mut steps = steps.borrow_mut();
        if let Some(step) = steps.last_mut().filter(|step| step.is_open_of(journal)) {
            step.records.extend(records.take().into_iter().flatten());
        }
    });
    records.map_or(Position::NONE, |records| journal.store.tell(records))
}

/// Whether the thread is at a step that something can be noted in.
pub(super) fn is_at(journal: &Journal) -> bool {
    let is_last = |steps: &RefCell<Vec<Step>>| {
        steps.borrow().last().is_some_and(|step| step.is_open_of(journal))
    };
    STEPS.try_with(is_last).unwrap_or(false)
}

/// Tells what this thread has noted in steps that it is still at, since it is about to wait for a
/// disk that waits for these steps. Only other people's code does that, if it runs in a step.
pub(super) fn let_go() {
    let _ = STEPS.try_with(|steps| steps.borrow_mut().iter_mut().for_each(Step::tell));
}

impl Step {
    fn is_open_of(&self, journal: &Journal) -> bool {
        self.journal == journal.number && self.slot.is_some()
    }

    fn tell(&mut self) {
        if let Some(slot) = self.slot.take() {
            let is_empty = self.records.is_empty();
            let position = self.store.fill(slot, &mut self.records);
            self.position = if is_empty { Position::NONE } else { position };
        }
    }
}

impl Begun {
    fn end(&mut self) -> Position {
        self.is_over = true;
        let step = STEPS.try_with(|steps| steps.borrow_mut().pop()).ok().flatten();
        let Some(mut step) = step else { return Position::NONE };
        step.tell();
        let Step { records, position, .. } = step;
        keep(records);
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

fn spare() -> Vec<Record> {
    SPARE.try_with(Cell::take).unwrap_or_default()
}

fn keep(list: Vec<Record>) {
    if list.capacity() <= KEPT_RECORDS {
        let _ = SPARE.try_with(|spare| spare.set(list));
    }
}
