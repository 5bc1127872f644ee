//! What a confirm promises, and transactions.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use leveret::{Broker, ConnectOptions, Durability, Event, Message, PublishReason, Receipt};

use super::folder::{Folder, PATIENCE};

fn fan_out(broker: &Broker, queues: &[&str]) -> leveret::Exchange {
    let exchange = broker.declare_exchange("all").fanout().durable().declare().unwrap();
    for name in queues {
        exchange.bind(&broker.declare_queue(name).durable().declare().unwrap(), "").unwrap();
    }
    exchange
}

fn persistent(body: &str) -> Message {
    Message::new(body.to_owned()).persistent()
}

#[test]
fn a_receipt_says_the_lowest_level_that_holds() {
    let folder = Folder::new();
    let broker = folder.open();
    let exchange = fan_out(&broker, &["a", "b"]);
    let publisher = exchange.publisher().open().unwrap();
    let publish = |message| publisher.publish("", message).unwrap().wait().unwrap();
    let receipt = publish(persistent("x"));
    assert_eq!((receipt.queues, receipt.level), (2, Durability::Power));
    assert_eq!(publish(Message::new("transient")).level, Durability::Memory);
    exchange.bind(&broker.declare_queue("t").declare().unwrap(), "").unwrap();
    let Receipt { queues, level, .. } = publish(persistent("y"));
    assert_eq!((queues, level), (3, Durability::Memory), "one of three is not durable");
    let folder = Folder::new();
    let broker =
        Broker::builder().store(folder.path()).durability(Durability::Process).open().unwrap();
    let publisher = fan_out(&broker, &["a"]).publisher().open().unwrap();
    let receipt = publisher.publish("", persistent("x")).unwrap().wait().unwrap();
    assert_eq!(receipt.level, Durability::Process);
}

#[test]
fn what_is_confirmed_survives_a_crash() {
    let folder = Folder::new();
    let broker = folder.open();
    let publisher = fan_out(&broker, &["a", "b"]).publisher().open().unwrap();
    for round in 0..10 {
        publisher.publish("", persistent(&round.to_string())).unwrap().wait().unwrap();
        let crashed = folder.crashed();
        let broker = crashed.open();
        for queue in ["a", "b"] {
            assert_eq!(broker.queue(queue).unwrap().stats().ready, round + 1, "{queue}");
        }
    }
}

#[test]
fn a_batch_has_one_confirm() {
    let folder = Folder::new();
    let broker = folder.open();
    let publisher = fan_out(&broker, &["a", "b"]).publisher().open().unwrap();
    let mut batch: Vec<_> = (0..100).map(|n| persistent(&n.to_string())).collect();
    let receipt = publisher.publish_batch("", &mut batch).unwrap().wait().unwrap();
    assert_eq!((receipt.queues, receipt.level), (200, Durability::Power));
    let crashed = folder.crashed();
    assert_eq!(crashed.open().recovery_report().messages, 200);
    let report = publisher.wait_all(PATIENCE);
    assert_eq!((report.acked, report.nacked, report.pending), (100, 0, 0));
}

#[test]
fn a_window_lets_no_more_be_unconfirmed() {
    let folder = Folder::new();
    let broker = folder.open();
    let exchange = fan_out(&broker, &["a"]);
    let publisher = exchange.publisher().window(2).open().unwrap();
    let mut refused = 0;
    for n in 0..1_000 {
        match publisher.publish("", persistent(&n.to_string())) {
            Ok(_) => {}
            Err(error) => {
                let reason = error.reason();
                assert!(matches!(reason, PublishReason::Full { limit: "unconfirmed", .. }));
                refused += 1;
                let message = error.into_message();
                let confirm = publisher.publish_timeout("", message, PATIENCE).unwrap();
                confirm.wait().unwrap();
            }
        }
    }
    assert!(refused > 0, "a disk is not as fast as that");
    let report = publisher.wait_all(PATIENCE);
    assert_eq!((report.acked, report.pending), (1_000, 0));
}

