//! The end of a broker, against everything that begins meanwhile.

use loom::thread;

use super::{Dropped, EVER, broker, check, queue};
use crate::{ConnectOptions, Consume, EndReason, Event, Message};

#[test]
fn closing_waits_for_the_delivery_in_hand() {
    check(|| {
        let broker = broker();
        let queue = queue(&broker, "q");
        queue.send(Message::new("x")).expect("there is room");
        let delivery = queue.get().expect("it is open").expect("it is there");
        let acks = thread::spawn(move || delivery.ack().is_ok());
        let report = broker.close(EVER);
        assert!(acks.join().expect("it does not wait"), "the broker waited for it");
        assert!(report.is_clean() && report.messages_lost == 0, "{report:?}");
    });
}

#[test]
fn everyone_who_closes_gets_the_report() {
    check(|| {
        let broker = broker();
        let queue = queue(&broker, "q");
        queue.send(Message::new("x")).expect("there is room");
        let other = broker.clone();
        let closes = thread::spawn(move || other.close(EVER));
        let report = broker.close(EVER);
        assert_eq!(closes.join().expect("it does not wait for ever"), report);
        assert!(report.is_clean() && report.messages_lost == 1, "{report:?}");
    });
}

#[test]
fn a_consumer_that_starts_while_the_broker_closes_ends() {
    check(|| {
        let broker = broker();
        let queue = queue(&broker, "q");
        queue.send(Message::new("x")).expect("there is room");
        let starts = thread::spawn(move || queue.consume().start());
        // It would wait for a message in a mailbox that nobody looks into, or report it.
        let report = broker.close(EVER);
        assert!(report.is_clean(), "{report:?}");
        if let Ok(consumer) = starts.join().expect("it does not wait") {
            assert_eq!(consumer.end(), Some(EndReason::BrokerClosed));
        }
    });
}

#[test]
fn a_queue_that_is_declared_while_the_broker_ends_ends_too() {
    check(|| {
        let broker = broker();
        let vhost = broker.clone();
        let declares = thread::spawn(move || vhost.declare_queue("q").declare());
        broker.close(EVER);
        if let Ok(queue) = declares.join().expect("it does not wait") {
            assert!(queue.cell().is_deleted());
        }
    });
}

#[test]
fn a_connection_that_opens_while_the_broker_closes_closes_too() {
    check(|| {
        let broker = broker();
        let vhost = broker.clone();
        let connects = thread::spawn(move || {
            let Ok(connection) = vhost.connect(ConnectOptions::default()) else { return };
            let channel = connection.open_channel();
            while let Some((_, event)) = connection.next_event(EVER) {
                assert!(matches!(event, Event::Closed(_)));
            }
            if let Ok(channel) = channel {
                while let Some(event) = channel.next_event(EVER) {
                    assert!(matches!(event, Event::Closed(_)));
                }
            }
        });
        broker.close(EVER);
        connects.join().expect("it learns the end");
    });
}

#[test]
fn all_events_of_a_connection_that_closes_are_taken() {
    check(|| {
        let broker = broker();
        let connection = broker.connect(ConnectOptions::default()).expect("it is open");
        let channel = connection.open_channel().expect("it is open");
        let takes = thread::spawn(move || {
            let mut events = 0;
            while let Some((_, event)) = connection.next_event(EVER) {
                assert!(matches!(event, Event::Closed(_)));
                events += 1;
            }
            events
        });
        broker.close(EVER);
        assert_eq!(takes.join().expect("it learns the end"), 2, "the channel's and its own");
        drop(channel);
    });
}

#[test]
fn a_channel_that_starts_to_consume_while_the_broker_closes_holds_nothing_up() {
    check(|| {
        let broker = broker();
        let queue = queue(&broker, "q");
        queue.send(Message::new("x")).expect("there is room");
        let connection = broker.connect(ConnectOptions::default()).expect("it is open");
        let channel = connection.open_channel().expect("it is open");
        let consumes = thread::spawn(move || {
            let of = Consume { queue: "q", ..Consume::default() };
            drop(channel.basic_consume(of));
            channel
        });
        // It would wait for a delivery that nobody takes.
        broker.close(EVER);
        drop(consumes.join().expect("it does not wait"));
        drop(connection);
    });
}

#[test]
fn what_nobody_took_is_dropped_where_no_lock_is_held() {
    check(|| {
        let broker = broker();
        let queue = queue(&broker, "q");
        let dropped = Dropped::none();
        let connection = broker.connect(ConnectOptions::default()).expect("it is open");
        let channel = connection.open_channel().expect("it is open");
        let of = Consume { queue: "q", ..Consume::default() };
        channel.basic_consume(of).expect("the queue is there");
        queue.send(dropped.message("x")).expect("there is room");
        let deletes = thread::spawn(move || drop(queue.delete()));
        broker.close(EVER);
        deletes.join().expect("it does not wait");
        drop((channel, connection));
        assert_eq!(dropped.count(), 1);
    });
}
