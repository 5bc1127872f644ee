//! Messages that wait before they are tried again.

use std::{
    panic::{self, AssertUnwindSafe},
    thread,
    time::Duration,
};

use leveret::{
    Broker, ConnectOptions, DelayedRetry, Delivery, DeliveryTag, ErrorKind, Get, ManualClock,
    Message, Nack, Outcome, Overflow, PublishReason, Queue, Recover, Reject, Result,
};

use crate::{
    hands::{MS, SECOND, check_line, send_all, take},
    watchdog::in_time,
};

const FIRST: Duration = Duration::from_millis(100);

fn queue_with(retry: DelayedRetry) -> Result<(Broker, ManualClock, Queue)> {
    let (broker, time) = Broker::manual();
    let queue = broker.declare_queue("q").delayed_retry(retry).declare()?;
    Ok((broker, time, queue))
}

/// Gives a message back again and again, and checks after how many milliseconds each time it is
/// there again, and not before.
#[track_caller]
fn check_pauses<const N: usize>(retry: DelayedRetry, pauses_ms: [u32; N]) {
    let (_broker, time, queue) = queue_with(retry).expect("it is declared");
    queue.send(Message::new("x")).expect("there is room");
    for (attempt, pause) in (1..).zip(pauses_ms) {
        let delivery = take(&queue);
        assert_eq!(delivery.attempts(), attempt);
        delivery.requeue().expect("it is in time");
        assert_eq!((queue.stats().ready, queue.stats().delayed), (0, 1));
        time.advance(MS * pause - MS);
        assert_eq!(queue.stats().ready, 0, "return {attempt}: it waits {pause} ms");
        time.advance(MS);
        assert_eq!(queue.stats().ready, 1, "return {attempt}: it waits {pause} ms");
    }
}

#[test]
fn pauses_grow_as_they_are_declared() {
    check_pauses(DelayedRetry::fixed(FIRST), [100, 100, 100, 100]);
    check_pauses(DelayedRetry::linear(FIRST), [100, 200, 300, 400]);
    check_pauses(DelayedRetry::exponential(FIRST), [100, 200, 400, 800, 1_600]);
    check_pauses(DelayedRetry::exponential(FIRST).multiplier(3.0), [100, 300, 900]);
}

#[test]
fn no_pause_is_longer_than_the_longest() {
    let longest = 250 * MS;
    check_pauses(DelayedRetry::linear(FIRST).at_most(longest), [100, 200, 250, 250]);
    check_pauses(DelayedRetry::exponential(FIRST).at_most(longest), [100, 200, 250, 250]);
    check_pauses(DelayedRetry::fixed(FIRST).at_most(FIRST), [100, 100]);
}

/// After how long each of many messages is back that were given back at the same time.
fn spread(retry: DelayedRetry) -> Result<Vec<Duration>> {
    let (_broker, time, queue) = queue_with(retry)?;
    (0..64).try_for_each(|n| queue.send(Message::new(n.to_string())))?;
    let held: Vec<_> = (0..64).map(|_| take(&queue)).collect();
    held.into_iter().try_for_each(Delivery::requeue)?;
    let mut ends = Vec::new();
    while let Some(next) = time.next_deadline() {
        let before = queue.stats().ready;
        time.advance(next);
        ends.extend((before..queue.stats().ready).map(|_| time.elapsed()));
    }
    assert_eq!(ends.len(), 64);
    Ok(ends)
}

#[test]
fn jitter_spreads_what_failed_together_and_is_the_same_when_replayed() -> Result<()> {
    let half = DelayedRetry::fixed(FIRST).jitter(0.5);
    let ends = spread(half)?;
    assert!(ends.iter().all(|end| (50 * MS..=150 * MS).contains(end)), "{ends:?}");
    assert!(ends.first() < Some(&(75 * MS)) && ends.last() > Some(&(125 * MS)), "{ends:?}");
    let mut distinct = ends.clone();
    distinct.dedup();
    assert!(distinct.len() > 32, "{ends:?}");
    assert_eq!(ends, spread(half)?);
    let bounded = spread(half.at_most(FIRST))?;
    assert!(bounded.iter().all(|end| (50 * MS..=FIRST).contains(end)), "{bounded:?}");
    Ok(())
}

