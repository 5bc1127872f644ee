//! Publishers: confirms and receipts, windows, and waiting for room.

use std::{
    task::{Context, Poll},
    thread,
    time::Duration,
};

use leveret::{Broker, Durability, ErrorKind, Limits, Message, PublishReason, Result};

use crate::{
    task::{Alarm, block_on},
    watchdog::in_time,
};

const LONG: Duration = Duration::from_hours(1);

/// A broker with room for little more than one body of this size.
fn small_broker(body: usize) -> Result<Broker> {
    let mut limits = Limits::default();
    limits.memory_bytes = body as u64 * 3 / 2;
    Broker::builder().limits(limits).open()
}

#[test]
fn a_receipt_says_how_many_queues_took_it() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let broker = Broker::new();
    let exchange = broker.declare_exchange("x").topic().declare()?;
    for (name, pattern) in [("1", "a"), ("2", "#"), ("3", "b")] {
        exchange.bind(&broker.declare_queue(name).declare()?, pattern)?;
    }
    let publisher = exchange.publisher().window(4).open()?;
    for (key, queues) in [("a", 2), ("b", 2), ("c", 1)] {
        let receipt = publisher.publish(key, Message::new("x"))?.wait()?;
        assert_eq!((receipt.queues, receipt.level), (queues, Durability::Memory));
    }
    let mut confirm = publisher.publish("a", Message::new("x").persistent())?;
    let timed = confirm.wait_timeout(Duration::ZERO)?.expect("it is decided");
    assert_eq!(confirm.wait_timeout(Duration::ZERO)?, Some(timed), "it may be asked again");
    assert_eq!(block_on(confirm)?, timed);

    let mut batch = vec![Message::new("1"), Message::new("2"), Message::new("3")];
    assert_eq!(publisher.publish_batch("a", &mut batch)?.wait()?.queues, 6);
    drop(publisher.publish("nobody but the second", Message::new("x"))?);
    let report = publisher.wait_all(LONG);
    assert_eq!((report.acked, report.nacked, report.pending), (8, 0, 0));
    assert_eq!(publisher.wait_all(LONG).acked, 0, "it counts since the last time");
    Ok(())
}

#[test]
fn a_mandatory_publisher_gives_back_what_reaches_nobody() -> Result<()> {
    let broker = Broker::new();
    let exchange = broker.declare_exchange("x").declare()?;
    exchange.bind(&broker.declare_queue("q").declare()?, "k")?;
    let publisher = exchange.publisher().mandatory().open()?;
    let error = publisher.publish("nobody", Message::new("back")).unwrap_err();
    assert!(matches!(error.reason(), PublishReason::Unroutable));
    assert_eq!(error.into_message().text(), Some("back"));
    let mut batch = vec![Message::new("1")];
    let reason = publisher.publish_batch("nobody", &mut batch).unwrap_err();
    assert!(matches!(reason, PublishReason::Unroutable));
    assert_eq!(batch.len(), 1);
    assert!(publisher.publish("k", Message::new("x")).is_ok());
    assert_eq!(publisher.wait_all(LONG).acked, 1);
    Ok(())
}

#[test]
fn windows_are_checked_when_it_opens() -> Result<()> {
    let mut limits = Limits::default();
    limits.unconfirmed = 8;
    let broker = Broker::builder().limits(limits).open()?;
    let exchange = broker.declare_exchange("x").declare()?;
    assert!(exchange.publisher().window(8).open().is_ok());
    let error = exchange.publisher().window(9).open().unwrap_err();
    let ErrorKind::LimitExceeded { limit, max, found, .. } = error.kind() else {
        panic!("{error}")
    };
    assert_eq!((*limit, *max, *found), ("unconfirmed", 8, 9));
    let error = exchange.publisher().window(0).open().unwrap_err();
    assert_eq!(error.to_string(), "'window' of a publisher to exchange 'x' is zero");
    Ok(())
}

#[test]
fn the_window_is_by_default_what_the_limit_allows() -> Result<()> {
    for (unconfirmed, is_open) in [(1, true), (1_023, true), (1_024, true), (0, false)] {
        let mut limits = Limits::default();
        limits.unconfirmed = unconfirmed;
        let broker = Broker::builder().limits(limits).open()?;
        let opened = broker.default_exchange().publisher().open();
        assert_eq!(opened.is_ok(), is_open, "{unconfirmed}");
        let Err(error) = opened else { continue };
        let ErrorKind::LimitExceeded { limit, max, found, .. } = error.kind() else {
            panic!("{error}")
        };
        assert_eq!((*limit, *max, *found), ("unconfirmed", 0, 1));
    }
    Ok(())
}

