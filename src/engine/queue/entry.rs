//! One message in a queue, and the message as a queue holds it.

use std::sync::Arc;

use crate::{engine::ids::Seq, message::Envelope};

/// A message in its queue, whether it waits or is handed out.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its place in the total order of the queue.
    pub(crate) seq: Seq,
    /// How many times a consumer received it and gave it back.
    pub(crate) returns: u32,
    /// Whether it was handed out before, seen or not.
    pub(crate) redelivered: bool,
    pub(crate) held: Held,
}

/// Where the message itself is.
///
/// Everything in the engine goes through this type, so that a message whose body is somewhere else
/// than in memory adds a variant here and changes no rule.
#[derive(Clone, Debug)]
pub(crate) enum Held {
    /// In memory, shared by all queues that one publish reached.
    Resident(Arc<Envelope>),
}

impl Held {
    /// The bytes that this message counts for: body, properties and names.
    pub(crate) fn byte_size(&self) -> u64 {
        match self {
            Self::Resident(envelope) => envelope.byte_size(),
        }
    }
}
