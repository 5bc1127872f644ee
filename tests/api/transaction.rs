//! Transactions: what is seen when, and what is left of one that does not happen.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use leveret::{
    Broker, Entity, Error, ErrorKind, Limits, Message, Outcome, PublishReason, Queue, Result,
};

use crate::watchdog::in_time;

fn texts(queue: &Queue) -> Result<Vec<String>> {
    let consumer = queue.consume().auto_ack().unlimited().start()?;
    Ok(consumer.try_iter().map(|delivery| delivery.text().unwrap_or_default().to_owned()).collect())
}

#[test]
fn nothing_is_seen_before_the_commit_and_everything_after_it() -> Result<()> {
    let broker = Broker::new();
    let exchange = broker.declare_exchange("x").fanout().declare()?;
    let [one, two] = [broker.declare_queue("1").declare()?, broker.declare_queue("2").declare()?];
    exchange.bind(&one, "")?;
    exchange.bind(&two, "")?;
    let from = broker.declare_queue("from").declare()?;
    for text in ["a", "b", "c"] {
        from.send(Message::new(text))?;
    }
    let mut transaction = broker.transaction();
    assert_eq!(transaction.publish(&exchange, "", Message::new("first"))?.queues, 2);
    transaction.ack(from.get()?.expect("a"))?;
    transaction.settle(from.get()?.expect("b"), Outcome::Reject("bad".into()))?;
    transaction.settle(from.get()?.expect("c"), Outcome::Requeue)?;
    assert_eq!(
        transaction.publish(&broker.default_exchange(), "1", Message::new("second"))?.queues,
        1
    );
    assert_eq!((one.stats().enqueued, two.stats().enqueued, from.stats().unacked), (0, 0, 3));
    one.send(Message::new("before"))?;
    transaction.commit()?;
    assert_eq!(texts(&one)?, ["before", "first", "second"]);
    assert_eq!(texts(&two)?, ["first"]);
    let stats = from.stats();
    assert_eq!((stats.acked, stats.rejected, stats.ready, stats.unacked), (1, 1, 1, 0));
    Ok(())
}

#[test]
fn dropping_it_rolls_back() -> Result<()> {
    let broker = Broker::new();
    let queue = broker.declare_queue("q").declare()?;
    queue.send(Message::new("a"))?;
    queue.send(Message::new("b"))?;
    let mut transaction = broker.transaction();
    transaction.publish(&broker.default_exchange(), "q", Message::new("c"))?;
    transaction.ack(queue.get()?.expect("a"))?;
    drop(transaction);
    assert_eq!(queue.stats().acked, 0);
    assert_eq!(texts(&queue)?, ["a", "b"]);
    Ok(())
}

#[test]
fn rolling_back_hands_everything_back_in_order() -> Result<()> {
    let broker = Broker::new();
    let queue = broker.declare_queue("q").declare()?;
    queue.send(Message::new("a"))?;
    queue.send(Message::new("b"))?;
    let mut transaction = broker.transaction();
    transaction.ack(queue.get()?.expect("a"))?;
    for text in ["1", "2"] {
        transaction.publish(&broker.default_exchange(), "q", Message::new(text))?;
    }
    transaction.settle(queue.get()?.expect("b"), Outcome::Requeue)?;
    let (messages, deliveries) = transaction.rollback();
    let messages: Vec<_> = messages.iter().map(Message::text).collect();
    assert_eq!(messages, [Some("1"), Some("2")]);
    let held: Vec<_> = deliveries.iter().map(|delivery| delivery.text()).collect();
    assert_eq!(held, [Some("a"), Some("b")]);
    assert_eq!((queue.stats().unacked, queue.stats().enqueued), (2, 2));
    Ok(())
}

#[test]
fn a_commit_that_fails_keeps_the_transaction() -> Result<()> {
    let broker = Broker::new();
    let queue = broker.declare_queue("q").declare()?;
    queue.send(Message::new("a"))?;
    let mut transaction = broker.transaction();
    transaction.publish(&broker.default_exchange(), "q", Message::new("b"))?;
    transaction.ack(queue.get()?.expect("it is there"))?;
    broker.close(Duration::ZERO);
    let error = transaction.commit().unwrap_err();
    assert!(matches!(error.error().kind(), ErrorKind::Closed));
    let (messages, deliveries) = error.into_transaction().rollback();
    assert_eq!((messages.len(), deliveries.len()), (1, 1));
    Ok(())
}

fn broker_with_bytes(bytes: u64) -> Result<Broker> {
    let mut limits = Limits::default();
    limits.memory_bytes = bytes;
    Broker::builder().limits(limits).open()
}

