//! The handle tier, by noun, as a user of the crate sees it.

mod channel;
mod closing;
mod day_one;
