//! Where the shop keeps what has to outlive it.

use std::{error::Error, path::Path};

use leveret::Broker;

/// Opens the broker that is kept in a directory.
#[cfg(feature = "persist")]
pub(crate) fn open(directory: &Path) -> Result<Broker, Box<dyn Error>> {
    Ok(Broker::open(directory)?)
}

/// Nothing can be kept.
#[cfg(not(feature = "persist"))]
pub(crate) fn open(_: &Path) -> Result<Broker, Box<dyn Error>> {
    Err("--durable needs the feature `persist`".into())
}
