//! The semantics of AMQP as pure state machines.
//!
//! Nothing in this layer takes a lock, starts a thread, reads a clock or does I/O: what happens
//! depends on the arguments alone.

pub(crate) mod definition;
pub(crate) mod entity;
pub(crate) mod routing;
pub(crate) mod topology;