/// What a transaction holds counts as if it were in its queues.
#[test]
fn messages_count_from_when_they_join() -> Result<()> {
    let broker = broker_with_bytes(10_000)?;
    let exchange = broker.declare_exchange("x").fanout().declare()?;
    let [one, two] = [broker.declare_queue("1").declare()?, broker.declare_queue("2").declare()?];
    exchange.bind(&one, "")?;
    exchange.bind(&two, "")?;
    let body = |bytes: usize| Message::new(vec![7; bytes]);
    let mut transaction = broker.transaction();
    assert_eq!(transaction.publish(&exchange, "", body(4_000))?.queues, 2);
    let joined = broker.memory_bytes();
    assert!((8_000..9_000).contains(&joined), "{joined}");
    // What reaches no queue has a body, too.
    let refused = transaction.publish(&broker.default_exchange(), "nowhere", body(4_000));
    let refused = refused.unwrap_err();
    assert!(refused.is_full());
    let (reason, message) = refused.into_parts();
    assert_eq!(message.body().len(), 4_000);
    assert_eq!(Error::from(reason).to_string(), "no room now, the bound is 'memory_bytes'");
    assert_eq!(broker.memory_bytes(), joined, "nothing has changed");
    assert!(one.send(body(4_000)).unwrap_err().is_full(), "the room is taken");

    let (messages, _) = transaction.rollback();
    assert_eq!((messages.len(), broker.memory_bytes()), (1, 0));
    let mut transaction = broker.transaction();
    transaction.publish(&broker.default_exchange(), "nowhere", body(9_000))?;
    assert!(broker.memory_bytes() > 9_000);
    drop(transaction);
    assert_eq!(broker.memory_bytes(), 0);
    Ok(())
}

#[test]
fn a_commit_hands_its_room_over_and_no_other_publish_gets_it() -> Result<()> {
    in_time(|| {
        for _ in 0..20 {
            let broker = broker_with_bytes(10_000)?;
            let queue = broker.declare_queue("q").declare()?;
            let mut transaction = broker.transaction();
            let default = broker.default_exchange();
            transaction.publish(&default, "q", Message::new(vec![1; 4_500]))?;
            transaction.publish(&default, "q", Message::new(vec![1; 4_500]))?;
            let is_over = Arc::new(AtomicBool::new(false));
            let (others, is_over_for_them) = (queue.clone(), Arc::clone(&is_over));
            let others = thread::spawn(move || {
                while !is_over_for_them.load(Ordering::Relaxed) {
                    assert!(others.send(Message::new(vec![2; 1_000])).is_err(), "there is no room");
                }
            });
            transaction.commit()?;
            is_over.store(true, Ordering::Relaxed);
            others.join().expect("none was taken");
            let (stats, bytes) = (queue.stats(), broker.memory_bytes());
            assert_eq!(stats.ready, 2);
            assert!(stats.bytes <= bytes && bytes < stats.bytes + 10, "{bytes} for {stats:?}");
        }
        Ok(())
    })
}

#[test]
fn who_waits_for_room_gets_that_of_a_transaction_rolled_back() -> Result<()> {
    in_time(|| {
        let broker = broker_with_bytes(10_000)?;
        let queue = broker.declare_queue("q").declare()?;
        let default = broker.default_exchange();
        let publisher = default.publisher().open()?;
        let mut transaction = broker.transaction();
        while transaction.publish(&default, "q", Message::new(vec![1; 800])).is_ok() {}
        while transaction.publish(&default, "q", Message::new("")).is_ok() {}
        let waiting = thread::spawn(move || {
            publisher.publish_timeout("q", Message::new(vec![2; 9_000]), Duration::MAX).map(drop)
        });
        thread::yield_now();
        drop(transaction);
        waiting.join().expect("it does not panic")?;
        assert_eq!(queue.stats().ready, 1);
        Ok(())
    })
}

/// The last bytes of the memory may be drawn beyond the bound, and what only takes away fits even
/// then.
#[test]
fn acks_alone_fit_however_full_it_is() -> Result<()> {
    let mut limits = Limits::default();
    // Queues draw in steps of a 4 096th, which is 10 bytes here, and nine are left over.
    limits.memory_bytes = 40_969;
    let broker = Broker::builder().limits(limits).open()?;
    let queue = broker.declare_queue("q").declare()?;
    while queue.send(Message::new(vec![0; 100])).is_ok() {}
    for length in (0..100).rev() {
        while queue.send(Message::new(vec![0; length])).is_ok() {}
    }
    let [fill, one] = [queue.get()?, queue.get()?].map(|got| got.expect("there are many"));
    fill.ack()?;
    let length = (0..400).rev().find(|length| queue.send(Message::new(vec![0; *length])).is_ok());
    assert!(length.is_some() && broker.memory_bytes() > 40_969, "{} drawn", broker.memory_bytes());
    let mut transaction = broker.transaction();
    transaction.ack(one)?;
    transaction.commit()?;
    assert_eq!(queue.stats().acked, 2);
    Ok(())
}

