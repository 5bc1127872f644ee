//! Messages that outlive their broker.

use std::time::Duration;

use leveret::{Broker, DelayedRetry, Delivery, Limits, ManualClock, Message, Queue, Table, Value};

use super::folder::{Folder, PATIENCE};

fn durable(broker: &Broker, name: &str) -> Queue {
    broker.declare_queue(name).durable().declare().unwrap()
}

fn send(queue: &Queue, bodies: &str) {
    for body in bodies.split(' ') {
        queue.send(Message::new(body.to_owned()).persistent()).unwrap();
    }
}

fn get(queue: &Queue) -> Delivery {
    queue.get().unwrap().expect("it is there")
}

/// What is ready, with a mark on what was handed out before. Everything is acked.
fn drain(queue: &Queue) -> String {
    let mut seen = Vec::new();
    while let Some(delivery) = queue.get().unwrap() {
        let mark = if delivery.is_redelivered() { "!" } else { "" };
        seen.push(format!("{}{mark}", delivery.text().unwrap()));
        delivery.ack().unwrap();
    }
    seen.join(" ")
}

#[test]
fn what_is_persistent_in_a_durable_queue_comes_back_in_order() {
    let folder = Folder::new();
    let broker = folder.open();
    let queue = durable(&broker, "q");
    send(&queue, "a b");
    queue.send(Message::new("transient")).unwrap();
    send(&queue, "c");
    let other = broker.declare_queue("transient").declare().unwrap();
    send(&other, "gone");
    let report = broker.close(PATIENCE);
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.messages_lost, 2);
    drop((queue, other, broker));
    let broker = folder.open();
    let report = broker.recovery_report();
    assert_eq!((report.queues, report.messages, report.redelivered), (1, 3, 0));
    assert!(!report.was_cut);
    assert!(broker.queue("transient").is_err());
    assert_eq!(drain(&broker.queue("q").unwrap()), "a b c");
}

#[test]
fn a_message_comes_back_with_all_it_had() {
    let folder = Folder::new();
    let broker = folder.open();
    durable(&broker, "q");
    let nested = Table::from([("deep", true)]);
    let message = Message::new([0, 159, 146, 150])
        .persistent()
        .with_content_type("application/octet-stream")
        .with_content_encoding("none")
        .with_header("count", 7_i64)
        .with_header("nested", nested)
        .with_priority(3)
        .with_correlation_id("c")
        .with_reply_to("r")
        .with_expiration("60000")
        .with_message_id("m")
        .with_timestamp(1_700_000_000)
        .with_kind("t")
        .with_app_id("a");
    broker.default_exchange().publish("q", message.clone()).unwrap();
    broker.close(PATIENCE);
    drop(broker);
    let broker = folder.open();
    let delivery = get(&broker.queue("q").unwrap());
    assert_eq!(*delivery.message(), message);
    assert_eq!((delivery.exchange(), delivery.routing_key()), ("", "q"));
}

#[test]
fn long_bodies_come_back() {
    let folder = Folder::new();
    let broker = folder.open();
    let queue = durable(&broker, "q");
    let body: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
    for length in [0, 1, 6_000, 8_192, 20_000, body.len()] {
        queue.send(Message::new(&body[..length]).persistent()).unwrap();
    }
    broker.close(PATIENCE);
    drop((queue, broker));
    let queue = folder.open().queue("q").unwrap();
    for length in [0, 1, 6_000, 8_192, 20_000, body.len()] {
        let delivery = get(&queue);
        assert!(delivery.body() == &body[..length], "{length} bytes");
        delivery.ack().unwrap();
    }
}

#[test]
fn what_was_in_hand_comes_back_flagged_and_counted() {
    let folder = Folder::new();
    let broker = folder.open();
    let queue = durable(&broker, "q");
    send(&queue, "a b c d");
    let (a, b) = (get(&queue), get(&queue));
    b.requeue().unwrap();
    let b = get(&queue);
    assert_eq!(b.attempts(), 2);
    broker.close(Duration::ZERO);
    drop((a, b, queue, broker));
    let queue = folder.open().queue("q").unwrap();
    let (a, b) = (get(&queue), get(&queue));
    assert_eq!((a.text(), a.is_redelivered(), a.attempts()), (Some("a"), true, 2));
    assert_eq!((b.text(), b.is_redelivered(), b.attempts()), (Some("b"), true, 3));
    assert_eq!(drain(&queue), "c d", "what nobody saw is not flagged");
}

