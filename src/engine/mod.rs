//! The rules, as plain state machines.
//!
//! Nothing in this layer knows a lock, a thread, a socket, a file, a clock or a feature: every rule
//! can be tested by calling a function. Time comes in as an argument, and what has to happen
//! outside goes out through an out-parameter or a return value. Control structures (what exists,
//! who is bound to whom) speak of names; the path of a message speaks of numbers.

pub(crate) mod channel;
pub(crate) mod dead_letter;
pub(crate) mod definition;
pub(crate) mod entity;
pub(crate) mod ids;
pub(crate) mod queue;
pub(crate) mod routing;
pub(crate) mod topology;
