//! The manual clock: what falls due runs inside `advance`, in the order of deadlines.

use std::{panic, thread, time::Duration};

use leveret::{Broker, EndReason, ManualClock, Message, Queue, Result};
use proptest::prelude::*;

use crate::{last_words, watchdog::in_time};

const SECOND: Duration = Duration::from_secs(1);

fn idle_queue(broker: &Broker, name: &str, after: Duration) -> Result<Queue> {
    broker.declare_queue(name).expires_after(after).declare()
}

#[test]
fn an_unused_queue_goes_at_its_deadline() -> Result<()> {
    let (broker, time) = Broker::manual();
    let queue = idle_queue(&broker, "q", SECOND)?;
    let exchange = broker.declare_exchange("x").fanout().declare()?;
    exchange.bind(&queue, "")?;
    queue.send(Message::new("x"))?;
    assert_eq!(time.next_deadline(), Some(SECOND));
    time.advance(Duration::from_millis(999));
    assert!(broker.queue("q").is_ok());
    time.advance(Duration::from_millis(1));
    assert!(broker.queue("q").unwrap_err().is_not_found());
    assert_eq!(exchange.publish("", Message::new("x"))?.queues, 0);
    assert_eq!((queue.stats().deleted, time.next_deadline()), (1, None));
    assert_eq!(time.elapsed(), SECOND);
    Ok(())
}

#[test]
fn use_puts_it_off_and_publishing_is_no_use() -> Result<()> {
    let (broker, time) = Broker::manual();
    let queue = idle_queue(&broker, "q", 10 * SECOND)?;
    let uses: [fn(&Broker, &Queue) -> Result<()>; 3] = [
        |_, queue| queue.get().map(drop),
        |broker, _| idle_queue(broker, "q", 10 * SECOND).map(drop),
        |_, queue| queue.consume().start().map(drop),
    ];
    for use_it in uses {
        time.advance(9 * SECOND);
        use_it(&broker, &queue)?;
        queue.send(Message::new("x"))?;
    }
    time.advance(9 * SECOND);
    queue.send(Message::new("x"))?;
    let _ = queue.stats();
    let consumer = queue.consume().start()?;
    time.advance(1_000 * SECOND);
    assert_eq!(consumer.end(), None, "a consumer is use for as long as it is there");
    drop(consumer);
    time.advance(9 * SECOND);
    queue.send(Message::new("x"))?;
    time.advance(SECOND);
    assert!(broker.queue("q").unwrap_err().is_not_found());
    Ok(())
}

#[test]
fn deadlines_are_met_in_their_order() -> Result<()> {
    let (broker, time) = Broker::manual();
    let exchange = broker.declare_exchange("x").fanout().declare()?;
    let watch = exchange.subscribe("")?;
    for seconds in [3, 1, 2] {
        let name = seconds.to_string();
        let queue = idle_queue(&broker, &name, seconds * SECOND)?;
        let (told, clock) = (exchange.clone(), time.clone());
        let (message, _) = last_words::message("", move || {
            let at = clock.elapsed().as_secs();
            told.publish(&name, Message::new(at.to_string())).expect("the exchange is there");
        });
        queue.send(message)?;
    }
    time.advance(10 * SECOND);
    let order: Vec<_> = watch
        .try_iter()
        .map(|event| (event.routing_key().to_owned(), event.text().map(str::to_owned)))
        .collect();
    let at = |seconds: &str| (seconds.to_owned(), Some(seconds.to_owned()));
    assert_eq!(order, [at("1"), at("2"), at("3")], "each at its own deadline");
    Ok(())
}

/// A message whose destructor panics, without the text that the panic hook prints.
fn fatal() -> Message {
    last_words::message("fatal", || panic::resume_unwind(Box::new("the body gives up"))).0
}

#[test]
fn what_is_due_later_survives_a_destructor() -> Result<()> {
    let (broker, time) = Broker::manual();
    for (name, seconds) in [("1", 1), ("2", 2), ("3", 3)] {
        idle_queue(&broker, name, seconds * SECOND)?.send(fatal())?;
    }
    time.advance(2 * SECOND);
    assert!(broker.queue("1").is_err() && broker.queue("2").is_err());
    time.advance(SECOND);
    assert!(broker.queue("3").unwrap_err().is_not_found());
    assert!(broker.close(SECOND).is_clean());
    Ok(())
}

