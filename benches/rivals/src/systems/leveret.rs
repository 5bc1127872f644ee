//! This crate: a direct exchange, one queue, one consumer that acks.

use std::{future::poll_fn, thread};

use leveret::{Broker, Consumer, Delivery, Exchange, Message};
use tokio::runtime::Handle;

use super::{ACKED_TOGETHER, Acks, Ends, Fault, KEY, PREFETCH, Reach, System, Traits};
use crate::load::{Figures, Inbound, Load, Outbound};

pub(super) struct Leveret {
    ends: Ends,
    acks: Acks,
    handle: Handle,
}

impl Leveret {
    pub(super) fn new(ends: Ends, acks: Acks, handle: Handle) -> Self {
        Self { ends, acks, handle }
    }
}

impl System for Leveret {
    fn traits(&self) -> Traits {
        let name = "leveret".to_owned();
        Traits { name, ends: self.ends, acks: self.acks, reach: Reach::Process }
    }

    fn carry(&self, load: Load) -> Result<Figures, Fault> {
        let broker = Broker::new();
        let exchange = broker.declare_exchange("orders").direct().declare()?;
        let queue = broker.declare_queue("billing").declare()?;
        exchange.bind(&queue, KEY)?;
        let consumer = queue.consume().prefetch(PREFETCH).start()?;
        let settler = Settler { acks: self.acks, held: Vec::with_capacity(ACKED_TOGETHER) };
        match self.ends {
            Ends::Threads => threads(load, &exchange, &consumer, settler),
            Ends::Tasks => tasks(load, exchange, consumer, settler, &self.handle),
        }
    }
}

fn threads(
    load: Load,
    exchange: &Exchange,
    consumer: &Consumer,
    mut settler: Settler,
) -> Result<Figures, Fault> {
    thread::scope(|scope| {
        let (mut outbound, mut inbound) = load.begin();
        scope.spawn(move || {
            while let Some(body) = outbound.next_blocking() {
                exchange.publish(KEY, Message::new(body)).expect("there is room");
            }
        });
        while inbound.expects_more() {
            settler.take(consumer.recv()?, &mut inbound)?;
        }
        settler.settle()?;
        Ok(inbound.finish())
    })
}

fn tasks(
    load: Load,
    exchange: Exchange,
    consumer: Consumer,
    mut settler: Settler,
    handle: &Handle,
) -> Result<Figures, Fault> {
    let (outbound, mut inbound) = load.begin();
    let producer = handle.spawn(produce(outbound, exchange));
    let consumer = handle.spawn(async move {
        while inbound.expects_more() {
            let delivery = poll_fn(|cx| consumer.poll_recv(cx)).await?;
            settler.take(delivery, &mut inbound)?;
        }
        settler.settle()?;
        Ok(inbound.finish())
    });
    let figures = handle.block_on(consumer)?;
    handle.block_on(producer)?;
    figures
}

async fn produce(mut outbound: Outbound, exchange: Exchange) {
    while let Some(body) = outbound.next().await {
        exchange.publish(KEY, Message::new(body)).expect("there is room");
    }
}

/// Acks deliveries, each by itself or together.
struct Settler {
    acks: Acks,
    held: Vec<Delivery>,
}

impl Settler {
    fn take(&mut self, delivery: Delivery, inbound: &mut Inbound) -> leveret::Result<()> {
        inbound.arrived(delivery.body());
        if self.acks == Acks::Together {
            self.held.push(delivery);
            if self.held.len() == ACKED_TOGETHER {
                self.settle()?;
            }
        } else {
            delivery.ack()?;
        }
        inbound.done();
        Ok(())
    }

    fn settle(&mut self) -> leveret::Result<()> {
        Delivery::ack_all(self.held.drain(..))
    }
}