#[test]
fn after_a_crash_what_may_have_been_handed_out_is_flagged() {
    let folder = Folder::new();
    let broker = folder.open();
    let (used, unused) = (durable(&broker, "used"), durable(&broker, "unused"));
    send(&used, "a b c");
    send(&unused, "d");
    let a = get(&used);
    get(&used).ack_sync(PATIENCE).unwrap();
    let crashed = folder.crashed();
    let broker = crashed.open();
    assert_eq!(broker.recovery_report().redelivered, 2);
    assert_eq!(drain(&broker.queue("used").unwrap()), "a! c!");
    assert_eq!(drain(&broker.queue("unused").unwrap()), "d");
    drop(a);
}

#[test]
fn doubts_outlive_a_clean_close_and_end_with_their_messages() {
    let folder = Folder::new();
    let broker = folder.open();
    let queue = durable(&broker, "q");
    send(&queue, "a b");
    drop(get(&queue));
    broker.sync(PATIENCE).unwrap();
    let crashed = folder.crashed();
    let broker = crashed.open();
    send(&broker.queue("q").unwrap(), "c");
    broker.close(PATIENCE);
    drop(broker);
    let broker = crashed.open();
    assert_eq!(drain(&broker.queue("q").unwrap()), "a! b! c");
    send(&broker.queue("q").unwrap(), "d");
    broker.close(PATIENCE);
    drop(broker);
    assert_eq!(drain(&crashed.open().queue("q").unwrap()), "d");
}

#[test]
fn acks_that_were_waited_for_are_for_good() {
    let folder = Folder::new();
    let broker = folder.open();
    let queue = durable(&broker, "q");
    send(&queue, "a b c");
    get(&queue).ack().unwrap();
    get(&queue).ack_sync(PATIENCE).unwrap();
    let crashed = folder.crashed();
    assert_eq!(drain(&crashed.open().queue("q").unwrap()), "c!");
}

#[test]
fn an_ack_before_a_confirmed_publish_is_for_good() {
    let folder = Folder::new();
    let broker = folder.open();
    let queue = durable(&broker, "q");
    let publisher = broker.default_exchange().publisher().open().unwrap();
    send(&queue, "a");
    let consumer = queue.consume().prefetch(10).start().unwrap();
    for round in 0..20 {
        let delivery = consumer.recv_timeout(PATIENCE).unwrap();
        delivery.ack().unwrap();
        let next = Message::new(round.to_string()).persistent();
        publisher.publish("q", next).unwrap().wait().unwrap();
        let crashed = folder.crashed();
        let left = drain(&crashed.open().queue("q").unwrap());
        assert_eq!(left, format!("{round}!"));
    }
}

#[test]
fn delivery_counts_go_on() {
    let folder = Folder::new();
    let broker = folder.open();
    let dead = durable(&broker, "dead");
    let queue = broker.declare_queue("q").durable().delivery_limit(2).dead_letter_to(&dead);
    let queue = queue.declare().unwrap();
    send(&queue, "a");
    get(&queue).requeue().unwrap();
    broker.close(PATIENCE);
    drop((dead, queue, broker));
    let broker = folder.open();
    let queue = broker.queue("q").unwrap();
    get(&queue).requeue().unwrap();
    assert_eq!(get(&queue).attempts(), 3);
    assert_eq!(drain(&broker.queue("dead").unwrap()), "a");
}

