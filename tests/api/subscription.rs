//! Subscriptions: a queue of one's own, and what a slow subscriber loses.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use leveret::{Broker, EndReason, ErrorKind, Limits, Message, Result, Subscription, TryRecvError};

use crate::task::Alarm;

fn texts(subscription: &Subscription) -> Vec<String> {
    subscription.try_iter().map(|event| event.text().unwrap_or_default().to_owned()).collect()
}

fn lagging_by(most: u32) -> Result<Broker> {
    let mut limits = Limits::default();
    limits.subscription_messages = most;
    Broker::builder().limits(limits).open()
}

#[test]
fn it_hears_what_is_published_from_now_on() -> Result<()> {
    let broker = Broker::new();
    let logs = broker.declare_exchange("logs").topic().declare()?;
    logs.publish("a.error", Message::new("before"))?;
    let errors = logs.subscribe("*.error")?;
    let all = logs.subscribe("#")?;
    errors.also("*.fatal")?;
    errors.also("a.*")?;
    for key in ["a.error", "b.fatal", "a.info", "b.info"] {
        logs.publish(key, Message::new(key))?;
    }
    assert_eq!(texts(&errors), ["a.error", "b.fatal", "a.info"], "one copy each");
    assert_eq!(texts(&all).len(), 4);
    assert_eq!((errors.lost(), errors.end()), (0, None));
    Ok(())
}

#[test]
fn its_queue_and_bindings_go_with_it() -> Result<()> {
    let broker = Broker::new();
    let logs = broker.declare_exchange("logs").fanout().declare()?;
    let subscription = logs.subscribe("")?;
    assert_eq!(logs.publish("", Message::new("x"))?.queues, 1);
    drop(subscription);
    assert_eq!(logs.publish("", Message::new("x"))?.queues, 0);
    logs.delete_if_unused()?;
    assert!(logs.subscribe("").unwrap_err().is_not_found());
    Ok(())
}

#[test]
fn a_subscriber_that_lags_loses_the_oldest_and_knows_how_many() -> Result<()> {
    let broker = lagging_by(3)?;
    let logs = broker.declare_exchange("logs").fanout().declare()?;
    let (slow, quick) = (logs.subscribe("")?, logs.subscribe("")?);
    for n in 0..10 {
        assert_eq!(logs.publish("", Message::new(n.to_string()))?.queues, 2);
        assert_eq!(texts(&quick), [n.to_string()]);
    }
    assert_eq!((slow.lost(), quick.lost()), (7, 0));
    assert_eq!(texts(&slow), ["7", "8", "9"]);
    logs.publish("", Message::new("10"))?;
    assert_eq!((texts(&slow), slow.lost()), (vec!["10".to_owned()], 7));
    Ok(())
}

#[test]
fn one_that_may_hold_nothing_is_refused() -> Result<()> {
    let broker = lagging_by(0)?;
    let logs = broker.declare_exchange("logs").fanout().declare()?;
    let error = logs.subscribe("").unwrap_err();
    let ErrorKind::LimitExceeded { limit, max, found, .. } = error.kind() else {
        panic!("{error}")
    };
    assert_eq!((*limit, *max, *found), ("subscription_messages", 0, 1));
    assert_eq!(logs.publish("", Message::new("x"))?.queues, 0, "nothing is bound");
    Ok(())
}

#[test]
fn what_it_loses_is_gone_from_memory() -> Result<()> {
    let broker = lagging_by(1)?;
    let logs = broker.declare_exchange("logs").fanout().declare()?;
    let subscription = logs.subscribe("")?;
    for _ in 0..100 {
        logs.publish("", Message::new(vec![0; 100_000]))?;
    }
    assert_eq!(subscription.lost(), 99);
    let drawn = broker.memory_bytes();
    assert!(drawn < 200_000, "{drawn} bytes for one message");
    assert_eq!(texts(&subscription).len(), 1);
    Ok(())
}

#[test]
fn it_waits_as_a_task_and_hears_of_the_end() -> Result<()> {
    let broker = Broker::new();
    let logs = broker.declare_exchange("logs").fanout().declare()?;
    let subscription = logs.subscribe("")?;
    let alarm = Alarm::new();
    let waker = alarm.waker();
    let mut cx = Context::from_waker(&waker);
    assert!(subscription.poll_recv(&mut cx).is_pending());
    logs.publish("", Message::new("x"))?;
    assert_eq!(alarm.rings(), 1);
    assert!(matches!(subscription.poll_recv(&mut cx), Poll::Ready(Ok(_))));
    assert!(subscription.poll_recv(&mut cx).is_pending());
    broker.close(Duration::from_secs(1));
    assert_eq!(alarm.rings(), 2);
    let ended = TryRecvError::Ended(EndReason::BrokerClosed);
    assert_eq!(subscription.try_recv().unwrap_err(), ended);
    assert_eq!((&subscription).into_iter().count(), 0);
    assert!(subscription.also("more").is_err());
    Ok(())
}

#[test]
fn it_does_not_keep_its_broker_open() -> Result<()> {
    let broker = Broker::new();
    let logs = broker.declare_exchange("logs").fanout().declare()?;
    let subscription = logs.subscribe("")?;
    drop((broker, logs));
    assert_eq!(subscription.end(), Some(EndReason::BrokerClosed));
    Ok(())
}
