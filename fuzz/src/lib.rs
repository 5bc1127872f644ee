//! What the fuzz targets share: inputs that are always valid, and the rules of AMQP written down
//! as plainly as they can be said, for comparison with the crate.

pub mod headers;
pub mod topic;
