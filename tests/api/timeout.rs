//! Deliveries that are unsettled for too long.

use std::time::Duration;

use leveret::{
    Ack, Broker, ConnectOptions, Consume, Delivery, DeliveryTag, EndReason, ErrorKind, Event, Get,
    Message, Outcome, Queue, Recover, Result, TryRecvError,
};

use crate::hands::{MS, SECOND, check_line, send_all, take};

const LIMIT: Duration = Duration::from_secs(10);

fn timed_queue(broker: &Broker) -> Result<Queue> {
    broker.declare_queue("q").consumer_timeout(LIMIT).declare()
}

#[track_caller]
fn check_lapsed(result: Result<()>) {
    let error = result.unwrap_err();
    let ErrorKind::Lapsed { queue, .. } = error.kind() else { panic!("{error}") };
    assert_eq!(queue.as_str(), "q");
}

#[test]
fn a_delivery_returns_when_its_time_is_over_and_its_consumer_ends() -> Result<()> {
    let (broker, time) = Broker::manual();
    let queue = timed_queue(&broker)?;
    send_all(&queue, ["x"])?;
    let consumer = queue.consume().start()?;
    let delivery = consumer.try_recv()?;
    assert_eq!(time.next_deadline(), Some(LIMIT));
    time.advance(LIMIT - MS);
    assert_eq!((queue.stats().unacked, consumer.end()), (1, None));
    time.advance(MS);
    assert_eq!((queue.stats().ready, queue.stats().consumers), (1, 0));
    assert_eq!(consumer.end(), Some(EndReason::TimedOut));
    assert_eq!(consumer.try_recv().unwrap_err(), TryRecvError::Ended(EndReason::TimedOut));
    assert_eq!(delivery.text(), Some("x"), "it can still be read");
    assert_eq!(take(&queue).attempts(), 2, "it counts as an attempt");
    Ok(())
}

#[test]
fn what_was_not_received_goes_back_unseen_and_in_order() -> Result<()> {
    for is_quorum in [false, true] {
        let (broker, time) = Broker::manual();
        let mut declared = broker.declare_queue("q").consumer_timeout(LIMIT);
        if is_quorum {
            declared = declared.durable().quorum();
        }
        let queue = declared.declare()?;
        let consumer = queue.consume().prefetch(4).start()?;
        send_all(&queue, ["a"])?;
        let held = consumer.try_recv()?;
        time.advance(SECOND);
        send_all(&queue, ["b", "c", "d", "e"])?;
        time.advance(LIMIT - SECOND);
        check_line(&queue, ["a", "b", "c", "d", "e"]);
        drop(held);
        let again: Vec<_> = (0..5).map(|_| take(&queue)).collect();
        let attempts: Vec<_> = again.iter().map(Delivery::attempts).collect();
        assert_eq!(attempts, [2, 1, 1, 1, 1], "quorum: {is_quorum}");
    }
    Ok(())
}

#[test]
fn what_nobody_saw_lapses_without_an_attempt() {
    let (broker, time) = Broker::manual();
    let queue = broker.declare_queue("q").consumer_timeout(SECOND).delivery_limit(0);
    let queue = queue.declare().expect("nothing is wrong with it");
    let consumer = queue.consume().start().expect("it starts");
    for body in ["a", "b", "c"] {
        queue.send(Message::new(body)).expect("there is room");
    }
    let seen = consumer.recv().expect("it is there");
    time.advance(SECOND);
    assert_eq!(consumer.end(), Some(EndReason::TimedOut));
    let left: Vec<_> = queue.browse(10).expect("it is there");
    let left: Vec<_> = left.iter().map(|of| (of.message.text(), of.returns)).collect();
    assert_eq!(left, [(Some("b"), 0), (Some("c"), 0)]);
    assert_eq!(queue.stats().exhausted, 1, "the one that was seen");
    assert!(seen.ack().is_err());
}

#[test]
fn other_consumers_go_on() -> Result<()> {
    let (broker, time) = Broker::manual();
    let queue = timed_queue(&broker)?;
    let [slow, quick] = [queue.consume().start()?, queue.consume().start()?];
    send_all(&queue, ["a", "b"])?;
    let kept = slow.try_recv()?;
    assert_eq!(kept.text(), Some("a"));
    quick.try_recv()?.ack()?;
    time.advance(LIMIT);
    assert_eq!((slow.end(), quick.end()), (Some(EndReason::TimedOut), None));
    let again = quick.try_recv()?;
    assert_eq!((again.text(), again.attempts()), (Some("a"), 2));
    check_lapsed(kept.ack());
    again.ack()?;
    assert_eq!((queue.stats().acked, queue.stats().held()), (2, 0));
    Ok(())
}

