//! AMQP semantics inside your own process.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]

#[allow(dead_code, unused_imports)]
mod engine;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
#[allow(dead_code, unused_imports)]
mod message;
mod name;

pub use engine::routing::ExchangeKind;
#[cfg(feature = "json")]
pub use message::JsonError;
pub use message::{Body, Message, Table, TableIter, Value};
pub use name::Name;
