//! Threads that race: for a name, for a deletion, for messages.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use leveret::{Broker, ErrorKind, Exchange, Message, Queue, Result};

use crate::{random::Random, watchdog::in_time};

const ROUNDS: usize = 200;

type Racer<T> = Box<dyn FnOnce() -> T + Send>;

fn racer<T>(act: impl FnOnce() -> T + Send + 'static) -> Racer<T> {
    Box::new(act)
}

/// Runs these at the same time, and hands out what they return.
fn race<T: Send + 'static>(racers: impl IntoIterator<Item = Racer<T>>) -> Vec<T> {
    let racers: Vec<_> = racers.into_iter().collect();
    let start = Arc::new(Barrier::new(racers.len()));
    let threads: Vec<_> = racers
        .into_iter()
        .map(|racer| {
            let start = Arc::clone(&start);
            thread::spawn(move || {
                start.wait();
                racer()
            })
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
}

#[test]
fn equal_declarations_make_one_queue() -> Result<()> {
    in_time(|| {
        for _ in 0..ROUNDS {
            let broker = Broker::new();
            let racers = (0..4).map(|_| {
                let broker = broker.clone();
                racer(move || -> Result<Queue> {
                    let queue = broker.declare_queue("q").max_length(9).declare()?;
                    queue.send(Message::new("x"))?;
                    let exchange = broker.declare_exchange("x").fanout().declare()?;
                    exchange.bind(&queue, "")?;
                    Ok(queue)
                })
            });
            for queue in race(racers) {
                assert_eq!(queue?.stats().ready, 4, "all of them are handles to one");
            }
            assert_eq!(broker.exchange("x")?.publish("", Message::new("x"))?.queues, 1);
        }
        Ok(())
    })
}

#[test]
fn of_two_different_declarations_one_wins() -> Result<()> {
    in_time(|| {
        for _ in 0..ROUNDS {
            let broker = Broker::new();
            let racers = [false, true].map(|is_durable| {
                let broker = broker.clone();
                racer(move || {
                    let queue = broker.declare_queue("q");
                    let exchange = broker.declare_exchange("x");
                    if is_durable {
                        (queue.durable().declare().map(drop), exchange.topic().declare().map(drop))
                    } else {
                        (queue.declare().map(drop), exchange.fanout().declare().map(drop))
                    }
                })
            });
            let (queues, exchanges): (Vec<_>, Vec<_>) = race(racers).into_iter().unzip();
            for results in [queues, exchanges] {
                let errors: Vec<_> = results.into_iter().filter_map(Result::err).collect();
                assert_eq!(errors.len(), 1);
                assert!(errors[0].is_mismatch(), "{}", errors[0]);
            }
            // What is there is whole.
            broker.queue("q")?.send(Message::new("x"))?;
            broker.exchange("x")?.bind(&broker.queue("q")?, "#")?;
            assert_eq!(broker.exchange("x")?.publish("k", Message::new("x"))?.queues, 1);
        }
        Ok(())
    })
}

#[test]
fn a_temporary_queue_has_one_owner() -> Result<()> {
    in_time(|| {
        for _ in 0..ROUNDS {
            let broker = Broker::new();
            let racers = (0..3).map(|_| {
                let broker = broker.clone();
                racer(move || broker.declare_queue("q").temporary().declare())
            });
            let results = race(racers);
            let errors = results.iter().filter_map(|result| result.as_ref().err());
            assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
            for error in errors {
                assert!(matches!(error.kind(), ErrorKind::Locked { .. }), "{error}");
            }
            drop(results);
            assert!(broker.queue("q").unwrap_err().is_not_found());
        }
        Ok(())
    })
}

/// Whoever deletes through a handle deletes what the handle stands for.
#[test]
fn deleting_twice_spares_a_successor() -> Result<()> {
    in_time(|| {
        for _ in 0..ROUNDS {
            let broker = Broker::new();
            let exchange = broker.declare_exchange("x").declare()?;
            let racers = [false, true].map(|then_declares| {
                let (broker, exchange) = (broker.clone(), exchange.clone());
                racer(move || -> Result<()> {
                    exchange.delete()?;
                    if then_declares {
                        broker.declare_exchange("x").declare()?;
                    }
                    Ok(())
                })
            });
            race(racers).into_iter().collect::<Result<()>>()?;
            broker.exchange("x")?.publish("", Message::new("x"))?;
        }
        Ok(())
    })
}

#[test]
fn a_publish_and_a_deletion_agree_on_what_was_taken() -> Result<()> {
    in_time(|| {
        for _ in 0..ROUNDS {
            let broker = Broker::new();
            let exchange = broker.declare_exchange("x").fanout().declare()?;
            let queue = broker.declare_queue("q").declare()?;
            exchange.bind(&queue, "")?;
            let publish = |exchange: Exchange| {
                racer(move || {
                    let taken = (0..50)
                        .map(|_| exchange.publish("", Message::new("x")).map_or(0, |to| to.queues));
                    u64::from(taken.sum::<u32>())
                })
            };
            let own = queue.clone();
            let delete = racer(move || {
                (0..10).for_each(|_| thread::yield_now());
                own.delete().expect("the broker is open");
                0
            });
            let racers = vec![publish(exchange.clone()), publish(exchange), delete];
            let taken: u64 = race(racers).into_iter().sum();
            let stats = queue.stats();
            assert_eq!(stats.enqueued, taken, "a receipt is for what the queue has counted");
            assert_eq!((stats.deleted, stats.ready), (taken, 0));
        }
        Ok(())
    })
}

#[test]
fn bindings_may_come_and_go_while_others_publish() -> Result<()> {
    in_time(|| {
        let broker = Broker::new();
        let exchange = broker.declare_exchange("x").topic().declare()?;
        let stays = broker.declare_queue("stays").declare()?;
        exchange.bind(&stays, "k.#")?;
        let stop = Arc::new(AtomicBool::new(false));
        let changing = {
            let (broker, exchange, stop) = (broker.clone(), exchange.clone(), Arc::clone(&stop));
            thread::spawn(move || -> Result<u64> {
                let mut enqueued = 0;
                while !stop.load(Ordering::SeqCst) {
                    let queue = broker.temporary_queue()?;
                    let other = broker.declare_exchange("other").fanout().declare()?;
                    exchange.bind(&queue, "*.a")?;
                    exchange.bind(&other, "#.a")?;
                    other.bind(&queue, "")?;
                    exchange.unbind(&queue, "*.a")?;
                    other.delete()?;
                    enqueued += queue.stats().enqueued;
                }
                Ok(enqueued)
            })
        };
        let mut reached = 0;
        for _ in 0..3_000 {
            let queues = exchange.publish("k.a", Message::new("x"))?.queues;
            assert!((1..=2).contains(&queues), "{queues}");
            reached += u64::from(queues);
        }
        stop.store(true, Ordering::SeqCst);
        let enqueued = changing.join().expect("it does not panic")?;
        assert_eq!(stays.stats().ready, 3_000, "a binding that is not touched never misses");
        assert!(reached >= 3_000 + enqueued, "{reached} {enqueued}");
        Ok(())
    })
}

/// What one thread published in an order is in that order in every queue that it reached.
#[test]
fn each_publisher_keeps_its_order_in_every_queue() -> Result<()> {
    in_time(|| {
        let broker = Broker::new();
        let exchange = broker.declare_exchange("x").fanout().declare()?;
        let names = ["1", "2", "3"];
        for name in names {
            exchange.bind(&broker.declare_queue(name).declare()?, "")?;
        }
        let racers = (0..3_u64).map(|publisher| {
            let exchange = exchange.clone();
            racer(move || {
                for n in 0..300 {
                    let text = (publisher * 1_000 + n).to_string();
                    exchange.publish("", Message::new(text)).expect("there is room");
                }
            })
        });
        race(racers);
        for name in names {
            let consumer = broker.queue(name)?.consume().unlimited().auto_ack().start()?;
            let seen: Vec<_> = consumer.try_iter().map(|one| id(&one)).collect();
            assert_eq!(seen.len(), 900);
            for publisher in 0..3 {
                let own: Vec<_> = seen.iter().filter(|id| *id / 1_000 == publisher).collect();
                assert!(own.is_sorted(), "publisher {publisher} in queue {name}");
            }
        }
        Ok(())
    })
}

fn id(message: &Message) -> u64 {
    message.text().and_then(|text| text.parse().ok()).expect("a number was sent")
}

/// Publishes its ids one by one, in batches and in transactions.
fn publish_all(
    broker: &Broker,
    exchange: &Exchange,
    ids: std::ops::Range<u64>,
    mut random: Random,
) {
    let mut ids = ids.peekable();
    let message = |id: u64| Message::new(id.to_string());
    while ids.peek().is_some() {
        let some = 1 + usize::try_from(random.below(8)).expect("it is small");
        match random.below(3) {
            0 => {
                for id in ids.by_ref().take(some) {
                    let routed = exchange.publish("k", message(id)).expect("there is room");
                    assert_eq!(routed.queues, 2);
                }
            }
            1 => {
                let mut batch: Vec<_> = ids.by_ref().take(some).map(message).collect();
                exchange.publish_batch("k", &mut batch).expect("there is room");
            }
            _ => {
                let mut transaction = broker.transaction();
                for id in ids.by_ref().take(some) {
                    transaction.publish(exchange, "k", message(id)).expect("there is room");
                }
                transaction.commit().expect("there is room");
            }
        }
    }
}

/// Consumes until everything is settled; says which ids it settled for good. One that is restless
/// is cancelled and started again all the time.
fn consume_all(queue: &Queue, is_restless: bool, left: &AtomicU64, mut random: Random) -> Vec<u64> {
    let mut settled = Vec::new();
    while left.load(Ordering::SeqCst) > 0 {
        let prefetch = 1 + u16::try_from(random.below(64)).expect("it is small");
        let consumer = queue.consume().prefetch(prefetch).start().expect("the queue is there");
        let mut until_restart = 1 + random.below(40);
        while left.load(Ordering::SeqCst) > 0 && !(is_restless && until_restart == 0) {
            until_restart = until_restart.saturating_sub(1);
            let Ok(delivery) = consumer.recv_timeout(Duration::from_millis(1)) else { continue };
            let id = id(&delivery);
            assert!(delivery.attempts() == 1 || delivery.is_redelivered());
            match random.below(10) {
                0..5 => delivery.ack(),
                5 => delivery.reject(),
                6 => {
                    drop(delivery);
                    continue;
                }
                _ => {
                    delivery.requeue().expect("the broker is open");
                    continue;
                }
            }
            .expect("the broker is open");
            settled.push(id);
            left.fetch_sub(1, Ordering::SeqCst);
        }
        if random.below(2) == 0 {
            consumer.cancel();
        }
    }
    settled
}

/// Four publishers and, on each of two queues, consumers that ack, reject, requeue, drop, and are
/// cancelled: every message is settled for good exactly once in each queue.
#[test]
fn under_stress_every_message_is_settled_once() -> Result<()> {
    const PUBLISHERS: u64 = 4;
    const EACH: u64 = 1_000;
    in_time(|| {
        let mut random = Random::seeded();
        let broker = Broker::new();
        let exchange = broker.declare_exchange("x").topic().declare()?;
        let queues = [broker.declare_queue("1").declare()?, broker.declare_queue("2").declare()?];
        for queue in &queues {
            exchange.bind(queue, "#")?;
        }
        let left = queues.each_ref().map(|_| Arc::new(AtomicU64::new(PUBLISHERS * EACH)));
        let mut threads = Vec::new();
        for publisher in 0..PUBLISHERS {
            let (broker, exchange, random) = (broker.clone(), exchange.clone(), random.split());
            let ids = publisher * EACH..(publisher + 1) * EACH;
            threads.push(thread::spawn(move || {
                publish_all(&broker, &exchange, ids, random);
                (0, Vec::new())
            }));
        }
        for (index, (queue, left)) in queues.iter().zip(&left).enumerate() {
            for is_restless in [false, true] {
                let (queue, left, random) = (queue.clone(), Arc::clone(left), random.split());
                threads.push(thread::spawn(move || {
                    (index, consume_all(&queue, is_restless, &left, random))
                }));
            }
        }
        // Whoever looks in the middle of it sees the law hold.
        while left.iter().any(|left| left.load(Ordering::SeqCst) > 0) {
            for queue in &queues {
                let stats = queue.stats();
                assert!(stats.is_conserved(), "{stats:?}");
            }
            thread::yield_now();
        }
        let mut settled = [Vec::new(), Vec::new()];
        for thread in threads {
            let (queue, ids) = thread.join().expect("it does not panic");
            settled[queue].extend(ids);
        }
        for (queue, mut ids) in queues.iter().zip(settled) {
            ids.sort_unstable();
            assert_eq!(ids, (0..PUBLISHERS * EACH).collect::<Vec<_>>());
            let stats = queue.stats();
            assert!(stats.is_conserved(), "{stats:?}");
            assert_eq!((stats.ready, stats.unacked, stats.bytes), (0, 0, 0));
            assert_eq!(stats.acked + stats.rejected, PUBLISHERS * EACH);
        }
        Ok(())
    })
}
