//! What a crash leaves of acks. They are put off while their queue is left alone.

use std::time::Duration;

use leveret::{Broker, Consumer, Delivery, ManualClock, Message, Queue};

use crate::folder::{Folder, PATIENCE};

/// A queue for other things, and somebody who has received all messages of `tasks`.
fn received(broker: &Broker) -> (Queue, Consumer, Vec<Delivery>) {
    let declare = |name| broker.declare_queue(name).durable().declare().expect("it is declared");
    let (tasks, others) = (declare("tasks"), declare("others"));
    for body in ["a", "b", "c"] {
        tasks.send(Message::new(body).persistent()).expect("it is sent");
    }
    let consumer = tasks.consume().start().expect("it starts");
    let deliveries = (0..3).map(|_| consumer.recv().expect("it is there")).collect();
    (others, consumer, deliveries)
}

#[test]
fn an_ack_is_durable_once_a_later_publish_to_another_queue_is() {
    let folder = Folder::new();
    let broker = folder.open();
    let (others, _consumer, deliveries) = received(&broker);
    for delivery in deliveries {
        delivery.ack().expect("it is acked");
    }
    let publisher = broker.default_exchange().publisher().open().expect("it opens");
    let confirm = publisher.publish(others.name(), Message::new("d").persistent());
    confirm.expect("it is published").wait().expect("it is confirmed");
    let broker = folder.crashed().open();
    assert_eq!(broker.queue("tasks").expect("it is there").stats().ready, 0);
}

#[test]
fn an_ack_in_a_transaction_is_durable_with_it() {
    let folder = Folder::new();
    let broker = folder.open();
    let (others, _consumer, deliveries) = received(&broker);
    let mut transaction = broker.transaction();
    for delivery in deliveries {
        transaction.ack(delivery).expect("it is taken");
    }
    let message = Message::new("d").persistent();
    transaction.publish(&broker.default_exchange(), others.name(), message).expect("it is taken");
    transaction.commit().expect("it is committed");
    let broker = folder.crashed().open();
    assert_eq!(broker.queue("others").expect("it is there").stats().ready, 1);
    assert_eq!(broker.queue("tasks").expect("it is there").stats().ready, 0);
}

#[test]
fn an_ack_lets_what_came_back_through_before_its_time_is_over() {
    let (folder, clock) = (Folder::new(), ManualClock::new());
    let broker = folder.open_at(&clock);
    let queue = broker.declare_queue("q").durable().declare().expect("it is declared");
    queue.send(Message::new("a").persistent()).expect("it is sent");
    let brief = Message::new("b").persistent().expires_in(Duration::from_secs(10));
    queue.send(brief).expect("it is sent");
    broker.close(PATIENCE);
    drop((queue, broker));
    let broker = folder.open_at(&clock);
    let queue = broker.queue("q").expect("it is there");
    let consumer = queue.consume().prefetch(1).start().expect("it starts");
    consumer.recv().expect("it is there").ack().expect("it is acked");
    clock.advance(Duration::from_secs(10));
    assert_eq!(consumer.try_recv().expect("it was handed out in time").text(), Some("b"));
}
