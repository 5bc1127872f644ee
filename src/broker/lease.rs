//! What keeps a broker open.
//!
//! Everything that can publish or declare holds a lease. When the last one is dropped, the broker
//! ends: consumers learn it, and nothing waits but for the disk. Consumers and deliveries hold
//! none, so a thread that only receives does not keep a broker alive that nobody can feed any more.

use std::{fmt, sync::Arc, time::Duration};

use super::broker_state::BrokerState;
use crate::clock::HostDeadline;

/// How long a broker that is dropped waits for the disk to take the last of what it was told.
const PATIENCE: Duration = Duration::from_secs(10);

/// A share in keeping a broker open.
#[derive(Clone)]
pub(crate) struct Lease(Arc<Last>);

struct Last(Arc<BrokerState>);

impl Lease {
    pub(crate) fn new(broker: Arc<BrokerState>) -> Self {
        Self(Arc::new(Last(broker)))
    }

    pub(crate) fn broker(&self) -> &Arc<BrokerState> {
        &self.0.0
    }
}

impl Drop for Last {
    fn drop(&mut self) {
        let _report = self.0.end(HostDeadline::within(PATIENCE));
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lease")
    }
}
