//! What becomes of messages that die.

use std::{
    sync::{Arc, Mutex},
    task::Context,
    thread,
};

use leveret::{Broker, Delivery, Message, Outcome, Overflow, Queue, QueueStats, Result, Value};

use crate::{
    hands::{MS, SECOND, check_line, send_all, take},
    task::Callback,
    watchdog::in_time,
};

/// A queue for dead letters, and one whose dead letters go there.
fn with_dead(broker: &Broker) -> Result<(Queue, Queue)> {
    let dead = broker.declare_queue("dead").declare()?;
    let queue = broker.declare_queue("q").dead_letter_to(&dead).declare()?;
    Ok((queue, dead))
}

fn cause(letter: &Delivery) -> Option<&str> {
    letter.header("x-exception")?.as_table()?.get("error")?.as_str()
}

#[test]
fn a_cause_travels_with_the_dead_letter() -> Result<()> {
    let (broker, _time) = Broker::manual();
    let (queue, dead) = with_dead(&broker)?;
    send_all(&queue, ["outcome", "error", "none", "long"])?;
    take(&queue).settle(Outcome::Reject("no such order".into()))?;
    take(&queue).process(|_| Err::<(), _>("not a number"))?;
    take(&queue).reject()?;
    take(&queue).settle(Outcome::Reject("é".repeat(1_000)))?;
    let letters: Vec<_> = (0..4).map(|_| take(&dead)).collect();
    let causes: Vec<_> = letters.iter().map(cause).collect();
    assert_eq!(causes[..3], [Some("no such order"), Some("not a number"), None]);
    assert_eq!(causes[3], Some("é".repeat(512).as_str()), "1 024 bytes of it");
    Ok(())
}

#[test]
fn a_worker_that_fails_says_why() -> Result<()> {
    in_time(|| {
        let (broker, _time) = Broker::manual();
        let (queue, dead) = with_dead(&broker)?;
        let workers = queue.workers(1, |_| Err::<(), _>("it is broken"))?;
        send_all(&queue, ["x"])?;
        assert!(queue.wait_empty(10 * SECOND));
        assert_eq!(cause(&take(&dead)), Some("it is broken"));
        let _ = workers.stop(10 * SECOND);
        Ok(())
    })
}

/// Whoever waits at the target is woken when the letter is there: its first queue has it still.
#[test]
fn a_dead_letter_counts_where_it_died_until_it_has_arrived() -> Result<()> {
    let (broker, _time) = Broker::manual();
    let (queue, dead) = with_dead(&broker)?;
    let seen = Arc::new(Mutex::new(Vec::<(QueueStats, QueueStats)>::new()));
    let (looks, of, to) = (Arc::clone(&seen), queue.clone(), dead.clone());
    let waker = Arc::new(Callback(move || {
        looks.lock().expect("nobody panics").push((of.stats(), to.stats()));
    }))
    .into();
    let consumer = dead.consume().start()?;
    assert!(consumer.poll_recv(&mut Context::from_waker(&waker)).is_pending());
    send_all(&queue, ["x"])?;
    take(&queue).reject()?;
    let looks = seen.lock().expect("nobody panics").clone();
    let [(source, target)] = looks.as_slice() else { panic!("{looks:?}") };
    assert!(source.is_conserved() && target.is_conserved(), "{looks:?}");
    assert_eq!((source.moving, source.dead_lettered, target.unacked), (1, 0, 1));
    let stats = queue.stats();
    assert_eq!((stats.moving, stats.dead_lettered, stats.bytes), (0, 1, 0));
    Ok(())
}

/// Its letter is on its way when the queue is deleted, alone or with its virtual host.
#[test]
fn a_queue_may_be_deleted_while_its_letters_move() -> Result<()> {
    for with_vhost in [false, true] {
        let (broker, _time) = Broker::manual();
        let vhost = broker.create_vhost("v")?;
        let dead = vhost.declare_queue("dead").declare()?;
        let queue = vhost.declare_queue("q").dead_letter_to(&dead).declare()?;
        send_all(&queue, ["in hand", "x"])?;
        let in_hand = Mutex::new(Some(take(&queue)));
        let (of, at) = (queue.clone(), broker.clone());
        let seen = Arc::new(Mutex::new(None));
        let looks = Arc::clone(&seen);
        let waker = Arc::new(Callback(move || {
            let deleted = if with_vhost { at.delete_vhost("v") } else { of.delete().map(drop) };
            drop(in_hand.lock().expect("nobody panics").take());
            *looks.lock().expect("nobody panics") = Some((deleted.is_ok(), at.stats()));
        }))
        .into();
        let consumer = dead.consume().start()?;
        assert!(consumer.poll_recv(&mut Context::from_waker(&waker)).is_pending());
        take(&queue).reject()?;
        let (is_deleted, between) = seen.lock().expect("nobody panics").take().expect("it woke");
        assert!(is_deleted && between.is_conserved(), "{between:?}");
        assert_eq!((between.moving, between.enqueued), (1, 3), "{between:?}");
        let stats = broker.stats();
        assert!(stats.is_conserved(), "{stats:?}");
        assert_eq!(with_vhost, broker.memory_bytes() == 0, "it keeps no memory in hand");
        let deleted = 1 + u64::from(with_vhost);
        assert_eq!((stats.moving, stats.held(), stats.bytes > 0), (0, 2 - deleted, !with_vhost));
        assert_eq!((stats.enqueued, stats.dead_lettered, stats.deleted), (3, 1, deleted));
    }
    Ok(())
}

