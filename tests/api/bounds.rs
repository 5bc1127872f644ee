//! Bounds that queues declare, as publishers meet them.

use std::{thread, time::Duration};

use leveret::{
    Broker, ConfirmError, ErrorKind, Message, NackReason, Overflow, PublishReason, Queue, Result,
    Value,
};

use crate::{
    hands::{SECOND, check_line, send_all, take},
    watchdog::in_time,
};

fn narrow(broker: &Broker, name: &str, messages: u64) -> Result<Queue> {
    broker.declare_queue(name).max_length(messages).overflow(Overflow::RejectPublish).declare()
}

/// With all that a message may carry.
fn whole(text: &str) -> Message {
    let keys = Value::Array(vec!["full too".into()]);
    Message::new(text).with_kind("k").with_header("h", 5).with_header("BCC", keys)
}

#[test]
fn what_is_refused_comes_back_whole() -> Result<()> {
    let (broker, _time) = Broker::manual();
    let [full, _too] = [narrow(&broker, "full", 0)?, narrow(&broker, "full too", 0)?];
    let errors = [
        full.send(whole("x")).unwrap_err(),
        broker.default_exchange().publish("full", whole("x")).unwrap_err(),
        broker.default_exchange().publisher().open()?.publish("full", whole("x")).unwrap_err(),
    ];
    for error in errors {
        assert!(error.is_full());
        let (reason, message) = error.into_parts();
        let PublishReason::Full { limit, .. } = reason else { panic!("{reason}") };
        assert_eq!((limit, message), ("x-max-length", whole("x")));
    }
    assert_eq!((full.stats().refused, full.stats().enqueued), (3, 0));
    Ok(())
}

#[test]
fn the_bound_that_was_met_is_named() -> Result<()> {
    let (broker, _time) = Broker::manual();
    let declared = broker.declare_queue("q").max_length(2).max_length_bytes(10);
    let queue = declared.overflow(Overflow::RejectPublish).declare()?;
    let limit_of = |text: &str| match queue.send(Message::new(text)).unwrap_err().reason() {
        PublishReason::Full { limit, .. } => *limit,
        reason => panic!("{reason}"),
    };
    assert_eq!(limit_of("12345678901"), "x-max-length-bytes");
    queue.send(Message::new("1234567890").with_header("h", "headers are no body"))?;
    assert_eq!(limit_of("1"), "x-max-length-bytes");
    queue.send(Message::new(""))?;
    assert_eq!(limit_of(""), "x-max-length");
    Ok(())
}

#[test]
fn in_hand_a_message_counts_for_no_bound() -> Result<()> {
    let (broker, _time) = Broker::manual();
    let queue = narrow(&broker, "q", 1)?;
    send_all(&queue, ["a"])?;
    let held = take(&queue);
    send_all(&queue, ["b"])?;
    held.requeue()?;
    check_line(&queue, ["a", "b"]);
    assert!(queue.send(Message::new("c")).is_err());
    Ok(())
}

#[test]
fn a_bound_of_nothing_refuses_whoever_waits() -> Result<()> {
    let (broker, _time) = Broker::manual();
    let queue = narrow(&broker, "q", 0)?;
    let consumer = queue.consume().start()?;
    assert!(queue.send(Message::new("x")).is_err());
    assert!(consumer.try_recv().is_err());
    let dropping = broker.declare_queue("dropping").max_length(0).declare()?;
    let consumer = dropping.consume().prefetch(1).start()?;
    send_all(&dropping, ["taken", "dropped"])?;
    assert_eq!(consumer.try_recv()?.text(), Some("taken"));
    Ok(())
}

#[test]
fn the_oldest_gives_way_where_nothing_is_refused() -> Result<()> {
    let (broker, _time) = Broker::manual();
    let queue = broker.declare_queue("q").max_length(2).max_length_bytes(5).declare()?;
    send_all(&queue, ["a", "b", "c"])?;
    check_line(&queue, ["b", "c"]);
    send_all(&queue, ["1234"])?;
    check_line(&queue, ["c", "1234"]);
    send_all(&queue, ["123456"])?;
    check_line(&queue, []);
    assert_eq!((queue.stats().dropped, queue.stats().refused), (5, 0));
    Ok(())
}

#[test]
fn a_refused_message_may_be_a_dead_letter() -> Result<()> {
    let (broker, _time) = Broker::manual();
    let dead = broker.declare_queue("dead").declare()?;
    let declared = broker.declare_queue("q").max_length(0);
    let declared = declared.overflow(Overflow::RejectPublishDeadLetter);
    let queue = declared.dead_letter_to(&dead).declare()?;
    let (reason, message) = queue.send(whole("x")).unwrap_err().into_parts();
    let PublishReason::DeadLettered { limit, .. } = reason else { panic!("{reason}") };
    assert_eq!((limit, message), ("x-max-length", whole("x")));
    let letter = take(&dead);
    assert_eq!(letter.header("x-first-death-reason"), Some(&Value::from("maxlen")));
    let stats = queue.stats();
    assert_eq!((stats.refused, stats.enqueued, stats.dead_lettered), (1, 0, 0));

    let declared = broker.declare_queue("nowhere").max_length(0);
    let nowhere = declared.overflow(Overflow::RejectPublishDeadLetter).declare()?;
    assert!(nowhere.send(Message::new("x")).unwrap_err().is_full());
    Ok(())
}

