//! Transactions: what is seen when, and what is left of one that does not happen.

use std::time::Duration;

use leveret::{Broker, Entity, ErrorKind, Limits, Message, Outcome, PublishReason, Queue, Result};

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
    transaction.ack(from.get()?.expect("a"));
    transaction.settle(from.get()?.expect("b"), Outcome::Reject("bad".into()));
    transaction.settle(from.get()?.expect("c"), Outcome::Requeue);
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
    transaction.ack(queue.get()?.expect("a"));
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
    transaction.ack(queue.get()?.expect("a"));
    for text in ["1", "2"] {
        transaction.publish(&broker.default_exchange(), "q", Message::new(text))?;
    }
    transaction.settle(queue.get()?.expect("b"), Outcome::Requeue);
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
    let mut limits = Limits::default();
    limits.memory_bytes = 1_000;
    let broker = Broker::builder().limits(limits).open()?;
    let queue = broker.declare_queue("q").declare()?;
    queue.send(Message::new(vec![0; 600]))?;
    let mut transaction = broker.transaction();
    transaction.publish(&broker.default_exchange(), "q", Message::new(vec![1; 600]))?;
    transaction.ack(queue.get()?.expect("it is there"));
    let error = transaction.commit().unwrap_err();
    assert!(error.error().is_full());
    assert_eq!((queue.stats().enqueued, queue.stats().unacked), (1, 1), "nothing has happened");
    let (mut messages, deliveries) = error.into_transaction().rollback();
    assert_eq!((messages.len(), deliveries.len()), (1, 1));

    let mut transaction = broker.transaction();
    for delivery in deliveries {
        transaction.ack(delivery);
    }
    transaction.commit()?;
    let mut transaction = broker.transaction();
    let message = messages.remove(0);
    transaction.publish(&broker.default_exchange(), "q", message)?;
    transaction.commit()?;
    assert_eq!((queue.stats().ready, queue.stats().acked), (1, 1));

    let mut transaction = broker.transaction();
    transaction.ack(queue.get()?.expect("it is there"));
    broker.close(Duration::ZERO);
    let error = transaction.commit().unwrap_err();
    assert!(matches!(error.error().kind(), ErrorKind::Closed));
    assert_eq!(error.into_transaction().rollback().1.len(), 1);
    Ok(())
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
    transaction.ack(one);
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
    let ErrorKind::LimitExceeded { limit, max, found, .. } = reason.kind() else {
        panic!("{reason}")
    };
    assert_eq!((*limit, *max, *found), ("transaction_steps", 2, 3));
    transaction.commit()?;
    assert_eq!(texts(&queue)?, ["1", "2"]);
    Ok(())
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