#[test]
fn every_death_is_counted_in_one_place() -> Result<()> {
    let (broker, time) = Broker::manual();
    let dead = broker.declare_queue("dead").declare()?;
    let declared = broker.declare_queue("q").max_length(4).message_ttl(SECOND).delivery_limit(0);
    let queue = declared.dead_letter_to(&dead).declare()?;
    send_all(&queue, ["a", "b", "c", "d", "e"])?;
    take(&queue).reject()?;
    take(&queue).requeue()?;
    time.advance(SECOND);
    let [source, target] = [queue.stats(), dead.stats()];
    assert_eq!((source.enqueued, source.dead_lettered, source.held()), (5, 5, 0));
    assert_eq!((target.enqueued, target.ready), (5, 5));
    let sum = broker.stats();
    assert!(source.is_conserved() && sum.is_conserved());
    assert_eq!((sum.enqueued, sum.dead_lettered, sum.ready), (10, 5, 5));
    let reasons: Vec<_> = (0..5)
        .map(|_| take(&dead))
        .map(|letter| {
            letter.header("x-first-death-reason").and_then(Value::as_str).map(String::from)
        })
        .collect::<Vec<_>>();
    assert_eq!(reasons.first(), Some(&Some("maxlen".to_owned())));
    Ok(())
}

#[test]
fn without_the_exchange_a_death_counts_as_its_reason() -> Result<()> {
    let (broker, time) = Broker::manual();
    let gone = broker.declare_exchange("gone").declare()?;
    let declared = broker.declare_queue("q").max_length(4).message_ttl(SECOND).delivery_limit(0);
    let queue = declared.dead_letter_to(&gone).declare()?;
    gone.delete()?;
    send_all(&queue, ["a", "b", "c", "d", "e"])?;
    take(&queue).reject()?;
    take(&queue).requeue()?;
    time.advance(SECOND);
    let stats = queue.stats();
    assert_eq!((stats.dropped, stats.rejected, stats.exhausted, stats.expired), (1, 1, 1, 2));
    assert_eq!((stats.dead_lettered, stats.held()), (0, 0));

    broker.declare_exchange("gone").declare()?;
    send_all(&queue, ["x"])?;
    take(&queue).reject()?;
    assert_eq!(queue.stats().dead_lettered, 1, "it went to an exchange that leads nowhere");
    Ok(())
}

#[test]
fn dead_letters_arrive_in_the_order_of_deaths() -> Result<()> {
    let (broker, time) = Broker::manual();
    let dead = broker.declare_queue("dead").declare()?;
    let declared = broker.declare_queue("q").max_length(3).message_ttl(SECOND);
    let queue = declared.dead_letter_to(&dead).declare()?;
    send_all(&queue, ["a", "b", "c"])?;
    let [a, b] = [take(&queue), take(&queue)];
    b.reject()?;
    a.reject()?;
    send_all(&queue, ["d", "e", "f"])?;
    time.advance(SECOND);
    check_line(&dead, ["b", "a", "c", "d", "e", "f"]);
    Ok(())
}

/// The stack is so small that a call for each queue would overflow it.
#[test]
fn a_long_chain_of_queues_needs_no_long_stack() -> Result<()> {
    const QUEUES: u64 = 300;
    let small = thread::Builder::new().stack_size(128 << 10);
    let chain = small.spawn(|| -> Result<()> {
        let (broker, _time) = Broker::manual();
        let last = broker.declare_queue("last").declare()?;
        let mut first = last.clone();
        for n in 0..QUEUES {
            let declared = broker.declare_queue(&n.to_string()).max_length(0);
            first = declared.dead_letter_to(&first).declare()?;
        }
        send_all(&first, ["x"])?;
        assert_eq!(last.stats().ready, 1);
        let stats = broker.stats();
        assert_eq!((stats.enqueued, stats.dead_lettered), (QUEUES + 1, QUEUES));
        Ok(())
    });
    chain.expect("it starts").join().expect("it does not overflow")
}

#[test]
fn a_cycle_without_a_rejection_ends() -> Result<()> {
    let (broker, time) = Broker::manual();
    let exchange = broker.declare_exchange("round").fanout().declare()?;
    let one = broker.declare_queue("1").message_ttl(SECOND).dead_letter_to(&exchange).declare()?;
    exchange.bind(&one, "")?;
    send_all(&one, ["x"])?;
    time.advance(100 * SECOND);
    assert_eq!((one.stats().held(), one.stats().dead_lettered), (0, 1), "it does not go round");
    send_all(&one, ["x"])?;
    for _ in 0..3 {
        take(&one).reject()?;
        assert_eq!(one.stats().ready, 1, "somebody takes part in this one");
    }
    Ok(())
}

