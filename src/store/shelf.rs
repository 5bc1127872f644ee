//! Values that were read last, since those who read a backlog read it in order.

use std::{collections::VecDeque, sync::Arc};

use super::{
    codec::{self, Entry, Malformed},
    engine::{Engine, EngineError, Key, VALUE_BYTES_MAX},
    part::{self, Draft, Unreadable},
    record::ItemId,
};
use crate::{
    Message,
    message::Label,
    sync::{Mutex, Rank},
};

/// So many values are kept: half a megabyte at most.
const VALUES_MAX: usize = 512 * 1_024 / VALUE_BYTES_MAX;

/// The payload of a record, or all of them, as a value has them.
type Payloads = Arc<[Box<[u8]>]>;

/// The blocks that were read last, the last one first.
#[derive(Debug)]
pub(super) struct Shelf(Mutex<VecDeque<(Key, Payloads)>>);

impl Shelf {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Rank::Intake, VecDeque::new()))
    }

    /// Finds a message in a block, by the place under which it was written; nothing, if the block
    /// is not there.
    pub(super) fn find(
        &self,
        engine: &dyn Engine,
        block: Draft,
        id: ItemId,
    ) -> Result<Option<Message>, EngineError> {
        let Some(payloads) = self.read(engine, block)? else { return Ok(None) };
        for payload in &*payloads {
            if let Ok(Entry::Message(stored)) = codec::entry(payload)
                && stored.heads().any(|(of, _)| of == id)
            {
                let message = stored.message(&mut Label::default());
                return message.map(Some).map_err(|malformed| damaged(block.first, malformed));
            }
        }
        Err(damaged(block.first, Malformed("a message that should be in it is not")))
    }

    fn read(&self, engine: &dyn Engine, block: Draft) -> Result<Option<Payloads>, EngineError> {
        let known = {
            let mut kept = self.0.lock();
            let at = kept.iter().position(|(key, _)| *key == block.first);
            let known = at.and_then(|at| kept.remove(at));
            if let Some(known) = &known {
                kept.push_front(known.clone());
            }
            known
        };
        if let Some((_, payloads)) = known {
            return Ok(Some(payloads));
        }
        let Some(payloads) = payloads(engine, block)? else { return Ok(None) };
        let payloads = Payloads::from(payloads);
        if block.pieces == 1 {
            let mut kept = self.0.lock();
            kept.push_front((block.first, Arc::clone(&payloads)));
            kept.truncate(VALUES_MAX);
        }
        Ok(Some(payloads))
    }
}

/// Reads the records of a block; nothing, if one of its values is not there.
pub(super) fn payloads(
    engine: &dyn Engine,
    block: Draft,
) -> Result<Option<Vec<Box<[u8]>>>, EngineError> {
    let mut payloads: Vec<Box<[u8]>> = Vec::new();
    let mut long = Vec::new();
    for (key, piece) in block.keys().zip(0..) {
        let Some(value) = engine.get(key)? else { return Ok(None) };
        let (head, frames) = part::head(key, &value).map_err(|unreadable| match unreadable {
            Unreadable::Malformed(malformed) => damaged(key, malformed),
            Unreadable::Newer(_) => damaged(key, Malformed("a value of a later version")),
        })?;
        if (head.piece, head.pieces) != (piece, block.pieces) {
            return Err(damaged(key, Malformed("a piece of something else")));
        }
        for payload in frames {
            let payload = payload.map_err(|malformed| damaged(key, malformed))?;
            if block.pieces > 1 {
                long.extend_from_slice(payload);
            } else {
                payloads.push(payload.into());
            }
        }
    }
    if block.pieces > 1 {
        payloads.push(long.into());
    }
    Ok(Some(payloads))
}

fn damaged(key: Key, malformed: Malformed) -> EngineError {
    let Key { group, part } = key;
    EngineError::Damaged(format!("value {part} of commit {group} is damaged: {}", malformed.0))
}
