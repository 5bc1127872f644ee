//! The handle tier, by noun, as a user of the crate sees it.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests start threads, and share what is theirs"
)]
#![allow(clippy::unchecked_time_subtraction, reason = "tests take little from much")]

mod acks;
mod bounds;
mod call;
mod channel;
mod clock;
mod close;
mod closing;
mod concurrency;
mod consumer;
mod day_one;
mod dead_letters;
mod delivery;
mod destructor;
mod errors;
mod events;
mod exchange;
mod expiry;
mod hands;
mod inspection;
mod last_words;
mod limits;
mod pairs;
mod priority;
mod publisher;
mod queue;
mod random;
mod retry;
mod subscription;
mod task;
mod timeout;
mod transaction;
mod vhost;
mod waiting;
mod watchdog;
mod workers;
