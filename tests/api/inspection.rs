//! Looking at queues, holding them up, and the counts that they keep.

use std::thread;

use leveret::{
    Broker, ConnectOptions, Consume, ErrorKind, Event, Limits, Message, Queue, QueueStats, Result,
};

use crate::{
    hands::{MS, SECOND, check_line, send_all, take},
    watchdog::in_time,
};

#[test]
fn a_paused_queue_hands_nothing_out_and_goes_on_with_the_rest() -> Result<()> {
    let (broker, time) = Broker::manual();
    let queue = broker.declare_queue("q").declare()?;
    send_all(&queue, ["in hand", "in the mailbox"])?;
    let held = take(&queue);
    let consumer = queue.consume().start()?;
    queue.pause()?;
    queue.pause()?;
    assert!(queue.stats().is_paused);
    send_all(&queue, ["a"])?;
    queue.send(Message::new("b").expires_in(SECOND))?;
    assert!(queue.get()?.is_none());
    assert_eq!(consumer.try_recv()?.text(), Some("in the mailbox"), "nothing is retracted");
    held.ack()?;
    check_line(&queue, ["in the mailbox", "a", "b"]);
    assert_eq!(queue.purge_first(2)?, 2);
    time.advance(SECOND);
    let stats = queue.stats();
    assert_eq!((stats.acked, stats.expired, stats.ready), (1, 1, 0));
    send_all(&queue, ["c"])?;
    assert!(consumer.try_recv().is_err());
    queue.resume()?;
    assert!(!queue.stats().is_paused);
    assert_eq!(consumer.try_recv()?.text(), Some("c"));
    Ok(())
}

#[test]
fn workers_and_channels_wait_for_a_paused_queue() -> Result<()> {
    in_time(|| {
        let (broker, _time) = Broker::manual();
        let queue = broker.declare_queue("q").declare()?;
        queue.pause()?;
        let connection = broker.connect(ConnectOptions::default())?;
        let channel = connection.open_channel()?;
        channel.basic_consume(Consume { queue: "q", auto_ack: true, ..Consume::default() })?;
        send_all(&queue, ["x"])?;
        assert!(channel.try_event().is_none());
        queue.resume()?;
        assert!(matches!(channel.try_event(), Some(Event::Deliver(_))));
        connection.close();

        queue.pause()?;
        let workers = queue.workers(2, |_| ())?;
        send_all(&queue, ["y"])?;
        assert_eq!((workers.report().acked, queue.stats().ready), (0, 1));
        queue.resume()?;
        while queue.stats().acked == 0 {
            thread::yield_now();
        }
        assert_eq!(workers.stop(10 * SECOND).acked, 1);
        Ok(())
    })
}

#[test]
fn browsing_changes_nothing_and_shows_what_would_be_handed_out() -> Result<()> {
    let (broker, time) = Broker::manual();
    let exchange = broker.declare_exchange("x").declare()?;
    let queue = broker.declare_queue("q").declare()?;
    exchange.bind(&queue, "key")?;
    exchange.publish("key", Message::new("a"))?;
    queue.send(Message::new("b").expires_in(SECOND))?;
    send_all(&queue, ["c"])?;
    drop(take(&queue));
    let before = queue.stats();
    let seen = queue.browse(10)?;
    assert_eq!(queue.stats(), before);
    let first = &seen[0];
    assert_eq!((first.exchange.as_str(), first.routing_key.as_str()), ("x", "key"));
    assert_eq!((first.is_redelivered, first.returns), (true, 1));
    assert_eq!((seen[2].is_redelivered, seen[2].returns), (false, 0));
    assert_eq!(queue.browse(1)?.len(), 1);
    assert!(queue.browse(0)?.is_empty());
    time.advance(SECOND);
    check_line(&queue, ["a", "c"]);
    send_all(&queue, ["d"])?;
    assert_eq!(seen.len(), 3, "it is as of one moment");
    let [a, b] = [take(&queue), take(&queue)];
    assert!(a.is_redelivered() && !b.is_redelivered());
    Ok(())
}

