//! What a broker found in its store.

/// What was in the store when a broker opened; see
/// [`Broker::recovery_report`](crate::Broker::recovery_report).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// Durable exchanges, those not counted that are always there.
    pub exchanges: u64,
    /// Durable queues.
    pub queues: u64,
    /// Bindings between durable ends.
    pub bindings: u64,
    /// Messages, counted once per queue.
    pub messages: u64,
    /// How many of these have the redelivered flag: they were handed out, or may have been.
    pub redelivered: u64,
    /// Whether the end was cut off that a crash had left incomplete. Nothing in it was confirmed.
    pub was_cut: bool,
}
