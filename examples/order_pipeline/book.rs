//! What a service has done, written down where it outlives the process.

use leveret::{Broker, Delivery, Publisher, Queue, Value};

use super::{ledger::Ledger, order};

/// In which header a note says whether the order was flagged as redelivered.
const AGAIN: &str = "again";

/// The notes of one service, each a message in a queue of its own.
#[derive(Clone)]
pub(crate) struct Book {
    queue: Queue,
    publisher: Publisher,
}

impl Book {
    pub(crate) fn open(broker: &Broker, service: &str) -> leveret::Result<Self> {
        let queue = broker.declare_queue(&format!("{service}.done")).durable().declare()?;
        Ok(Self { queue, publisher: broker.default_exchange().publisher().open()? })
    }

    /// Notes that an order is done, before it is acked: a crash in between has it done again, and
    /// flagged.
    pub(crate) fn note(&self, number: u64, order: &Delivery) -> Result<(), String> {
        let note = order::note(number).with_header(AGAIN, order.is_redelivered());
        let confirm = self.publisher.publish(self.queue.name(), note);
        let receipt = confirm.map_err(|error| error.to_string())?.wait();
        receipt.map(drop).map_err(|error| error.to_string())
    }

    /// Reads all notes, and leaves them where they are.
    pub(crate) fn read(&self, ledger: &Ledger) -> leveret::Result<()> {
        let mut notes = Vec::new();
        while let Some(note) = self.queue.get()? {
            let number = order::number(&note).unwrap_or_default();
            let is_again = note.header(AGAIN).and_then(Value::as_bool).unwrap_or_default();
            ledger.came(number, is_again);
            ledger.done(number);
            notes.push(note);
        }
        Ok(())
    }
}

impl std::fmt::Debug for Book {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Book").field(&self.queue.name()).finish()
    }
}
