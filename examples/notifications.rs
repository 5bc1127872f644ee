//! Notifications: everybody who listens hears everything that is said meanwhile.
//!
//! `cargo run --example notifications`
//!
//! A subscription to a fanout exchange has a temporary queue of its own, which the broker names,
//! and which is gone when the subscription is. What it receives is settled by receiving it. A
//! publisher neither knows who listens nor waits for anyone.
#![allow(clippy::disallowed_methods, reason = "listeners are threads")]

use std::{sync::mpsc, thread, time::Duration};

use leveret::{Broker, EndReason, Message};

/// How long a notification may take before something is wrong.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = Broker::new();
    let news = broker.declare_exchange("notifications").fanout().declare()?;

    let routed = news.publish("", Message::new("nobody is here yet"))?;
    assert_eq!(routed.queues, 0, "who comes later does not hear it");

    let (hear, heard) = mpsc::channel();
    let mut listeners = Vec::new();
    for name in ["phone", "laptop", "watch"] {
        let subscription = news.subscribe("")?;
        let hear = hear.clone();
        listeners.push(thread::spawn(move || {
            for event in &subscription {
                let text = event.text().unwrap_or_default();
                hear.send(format!("{name:<6} hears {text:?}")).expect("somebody collects");
            }
            subscription.end()
        }));
    }
    drop(hear);

    let mut lines = Vec::new();
    for text in ["the hare is off", "the tortoise follows"] {
        let routed = news.publish("", Message::new(text))?;
        assert_eq!(routed.queues, 3);
        lines.extend((0..3).map(|_| heard.recv_timeout(PATIENCE).expect("three listen")));
    }
    for line in &lines {
        println!("{line}");
    }
    assert_eq!(lines.iter().filter(|line| line.contains("the hare is off")).count(), 3);

    // One that leaves takes its queue along.
    let guest = news.subscribe("")?;
    assert_eq!(news.publish("", Message::new("anybody else?"))?.queues, 4);
    assert_eq!(guest.recv_timeout(PATIENCE)?.text(), Some("anybody else?"));
    drop(guest);
    assert_eq!(news.publish("", Message::new("bye"))?.queues, 3);
    lines.extend((0..6).map(|_| heard.recv_timeout(PATIENCE).expect("three listen")));

    broker.close(Duration::from_secs(10));
    for listener in listeners {
        let end = listener.join().expect("a listener panicked");
        assert_eq!(end, Some(EndReason::BrokerClosed), "listeners learn why it is over");
    }
    println!("{} notifications heard by 3 listeners, who left with the broker", lines.len());
    assert_eq!(lines.len(), 12);
    Ok(())
}