#[test]
fn dead_letters_come_back_with_their_deaths() {
    let folder = Folder::new();
    let broker = folder.open();
    let dead = durable(&broker, "dead");
    let queue = broker.declare_queue("q").durable().dead_letter_to(&dead).declare().unwrap();
    send(&queue, "a");
    get(&queue).reject().unwrap();
    let death = |queue: &Queue| {
        let seen = queue.browse(1).unwrap();
        seen[0].message.header("x-death").cloned().expect("it has died")
    };
    let before = death(&dead);
    broker.close(PATIENCE);
    drop((dead, queue, broker));
    let broker = folder.open();
    assert_eq!(death(&broker.queue("dead").unwrap()), before);
    assert_eq!(broker.queue("q").unwrap().stats().ready, 0);
}

#[test]
fn what_expired_meanwhile_stands_behind_what_was_there() {
    let (folder, clock) = (Folder::new(), ManualClock::new());
    let broker = folder.open_at(&clock);
    // The queue is older than the one for its letters, and so comes back earlier.
    let letters = broker.declare_exchange("letters").fanout().durable().declare().unwrap();
    let queue = broker.declare_queue("q").durable().dead_letter_to(&letters);
    let queue = queue.message_ttl(Duration::from_secs(10)).declare().unwrap();
    let dead = durable(&broker, "dead");
    letters.bind(&dead, "").unwrap();
    send(&dead, "a b c");
    send(&queue, "d e");
    broker.close(PATIENCE);
    drop((letters, queue, dead, broker));
    clock.advance(Duration::from_mins(1));
    for _ in 0..2 {
        let broker = folder.open_at(&clock);
        let dead = broker.queue("dead").unwrap();
        let seen = dead.browse(10).unwrap();
        let seen: Vec<_> = seen.iter().map(|seen| seen.message.text().unwrap()).collect();
        assert_eq!(seen.join(" "), "a b c d e");
        broker.close(PATIENCE);
    }
}

#[test]
fn the_rest_of_its_time_is_left_to_a_message() {
    let (folder, clock) = (Folder::new(), ManualClock::new());
    let broker = folder.open_at(&clock);
    let queue = durable(&broker, "q");
    queue.send(Message::new("10").persistent().expires_in(Duration::from_secs(10))).unwrap();
    queue.send(Message::new("50").persistent().expires_in(Duration::from_secs(50))).unwrap();
    clock.advance(Duration::from_secs(4));
    broker.close(PATIENCE);
    drop((queue, broker));
    clock.advance(Duration::from_secs(3));
    let broker = folder.open_at(&clock);
    let queue = broker.queue("q").unwrap();
    clock.advance(Duration::from_millis(2_999));
    assert_eq!(queue.stats().ready, 2);
    clock.advance(Duration::from_millis(1));
    assert_eq!((queue.stats().ready, queue.stats().expired), (1, 1));
    broker.close(PATIENCE);
    drop((queue, broker));
    clock.advance(Duration::from_secs(100));
    let queue = folder.open_at(&clock).queue("q").unwrap();
    assert_eq!(drain(&queue), "", "its time was over while nobody looked");
}

#[test]
fn retries_are_still_pending() {
    let (folder, clock) = (Folder::new(), ManualClock::new());
    let broker = folder.open_at(&clock);
    let queue = broker
        .declare_queue("q")
        .durable()
        .delayed_retry(DelayedRetry::fixed(Duration::from_mins(1)))
        .declare()
        .unwrap();
    send(&queue, "a b");
    get(&queue).requeue().unwrap();
    assert_eq!((queue.stats().ready, queue.stats().delayed), (1, 1));
    broker.close(PATIENCE);
    drop((queue, broker));
    clock.advance(Duration::from_secs(20));
    let broker = folder.open_at(&clock);
    let queue = broker.queue("q").unwrap();
    assert_eq!((queue.stats().ready, queue.stats().delayed), (1, 1));
    clock.advance(Duration::from_secs(39));
    assert_eq!(queue.stats().delayed, 1);
    clock.advance(Duration::from_secs(1));
    assert_eq!(drain(&queue), "a! b");
}

#[test]
fn priorities_come_back() {
    let folder = Folder::new();
    let broker = folder.open();
    let queue = broker.declare_queue("q").durable().max_priority(5).declare().unwrap();
    for (body, priority) in [("low", 1), ("high", 5), ("middle", 3), ("higher", 9)] {
        queue.send(Message::new(body).persistent().with_priority(priority)).unwrap();
    }
    broker.close(PATIENCE);
    drop((queue, broker));
    assert_eq!(drain(&folder.open().queue("q").unwrap()), "high higher middle low");
}