#[test]
fn a_publish_waits_for_room_and_succeeds_when_it_comes() -> Result<()> {
    in_time(|| {
        let broker = small_broker(1 << 20)?;
        let queue = broker.declare_queue("q").declare()?;
        let body = || Message::new(vec![0; 1 << 20]);
        queue.send(body())?;
        let default = broker.default_exchange();
        let publisher = default.publisher().open()?;
        let error = default.publish_timeout("q", body(), Duration::from_millis(1)).unwrap_err();
        assert!(error.is_full());
        assert_eq!(error.into_message().body().len(), 1 << 20);

        let one = thread::spawn(move || default.publish_timeout("q", body(), LONG));
        let two = thread::spawn(move || publisher.publish_timeout("q", body(), Duration::MAX));
        for _ in 0..3 {
            let delivery = loop {
                match queue.get()? {
                    Some(delivery) => break delivery,
                    None => thread::yield_now(),
                }
            };
            delivery.ack()?;
        }
        assert_eq!(one.join().expect("it does not panic")?.queues, 1);
        assert!(two.join().expect("it does not panic").is_ok());
        assert_eq!((queue.stats().enqueued, queue.stats().acked), (3, 3));
        Ok(())
    })
}

#[test]
fn what_is_refused_for_another_reason_does_not_wait() -> Result<()> {
    in_time(|| {
        let broker = Broker::new();
        let exchange = broker.declare_exchange("x").declare()?;
        exchange.delete()?;
        let error = exchange.publish_timeout("k", Message::new("x"), LONG).unwrap_err();
        assert!(matches!(error.reason(), PublishReason::Refused(_)));
        broker.close(LONG);
        let error = exchange.publish_timeout("k", Message::new("x"), LONG).unwrap_err();
        assert!(matches!(error.reason(), PublishReason::Closed));
        Ok(())
    })
}

#[test]
fn a_task_is_woken_when_there_is_room_again() -> Result<()> {
    // In a memory so small every byte is counted, so one message says what two take.
    let broker = small_broker(4_096)?;
    broker.declare_queue("q").declare()?.send(Message::new("12345678"))?;
    let mut limits = Limits::default();
    limits.memory_bytes = broker.memory_bytes() * 2;
    let broker = Broker::builder().limits(limits).open()?;
    let queue = broker.declare_queue("q").declare()?;
    let publisher = broker.default_exchange().publisher().open()?;
    let alarm = Alarm::new();
    let waker = alarm.waker();
    let mut cx = Context::from_waker(&waker);
    for _ in 0..2 {
        assert!(matches!(publisher.poll_ready(&mut cx), Poll::Ready(Ok(()))));
        assert!(publisher.publish("q", Message::new("12345678")).is_ok());
    }
    assert!(publisher.poll_ready(&mut cx).is_pending());
    assert!(publisher.poll_ready(&mut cx).is_pending());
    assert!(publisher.publish("q", Message::new("")).unwrap_err().is_full());
    let delivery = queue.get()?.expect("there are two");
    assert_eq!(alarm.rings(), 0);
    delivery.ack()?;
    assert_eq!(alarm.rings(), 1, "a task is woken once, however often it asked");
    assert!(matches!(publisher.poll_ready(&mut cx), Poll::Ready(Ok(()))));
    broker.close(Duration::ZERO);
    assert!(matches!(publisher.poll_ready(&mut cx), Poll::Ready(Err(PublishReason::Closed))));
    Ok(())
}

/// Whoever waits for room is told that none will come.
#[test]
fn closing_ends_the_wait_for_room() -> Result<()> {
    in_time(|| {
        // Nothing ever fits, so no room is ever made either.
        let broker = small_broker(0)?;
        broker.declare_queue("q").declare()?;
        let default = broker.default_exchange();
        let publisher = default.publisher().open()?;
        let alarm = Alarm::new();
        let waker = alarm.waker();
        assert!(publisher.poll_ready(&mut Context::from_waker(&waker)).is_pending());
        let waiting = thread::spawn(move || {
            default.publish_timeout("q", Message::new("x"), Duration::MAX).unwrap_err()
        });
        broker.close(Duration::ZERO);
        let error = waiting.join().expect("it does not panic");
        assert!(matches!(error.reason(), PublishReason::Closed), "{error}");
        assert_eq!(alarm.rings(), 1);
        Ok(())
    })
}