#[test]
fn it_is_routed_when_it_is_published() -> Result<()> {
    let broker = Broker::new();
    let exchange = broker.declare_exchange("x").declare()?;
    let [one, two] = [broker.declare_queue("1").declare()?, broker.declare_queue("2").declare()?];
    let binding = exchange.bind(&one, "k")?;
    let mut transaction = broker.transaction();
    transaction.publish(&exchange, "k", Message::new("x"))?;
    binding.unbind()?;
    exchange.bind(&two, "k")?;
    transaction.publish(&exchange, "k", Message::new("y"))?;
    two.delete()?;
    transaction.commit()?;
    assert_eq!((one.stats().ready, two.stats().enqueued), (1, 0), "a deleted queue takes nothing");

    let mut transaction = broker.transaction();
    exchange.delete()?;
    let error = transaction.publish(&exchange, "k", Message::new("late")).unwrap_err();
    assert!(matches!(error.reason(), PublishReason::Refused(_)));
    assert_eq!(error.into_message().text(), Some("late"));
    transaction.commit()?;
    Ok(())
}

#[test]
fn one_that_is_too_long_stays_as_it_is() -> Result<()> {
    let mut limits = Limits::default();
    limits.transaction_steps = 2;
    let broker = Broker::builder().limits(limits).open()?;
    let queue = broker.declare_queue("q").declare()?;
    let mut transaction = broker.transaction();
    for text in ["1", "2"] {
        transaction.publish(&broker.default_exchange(), "q", Message::new(text))?;
    }
    let third = transaction.publish(&broker.default_exchange(), "q", Message::new("3"));
    let error = third.unwrap_err();
    let PublishReason::Refused(reason) = error.reason() else { panic!("{error}") };
    check_steps(reason);
    transaction.commit()?;
    assert_eq!(texts(&queue)?, ["1", "2"]);
    Ok(())
}

#[test]
fn one_that_settles_too_much_hands_the_delivery_back() -> Result<()> {
    let mut limits = Limits::default();
    limits.transaction_steps = 2;
    let broker = Broker::builder().limits(limits).open()?;
    let queue = broker.declare_queue("q").declare()?;
    for text in ["1", "2", "3", "4"] {
        queue.send(Message::new(text))?;
    }
    let got = || queue.get().map(|got| got.expect("it is there"));
    let mut transaction = broker.transaction();
    transaction.ack(got()?)?;
    transaction.settle(got()?, Outcome::Reject("bad".into()))?;
    let refused = transaction.ack(got()?).unwrap_err();
    check_steps(refused.error());
    assert_eq!(
        refused.to_string(),
        "not settled: 'transaction_steps' is 2, but this would come to 3"
    );
    assert_eq!(refused.into_delivery().text(), Some("3"));
    // Dropped, it goes back to its place.
    let refused = transaction.settle(got()?, Outcome::Requeue).unwrap_err();
    check_steps(&Error::from(refused));
    assert_eq!((queue.stats().ready, queue.stats().unacked), (2, 2));
    transaction.commit()?;
    assert_eq!((queue.stats().acked, queue.stats().rejected), (1, 1));
    assert_eq!(texts(&queue)?, ["3", "4"]);
    Ok(())
}

#[track_caller]
fn check_steps(error: &Error) {
    let ErrorKind::LimitExceeded { limit, max, found, .. } = error.kind() else {
        panic!("{error}")
    };
    assert_eq!((*limit, *max, *found), ("transaction_steps", 2, 3));
}

/// A transaction is one of its virtual host: what is not of it would be published while the other
/// one closes, or beyond its bounds.
#[test]
fn exchanges_of_another_are_refused() -> Result<()> {
    let broker = Broker::new();
    let queue = broker.declare_queue("q").declare()?;
    let other_vhost = broker.create_vhost("other")?;
    let other_broker = Broker::new();
    for other in [&other_vhost, &*other_broker] {
        other.declare_queue("q").declare()?;
        let mut transaction = broker.transaction();
        for exchange in [other.default_exchange(), other.exchange("amq.fanout")?] {
            let refused = transaction.publish(&exchange, "q", Message::new("x")).unwrap_err();
            let (reason, message) = refused.into_parts();
            assert_eq!(message.text(), Some("x"));
            let PublishReason::Refused(error) = reason else { panic!("{reason}") };
            let ErrorKind::Foreign { entity, name, .. } = error.kind() else { panic!("{error}") };
            assert_eq!((*entity, name.as_str()), (Entity::Exchange, exchange.name()));
        }
        transaction.publish(&broker.default_exchange(), "q", Message::new("y"))?;
        transaction.commit()?;
        assert_eq!(other.queue("q")?.stats().enqueued, 0);
    }
    assert_eq!(queue.stats().enqueued, 2);
    Ok(())
}

#[test]
fn deliveries_of_another_are_handed_back() -> Result<()> {
    let (broker, other) = (Broker::new(), Broker::new());
    let queue = other.declare_queue("q").declare()?;
    queue.send(Message::new("x"))?;
    let mut transaction = broker.transaction();
    let foreign = queue.get()?.expect("it is there");
    let refused = transaction.ack(foreign).unwrap_err();
    assert!(matches!(refused.error().kind(), ErrorKind::Foreign { .. }), "{refused}");
    refused.into_delivery().ack()?;
    assert_eq!(queue.stats().acked, 1);
    Ok(())
}
