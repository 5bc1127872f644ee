//! Messages that expire: when, where, and what puts that off.

use std::time::Duration;

use leveret::{Broker, ManualClock, Message, Outcome, Queue, Result, Value};
use proptest::prelude::*;

use crate::hands::{MS, SECOND, check_line, line, send_all, take};

fn short(text: &str, seconds: u32) -> Message {
    Message::new(text).expires_in(SECOND * seconds)
}

#[test]
fn with_exact_expiry_one_in_the_middle_dies_on_time() -> Result<()> {
    let (broker, time) = Broker::manual();
    let queue = broker.declare_queue("q").exact_expiry().declare()?;
    send_all(&queue, ["a"])?;
    queue.send(short("b", 1))?;
    send_all(&queue, ["c"])?;
    assert_eq!(time.next_deadline(), Some(SECOND));
    time.advance(SECOND - MS);
    assert_eq!((queue.stats().ready, queue.stats().expired), (3, 0));
    time.advance(MS);
    assert_eq!((queue.stats().ready, queue.stats().expired), (2, 1));
    check_line(&queue, ["a", "c"]);
    assert_eq!(time.next_deadline(), None);
    Ok(())
}

#[test]
fn without_it_one_in_the_middle_is_counted_until_it_is_first() -> Result<()> {
    let (broker, time) = Broker::manual();
    let queue = broker.declare_queue("q").declare()?;
    send_all(&queue, ["a"])?;
    queue.send(short("b", 1))?;
    send_all(&queue, ["c"])?;
    time.advance(10 * SECOND);
    assert_eq!((queue.stats().ready, queue.stats().expired), (3, 0));
    check_line(&queue, ["a", "c"]);
    let first = take(&queue);
    assert_eq!(first.text(), Some("a"));
    assert_eq!((queue.stats().ready, queue.stats().expired), (1, 1));
    first.requeue()?;
    check_line(&queue, ["a", "c"]);
    Ok(())
}

#[test]
fn exact_expiry_reaches_every_level_and_keeps_the_order() -> Result<()> {
    let (broker, time) = Broker::manual();
    let queue = broker.declare_queue("q").exact_expiry().max_priority(5).declare()?;
    let high = |message: Message| message.with_priority(5);
    queue.send(short("low 1", 3))?;
    queue.send(high(Message::new("high 1")))?;
    queue.send(high(short("high 2", 1)))?;
    queue.send(Message::new("low 2"))?;
    queue.send(high(Message::new("high 3")))?;
    queue.send(short("low 3", 1))?;
    time.advance(SECOND);
    check_line(&queue, ["high 1", "high 3", "low 1", "low 2"]);
    time.advance(2 * SECOND);
    check_line(&queue, ["high 1", "high 3", "low 2"]);
    assert_eq!((queue.stats().ready, queue.stats().expired), (3, 3));
    Ok(())
}

/// They leave in the order of their ends and not of the line, each at its own.
#[test]
fn dead_letters_of_exact_expiry_leave_in_the_order_of_their_ends() -> Result<()> {
    let (broker, time) = Broker::manual();
    let dead = broker.declare_queue("dead").declare()?;
    let queue = broker.declare_queue("q").exact_expiry().dead_letter_to(&dead).declare()?;
    for (text, seconds) in [("a", 3), ("b", 1), ("c", 2)] {
        queue.send(short(text, seconds))?;
    }
    time.advance(10 * SECOND);
    check_line(&dead, ["b", "c", "a"]);
    for second in 1..=3 {
        let letter = take(&dead);
        let deaths = letter.header("x-death").and_then(Value::as_array).expect("it has died");
        let at = deaths[0].as_table().and_then(|death| death.get("time"));
        assert_eq!(at, Some(&Value::Timestamp(second)));
        letter.ack()?;
    }
    Ok(())
}

#[test]
fn a_deadline_is_absolute_whatever_happens_to_the_message() -> Result<()> {
    for is_quorum in [false, true] {
        let (broker, time) = Broker::manual();
        let mut declared = broker.declare_queue("q").message_ttl(10 * SECOND);
        if is_quorum {
            declared = declared.durable().quorum();
        }
        let queue = declared.declare()?;
        send_all(&queue, ["x"])?;
        time.advance(6 * SECOND);
        let held = take(&queue);
        time.advance(3 * SECOND);
        held.requeue()?;
        time.advance(SECOND - MS);
        assert_eq!(queue.stats().ready, 1, "quorum: {is_quorum}");
        time.advance(MS);
        assert_eq!((queue.stats().ready, queue.stats().expired), (0, 1), "quorum: {is_quorum}");
    }
    Ok(())
}

#[test]
fn in_hand_it_does_not_expire_and_after_its_end_it_goes_to_nobody() -> Result<()> {
    let (broker, time) = Broker::manual();
    let queue = broker.declare_queue("q").message_ttl(SECOND).declare()?;
    send_all(&queue, ["acked", "requeued"])?;
    let [acked, requeued] = [take(&queue), take(&queue)];
    let consumer = queue.consume().start()?;
    time.advance(100 * SECOND);
    assert_eq!(queue.stats().unacked, 2);
    acked.ack()?;
    requeued.requeue()?;
    assert!(consumer.try_recv().is_err());
    let stats = queue.stats();
    assert_eq!((stats.acked, stats.expired, stats.held()), (1, 1, 0));
    assert!(stats.is_conserved());
    Ok(())
}

