//! The handbook: how the crate is built, which rules it follows, and why it is as it is.
//!
//! Nothing in here is code. The pages lie beside it so that they change in the same commit as what
//! they describe; tests compare the files and the tests that they name with what is there.

#[doc = include_str!("architecture.md")]
pub mod architecture {}

#[doc = include_str!("semantics.md")]
pub mod semantics {}

#[doc = include_str!("performance.md")]
pub mod performance {}

#[doc = include_str!("decisions.md")]
pub mod decisions {}
