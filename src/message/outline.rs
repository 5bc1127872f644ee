//! What stays in memory of a message whose body is on disk.

use bytes::Bytes;
use triomphe::Arc;

use super::{Message, envelope::Envelope};

/// What an outline has for a body. No body of a message is at this place.
static ELSEWHERE: [u8; 1] = [0];

/// What a queue entry counts for of which memory has the outline only: the entry itself, and what
/// the store needs to find the message.
pub(crate) const OUTLINE_BYTES: u32 = 64;

impl Message {
    /// What a queue has to know of a message to keep it in line. Others like it may share it.
    pub(crate) fn outline(delivery_mode: Option<u8>, priority: Option<u8>) -> Self {
        let body = Bytes::from_static(&ELSEWHERE);
        Self(Arc::new(Envelope::outline(body, delivery_mode, priority)))
    }

    /// Whether it is no more than that.
    pub(crate) fn is_outline(&self) -> bool {
        std::ptr::eq(self.body().as_ptr(), ELSEWHERE.as_ptr())
    }
}
