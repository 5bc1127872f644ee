//! How many orders were taken, for a shop that is started again.

use std::error::Error;

use leveret::{Broker, Exchange, Message, Queue};

/// The queue that has the number of the last order, and nothing else.
const NAME: &str = "orders.taken";

/// Takes orders and remembers the last one, both or neither.
pub(crate) struct Counter {
    broker: Broker,
    queue: Queue,
    orders: Exchange,
}

impl Counter {
    pub(crate) fn new(broker: &Broker, orders: &Exchange) -> leveret::Result<Self> {
        let queue = broker.declare_queue(NAME).durable().max_length(1).declare()?;
        Ok(Self { broker: broker.clone(), queue, orders: orders.clone() })
    }

    /// The number of the last order that was taken; zero if none was.
    pub(crate) fn last(&self) -> leveret::Result<u32> {
        let seen = self.queue.browse(1)?;
        let number = seen.first().and_then(|of| of.message.text()?.parse().ok());
        Ok(number.unwrap_or(0))
    }

    /// Takes an order. When this returns it is on disk.
    pub(crate) fn take(&self, number: u32, order: Message) -> Result<(), Box<dyn Error>> {
        let mut transaction = self.broker.transaction();
        transaction.publish(&self.orders, "", order)?;
        let mark = Message::new(number.to_string()).persistent();
        transaction.publish(&self.broker.default_exchange(), NAME, mark)?;
        Ok(transaction.commit()?)
    }
}