#[test]
fn at_least_once_overrides_a_target_that_refuses() -> Result<()> {
    for (at_least_once, ready) in [(false, 1), (true, 2)] {
        let (broker, _time) = Broker::manual();
        let declared = broker.declare_queue("full").max_length(1);
        let full = declared.overflow(Overflow::RejectPublish).declare()?;
        send_all(&full, ["there"])?;
        let mut declared = broker.declare_queue("q").durable().quorum().dead_letter_to(&full);
        if at_least_once {
            declared = declared.dead_letter_at_least_once();
        }
        let queue = declared.declare()?;
        send_all(&queue, ["x"])?;
        take(&queue).reject()?;
        assert_eq!(full.stats().ready, ready);
        assert_eq!(full.stats().refused, 2 - ready);
        assert_eq!((queue.stats().dead_lettered, queue.stats().held()), (1, 0));
    }
    Ok(())
}

#[test]
fn a_dead_letter_keeps_its_blind_keys_unless_it_gets_a_key() -> Result<()> {
    for (key, reached) in [(None, 1), (Some("other"), 0)] {
        let (broker, _time) = Broker::manual();
        let graves = broker.declare_exchange("graves").declare()?;
        let blind = broker.declare_queue("blind grave").declare()?;
        graves.bind(&blind, "blind")?;
        let mut declared = broker.declare_queue("q").dead_letter_to(&graves);
        if let Some(key) = key {
            declared = declared.dead_letter_key(key);
        }
        let queue = declared.declare()?;
        let keys = Value::Array(vec!["blind".into()]);
        let message = Message::new("x").with_header("BCC", keys);
        broker.default_exchange().publish("q", message)?;
        let delivery = take(&queue);
        assert_eq!(delivery.header("BCC"), None);
        delivery.reject()?;
        assert_eq!(blind.stats().ready, reached, "{key:?}");
        if reached > 0 {
            let letter = take(&blind);
            assert_eq!((letter.header("BCC"), letter.routing_key()), (None, "q"));
        }
    }
    Ok(())
}

#[test]
fn a_limit_allows_one_more_delivery_than_it_says() -> Result<()> {
    for is_quorum in [false, true] {
        for limit in [0, 1, 3] {
            let (broker, _time) = Broker::manual();
            let dead = broker.declare_queue("dead").declare()?;
            let mut declared = broker.declare_queue("q").delivery_limit(limit);
            if is_quorum {
                declared = declared.durable().quorum();
            }
            let queue = declared.dead_letter_to(&dead).declare()?;
            send_all(&queue, ["x"])?;
            for attempt in 1..=limit + 1 {
                let delivery = take(&queue);
                assert_eq!(delivery.attempts(), attempt, "limit {limit}");
                delivery.requeue()?;
            }
            assert!(queue.get()?.is_none(), "limit {limit}");
            let letter = take(&dead);
            let reason = letter.header("x-first-death-reason").and_then(Value::as_str);
            assert_eq!(reason, Some("delivery_limit"));
        }
    }
    Ok(())
}

#[test]
fn the_broker_may_have_a_delivery_limit_for_all_and_queues_another() -> Result<()> {
    let broker = Broker::builder().delivery_limit(0).open()?;
    let plain = broker.declare_queue("plain").declare()?;
    let own = broker.declare_queue("own").delivery_limit(1).declare()?;
    send_all(&plain, ["x"])?;
    send_all(&own, ["x"])?;
    take(&plain).requeue()?;
    take(&own).requeue()?;
    assert_eq!((plain.stats().exhausted, own.stats().exhausted), (1, 0));
    drop(take(&own));
    assert_eq!(own.stats().exhausted, 1);
    broker.declare_queue("plain").declare()?;
    Ok(())
}

#[test]
fn what_nobody_saw_counts_for_no_limit() -> Result<()> {
    let (broker, _time) = Broker::manual();
    let queue = broker.declare_queue("q").delivery_limit(0).declare()?;
    send_all(&queue, ["x"])?;
    for _ in 0..3 {
        drop(queue.consume().start()?);
    }
    assert_eq!((queue.stats().ready, queue.stats().exhausted), (1, 0));
    drop(take(&queue));
    assert_eq!((queue.stats().ready, queue.stats().exhausted), (0, 1));
    Ok(())
}

#[test]
fn a_dead_letter_does_not_expire_again_by_its_own_expiration() -> Result<()> {
    let (broker, time) = Broker::manual();
    let (queue, dead) = with_dead(&broker)?;
    queue.send(Message::new("x").expires_in(SECOND))?;
    time.advance(SECOND - MS);
    assert_eq!(dead.stats().ready, 0);
    time.advance(100 * SECOND);
    let letter = take(&dead);
    assert_eq!((letter.text(), letter.expiration()), (Some("x"), None));
    Ok(())
}
