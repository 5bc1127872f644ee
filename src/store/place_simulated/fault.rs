//! What goes wrong on a simulated disk, and when.

use crate::store::engine::EngineError;

/// From which operation on something goes wrong.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// How many operations go well before.
    pub(crate) after: u64,
    pub(crate) error: EngineError,
    pub(crate) lasting: Lasting,
}

/// For how long something goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lasting {
    /// So many operations.
    Times(u64),
    /// Until the place is opened again.
    Life,
}

impl Fault {
    pub(super) fn at(&self, operation: u64) -> Option<EngineError> {
        let is_now = match self.lasting {
            Lasting::Times(times) => (self.after..self.after + times).contains(&operation),
            Lasting::Life => operation >= self.after,
        };
        is_now.then(|| self.error.clone())
    }
}
