//! Deliveries: how they are settled, what a second hand-out says, and when an ack takes effect.

use std::{
    panic::{self, AssertUnwindSafe},
    sync::mpsc,
    thread,
};

use leveret::{Broker, Delivery, Message, Outcome, Queue, Result};

use crate::watchdog::in_time;

fn queue_of(count: usize) -> Result<Queue> {
    let queue = Broker::new().declare_queue("q").declare()?;
    (0..count).try_for_each(|n| queue.send(Message::new(n.to_string())))?;
    Ok(queue)
}

fn get(queue: &Queue) -> Result<Delivery> {
    Ok(queue.get()?.expect("it is there"))
}

#[test]
fn every_ending_is_counted_once() -> Result<()> {
    let queue = queue_of(7)?;
    get(&queue)?.ack()?;
    get(&queue)?.reject()?;
    get(&queue)?.settle(Outcome::Ack)?;
    get(&queue)?.settle(Outcome::Reject("broken".into()))?;
    get(&queue)?.settle(Outcome::Requeue)?;
    let (message, acker) = get(&queue)?.into_parts();
    assert_eq!(message.text(), Some("4"), "it went back to its place");
    assert_eq!(queue.stats().unacked, 1);
    acker.ack()?;
    assert_eq!(get(&queue)?.process(|_| Ok::<_, String>(()))?, Outcome::Ack);
    let outcome = get(&queue)?.process(|_| Err::<(), _>("no"))?;
    assert_eq!(outcome, Outcome::Reject("no".into()));
    let stats = queue.stats();
    assert_eq!((stats.acked, stats.rejected, stats.ready, stats.unacked), (4, 3, 0, 0));
    assert!(stats.is_conserved());
    Ok(())
}

#[test]
fn a_dropped_acker_returns_its_message() -> Result<()> {
    let queue = queue_of(1)?;
    let (message, acker) = get(&queue)?.into_parts();
    drop(message);
    assert_eq!(queue.stats().unacked, 1, "the message alone settles nothing");
    drop(acker);
    assert_eq!((queue.stats().ready, queue.stats().unacked), (1, 0));
    Ok(())
}

/// Each time a hand received it counts; being moved into a mailbox and back does not.
#[test]
fn attempts_count_what_was_received() -> Result<()> {
    let queue = queue_of(1)?;
    let seen = |delivery: &Delivery| (delivery.attempts(), delivery.is_redelivered());
    let first = get(&queue)?;
    assert_eq!(seen(&first), (1, false));
    first.requeue()?;
    drop(queue.consume().start()?);
    drop(queue.consume().start()?);
    let second = get(&queue)?;
    assert_eq!(seen(&second), (2, true));
    drop(second);
    let consumer = queue.consume().start()?;
    let third = consumer.try_recv()?;
    assert_eq!(seen(&third), (3, true));
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
        third.process(|_| -> () { panic::resume_unwind(Box::new("the handler gives up")) })
    }));
    assert!(panicked.is_err());
    let fourth = consumer.try_recv()?;
    assert_eq!(seen(&fourth), (4, true));
    fourth.ack()?;
    Ok(())
}

/// An ack is seen by everyone once it has returned, whatever its consumer does then.
#[test]
fn an_ack_takes_effect_when_it_returns() -> Result<()> {
    in_time(|| {
        let queue = queue_of(2)?;
        let other = queue.clone();
        let consumer = queue.consume().prefetch(1).start()?;
        let delivery = consumer.recv()?;
        let (acked, is_acked) = mpsc::channel();
        let (seen, is_seen) = mpsc::channel();
        let observer = thread::spawn(move || {
            is_acked.recv().expect("it will be acked");
            seen.send((other.stats(), other.stats().is_conserved())).expect("somebody asks");
        });
        delivery.ack()?;
        acked.send(()).expect("somebody waits");
        // The consumer is not called again.
        let (stats, is_conserved) = is_seen.recv().expect("it was looked at");
        assert_eq!(
            (stats.acked, stats.unacked, stats.ready),
            (1, 1, 0),
            "credit came back at once"
        );
        assert!(is_conserved);
        observer.join().expect("it does not panic");
        drop(consumer);
        assert_eq!((queue.stats().acked, queue.stats().ready), (1, 1));
        assert_eq!(get(&queue)?.text(), Some("1"), "what was acked never comes back");
        Ok(())
    })
}

#[test]
fn acking_through_leaves_later_ones_and_other_consumers_alone() -> Result<()> {
    let queue = queue_of(8)?;
    let consumer = queue.consume().prefetch(5).start()?;
    let other = queue.consume().prefetch(1).start()?;
    let mut held: Vec<_> = consumer.try_iter().collect();
    let others = other.try_recv()?;
    let got = get(&queue)?;
    let [first, third, fourth] = [held.remove(0), held.remove(1), held.remove(1)];
    third.ack_through()?;
    // Credit came back, so more were handed over.
    assert_eq!(queue.stats().acked, 3);
    let more: Vec<_> = consumer.try_iter().collect();
    assert_eq!(more.len(), 1);
    first.requeue()?;
    assert_eq!(queue.stats().acked, 3, "settling again does nothing");
    assert!(queue.stats().is_conserved());
    got.ack_through()?;
    assert_eq!(queue.stats().acked, 4, "one that was got stands alone");
    drop((fourth, others, held, more));
    Ok(())
}

#[test]
fn a_batch_of_acks_may_span_queues() -> Result<()> {
    let broker = Broker::new();
    let [one, two] = [broker.declare_queue("1").declare()?, broker.declare_queue("2").declare()?];
    let mut deliveries = Vec::new();
    for queue in [&one, &two, &two, &one] {
        queue.send(Message::new("x"))?;
        deliveries.push(get(queue)?);
    }
    let consumer = one.consume().auto_ack().start()?;
    one.send(Message::new("x"))?;
    deliveries.insert(2, consumer.try_recv()?);
    Delivery::ack_all(deliveries)?;
    assert_eq!((one.stats().acked, two.stats().acked), (2, 2));
    Delivery::ack_all([])?;
    Ok(())
}

#[test]
fn a_delivery_outlives_its_consumer_and_its_queue() -> Result<()> {
    let queue = queue_of(2)?;
    let consumer = queue.consume().start()?;
    let [one, two] = [consumer.try_recv()?, consumer.try_recv()?];
    drop(consumer);
    one.ack()?;
    assert_eq!((queue.stats().acked, queue.stats().unacked), (1, 1));
    queue.delete()?;
    assert_eq!(two.text(), Some("1"), "it can still be read");
    two.requeue()?;
    let stats = queue.stats();
    assert_eq!((stats.deleted, stats.ready), (1, 0), "nothing goes back to a deleted queue");
    assert!(stats.is_conserved());
    Ok(())
}

#[test]
fn it_says_where_it_was_published() -> Result<()> {
    let broker = Broker::new();
    let exchange = broker.declare_exchange("x").topic().declare()?;
    let queue = broker.declare_queue("q").declare()?;
    exchange.bind(&queue, "a.#")?;
    exchange.publish("a.b", Message::new("1").with_kind("k").with_header("h", 5))?;
    queue.send(Message::new("2"))?;
    let [one, two] = [get(&queue)?, get(&queue)?];
    assert_eq!((one.exchange(), one.routing_key(), one.kind()), ("x", "a.b", Some("k")));
    assert_eq!(one.header("h"), Some(&leveret::Value::I32(5)));
    assert_eq!((two.exchange(), two.routing_key(), two.kind()), ("", "q", None));
    Ok(())
}