/// Wakes a thread that waits for a task.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[test]
fn a_task_may_await_a_confirm() {
    let folder = Folder::new();
    let broker = folder.open();
    let publisher = fan_out(&broker, &["a"]).publisher().open().unwrap();
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    for n in 0..20 {
        let mut confirm = pin!(publisher.publish("", persistent(&n.to_string())).unwrap());
        let receipt = loop {
            match confirm.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(decided) => break decided.unwrap(),
                Poll::Pending => thread::park(),
            }
        };
        assert_eq!(receipt.level, Durability::Power);
    }
}

#[test]
fn confirms_of_a_channel_come_in_the_order_of_their_numbers() {
    let folder = Folder::new();
    let broker = folder.open();
    fan_out(&broker, &["a"]);
    broker.declare_queue("t").declare().unwrap();
    let connection = broker.connect(ConnectOptions::default()).unwrap();
    let channel = connection.open_channel().unwrap();
    channel.confirm_select().unwrap();
    for n in 0..60 {
        let (key, message) = match n % 3 {
            0 => ("a", persistent("stored")),
            1 => ("t", Message::new("in memory")),
            _ => ("nobody", persistent("unroutable")),
        };
        let publish = leveret::Publish { routing_key: key, ..leveret::Publish::default() };
        assert_eq!(channel.basic_publish(publish, message).unwrap().unwrap().0, n + 1);
    }
    let mut confirmed = 0;
    while confirmed < 60 {
        match channel.next_event(PATIENCE).expect("all are confirmed") {
            Event::Ack { delivery_tag, multiple } => {
                assert!(delivery_tag.0 == confirmed + 1 || multiple && delivery_tag.0 > confirmed);
                confirmed = delivery_tag.0;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(folder.crashed().open().recovery_report().messages, 20);
}

#[test]
fn closing_decides_every_confirm() {
    let folder = Folder::new();
    let broker = folder.open();
    let publisher = fan_out(&broker, &["a"]).publisher().open().unwrap();
    let confirms: Vec<_> =
        (0..500).map(|n| publisher.publish("", persistent(&n.to_string())).unwrap()).collect();
    let report = broker.close(PATIENCE);
    assert_eq!(report.unconfirmed, 0);
    for confirm in confirms {
        confirm.wait().unwrap();
    }
}

#[test]
fn closing_confirms_on_channels_before_it_closes_them() {
    let folder = Folder::new();
    let broker = folder.open();
    fan_out(&broker, &["a"]);
    let connection = broker.connect(ConnectOptions::default()).unwrap();
    let channel = connection.open_channel().unwrap();
    channel.confirm_select().unwrap();
    for _ in 0..100 {
        let publish = leveret::Publish { routing_key: "a", ..leveret::Publish::default() };
        channel.basic_publish(publish, persistent("x")).unwrap();
    }
    broker.close(PATIENCE);
    let mut confirmed = 0;
    while let Some(Event::Ack { delivery_tag, .. }) = channel.try_event() {
        confirmed = delivery_tag.0;
    }
    assert_eq!(confirmed, 100);
}

#[test]
fn a_transaction_is_durable_when_it_returns_and_all_or_nothing() {
    let folder = Folder::new();
    let broker = folder.open();
    let exchange = fan_out(&broker, &["a", "b"]);
    let source = broker.declare_queue("source").durable().declare().unwrap();
    source.send(persistent("task")).unwrap();
    let task = source.get().unwrap().unwrap();
    let mut transaction = broker.transaction();
    for n in 0..10 {
        transaction.publish(&exchange, "", persistent(&n.to_string())).unwrap();
    }
    transaction.ack(task).unwrap();
    broker.sync(PATIENCE).unwrap();
    let before = folder.crashed();
    transaction.commit().unwrap();
    let after = folder.crashed();
    let counts = |folder: &Folder| {
        let broker = folder.open();
        ["a", "b", "source"].map(|name| broker.queue(name).unwrap().stats().ready)
    };
    assert_eq!(counts(&before), [0, 0, 1]);
    assert_eq!(counts(&after), [10, 10, 0]);
}
