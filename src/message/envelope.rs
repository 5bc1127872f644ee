//! What a message consists of, and where it was published.

use bytes::Bytes;
use triomphe::Arc;

use super::{Message, Properties};
use crate::Name;

/// What every queue entry is counted for beside its text and body: the entry, this struct and the
/// bookkeeping of the allocator.
const OVERHEAD_BYTES: u64 = 192;

/// The one allocation of a message beside its body. It has room for where the message is published,
/// so that publishing one that nobody else holds allocates nothing.
#[derive(Clone, Default)]
pub(super) struct Envelope {
    /// Empty until the message is published; for the default exchange also after that.
    exchange: Name,
    /// Empty until the message is published.
    routing_key: Name,
    pub(super) body: Bytes,
    /// These two stand apart from the other properties, since programs set them on every message.
    pub(super) delivery_mode: Option<u8>,
    pub(super) priority: Option<u8>,
    /// Shared, since a message that is published twice is in two envelopes. `None` is the same as
    /// all absent.
    pub(super) properties: Option<Arc<Properties>>,
}

impl Envelope {
    pub(super) fn new(body: Bytes) -> Self {
        Self { body, ..Self::default() }
    }
}

impl Message {
    /// The message as it is published there. One that others hold is put into an envelope of its
    /// own.
    pub(crate) fn addressed(mut self, exchange: Name, routing_key: Name) -> Self {
        let envelope = Arc::make_mut(&mut self.0);
        envelope.exchange = exchange;
        envelope.routing_key = routing_key;
        self
    }

    /// The exchange that it was published to.
    pub(crate) fn exchange(&self) -> &Name {
        &self.0.exchange
    }

    /// The key that it was published with.
    pub(crate) fn routing_key(&self) -> &Name {
        &self.0.routing_key
    }

    /// The bytes that a queue entry holding it counts for.
    pub(crate) fn byte_size(&self) -> u64 {
        self.byte_size_at(&self.0.exchange, &self.0.routing_key)
    }

    /// How many have it.
    #[cfg(test)]
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// The bytes that it will count for once it is published there.
    pub(crate) fn byte_size_at(&self, exchange: &str, routing_key: &str) -> u64 {
        OVERHEAD_BYTES + (exchange.len() + routing_key.len()) as u64 + self.content_bytes()
    }
}
