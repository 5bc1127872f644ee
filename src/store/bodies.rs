//! Long bodies, each shared with whoever else has it.

use std::{mem, ops::Range};

use bytes::Bytes;

use crate::shield::shielded;

/// Bodies in the order of the messages that have them.
///
/// Their destructors are other people's code, which may run wherever these are dropped: one that
/// panics ends nothing but itself.
#[derive(Debug, Default)]
pub(super) struct Bodies(Vec<Bytes>);

impl Bodies {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn push(&mut self, body: Bytes) {
        self.0.push(body);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn part(&self, range: Range<usize>) -> &[Bytes] {
        self.0.get(range).unwrap_or_default()
    }

    /// Adds all of another one's, and empties that.
    pub(super) fn append(&mut self, other: &mut Self) {
        self.0.append(&mut other.0);
    }

    pub(super) fn extend(&mut self, bodies: &[Bytes]) {
        self.0.extend_from_slice(bodies);
    }

    /// Takes some out, and leaves empty ones in their places.
    pub(super) fn take(&mut self, range: Range<usize>) -> Self {
        let taken = self.0.get_mut(range).unwrap_or_default();
        Self(taken.iter_mut().map(mem::take).collect())
    }

    /// Drops all, and keeps memory for so many.
    pub(super) fn clear(&mut self, kept_max: usize) {
        while let Some(body) = self.0.pop() {
            let _ = shielded(|| drop(body));
        }
        self.0.shrink_to(kept_max);
    }
}

impl Drop for Bodies {
    fn drop(&mut self) {
        self.clear(0);
    }
}