#[test]
fn time_to_live_runs_on_while_a_message_is_delayed() -> Result<()> {
    let (broker, time) = Broker::manual();
    let queue = broker.declare_queue("q").message_ttl(10 * SECOND).declare()?;
    send_all(&queue, ["a", "b"])?;
    take(&queue).retry_in(20 * SECOND)?;
    take(&queue).retry_in(4 * SECOND)?;
    time.advance(4 * SECOND);
    check_line(&queue, ["b"]);
    time.advance(6 * SECOND - MS);
    assert_eq!((queue.stats().ready, queue.stats().delayed), (1, 1));
    time.advance(MS);
    let stats = queue.stats();
    assert_eq!((stats.ready, stats.delayed, stats.expired), (0, 0, 2));
    assert!(stats.is_conserved());
    Ok(())
}

#[test]
fn a_message_may_bring_its_expiration_to_a_plain_queue() -> Result<()> {
    let (broker, time) = Broker::manual();
    let queue = broker.declare_queue("q").declare()?;
    send_all(&queue, ["before"])?;
    take(&queue).ack()?;
    queue.send(short("x", 1))?;
    send_all(&queue, ["behind"])?;
    time.advance(SECOND - MS);
    check_line(&queue, ["x", "behind"]);
    time.advance(MS);
    check_line(&queue, ["behind"]);
    let stats = queue.stats();
    assert_eq!((stats.acked, stats.expired, stats.ready), (1, 1, 1));
    Ok(())
}

#[test]
fn of_two_times_to_live_the_shorter_one_counts() -> Result<()> {
    let (broker, time) = Broker::manual();
    let queue = broker.declare_queue("q").exact_expiry().message_ttl(5 * SECOND).declare()?;
    queue.send(short("longer", 9))?;
    queue.send(short("shorter", 2))?;
    time.advance(2 * SECOND);
    check_line(&queue, ["longer"]);
    time.advance(3 * SECOND);
    assert_eq!(queue.stats().expired, 2);
    Ok(())
}

#[test]
fn with_no_time_to_live_a_message_is_for_who_takes_it_at_once() -> Result<()> {
    let (broker, _time) = Broker::manual();
    let queue = broker.declare_queue("q").message_ttl(Duration::ZERO).declare()?;
    send_all(&queue, ["nobody is there"])?;
    let consumer = queue.consume().prefetch(1).start()?;
    assert!(consumer.try_recv().is_err());
    send_all(&queue, ["taken", "too much"])?;
    assert_eq!(consumer.try_recv()?.text(), Some("taken"));
    let stats = queue.stats();
    assert_eq!((stats.expired, stats.held()), (3, 0), "what is dropped has nowhere to go back to");
    Ok(())
}

/// One queue with everything that has a deadline, and where its messages go.
fn timed_queue() -> Result<(ManualClock, Queue, Queue)> {
    let (broker, time) = Broker::manual();
    let dead = broker.declare_queue("dead").declare()?;
    let queue = broker.declare_queue("q").message_ttl(2 * SECOND).consumer_timeout(700 * MS);
    let queue = queue.exact_expiry().delivery_limit(3).dead_letter_to(&dead).declare()?;
    Ok((time, queue, dead))
}

/// What happens before time moves on.
#[derive(Clone, Debug)]
enum Act {
    Send(u64),
    Settle(u64),
    Keep,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (1..3_000_u64).prop_map(Act::Send),
        (0..2_000_u64).prop_map(Act::Settle),
        Just(Act::Keep),
    ]
}

/// What is to be seen after each step, when each step is advanced in parts.
fn history(steps: &[(Act, u64)], parts: u64) -> Result<Vec<String>> {
    let (time, queue, dead) = timed_queue()?;
    let (mut seen, mut kept) = (Vec::new(), Vec::new());
    for (at, (act, by)) in steps.iter().enumerate() {
        match act {
            Act::Send(ms) => {
                let ttl = Duration::from_millis(*ms);
                queue.send(Message::new(at.to_string()).expires_in(ttl))?;
            }
            Act::Settle(ms) => {
                if let Some(delivery) = queue.get()? {
                    delivery.settle(Outcome::RetryIn(Duration::from_millis(*ms)))?;
                }
            }
            Act::Keep => kept.extend(queue.get()?),
        }
        for part in 0..parts {
            time.advance(Duration::from_millis(by * (part + 1) / parts - by * part / parts));
        }
        let stats = queue.stats();
        assert!(stats.is_conserved());
        seen.push(format!("{stats:?} {:?} {:?}", line(&queue)?, line(&dead)?));
    }
    Ok(seen)
}

proptest! {
    /// One advance does the same as many small ones.
    #[test]
    fn advancing_is_additive_for_messages(
        steps in prop::collection::vec((act(), 0..1_500_u64), 1..25),
        parts in 2..20_u64,
    ) {
        prop_assert_eq!(history(&steps, 1).unwrap(), history(&steps, parts).unwrap());
    }
}