/// A way to give a message back, by whoever may have it.
type Return = fn(&Broker, &Queue) -> Result<()>;

/// How somebody fails at a message.
const FAILURES: [(&str, Return); 5] = [
    ("drop", |_, queue| {
        drop(take(queue));
        Ok(())
    }),
    ("panic in process", |_, queue| {
        let delivery = take(queue);
        let handler = |_: &Delivery| -> () { panic::resume_unwind(Box::new("it gives up")) };
        let processed = panic::catch_unwind(AssertUnwindSafe(|| delivery.process(handler)));
        assert!(processed.is_err());
        Ok(())
    }),
    ("panic in a worker", |_, queue| {
        let paused = queue.clone();
        let workers = queue.workers(1, move |_| -> () {
            paused.pause().expect("it is there");
            panic::resume_unwind(Box::new("it gives up"))
        })?;
        while workers.report().panicked == 0 {
            thread::yield_now();
        }
        let _ = workers.stop(10 * SECOND);
        queue.resume()
    }),
    ("reject with requeue", |broker, _| {
        let connection = broker.connect(ConnectOptions::default())?;
        let channel = connection.open_channel()?;
        let tag = channel.basic_get(Get { queue: "q", auto_ack: false })?.expect("it is there");
        channel.basic_reject(Reject { delivery_tag: tag.delivery_tag, requeue: true })
    }),
    ("end of a channel", |broker, _| {
        let connection = broker.connect(ConnectOptions::default())?;
        let channel = connection.open_channel()?;
        channel.basic_get(Get { queue: "q", auto_ack: false })?.expect("it is there");
        channel.close();
        Ok(())
    }),
];

/// How a message is given back on purpose.
const RETURNS: [(&str, Return); 4] = [
    ("requeue", |_, queue| take(queue).requeue()),
    ("outcome", |_, queue| take(queue).settle(Outcome::Requeue)),
    ("nack with requeue", |broker, _| {
        let connection = broker.connect(ConnectOptions::default())?;
        let channel = connection.open_channel()?;
        channel.basic_get(Get { queue: "q", auto_ack: false })?.expect("it is there");
        let delivery_tag = DeliveryTag(1);
        channel.basic_nack(Nack { delivery_tag, multiple: false, requeue: true })
    }),
    ("recover", |broker, _| {
        let connection = broker.connect(ConnectOptions::default())?;
        let channel = connection.open_channel()?;
        channel.basic_get(Get { queue: "q", auto_ack: false })?.expect("it is there");
        channel.basic_recover(Recover { requeue: true })
    }),
];

/// Checks that each of these ways puts a message off, or that each leaves it ready.
fn check_waits(retry: DelayedRetry, ways: &[(&str, Return)], waits: bool) -> Result<()> {
    for (name, give_back) in ways {
        let (broker, time, queue) = queue_with(retry)?;
        send_all(&queue, ["x"])?;
        give_back(&broker, &queue)?;
        let stats = queue.stats();
        let expected = if waits { (0, 1) } else { (1, 0) };
        assert_eq!((stats.ready, stats.delayed), expected, "{name}");
        time.advance(FIRST);
        assert_eq!(take(&queue).attempts(), 2, "{name}");
    }
    Ok(())
}

#[test]
fn failures_wait_if_failures_are_to_and_returns_do_not() -> Result<()> {
    in_time(|| {
        let retry = DelayedRetry::fixed(FIRST).only_failed();
        check_waits(retry, &FAILURES, true)?;
        check_waits(retry, &RETURNS, false)
    })
}

#[test]
fn returns_wait_if_returns_are_to_and_failures_do_not() -> Result<()> {
    in_time(|| {
        let retry = DelayedRetry::fixed(FIRST).only_returned();
        check_waits(retry, &RETURNS, true)?;
        check_waits(retry, &FAILURES, false)
    })
}

#[test]
fn both_wait_unless_told_otherwise_and_what_nobody_saw_never() -> Result<()> {
    in_time(|| {
        let retry = DelayedRetry::fixed(FIRST);
        check_waits(retry, &FAILURES, true)?;
        check_waits(retry, &RETURNS, true)
    })?;
    let (_broker, _time, queue) = queue_with(DelayedRetry::fixed(FIRST))?;
    send_all(&queue, ["x"])?;
    drop(queue.consume().start()?);
    assert_eq!((queue.stats().ready, queue.stats().delayed), (1, 0));
    Ok(())
}

