//! What outlives a broker with a store.
#![cfg(all(feature = "persist", not(loom)))]

mod acks;
mod confirms;
mod folder;
mod messages;
mod opening;
mod paging;
mod salvage;
mod topology;
