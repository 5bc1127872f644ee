//! Persistent messages on their way through a durable queue, each of them confirmed: how many in a
//! second, and how soon the producer knows that one is confirmed, with so many unconfirmed at most.

mod folder;
mod leveret;
mod rabbitmq;
mod rounds;
mod table;
mod window;

use std::sync::Arc;

use ::leveret::Durability;
use lapin::uri::AMQPUri;
use tokio::runtime::Handle;

use crate::{
    load::Figures,
    systems::{Fault, Server},
};

pub(crate) use rounds::{Plan, run};
pub(crate) use table::Table;

/// How many messages may be unconfirmed, a group of rows each.
const IN_FLIGHT: [u32; 3] = [1, 100, 1_000];

/// What waits in a queue at least, and for each message that may be unconfirmed. A message that is
/// acked before it is written need not be written at all, and none is here.
const DEPTH_MIN: u32 = 1_000;
const DEPTH_TIMES: u32 = 4;

/// How many messages may be unconfirmed where nobody measures.
const FILLED_AT: u32 = 1_000;

/// So many messages, so many of them unconfirmed at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    messages: u64,
    in_flight: u32,
}

impl Load {
    /// What is in the queue before, and stays in it.
    fn stock(self) -> Self {
        let messages = DEPTH_MIN.max(DEPTH_TIMES * self.in_flight);
        Self { messages: messages.into(), in_flight: FILLED_AT }
    }
}

/// Something that has durable queues and confirms.
pub(crate) trait System: Send + Sync {
    fn traits(&self) -> Traits;

    /// Fills a queue. Then carries a load from one producer to one consumer, which acks a message
    /// for each that is confirmed, and returns when it has acked the last. The latencies are those
    /// of the confirms.
    fn carry(&self, load: Load) -> Result<Figures, Fault>;
}

#[derive(Clone, Debug)]
pub(crate) struct Traits {
    name: String,
    pace: Pace,
}

/// What a confirm waits for, which decides how many messages a measurement can afford.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// A sync of the disk.
    Sync,
    /// A server's answer.
    Socket,
    /// The operating system.
    Write,
}

/// The rows within the process. The first is what the others are measured by.
pub(crate) fn in_process() -> Result<Vec<Arc<dyn System>>, Fault> {
    let place = folder::beside_program()?;
    let row = |level| leveret::Leveret::new(level, place.clone());
    Ok(vec![Arc::new(row(Durability::Power)), Arc::new(row(Durability::Process))])
}

/// The row of the server at an address.
pub(crate) fn on_server(server: &Server, uri: &AMQPUri, handle: &Handle) -> Arc<dyn System> {
    Arc::new(rabbitmq::RabbitMq::new(server, uri.clone(), handle.clone()))
}