#[test]
fn purged_expired_and_dropped_ones_are_gone_for_good() {
    let (folder, clock) = (Folder::new(), ManualClock::new());
    let broker = folder.open_at(&clock);
    let short = broker.declare_queue("short").durable().max_length(2).declare().unwrap();
    send(&short, "a b c d");
    let purged = durable(&broker, "purged");
    send(&purged, "a b c");
    purged.purge_first(2).unwrap();
    let brief = broker.declare_queue("brief").durable();
    let brief = brief.message_ttl(Duration::from_secs(1)).declare().unwrap();
    send(&brief, "a");
    clock.advance(Duration::from_secs(1));
    broker.sync(PATIENCE).unwrap();
    let crashed = folder.crashed();
    let broker = crashed.open_at(&clock);
    assert_eq!(drain(&broker.queue("short").unwrap()), "c d");
    assert_eq!(drain(&broker.queue("purged").unwrap()), "c");
    assert_eq!(drain(&broker.queue("brief").unwrap()), "");
}

/// As in `RabbitMQ`, which has the first in line go when it starts a queue.
#[test]
fn declared_bounds_hold_for_what_was_in_hand() {
    let folder = Folder::new();
    let broker = folder.open();
    let letters = durable(&broker, "letters");
    let to_letters = broker.declare_exchange("x").fanout().durable().declare().unwrap();
    to_letters.bind(&letters, "").unwrap();
    let short = broker.declare_queue("short").durable().max_length(2).dead_letter_to(&to_letters);
    let short = short.declare().unwrap();
    send(&short, "a b");
    let in_hand = [get(&short), get(&short)];
    send(&short, "c d");
    broker.sync(PATIENCE).unwrap();
    assert_eq!((short.stats().ready, short.stats().unacked), (2, 2));
    let crashed = folder.crashed();
    drop(in_hand);
    let broker = crashed.open();
    let names = ["short", "letters"].map(|name| broker.queue(name).unwrap());
    assert_eq!(names.each_ref().map(|queue| queue.stats().ready), [2, 2]);
    assert_eq!(names.each_ref().map(drain), ["c! d!", "a b"]);
}

#[test]
fn opening_twice_finds_the_same() {
    let folder = Folder::new();
    let broker = folder.open();
    let queue = durable(&broker, "q");
    send(&queue, "a b c");
    drop(get(&queue));
    broker.sync(PATIENCE).unwrap();
    let crashed = folder.crashed();
    let first = crashed.open();
    let report = first.recovery_report();
    let again = crashed.crashed();
    drop(first);
    assert_eq!(again.open().recovery_report(), report);
    assert_eq!(crashed.open().recovery_report(), report);
}

/// As deep as they may be under any bounds.
#[test]
fn the_deepest_headers_come_back() {
    let folder = Folder::new();
    let open = || {
        let mut limits = Limits::default();
        (limits.table_depth, limits.memory_bytes) = (u32::MAX, 64 << 20);
        Broker::builder().store(folder.path()).limits(limits).open().unwrap()
    };
    let leaf = Table::from([("leaf", 1)]);
    let nested = (1..256).fold(leaf, |inner, _| Table::from([("in", Value::Table(inner))]));
    let message = Message::new("deep").persistent().with_headers(nested);
    let broker = open();
    let queue = broker.declare_queue("q").durable().lazy().declare().unwrap();
    let publisher = broker.default_exchange().publisher().open().unwrap();
    let _counted = publisher.publish("q", message.clone()).unwrap();
    // It may not be written yet.
    assert_eq!(queue.browse(1).unwrap()[0].message, message);
    assert_eq!(publisher.wait_all(PATIENCE).pending, 0);
    broker.close(PATIENCE);
    drop((publisher, queue, broker));
    let broker = open();
    let delivery = broker.queue("q").unwrap().get().unwrap().unwrap();
    assert_eq!(delivery.message(), &message);
}