#[test]
fn a_delivery_may_be_put_off_on_any_queue_and_keeps_its_place() -> Result<()> {
    let (broker, time) = Broker::manual();
    let queue = broker.declare_queue("q").declare()?;
    send_all(&queue, ["a", "b", "c", "d"])?;
    let [a, b, c] = [take(&queue), take(&queue), take(&queue)];
    a.retry_in(2 * SECOND)?;
    b.ack()?;
    c.retry_in(SECOND)?;
    check_line(&queue, ["d"]);
    time.advance(SECOND);
    check_line(&queue, ["c", "d"]);
    time.advance(SECOND);
    check_line(&queue, ["a", "c", "d"]);
    let first = take(&queue);
    assert_eq!((first.text(), first.attempts()), (Some("a"), 2));
    assert!(first.is_redelivered());
    Ok(())
}

#[test]
fn a_delay_that_is_asked_for_wins_over_the_declared_one() -> Result<()> {
    let (_broker, time, queue) = queue_with(DelayedRetry::fixed(FIRST))?;
    send_all(&queue, ["later", "at once"])?;
    let [later, at_once] = [take(&queue), take(&queue)];
    later.retry_in(SECOND)?;
    at_once.retry_in(Duration::ZERO)?;
    check_line(&queue, ["at once"]);
    time.advance(FIRST);
    check_line(&queue, ["at once"]);
    time.advance(SECOND - FIRST);
    check_line(&queue, ["later", "at once"]);
    Ok(())
}

#[test]
fn nobody_waits_behind_a_delayed_one() -> Result<()> {
    let (broker, time) = Broker::manual();
    let queue = broker.declare_queue("q").declare()?;
    let consumer = queue.consume().prefetch(1).start()?;
    send_all(&queue, ["a", "b", "c"])?;
    let a = consumer.try_recv()?;
    a.retry_in(SECOND)?;
    let b = consumer.try_recv()?;
    assert_eq!(b.text(), Some("b"));
    time.advance(SECOND);
    b.ack()?;
    assert_eq!(consumer.try_recv()?.text(), Some("a"), "it is before c again");
    Ok(())
}

#[test]
fn delayed_messages_count_for_no_bound() -> Result<()> {
    let (broker, time) = Broker::manual();
    let declared = broker.declare_queue("q").max_length(2).overflow(Overflow::RejectPublish);
    let queue = declared.declare()?;
    send_all(&queue, ["a", "b"])?;
    take(&queue).retry_in(SECOND)?;
    send_all(&queue, ["c"])?;
    let refused = queue.send(Message::new("d")).unwrap_err();
    assert!(matches!(refused.reason(), PublishReason::Full { limit: "x-max-length", .. }));
    time.advance(SECOND);
    check_line(&queue, ["a", "b", "c"]);

    let dropping = broker.declare_queue("dropping").max_length(2).declare()?;
    send_all(&dropping, ["a", "b"])?;
    take(&dropping).retry_in(SECOND)?;
    send_all(&dropping, ["c"])?;
    assert_eq!((dropping.stats().ready, dropping.stats().dropped), (2, 0));
    time.advance(SECOND);
    check_line(&dropping, ["b", "c"]);
    assert_eq!(dropping.stats().dropped, 1, "it is the first in line when it is back");
    Ok(())
}

#[test]
fn being_delayed_is_a_state_of_its_own() -> Result<()> {
    let (broker, time) = Broker::manual();
    let queue = broker.declare_queue("q").declare()?;
    send_all(&queue, ["a", "b", "c"])?;
    let bytes = queue.stats().bytes;
    let states = || {
        let stats = queue.stats();
        assert!(stats.is_conserved(), "{stats:?}");
        assert_eq!((stats.bytes, stats.held()), (bytes, 3));
        (stats.ready, stats.unacked, stats.delayed)
    };
    let [a, b] = [take(&queue), take(&queue)];
    assert_eq!(states(), (1, 2, 0));
    a.retry_in(SECOND)?;
    assert_eq!(states(), (1, 1, 1));
    b.retry_in(2 * SECOND)?;
    assert_eq!(states(), (1, 0, 2));
    assert_eq!(queue.purge()?, 1, "what is delayed is not purged");
    assert_eq!((queue.stats().delayed, queue.stats().purged), (2, 1));
    time.advance(2 * SECOND);
    assert_eq!((queue.stats().ready, queue.stats().delayed), (2, 0));
    assert_eq!(queue.stats().returned, 2);
    Ok(())
}

