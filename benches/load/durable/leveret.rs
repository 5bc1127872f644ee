//! leveret with a store.

use std::{hint::black_box, path::Path, time::Duration};

use leveret::{Broker, Confirm, Consumer, Durability, Exchange, Publisher, Queue};

use super::{Folder, Load, Way};
use crate::load::way::{KEY, PREFETCH};

/// How long a broker may take to write what it was told.
const CLOSES_WITHIN: Duration = Duration::from_mins(1);

/// A broker with a durable queue. What is dropped last is what it is in.
pub(crate) struct Leveret {
    load: Load,
    consumer: Consumer,
    publisher: Publisher,
    open: Open,
    folder: Folder,
}

/// A broker with its store.
pub(super) struct Open {
    pub(super) broker: Broker,
    pub(super) exchange: Exchange,
    pub(super) queue: Queue,
}

impl Leveret {
    pub(super) fn open(load: Load, folder: Folder) -> Self {
        let open = Open::new(folder.path(), load.level);
        let consumer = open.consumer();
        let publisher = open.publisher(load.in_flight);
        Self { load, consumer, publisher, open, folder }
    }

    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Waits until all that was told is written, acks among it.
    pub(super) fn sync(&self) {
        self.open.broker.sync(CLOSES_WITHIN).expect("the disk takes it");
    }

    /// Writes everything and gives the folder back.
    pub(super) fn close(self) -> Folder {
        self.open.broker.close(CLOSES_WITHIN);
        self.folder
    }
}

impl Open {
    pub(super) fn new(folder: &Path, level: Durability) -> Self {
        let builder = Broker::builder().store(folder).durability(level);
        let broker = builder.open().expect("the folder is a store's or empty");
        let exchange = broker.declare_exchange("orders").direct().durable().declare();
        let exchange = exchange.expect("it is as it was");
        let queue = broker.declare_queue("billing").durable().declare().expect("it is as it was");
        exchange.bind(&queue, KEY).expect("both are there");
        Self { broker, exchange, queue }
    }

    pub(super) fn consumer(&self) -> Consumer {
        self.queue.consume().prefetch(PREFETCH).start().expect("the queue is there")
    }

    fn publisher(&self, in_flight: usize) -> Publisher {
        let window = u32::try_from(in_flight).expect("a window is small");
        self.exchange.publisher().window(window).open().expect("the broker is open")
    }
}

impl Way for Leveret {
    type Confirm = Confirm;

    fn publish(&mut self) -> Confirm {
        self.publisher.publish(KEY, self.load.message()).expect("there is room")
    }

    fn wait(&mut self, confirm: Confirm) {
        let receipt = confirm.wait().expect("the disk takes it");
        assert_eq!(receipt.level, self.load.level, "the message is persistent");
    }

    fn is_confirmed(&mut self, confirm: &mut Confirm) -> bool {
        confirm.wait_timeout(Duration::ZERO).expect("the disk takes it").is_some()
    }

    fn finish_one(&mut self) {
        let delivery = self.consumer.recv().expect("the queue is there");
        black_box(delivery.body());
        delivery.ack().expect("the broker is open");
    }
}