#[test]
fn the_next_in_line_becomes_the_single_active_consumer() -> Result<()> {
    let (broker, time) = Broker::manual();
    let declared = broker.declare_queue("q").single_active_consumer().consumer_timeout(LIMIT);
    let queue = declared.declare()?;
    let [first, second] = [queue.consume().start()?, queue.consume().start()?];
    send_all(&queue, ["a", "b"])?;
    let kept = first.try_recv()?;
    assert!(second.try_recv().is_err());
    time.advance(LIMIT);
    let held: Vec<_> = second.try_iter().collect();
    let texts: Vec<_> = held.iter().map(|delivery| delivery.text()).collect();
    assert_eq!(texts, [Some("a"), Some("b")]);
    drop(kept);
    Ok(())
}

#[test]
fn a_consumer_may_have_a_limit_of_its_own() -> Result<()> {
    let (broker, time) = Broker::manual();
    let plain = broker.declare_queue("plain").declare()?;
    for (queue, limit) in [(timed_queue(&broker)?, 2), (timed_queue(&broker)?, 20), (plain, 3)] {
        send_all(&queue, ["x"])?;
        let consumer = queue.consume().consumer_timeout(limit * SECOND).start()?;
        let delivery = consumer.try_recv()?;
        time.advance(limit * SECOND - MS);
        assert_eq!(consumer.end(), None, "{limit} s");
        time.advance(MS);
        assert_eq!(consumer.end(), Some(EndReason::TimedOut), "{limit} s");
        drop(delivery);
        assert_eq!(queue.purge()?, 1);
    }
    Ok(())
}

#[test]
fn the_broker_may_have_a_limit_for_all_and_queues_another() -> Result<()> {
    let time = leveret::ManualClock::new();
    let broker = Broker::builder().manual_clock(&time).consumer_timeout(5 * SECOND).open()?;
    let [plain, own] = [broker.declare_queue("plain").declare()?, timed_queue(&broker)?];
    send_all(&plain, ["x"])?;
    send_all(&own, ["x"])?;
    let _held = [take(&plain), take(&own)];
    time.advance(5 * SECOND);
    assert_eq!((plain.stats().ready, own.stats().ready), (1, 0));
    time.advance(5 * SECOND);
    assert_eq!((plain.stats().ready, own.stats().ready), (1, 1));
    broker.declare_queue("plain").declare()?;
    Ok(())
}

#[test]
fn extending_puts_it_off_from_now() -> Result<()> {
    let (broker, time) = Broker::manual();
    let queue = timed_queue(&broker)?;
    send_all(&queue, ["a", "b"])?;
    let consumer = queue.consume().prefetch(1).start()?;
    let delivery = consumer.try_recv()?;
    let other = take(&queue);
    time.advance(9 * SECOND);
    delivery.extend(LIMIT)?;
    time.advance(SECOND);
    assert_eq!((queue.stats().ready, queue.stats().unacked), (1, 1), "the other one's is over");
    time.advance(9 * SECOND - MS);
    assert_eq!(consumer.end(), None);
    time.advance(MS);
    assert_eq!(consumer.end(), Some(EndReason::TimedOut));
    assert_eq!(queue.stats().ready, 2);
    check_lapsed(delivery.extend(LIMIT));
    check_lapsed(other.extend(LIMIT));
    Ok(())
}

#[test]
fn an_extension_may_be_shorter_and_means_nothing_without_a_limit() -> Result<()> {
    let (broker, time) = Broker::manual();
    let queue = timed_queue(&broker)?;
    send_all(&queue, ["x"])?;
    let delivery = take(&queue);
    delivery.extend(SECOND)?;
    time.advance(SECOND);
    assert_eq!(queue.stats().ready, 1);
    let plain = broker.declare_queue("plain").declare()?;
    send_all(&plain, ["x"])?;
    let delivery = take(&plain);
    delivery.extend(SECOND)?;
    time.advance(100 * SECOND);
    delivery.ack()
}

#[test]
fn settling_later_is_lapsed_and_changes_nothing() -> Result<()> {
    let ways: [fn(Delivery) -> Result<()>; 8] = [
        Delivery::ack,
        Delivery::requeue,
        Delivery::reject,
        |delivery| delivery.retry_in(SECOND),
        |delivery| delivery.extend(SECOND),
        |delivery| delivery.settle(Outcome::Reject("too late".into())),
        |delivery| delivery.process(|_| ()).map(drop),
        |delivery| delivery.into_parts().1.ack(),
    ];
    for settle in ways {
        let (broker, time) = Broker::manual();
        let queue = timed_queue(&broker)?;
        send_all(&queue, ["x"])?;
        let late = take(&queue);
        time.advance(LIMIT);
        let again = take(&queue);
        check_lapsed(settle(late));
        let stats = queue.stats();
        assert_eq!((stats.unacked, stats.returned, stats.enqueued), (1, 1, 1));
        again.ack()?;
        assert_eq!((queue.stats().acked, queue.stats().held()), (1, 0));
    }
    Ok(())
}

