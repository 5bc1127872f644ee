//! The topology of a virtual host while it is changed.

use std::ops::{Deref, DerefMut};

use super::memo::Stamp;
use crate::{engine::topology::Topology, sync::MutexGuard};

/// The topology, alone and to be changed. What was remembered of it holds no more when it is let
/// go.
pub(crate) struct Changing<'v> {
    topology: MutexGuard<'v, Topology>,
    stamp: &'v Stamp,
}

impl<'v> Changing<'v> {
    pub(crate) fn new(topology: MutexGuard<'v, Topology>, stamp: &'v Stamp) -> Self {
        Self { topology, stamp }
    }
}

impl Deref for Changing<'_> {
    type Target = Topology;

    fn deref(&self) -> &Topology {
        &self.topology
    }
}

impl DerefMut for Changing<'_> {
    fn deref_mut(&mut self) -> &mut Topology {
        &mut self.topology
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.stamp.renew();
    }
}
