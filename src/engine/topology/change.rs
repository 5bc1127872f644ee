//! What happens to a topology, told to those who keep something for its parts.

use std::sync::Arc;

use crate::Name;

use super::BindingSpec;

/// Something that went, or a binding that came.
///
/// Before the deletion of an exchange or queue, the changes tell of every binding from or to it
/// that it goes with it. Who applies them in order never has a binding that leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Bound(Arc<BindingSpec>),
    ExchangeDeleted(Name),
    QueueDeleted(Name),
    Unbound(Arc<BindingSpec>),
}

/// What became of a declaration that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Declared {
    /// It was made so.
    Created,
    /// It was so already.
    Existing,
}
