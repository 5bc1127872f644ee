//! What a message consists of, and where it was published.

use bytes::Bytes;
use triomphe::Arc;

use super::{Message, Properties};
use crate::Name;

/// What every queue entry is counted for beside its text and body: the entry, this struct and the
/// bookkeeping of the allocator.
const OVERHEAD_BYTES: usize = 192;

/// Where a message is published. Empty until it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Address {
    /// Empty for the default exchange, too.
    pub(crate) exchange: Name,
    pub(crate) routing_key: Name,
}

/// What a publish puts on a message: the address, and what that counts for.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    address: Address,
    bytes: u32,
}

impl Default for Label {
    fn default() -> Self {
        Self::new(Name::default(), Name::default())
    }
}

impl Label {
    pub(crate) fn new(exchange: Name, routing_key: Name) -> Self {
        let bytes = OVERHEAD_BYTES + exchange.len() + routing_key.len();
        let bytes = u32::try_from(bytes).expect("names are short");
        Self { address: Address { exchange, routing_key }, bytes }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }
}

/// The one allocation of a message beside its body. It has room for where the message is published,
/// so that publishing one that nobody else holds allocates nothing.
#[derive(Clone, Default)]
pub(super) struct Envelope {
    address: Address,
    pub(super) body: Bytes,
    /// These two stand apart from the other properties, since programs set them on every message.
    pub(super) delivery_mode: Option<u8>,
    pub(super) priority: Option<u8>,
    /// What a queue entry counts for that holds it, once it is published; 4 GiB and everything
    /// beyond count the same.
    bytes: u32,
    /// Shared, since a message that is published twice is in two envelopes. `None` is the same as
    /// all absent.
    pub(super) properties: Option<Arc<Properties>>,
}

impl Envelope {
    /// Of a message whose body is on disk.
    pub(super) fn outline(body: Bytes, delivery_mode: Option<u8>, priority: Option<u8>) -> Self {
        Self { body, delivery_mode, priority, ..Self::default() }
    }

    pub(super) fn new(body: Bytes) -> Self {
        Self { body, ..Self::default() }
    }
}

impl Message {
    /// Notes where it is published. If others hold it, it gets an envelope of its own.
    #[inline]
    pub(crate) fn put_label(&mut self, label: &Label) {
        let bytes = self.bytes_with(label);
        let envelope = Arc::make_mut(&mut self.0);
        envelope.bytes = bytes;
        // One by one: copied as a whole right after they were cloned, they make the processor wait.
        envelope.address.exchange = label.address.exchange.clone();
        envelope.address.routing_key = label.address.routing_key.clone();
    }

    /// Where it was published.
    pub(crate) fn address(&self) -> &Address {
        &self.0.address
    }

    /// What a queue entry counts for that holds it.
    #[inline]
    pub(crate) fn bytes(&self) -> u32 {
        self.0.bytes
    }

    /// What a queue entry will count for that holds it, once it has this label.
    #[inline]
    pub(crate) fn bytes_with(&self, label: &Label) -> u32 {
        let bytes = u64::from(label.bytes) + self.content_bytes();
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }

    /// How many have it.
    #[cfg(test)]
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}