#[test]
fn what_some_queues_take_is_published_and_not_confirmed() -> Result<()> {
    let (broker, _time) = Broker::manual();
    let exchange = broker.declare_exchange("x").fanout().declare()?;
    let full = narrow(&broker, "full", 1)?;
    exchange.bind(&full, "")?;
    exchange.bind(&broker.declare_queue("wide").declare()?, "")?;
    let routed = exchange.publish("", Message::new("1"))?;
    assert_eq!((routed.queues, routed.refused), (2, 0));
    let routed = exchange.publish("", Message::new("2"))?;
    assert_eq!((routed.queues, routed.refused), (1, 1));
    let publisher = exchange.publisher().open()?;
    let error = publisher.publish("", Message::new("3"))?.wait().unwrap_err();
    let nack = ConfirmError::Nack { queue: "full".into(), reason: NackReason::MaxLength };
    assert_eq!(error, nack);
    full.purge()?;
    assert_eq!(publisher.publish("", Message::new("4"))?.wait().expect("room").queues, 2);
    let report = publisher.wait_all(Duration::ZERO);
    assert_eq!((report.acked, report.nacked), (1, 1));
    let stats = exchange.stats();
    assert_eq!((stats.published, stats.copies, stats.refused), (4, 6, 2));
    Ok(())
}

#[test]
fn a_publish_may_wait_for_room() -> Result<()> {
    in_time(|| {
        let (broker, _time) = Broker::manual();
        let queue = narrow(&broker, "q", 1)?;
        send_all(&queue, ["a"])?;
        let to = broker.default_exchange();
        let late = to.publish_timeout("q", Message::new("b"), Duration::ZERO).unwrap_err();
        assert!(late.is_full());
        let before = queue.stats().refused;
        let publishing = thread::spawn(move || {
            let published = to.publish_timeout("q", Message::new("b"), 20 * SECOND);
            published.map(|routed| routed.queues)
        });
        // Twice in a row, and then it waits.
        while queue.stats().refused < before + 2 {
            thread::yield_now();
        }
        take(&queue).ack()?;
        assert_eq!(publishing.join().expect("it does not panic")?, 1);
        check_line(&queue, ["b"]);
        Ok(())
    })
}

#[test]
fn of_a_batch_each_message_is_refused_for_itself() -> Result<()> {
    let (broker, _time) = Broker::manual();
    let queue = narrow(&broker, "q", 2)?;
    for has_headers in [false, true] {
        let message = |n: u32| match Message::new(n.to_string()) {
            message if has_headers => message.with_header("h", n),
            message => message,
        };
        let mut batch: Vec<_> = (0..5).map(message).collect();
        let routed = broker.default_exchange().publish_batch("q", &mut batch)?;
        assert_eq!((routed.queues, routed.refused), (2, 3), "headers: {has_headers}");
        assert!(batch.is_empty());
        check_line(&queue, ["0", "1"]);
        queue.purge()?;
    }
    Ok(())
}

#[test]
fn a_batch_that_is_refused_as_a_whole_stays_as_it_was() -> Result<()> {
    let (broker, _time) = Broker::manual();
    let [_full, _too] = [narrow(&broker, "full", 0)?, narrow(&broker, "full too", 0)?];
    let plain = || vec![Message::new("1"), Message::new("2").with_kind("k")];
    let blind = || vec![whole("1"), Message::new("2"), whole("3")];
    for before in [plain(), blind()] {
        let mut batch = before.clone();
        let reason = broker.default_exchange().publish_batch("full", &mut batch).unwrap_err();
        assert!(matches!(reason, PublishReason::Full { limit: "x-max-length", .. }), "{reason}");
        assert_eq!(batch, before);
        let publisher = broker.default_exchange().publisher().open()?;
        assert!(publisher.publish_batch("full", &mut batch).is_err());
        assert_eq!(batch, before);
    }
    assert_eq!(broker.default_exchange().stats().published, 0);
    Ok(())
}

#[test]
fn a_transaction_goes_beyond_a_bound_rather_than_fail() -> Result<()> {
    let (broker, _time) = Broker::manual();
    let queue = narrow(&broker, "q", 1)?;
    send_all(&queue, ["a"])?;
    let mut transaction = broker.transaction();
    for text in ["b", "c"] {
        transaction.publish(&broker.default_exchange(), "q", Message::new(text))?;
    }
    transaction.commit().expect("nothing fails it");
    check_line(&queue, ["a", "b", "c"]);
    assert_eq!(queue.stats().refused, 0);
    Ok(())
}

#[test]
fn a_refusal_says_the_same_as_an_error() -> Result<()> {
    let (broker, _time) = Broker::manual();
    let queue = narrow(&broker, "q", 0)?;
    let error = leveret::Error::from(queue.send(Message::new("x")).unwrap_err());
    assert!(matches!(error.kind(), ErrorKind::Full { limit: "x-max-length", .. }), "{error}");
    Ok(())
}