/// Deliveries that went back by themselves are not taken for those that were acked with others.
#[test]
fn acking_through_takes_no_late_ones_along() -> Result<()> {
    for is_cancelled in [false, true] {
        let (broker, time) = Broker::manual();
        let queue = timed_queue(&broker)?;
        send_all(&queue, ["a", "b", "c"])?;
        let consumer = queue.consume().start()?;
        let [a, b, c] = [consumer.try_recv()?, consumer.try_recv()?, consumer.try_recv()?];
        b.extend(2 * LIMIT)?;
        c.extend(2 * LIMIT)?;
        if is_cancelled {
            consumer.cancel();
        }
        time.advance(LIMIT);
        let again = take(&queue);
        assert_eq!(again.text(), Some("a"));
        c.ack_through()?;
        check_lapsed(a.ack_through());
        assert_eq!((queue.stats().unacked, queue.stats().acked), (2, 1), "it acked itself");
        b.ack()?;
        again.ack()?;
        assert_eq!((queue.stats().acked, queue.stats().held()), (3, 0));
    }
    Ok(())
}

#[test]
fn settling_in_time_ends_the_time() -> Result<()> {
    let (broker, time) = Broker::manual();
    let queue = timed_queue(&broker)?;
    send_all(&queue, ["a", "b", "c"])?;
    let consumer = queue.consume().start()?;
    time.advance(LIMIT - MS);
    consumer.try_recv()?.ack()?;
    consumer.try_recv()?.reject()?;
    consumer.try_recv()?.ack_through()?;
    time.advance(100 * LIMIT);
    assert_eq!((consumer.end(), queue.stats().held()), (None, 0));
    Ok(())
}

#[test]
fn what_is_acked_on_receipt_does_not_come_back() -> Result<()> {
    let (broker, time) = Broker::manual();
    let queue = timed_queue(&broker)?;
    send_all(&queue, ["x"])?;
    let consumer = queue.consume().auto_ack().start()?;
    let delivery = consumer.try_recv()?;
    time.advance(10 * LIMIT);
    assert_eq!((consumer.end(), queue.stats().held()), (None, 0));
    delivery.ack()
}

#[test]
fn every_lapse_is_an_attempt_for_the_delivery_limit() -> Result<()> {
    let (broker, time) = Broker::manual();
    let queue = broker.declare_queue("q").consumer_timeout(LIMIT).delivery_limit(1).declare()?;
    send_all(&queue, ["x"])?;
    for ready in [1, 0] {
        let _held = take(&queue);
        time.advance(LIMIT);
        assert_eq!(queue.stats().ready, ready);
    }
    assert_eq!((queue.stats().exhausted, queue.stats().delivered), (1, 2));
    Ok(())
}

#[test]
fn a_consumer_of_a_channel_is_cancelled_and_a_late_ack_is_no_error() -> Result<()> {
    let (broker, time) = Broker::manual();
    let queue = timed_queue(&broker)?;
    let connection = broker.connect(ConnectOptions::default())?;
    let channel = connection.open_channel()?;
    channel.basic_consume(Consume { queue: "q", consumer_tag: "slow", ..Consume::default() })?;
    send_all(&queue, ["a", "b"])?;
    for tag in [1, 2] {
        let Some(Event::Deliver(delivered)) = channel.try_event() else { panic!("it is there") };
        assert_eq!(delivered.delivery_tag, DeliveryTag(tag));
    }
    time.advance(LIMIT);
    let Some(Event::Cancel { consumer_tag, .. }) = channel.try_event() else { panic!("it ended") };
    assert_eq!(consumer_tag.as_str(), "slow");
    assert!(channel.try_event().is_none());
    check_line(&queue, ["a", "b"]);
    let again = take(&queue);
    assert_eq!((again.text(), again.attempts()), (Some("a"), 2));

    channel.basic_ack(Ack { delivery_tag: DeliveryTag(1), multiple: false })?;
    channel.basic_recover(Recover { requeue: true })?;
    assert!(channel.error().is_none());
    let stats = queue.stats();
    assert_eq!((stats.ready, stats.unacked, stats.acked), (1, 1, 0));
    again.ack()?;
    let late = Ack { delivery_tag: DeliveryTag(1), multiple: false };
    let error = channel.basic_ack(late).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::UnknownDelivery { .. }), "settled twice: {error}");
    Ok(())
}

#[test]
fn what_was_got_returns_too_on_both_tiers() -> Result<()> {
    let (broker, time) = Broker::manual();
    let queue = timed_queue(&broker)?;
    let connection = broker.connect(ConnectOptions::default())?;
    let channel = connection.open_channel()?;
    send_all(&queue, ["a", "b"])?;
    let delivery = take(&queue);
    channel.basic_get(Get { queue: "q", auto_ack: false })?.expect("it is there");
    time.advance(LIMIT);
    check_line(&queue, ["a", "b"]);
    check_lapsed(delivery.ack());
    channel.basic_ack(Ack { delivery_tag: DeliveryTag(1), multiple: false })?;
    assert_eq!((queue.stats().ready, queue.stats().acked), (2, 0));
    assert!(channel.try_event().is_none() && channel.error().is_none());
    Ok(())
}
