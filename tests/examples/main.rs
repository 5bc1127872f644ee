//! What the examples compute, on input whose answer is known from elsewhere.
//!
//! That each example runs to its end, the gate shows.

mod image_upload;
mod order_pipeline;
mod topic_logs;
