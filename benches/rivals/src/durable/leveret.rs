//! This crate with a store: a durable queue in a folder of its own, a thread for either end.

use std::{
    hint::black_box,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use leveret::{Broker, Confirm, Consumer, Durability, Exchange, Message};

use super::{
    Load, Pace, System, Traits,
    folder::Folder,
    window::{Turns, Window},
};
use crate::{
    load::{BODY_BYTES, Figures},
    systems::{Fault, KEY, PREFETCH},
};

/// How long a broker may take to write what it was told.
const CLOSES_WITHIN: Duration = Duration::from_mins(1);

/// How long a confirm may take.
const CONFIRMED_WITHIN: Duration = Duration::from_mins(1);

pub(super) struct Leveret {
    level: Durability,
    place: PathBuf,
}

impl Leveret {
    pub(super) fn new(level: Durability, place: PathBuf) -> Self {
        Self { level, place }
    }
}

impl System for Leveret {
    fn traits(&self) -> Traits {
        let pace = if self.level == Durability::Power { Pace::Sync } else { Pace::Write };
        Traits { name: format!("leveret, `{:?}`", self.level), pace }
    }

    fn carry(&self, load: Load) -> Result<Figures, Fault> {
        let folder = Folder::new_in(&self.place)?;
        let broker = Broker::builder().store(folder.path()).durability(self.level).open()?;
        let figures = carry(load, &broker, self.level);
        broker.close(CLOSES_WITHIN);
        figures
    }
}

fn carry(load: Load, broker: &Broker, level: Durability) -> Result<Figures, Fault> {
    let exchange = broker.declare_exchange("orders").direct().durable().declare()?;
    let queue = broker.declare_queue("billing").durable().declare()?;
    exchange.bind(&queue, KEY)?;
    let (stock, _) = Window::new(load.stock());
    produce(load.stock(), stock, &exchange, level)?;
    let consumer = queue.consume().prefetch(PREFETCH).start()?;
    let (window, turns) = Window::new(load);
    let begun = Instant::now();
    thread::scope(|scope| {
        let receiving = scope.spawn(move || consume(turns, &consumer));
        let sent = produce(load, window, &exchange, level);
        let received = receiving.join();
        let window = sent?;
        received.map_err(|_| "the consumer has panicked")??;
        Ok(Figures::new(begun.elapsed(), window.into_latencies()))
    })
}

/// Publishes and waits until all is confirmed.
fn produce(
    load: Load,
    mut window: Window<Confirm>,
    exchange: &Exchange,
    level: Durability,
) -> Result<Window<Confirm>, Fault> {
    let publisher = exchange.publisher().window(load.in_flight).open()?;
    for _ in 0..load.messages {
        if window.is_full() {
            settle(&mut window, level)?;
        }
        let now = Instant::now();
        let message = Message::new([7; BODY_BYTES]).persistent();
        window.push(now, publisher.publish(KEY, message)?);
    }
    while !window.is_empty() {
        settle(&mut window, level)?;
    }
    Ok(window)
}

/// Waits for the oldest, and takes note of it and of all others that are confirmed by then.
fn settle(window: &mut Window<Confirm>, level: Durability) -> Result<(), Fault> {
    let Some(oldest) = window.oldest() else { return Ok(()) };
    let receipt = oldest.wait_timeout(CONFIRMED_WITHIN)?.ok_or("a confirm does not come")?;
    let now = Instant::now();
    if receipt.level != level {
        return Err(format!("confirmed at {:?} only", receipt.level).into());
    }
    window.pop(now);
    while let Some(next) = window.oldest()
        && next.wait_timeout(Duration::ZERO)?.is_some()
    {
        window.pop(now);
    }
    window.give_turns();
    Ok(())
}

fn consume(mut turns: Turns, consumer: &Consumer) -> leveret::Result<()> {
    while turns.next_blocking().is_some() {
        let delivery = consumer.recv()?;
        black_box(delivery.body());
        delivery.ack()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::folder::beside_program;

    #[test]
    fn each_message_is_confirmed_at_its_level() {
        for level in [Durability::Power, Durability::Process] {
            for in_flight in [1, 10] {
                let load = Load { messages: 25, in_flight };
                let leveret = Leveret::new(level, beside_program().unwrap());
                let figures = leveret.carry(load).unwrap();
                assert!(figures.within(1) > 0.0);
            }
        }
    }
}
