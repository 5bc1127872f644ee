//! The life of a broker: opened, furnished, dropped.

use std::{thread, time::Duration};

use leveret::{Broker, Exchange, Message, Queue};

use super::stopwatch::{timed, worked};

/// Entities of a broker, half exchanges and half queues.
const EXCHANGES: usize = 5;

/// Brokers that live at the same time in [`many`], and the threads that hold them.
pub(crate) const MANY: usize = 1_000;
const THREADS: usize = 2;

/// Opens a broker, declares ten entities, binds each queue to an exchange, and drops everything.
pub(crate) fn one() -> impl FnMut(u64) -> Duration {
    let names = names();
    move |brokers| {
        worked(|| {
            for _ in 0..brokers {
                drop(open(&names));
            }
        })
    }
}

/// Opens [`MANY`] brokers in two threads, as tests do that run in parallel, sends a message through
/// each, and drops them when all are there. The time counts what one of them takes on average;
/// that each delivers its message is what matters.
pub(crate) fn many() -> impl FnMut(u64) -> Duration {
    let names = names();
    move |_| {
        timed(|| {
            thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        let brokers: Vec<_> = (0..MANY / THREADS).map(|_| open(&names)).collect();
                        brokers.iter().for_each(use_once);
                    });
                }
            });
        })
    }
}

/// An open broker with what was declared in it.
struct Furnished {
    exchanges: Vec<Exchange>,
    queues: Vec<Queue>,
    _broker: Broker,
}

fn open(names: &[String]) -> Furnished {
    let broker = Broker::new();
    let (exchanges, queues) = names.split_at(EXCHANGES);
    let exchanges: Vec<_> = exchanges
        .iter()
        .map(|name| broker.declare_exchange(name).direct().declare().expect("a new name"))
        .collect();
    let queues: Vec<_> = queues
        .iter()
        .map(|name| broker.declare_queue(name).declare().expect("a new name"))
        .collect();
    for (exchange, queue) in exchanges.iter().zip(&queues) {
        exchange.bind(queue, queue.name()).expect("both are there");
    }
    Furnished { exchanges, queues, _broker: broker }
}

fn use_once(furnished: &Furnished) {
    for (exchange, queue) in furnished.exchanges.iter().zip(&furnished.queues) {
        let routed = exchange.publish(queue.name(), Message::new("once")).expect("there is room");
        assert_eq!(routed.queues, 1, "the queue is bound");
        let delivery = queue.get().expect("the broker is open").expect("one was published");
        delivery.ack().expect("the broker is open");
    }
}

fn names() -> Vec<String> {
    (0..2 * EXCHANGES).map(|nth| format!("entity{nth}")).collect()
}
