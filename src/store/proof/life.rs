//! One life of a store on a simulated disk.

use std::sync::Arc;

use super::{
    dice::Dice,
    history::History,
    model::{Held, Model},
    program::Program,
};
use crate::store::{
    Store, StoreError,
    economy::Economy,
    engine::{EngineError, Place},
    position::{Level, Position, State},
    record::{Record, Recovered, RecoveredBody},
};

/// More steps than these without an end are a hang.
const STEPS_MAX: usize = 20_000;

/// A way of doing wrong that has to be found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sabotage {
    None,
    /// What was told counts as durable.
    ConfirmEarly,
    /// The store is not told of one settlement in so many.
    DropSettlement(u64),
    /// Syncs are writes. The disk does that.
    SkipSync,
}

/// How a store is opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    pub(super) level: Level,
    pub(super) resident_bytes: u64,
    pub(super) sabotage: Sabotage,
    pub(super) economy: Economy,
}

impl Opening {
    /// As a broker does.
    pub(super) fn plain() -> Self {
        let (level, economy) = (Level::Power, Economy::default());
        Self { level, resident_bytes: 2_000, sabotage: Sabotage::None, economy }
    }
}

/// What came of opening it.
#[derive(Debug)]
pub(super) enum Opened {
    Alive(Box<Life>),
    /// The engine failed on the way.
    Refused(EngineError),
}

#[derive(Debug)]
pub(super) struct Life {
    pub(super) store: Arc<Store>,
    program: Program,
    sabotage: Sabotage,
    /// What was told, as it should have been.
    groups: Vec<Vec<Record>>,
}

impl Life {
    /// Opens a store, and compares what is in it with what is known.
    pub(super) fn begin(
        place: Box<dyn Place>,
        opening: Opening,
        history: &mut History,
    ) -> Result<Opened, String> {
        let Opening { level, resident_bytes, sabotage, economy } = opening;
        let (store, recovered) = match Store::open_with(place, level, resident_bytes, economy) {
            Ok(opened) => opened,
            Err(StoreError::Engine(error)) => return Ok(Opened::Refused(error)),
            Err(error) => return Err(format!("it cannot be opened: {error}")),
        };
        let next_serial = recovered.next_serial;
        let found = match found(&store, recovered) {
            Ok(found) => found,
            Err(Fetched::Error(error)) => return Ok(Opened::Refused(error)),
            Err(Fetched::Wrong(what)) => return Err(what),
        };
        history.begin_life(&found, next_serial)?;
        let program = Program::new(found);
        Ok(Opened::Alive(Box::new(Self { store, program, sabotage, groups: Vec::new() })))
    }

    /// Tells a group.
    pub(super) fn tell(&mut self, dice: &mut Dice) {
        let group = self.program.group(dice, &mut || self.store.next_serial());
        let mut told = group.clone();
        if let Sabotage::DropSettlement(times) = self.sabotage {
            told.retain(|record| !matches!(record, Record::Settled(_)) || !dice.one_in(times));
        }
        self.groups.push(group);
        if told.is_empty() {
            // Something that means nothing: each group has a position.
            told.push(Record::QueueEnded(u64::MAX));
        }
        let position = self.store.append(&told);
        assert_eq!(position, Position(u64::try_from(self.groups.len()).unwrap()));
    }

    /// Asks for a message that there should be.
    pub(super) fn fetch(&self, dice: &mut Dice) -> Result<(), String> {
        let messages = &self.program.truth.messages;
        if messages.is_empty() {
            return Ok(());
        }
        let Some((id, held)) = messages.iter().nth(dice.index(messages.len())) else {
            return Ok(());
        };
        match self.store.fetch(*id) {
            Ok(Some(message)) if message == held.message => Ok(()),
            Err(EngineError::Full | EngineError::Failed(_)) => Ok(()),
            // It is not found before it is written; whoever moves a message has it in memory.
            Ok(None) if self.program.hasty.contains(id) => Ok(()),
            // What was not written it has dropped then.
            Ok(None) if self.store.state() == State::Failed => Ok(()),
            other => Err(format!("{id:?} was fetched: {other:?}")),
        }
    }

    /// Lets the store do all that it has to do, and tells whether all is durable then.
    pub(super) fn settle_down(&self) -> Result<bool, String> {
        for _ in 0..STEPS_MAX {
            if !self.store.run_once() {
                return Ok(self.store.durable() == self.told());
            }
        }
        Err("it never comes to rest".to_owned())
    }

    /// Tells what can be seen from outside, and that it is not contradictory.
    pub(super) fn look(&self, history: &mut History) -> Result<(), String> {
        let (state, durable, told) = (self.store.state(), self.store.durable(), self.told());
        if state == State::Full {
            history.note_no_space();
        }
        let failure = self.store.failure();
        if (state == State::Failed) != failure.is_some() {
            return Err(format!("it is {state:?}, and its failure is {failure:?}"));
        }
        let (first, last) = (self.store.poll(durable), self.store.poll(told));
        let is_right = match &last {
            None => state != State::Failed && durable < told,
            Some(Ok(())) => durable == told,
            Some(Err(_)) => state == State::Failed && durable < told,
        };
        if first != Some(Ok(())) || !is_right {
            return Err(format!("{state:?}, {durable:?} of {told:?}: {first:?}, {last:?}"));
        }
        Ok(())
    }

    /// It ends; by then the disk has crashed, or all is well.
    pub(super) fn end(self, history: &mut History) {
        let durable = match self.sabotage {
            Sabotage::ConfirmEarly => self.told(),
            _ => self.store.durable(),
        };
        history.end_life(self.groups, usize::try_from(durable.0).unwrap());
    }

    /// What there should be.
    pub(super) fn truth(&self) -> &Model {
        &self.program.truth
    }

    pub(super) fn told(&self) -> Position {
        Position(u64::try_from(self.groups.len()).unwrap())
    }
}

/// Why a message could not be fetched.
enum Fetched {
    Error(EngineError),
    Wrong(String),
}

/// All that was found, with bodies.
fn found(store: &Store, recovered: Recovered) -> Result<Model, Fetched> {
    let mut model = Model::default();
    for (serial, entity) in recovered.entities {
        if model.entities.insert(serial, entity).is_some() {
            return Err(Fetched::Wrong(format!("entity {serial} is there twice")));
        }
    }
    for found in recovered.messages {
        let (id, state) = (found.id, found.state());
        let message = match found.message {
            RecoveredBody::Resident(message) => message,
            RecoveredBody::OnDisk(outline) => {
                let message = store.fetch(id).map_err(Fetched::Error)?;
                let none = || Fetched::Wrong(format!("{id:?} is on disk, and is not there"));
                let message = message.ok_or_else(none)?;
                let is_right = usize::try_from(outline.body_bytes) == Ok(message.body().len())
                    && outline.delivery_mode == message.delivery_mode()
                    && outline.priority == message.priority();
                if !is_right {
                    return Err(Fetched::Wrong(format!("{outline:?} is no {message:?}")));
                }
                message
            }
        };
        if model.messages.insert(id, Held { state, message }).is_some() {
            return Err(Fetched::Wrong(format!("{id:?} is there twice")));
        }
    }
    Ok(model)
}