#[test]
fn the_delivery_limit_ends_retries_without_another_pause() -> Result<()> {
    let (broker, time) = Broker::manual();
    let retry = DelayedRetry::fixed(FIRST);
    let queue = broker.declare_queue("q").delayed_retry(retry).delivery_limit(2).declare()?;
    send_all(&queue, ["x"])?;
    for _ in 0..2 {
        take(&queue).requeue()?;
        assert_eq!(queue.stats().delayed, 1);
        time.advance(FIRST);
    }
    take(&queue).requeue()?;
    let stats = queue.stats();
    assert_eq!((stats.held(), stats.exhausted, stats.delivered), (0, 1, 3));
    send_all(&queue, ["y"])?;
    for _ in 0..2 {
        take(&queue).retry_in(FIRST)?;
        time.advance(FIRST);
    }
    take(&queue).retry_in(FIRST)?;
    assert_eq!(queue.stats().exhausted, 2, "asking for a delay counts as well");
    Ok(())
}

#[test]
fn ten_years_are_the_longest_delay_and_beyond_it_is_back_at_once() -> Result<()> {
    let ten_years = 10 * 365 * 24 * 3_600 * SECOND;
    let (_broker, time, queue) = queue_with(DelayedRetry::fixed(FIRST))?;
    send_all(&queue, ["x"])?;
    take(&queue).retry_in(ten_years)?;
    assert_eq!(time.next_deadline(), Some(ten_years));
    time.advance(ten_years);
    let error = take(&queue).retry_in(ten_years + MS).unwrap_err();
    let ErrorKind::InvalidArgument { argument, .. } = error.kind() else { panic!("{error}") };
    assert_eq!(argument.as_str(), "retry_in");
    assert_eq!((queue.stats().ready, queue.stats().delayed), (1, 0));
    let consumer = queue.consume().reject_on_drop().start()?;
    assert!(consumer.try_recv()?.retry_in(Duration::MAX).is_err());
    assert_eq!(consumer.try_recv()?.attempts(), 4, "it was not rejected either");
    Ok(())
}

#[test]
fn workers_may_put_a_task_off() -> Result<()> {
    in_time(|| {
        let (broker, time) = Broker::manual();
        let queue = broker.declare_queue("q").declare()?;
        let workers = queue.workers(2, |task| match task.attempts() {
            1 => Outcome::RetryIn(3_600 * SECOND),
            _ => Outcome::Ack,
        })?;
        send_all(&queue, ["x", "y"])?;
        while queue.stats().delayed < 2 {
            thread::yield_now();
        }
        assert_eq!(time.next_deadline(), Some(3_600 * SECOND));
        time.advance(3_600 * SECOND);
        assert!(queue.wait_empty(10 * SECOND));
        let report = workers.stop(10 * SECOND);
        assert_eq!((report.retried, report.acked, report.requeued), (2, 2, 0));
        assert_eq!(queue.stats().acked, 2);
        Ok(())
    })
}

#[test]
fn delayed_messages_go_with_their_queue() -> Result<()> {
    let (broker, time) = Broker::manual();
    let queue = broker.declare_queue("q").declare()?;
    send_all(&queue, ["a", "b"])?;
    take(&queue).retry_in(SECOND)?;
    take(&queue).retry_in(SECOND)?;
    let error = queue.delete_if_empty().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NotEmpty { .. }), "{error}");
    assert_eq!(queue.delete()?, 0, "none was ready");
    let stats = queue.stats();
    assert_eq!((stats.deleted, stats.held(), stats.bytes), (2, 0, 0));
    assert!(stats.is_conserved());
    assert_eq!(time.next_deadline(), None);

    let idle = broker.declare_queue("idle").expires_after(SECOND).declare()?;
    send_all(&idle, ["x"])?;
    take(&idle).retry_in(10 * SECOND)?;
    time.advance(SECOND);
    assert_eq!((idle.stats().deleted, idle.stats().delayed), (1, 0));
    assert_eq!(time.next_deadline(), None);
    Ok(())
}
