//! The systems that are compared, a file each.

mod leveret;
mod rabbitmq;
mod rumqttd;
mod tokio_broadcast;
mod tokio_mpsc;

use std::{error::Error, sync::Arc};

use lapin::uri::AMQPUri;
use tokio::runtime::Handle;

use crate::load::{Figures, Load};

pub(crate) use rabbitmq::{EXCHANGE, Server, connect};

/// What a consumer may have been handed and not acked.
pub(crate) const PREFETCH: u16 = 100;

/// How many messages one ack settles where it is not one.
const ACKED_TOGETHER: usize = 50;

pub(crate) const KEY: &str = "created";

/// Whatever keeps a system from carrying a load; for people to read.
pub(crate) type Fault = Box<dyn Error + Send + Sync>;

/// Something that carries messages from one producer to one consumer.
pub(crate) trait System: Send + Sync {
    fn traits(&self) -> Traits;

    /// Carries a load and returns when its consumer has settled everything.
    fn carry(&self, load: Load) -> Result<Figures, Fault>;
}

/// What a reader has to know about a system to read its figures.
#[derive(Clone, Debug)]
pub(crate) struct Traits {
    pub(crate) name: String,
    pub(crate) ends: Ends,
    pub(crate) acks: Acks,
    pub(crate) reach: Reach,
}

/// What the producer and the consumer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    Tasks,
    Threads,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acks {
    /// Each message by itself.
    Each,
    /// The system has none.
    None,
    /// So many at a time.
    Together,
}

/// How far messages go, which decides how many of them a measurement can afford.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Process,
    Socket,
}

/// The systems within the process.
pub(crate) fn in_process(handle: &Handle) -> Result<Vec<Arc<dyn System>>, Fault> {
    let mut systems: Vec<Arc<dyn System>> = Vec::new();
    for ends in [Ends::Threads, Ends::Tasks] {
        for acks in [Acks::Each, Acks::Together] {
            systems.push(Arc::new(leveret::Leveret::new(ends, acks, handle.clone())));
        }
    }
    systems.push(Arc::new(rumqttd::Rumqttd::start()?));
    for ends in [Ends::Threads, Ends::Tasks] {
        systems.push(Arc::new(tokio_mpsc::TokioMpsc::new(ends, handle.clone())));
        systems.push(Arc::new(tokio_broadcast::TokioBroadcast::new(ends, handle.clone())));
    }
    Ok(systems)
}

/// The server at an address, as the rows that it makes.
pub(crate) fn on_server(server: &Server, uri: &AMQPUri, handle: &Handle) -> Vec<Arc<dyn System>> {
    let row = |acks| rabbitmq::RabbitMq::new(server, uri.clone(), acks, handle.clone());
    vec![Arc::new(row(Acks::Each)), Arc::new(row(Acks::Together))]
}
