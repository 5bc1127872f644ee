//! The handle tier, by noun, as a user of the crate sees it.

mod day_one;
