//! What the examples compute, on input whose answer is known from elsewhere.
//!
//! That each example runs to its end, the gate shows.

#[path = "../../examples/topic_logs/tally.rs"]
mod tally;
mod topic_logs;