#[test]
fn browsing_has_a_limit_and_an_end() -> Result<()> {
    let mut limits = Limits::default();
    limits.browsed_messages = 2;
    let queue = Broker::builder().limits(limits).open()?.declare_queue("q").declare()?;
    let broker_of = queue.clone();
    send_all(&queue, ["a", "b", "c"])?;
    assert_eq!(queue.browse(2)?.len(), 2);
    let error = queue.browse(3).unwrap_err();
    let ErrorKind::LimitExceeded { limit, max, found, .. } = error.kind() else {
        panic!("{error}")
    };
    assert_eq!((*limit, *max, *found), ("browsed_messages", 2, 3));
    queue.delete()?;
    assert!(broker_of.browse(1).unwrap_err().is_not_found());
    assert!(queue.pause().unwrap_err().is_not_found());
    assert!(queue.purge_first(1).unwrap_err().is_not_found());
    Ok(())
}

#[test]
fn purging_takes_the_first_and_leaves_what_is_in_hand() -> Result<()> {
    let (broker, _time) = Broker::manual();
    let queue = broker.declare_queue("q").max_priority(5).declare()?;
    send_all(&queue, ["held", "low 1", "low 2"])?;
    let held = take(&queue);
    queue.send(Message::new("high").with_priority(5))?;
    assert_eq!(queue.purge_first(2)?, 2);
    check_line(&queue, ["low 2"]);
    assert_eq!(queue.purge_first(0)?, 0);
    assert_eq!(queue.purge_first(100)?, 1);
    held.requeue()?;
    check_line(&queue, ["held"]);
    assert_eq!(queue.stats().purged, 3);
    Ok(())
}

#[test]
fn waits_are_measured_until_the_first_hand_out() -> Result<()> {
    let (broker, time) = Broker::manual();
    let queue = broker.declare_queue("q").measure_latency().declare()?;
    assert_eq!(broker.declare_queue("plain").declare()?.latency(), None);
    assert_eq!(queue.stats().oldest, None);
    send_all(&queue, ["a"])?;
    time.advance(3 * MS);
    send_all(&queue, ["b"])?;
    time.advance(2 * MS);
    assert_eq!(queue.stats().oldest, Some(5 * MS));
    let a = take(&queue);
    assert_eq!(queue.stats().oldest, Some(2 * MS));
    a.requeue()?;
    time.advance(SECOND);
    let [_a, _b] = [take(&queue), take(&queue)];
    let latency = queue.latency().expect("it is measured");
    assert_eq!(latency.count(), 2, "a hand-out after a return is not the first");
    assert_eq!((latency.longest(), latency.total()), (SECOND + 2 * MS, SECOND + 7 * MS));
    let of = |bound| latency.buckets().find(|of| of.0 == Some(bound)).map(|of| of.1);
    assert_eq!((of(5 * MS), of(2 * SECOND), of(SECOND)), (Some(1), Some(1), Some(0)));
    Ok(())
}

/// An ack hands out what is next: no other call has told the queue the time before.
#[test]
fn a_wait_that_an_ack_ends_is_measured_until_then() -> Result<()> {
    let (broker, time) = Broker::manual();
    let queue = broker.declare_queue("q").measure_latency().declare()?;
    let consumer = queue.consume().prefetch(1).start()?;
    send_all(&queue, ["a", "b"])?;
    let a = consumer.try_recv()?;
    time.advance(30 * SECOND);
    a.ack()?;
    consumer.try_recv()?.ack()?;
    let latency = queue.latency().expect("it is measured");
    assert_eq!((latency.count(), latency.longest()), (2, 30 * SECOND));
    Ok(())
}

/// Checks the law of conservation, and states and causes that are to be seen.
#[track_caller]
fn check(queue: &Queue, states: [u64; 3], gone: u64) -> QueueStats {
    let found = queue.stats();
    assert!(found.is_conserved(), "{found:?}");
    assert_eq!([found.ready, found.unacked, found.delayed], states, "{found:?}");
    assert_eq!(found.gone(), gone, "{found:?}");
    found
}