#[test]
fn the_timer_thread_survives_a_destructor() -> Result<()> {
    in_time(|| {
        let broker = Broker::new();
        let after = Duration::from_millis(1);
        // Found before it has gone again, and kept by its consumer from then on.
        let (first, consumer) = loop {
            let queue = idle_queue(&broker, "first", after)?;
            if let Ok(consumer) = queue.consume().start() {
                break (queue, consumer);
            }
        };
        first.send(fatal())?;
        consumer.cancel();
        while broker.queue("first").is_ok() {
            thread::yield_now();
        }
        idle_queue(&broker, "second", after)?;
        while broker.queue("second").is_ok() {
            thread::yield_now();
        }
        assert!(broker.close(SECOND).is_clean());
        Ok(())
    })
}

/// A deadline keeps memory of its queue, and may be days away.
#[test]
fn a_queue_that_has_gone_leaves_no_deadline() -> Result<()> {
    let (broker, time) = Broker::manual();
    let ways: [fn(&Broker, &Queue) -> Result<()>; 4] = [
        |_, queue| queue.delete().map(drop),
        |_, queue| queue.delete_if_unused().map(drop),
        |_, queue| queue.consume().start().map(drop),
        |broker, _| broker.delete_vhost("v"),
    ];
    for way in ways {
        let vhost = broker.create_vhost("v")?;
        let queue = vhost.declare_queue("q").auto_delete().expires_after(SECOND).declare()?;
        let held = queue.send(Message::new("x")).map(|()| queue.get())??;
        assert_eq!(time.next_deadline(), Some(SECOND));
        way(&broker, &queue)?;
        assert_eq!(time.next_deadline(), None);
        held.expect("it is there").ack()?;
        assert_eq!(time.next_deadline(), None, "settling what has gone is no use of it");
        let _ = broker.delete_vhost("v");
    }
    Ok(())
}

#[test]
fn several_brokers_follow_one_clock() -> Result<()> {
    let time = ManualClock::new();
    let open = || Broker::builder().manual_clock(&time).open();
    let [one, two] = [open()?, open()?];
    idle_queue(&one, "q", SECOND)?;
    idle_queue(&two, "q", 2 * SECOND)?;
    time.advance(SECOND);
    assert!(one.queue("q").is_err() && two.queue("q").is_ok());
    drop(two);
    assert_eq!(time.next_deadline(), None, "a broker that has ended is forgotten");
    Ok(())
}

#[test]
fn a_caller_may_run_the_timers() -> Result<()> {
    let broker = Broker::builder().caller_timers().open()?;
    assert_eq!(broker.poll_timers(), None);
    let queue = idle_queue(&broker, "q", Duration::from_millis(1))?;
    let consumer = queue.consume().start()?;
    assert_eq!(consumer.end(), None);
    drop(consumer);
    while let Some(left) = broker.poll_timers() {
        assert!(left <= Duration::from_millis(1));
        thread::yield_now();
    }
    assert!(broker.queue("q").unwrap_err().is_not_found());
    Ok(())
}

#[test]
fn a_consumer_of_an_expiring_queue_ends_with_the_broker() -> Result<()> {
    let (broker, time) = Broker::manual();
    let consumer = idle_queue(&broker, "q", SECOND)?.consume().start()?;
    broker.close(Duration::ZERO);
    assert_eq!(consumer.end(), Some(EndReason::BrokerClosed));
    assert_eq!(time.next_deadline(), None);
    time.advance(10 * SECOND);
    Ok(())
}

/// What a step of the property does before time moves on.
#[derive(Clone, Debug)]
enum Action {
    Declare(u8, u64),
    Get(u8),
    Nothing,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        (0..4_u8, 1..2_000_u64).prop_map(|(queue, after)| Action::Declare(queue, after)),
        (0..4_u8).prop_map(Action::Get),
        Just(Action::Nothing),
    ]
}

/// The queues that are there after each step, when each step is advanced in parts.
fn history(steps: &[(Action, u64)], parts: u64) -> Result<Vec<Vec<bool>>> {
    let (broker, time) = Broker::manual();
    let mut history = Vec::new();
    for (action, by) in steps {
        match action {
            Action::Declare(queue, after) => {
                // It may be there with another time already.
                let _ = idle_queue(&broker, &queue.to_string(), Duration::from_millis(*after));
            }
            Action::Get(queue) => {
                if let Ok(queue) = broker.queue(&queue.to_string()) {
                    drop(queue.get()?);
                }
            }
            Action::Nothing => {}
        }
        for part in 0..parts {
            time.advance(Duration::from_millis(by * (part + 1) / parts - by * part / parts));
        }
        history.push((0..4).map(|queue| broker.queue(&queue.to_string()).is_ok()).collect());
    }
    Ok(history)
}

proptest! {
    /// One advance does the same as many small ones.
    #[test]
    fn advancing_is_additive(
        steps in prop::collection::vec((action(), 0..1_500_u64), 1..20),
        parts in 2..20_u64,
    ) {
        prop_assert_eq!(history(&steps, 1).unwrap(), history(&steps, parts).unwrap());
    }
}
