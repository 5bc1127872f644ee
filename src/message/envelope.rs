//! A message on its way: what was published, and where.

use super::Message;
use crate::Name;

/// What every queue entry is counted for beside its text and body: the entry, this struct and the
/// bookkeeping of the allocator.
const OVERHEAD_BYTES: u64 = 192;

/// A published message. All queues that one publish reaches share one.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) exchange: Name,
    pub(crate) routing_key: Name,
    pub(crate) message: Message,
}

impl Envelope {
    /// The bytes that a queue entry holding this counts for.
    pub(crate) fn byte_size(&self) -> u64 {
        Self::byte_size_of(&self.exchange, &self.routing_key, &self.message)
    }

    /// The bytes that such a message will count for.
    pub(crate) fn byte_size_of(exchange: &str, routing_key: &str, message: &Message) -> u64 {
        OVERHEAD_BYTES + (exchange.len() + routing_key.len()) as u64 + message.byte_size()
    }
}
