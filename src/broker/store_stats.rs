//! What the store of a broker holds and takes.

/// The sizes of a store, in bytes; see [`Broker::store_stats`](crate::Broker::store_stats).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStats {
    /// What was told and is not durable yet, which
    /// [`Limits::unwritten_bytes`](crate::Limits::unwritten_bytes) bounds.
    pub unwritten_bytes: u64,
    /// What is needed of that which is written.
    pub live_bytes: u64,
    /// What the files take, as of when that was last looked at. Space that is not needed comes back
    /// after a while: see the handbook.
    pub disk_bytes: u64,
}