#[test]
fn one_long_life_adds_up_after_every_step() -> Result<()> {
    let (broker, time) = Broker::manual();
    let declared = broker.declare_queue("q").max_length(5).delivery_limit(1);
    let queue = declared.declare()?;
    send_all(&queue, ["1", "2", "3", "4", "5", "6"])?;
    assert_eq!(check(&queue, [5, 0, 0], 1).dropped, 1);
    take(&queue).ack()?;
    take(&queue).reject()?;
    check(&queue, [3, 0, 0], 3);
    take(&queue).retry_in(SECOND)?;
    check(&queue, [2, 0, 1], 3);
    time.advance(SECOND);
    check(&queue, [3, 0, 0], 3);
    take(&queue).requeue()?;
    assert_eq!(check(&queue, [2, 0, 0], 4).exhausted, 1);
    let consumer = queue.consume().auto_ack().prefetch(1).start()?;
    check(&queue, [1, 1, 0], 4);
    drop(consumer.try_recv()?);
    drop(consumer);
    let stats = check(&queue, [1, 0, 0], 5);
    assert_eq!((stats.auto_acked, stats.delivered, stats.returned), (1, 6, 3));
    queue.send(Message::new("7").expires_in(SECOND))?;
    assert_eq!(queue.purge_first(1)?, 1);
    time.advance(SECOND);
    assert_eq!(check(&queue, [0, 0, 0], 7).expired, 1);
    send_all(&queue, ["8", "9"])?;
    let _held = take(&queue);
    queue.delete()?;
    assert_eq!(check(&queue, [0, 0, 0], 9).deleted, 2);
    Ok(())
}

#[test]
fn what_consumers_were_handed_adds_up_on_both_tiers() -> Result<()> {
    let (broker, _time) = Broker::manual();
    let queue = broker.declare_queue("q").declare()?;
    let consumer = queue.consume().prefetch(5).tag("handle").start()?;
    send_all(&queue, ["1", "2", "3", "4", "5"])?;
    consumer.try_recv()?.ack()?;
    consumer.try_recv()?.reject()?;
    let kept = consumer.try_recv()?;
    let connection = broker.connect(ConnectOptions::default())?;
    let channel = connection.open_channel()?;
    channel.basic_consume(Consume { queue: "q", consumer_tag: "channel", ..Consume::default() })?;
    send_all(&queue, ["6", "7"])?;
    let stats = queue.consumer_stats();
    let tags: Vec<_> = stats.iter().map(|of| of.tag.as_str()).collect();
    assert_eq!(tags, ["handle", "channel"]);
    let sums = stats.iter().map(|of| of.unacked + of.acked + of.rejected + of.returned);
    assert_eq!(sums.sum::<u64>(), queue.stats().delivered);
    assert_eq!((stats[0].acked, stats[0].rejected, stats[0].returned), (1, 1, 0));
    kept.requeue()?;
    assert_eq!(queue.consumer_stats().iter().map(|of| of.returned).sum::<u64>(), 1);
    Ok(())
}

#[test]
fn sums_never_fall_when_queues_and_virtual_hosts_go() -> Result<()> {
    let (broker, _time) = Broker::manual();
    let vhost = broker.create_vhost("v")?;
    for name in ["1", "2"] {
        let queue = vhost.declare_queue(name).declare()?;
        send_all(&queue, ["a", "b", "c"])?;
        take(&queue).ack()?;
    }
    let before = vhost.stats();
    assert_eq!((before.enqueued, before.acked, before.ready), (6, 2, 4));
    vhost.queue("1")?.delete()?;
    let after = vhost.stats();
    assert_eq!((after.enqueued, after.acked, after.deleted, after.ready), (6, 2, 2, 2));
    broker.delete_vhost("v")?;
    let all = broker.stats();
    assert_eq!((all.enqueued, all.acked, all.deleted, all.held()), (6, 2, 4, 0));
    assert!(after.is_conserved() && all.is_conserved());
    assert_eq!(broker.vhost("/")?.stats().enqueued, 0);
    Ok(())
}

#[test]
fn an_exchange_counts_what_it_routes() -> Result<()> {
    let (broker, _time) = Broker::manual();
    let exchange = broker.declare_exchange("x").fanout().declare()?;
    exchange.publish("", Message::new("to nobody"))?;
    for name in ["1", "2"] {
        exchange.bind(&broker.declare_queue(name).declare()?, "")?;
    }
    exchange.publish("", Message::new("to both"))?;
    exchange.publish_batch("", &mut vec![Message::new("3"), Message::new("4")])?;
    let stats = exchange.stats();
    assert_eq!((stats.published, stats.copies, stats.unroutable), (4, 6, 1));
    assert_eq!(broker.stats().enqueued, 6);
    Ok(())
}
