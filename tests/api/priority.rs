//! Queues that serve higher priorities first.

use leveret::{Broker, Message, Queue, Result};

use crate::hands::{check_line, line, send_all, take};

fn send(queue: &Queue, text: &str, priority: u8) -> Result<()> {
    Ok(queue.send(Message::new(text).with_priority(priority))?)
}

#[test]
fn each_of_256_levels_is_served_before_those_below() -> Result<()> {
    let (broker, _time) = Broker::manual();
    let queue = broker.declare_queue("q").max_priority(255).declare()?;
    // An order without system: 77 has no factor in common with 256.
    for n in 0..256_u32 {
        let level = u8::try_from(n * 77 % 256).expect("it is below 256");
        send(&queue, &level.to_string(), level)?;
    }
    let expected: Vec<_> = (0..=255_u8).rev().map(|level| level.to_string()).collect();
    assert_eq!(line(&queue)?, expected);
    for text in expected {
        let delivery = take(&queue);
        assert_eq!(delivery.text(), Some(text.as_str()));
        delivery.ack()?;
    }
    Ok(())
}

#[test]
fn on_one_level_the_oldest_is_first() -> Result<()> {
    let (broker, _time) = Broker::manual();
    let queue = broker.declare_queue("q").max_priority(5).declare()?;
    for (text, level) in [("a", 1), ("b", 3), ("c", 1), ("d", 3)] {
        send(&queue, text, level)?;
    }
    check_line(&queue, ["b", "d", "a", "c"]);
    Ok(())
}

#[test]
fn beyond_the_highest_counts_as_that_and_none_as_zero() -> Result<()> {
    let (broker, _time) = Broker::manual();
    let queue = broker.declare_queue("q").max_priority(5).declare()?;
    send_all(&queue, ["none"])?;
    for (text, level) in [("zero", 0), ("at it", 5), ("beyond", 200), ("at it again", 5)] {
        send(&queue, text, level)?;
    }
    check_line(&queue, ["at it", "beyond", "at it again", "none", "zero"]);
    assert_eq!(take(&queue).priority(), Some(5));
    Ok(())
}

#[test]
fn without_levels_priorities_do_not_count() -> Result<()> {
    let (broker, _time) = Broker::manual();
    for declared in [broker.declare_queue("plain"), broker.declare_queue("zero").max_priority(0)] {
        let queue = declared.declare()?;
        send(&queue, "low", 1)?;
        send(&queue, "high", 9)?;
        check_line(&queue, ["low", "high"]);
    }
    Ok(())
}

#[test]
fn levels_that_hold_nothing_cost_no_memory() -> Result<()> {
    let (broker, _time) = Broker::manual();
    let queue = broker.declare_queue("q").max_priority(255).declare()?;
    let plain = broker.declare_queue("p").declare()?;
    for to in [&queue, &plain] {
        send(to, "low", 0)?;
        send(to, "high", 255)?;
    }
    check_line(&queue, ["high", "low"]);
    assert_eq!(queue.stats().bytes, plain.stats().bytes);
    Ok(())
}

#[test]
fn what_is_requeued_returns_to_its_place_on_its_level() -> Result<()> {
    let (broker, _time) = Broker::manual();
    let queue = broker.declare_queue("q").max_priority(5).declare()?;
    for (text, level) in [("low 1", 0), ("high 1", 5), ("high 2", 5), ("low 2", 0), ("high 3", 5)] {
        send(&queue, text, level)?;
    }
    let held: Vec<_> = (0..4).map(|_| take(&queue)).collect();
    check_line(&queue, ["low 2"]);
    for delivery in held.into_iter().rev() {
        delivery.requeue()?;
    }
    check_line(&queue, ["high 1", "high 2", "high 3", "low 1", "low 2"]);
    Ok(())
}

#[test]
fn a_higher_one_overtakes_what_waits_and_nothing_in_a_mailbox() -> Result<()> {
    let (broker, _time) = Broker::manual();
    let queue = broker.declare_queue("q").max_priority(5).declare()?;
    let consumer = queue.consume().prefetch(2).start()?;
    for (text, level) in [("1", 0), ("2", 0), ("3", 0), ("high", 5)] {
        send(&queue, text, level)?;
    }
    let mut texts = Vec::new();
    while let Ok(delivery) = consumer.try_recv() {
        texts.push(delivery.text().unwrap_or_default().to_owned());
        delivery.ack()?;
    }
    assert_eq!(texts, ["1", "2", "high", "3"]);
    Ok(())
}
