//! AMQP semantics inside your own process.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]

mod name;

pub use name::Name;
