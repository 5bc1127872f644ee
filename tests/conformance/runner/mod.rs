//! The conformance runner: plays recordings of another broker and compares the results.
//!
//! It holds no rule of a broker. Everything goes through the public channel tier, on a broker with
//! a clock that is moved by hand.

pub(crate) mod expectation;
mod fields;
mod hex;
mod home;
pub(crate) mod json;
mod lane;
mod message;
mod operation;
mod placeholder;
mod player;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod scenario;
pub(crate) mod source;
mod table;
mod vector;
