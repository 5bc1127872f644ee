//! Everything is taken out of the queues, in order, and the broker is closed.

use std::{
    error::Error,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use leveret::{Broker, Durability};

use super::{
    entry::{Entry, Verb},
    item,
    ledger::Ledger,
    look,
    memory::Memory,
    place::Queue,
};

const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) fn drain(
    store: &Path,
    ledger: &Path,
    level: Durability,
    life: u32,
) -> Result<(), Box<dyn Error>> {
    let ledger = Ledger::open(ledger)?;
    ledger.note(&Entry::Life(life));
    let broker = look::open(store, level, Memory::Scarce)?;
    let start = Instant::now();
    loop {
        for (number, queue) in (0..).zip(Queue::ALL) {
            empty(&broker, queue, number, &ledger)?;
        }
        let stats = broker.stats();
        if stats.held() == 0 {
            break;
        }
        if start.elapsed() > PATIENCE {
            return Err(format!("the queues do not become empty: {stats:?}").into());
        }
        thread::sleep(Duration::from_millis(1));
    }
    let stats = broker.stats();
    if !stats.is_conserved() {
        return Err(format!("the queues do not add up: {stats:?}").into());
    }
    let report = broker.close(Duration::from_secs(30));
    if !report.is_clean() || report.messages_lost > 0 {
        return Err(format!("the broker closed in disorder: {report:?}").into());
    }
    ledger.note(&Entry::Closed);
    Ok(())
}

fn empty(
    broker: &Broker,
    queue: Queue,
    consumer: u16,
    ledger: &Ledger,
) -> Result<(), Box<dyn Error>> {
    let Ok(handle) = broker.queue(queue.name()) else { return Ok(()) };
    while let Some(delivery) = handle.get()? {
        let place = look::place(queue, &delivery);
        match item::read(&delivery).and_then(|id| Ok((id, place?))) {
            Ok((id, place)) => {
                let (verb, is_redelivered) = (Verb::Ack, delivery.is_redelivered());
                ledger.note(&Entry::Got { consumer, id, place, is_redelivered });
                ledger.note(&Entry::Settle { verb, id, place, transaction: None });
                delivery.ack()?;
                ledger.note(&Entry::Settled { verb, id, place });
            }
            Err(wrong) => {
                ledger.note(&Entry::Wrong(format!("{wrong} in {}", queue.name())));
                delivery.ack()?;
            }
        }
    }
    Ok(())
}
