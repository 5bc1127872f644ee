//! The handle tier, by noun, as a user of the crate sees it.
#![allow(clippy::disallowed_methods, reason = "tests start threads")]

mod call;
mod channel;
mod clock;
mod close;
mod closing;
mod consumer;
mod day_one;
mod delivery;
mod destructor;
mod errors;
mod exchange;
mod last_words;
mod limits;
mod publisher;
mod queue;
mod subscription;
mod task;
mod transaction;
mod vhost;
mod watchdog;
mod workers;
