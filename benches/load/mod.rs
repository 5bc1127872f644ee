//! The workloads that show what leveret costs, each beside its rivals. One workload, several
//! drivers: the benches and `bench_table` include this module by its path.
//!
//! A *side* is leveret or a rival doing the same work. A function sets the side up and returns a
//! closure that runs so many messages and says how long that took, or how long each round trip
//! took: as a clock on the wall sees it where threads work together, as the processor counts it
//! where one works alone. Setting up is never in the time; threads that take part are, since they
//! start and end for all sides alike. Rivals carry the same [`Message`](leveret::Message), made
//! anew for each pass unless the module says otherwise: what is compared is the way, not the load.
#![allow(dead_code, reason = "each driver runs a part of it")]
#![allow(clippy::disallowed_methods, reason = "a bench measures real time, in threads")]

pub(crate) mod backlog;
pub(crate) mod batch;
pub(crate) mod broker_life;
pub(crate) mod contention;
pub(crate) mod crossing;
pub(crate) mod crowd;
#[cfg(feature = "persist")]
pub(crate) mod durable;
pub(crate) mod fan_out;
pub(crate) mod hand_over;
pub(crate) mod headers;
pub(crate) mod linear;
pub(crate) mod many_queues;
pub(crate) mod options;
pub(crate) mod pattern;
pub(crate) mod postbox;
pub(crate) mod round_trip;
pub(crate) mod rpc;
pub(crate) mod stopwatch;
pub(crate) mod topic;
pub(crate) mod way;
