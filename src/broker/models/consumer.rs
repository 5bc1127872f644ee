//! Consumers of the handle tier, against all that happens to their queue meanwhile.

use loom::thread;

use super::{Dropped, block_on, broker, check, check_settled, queue};
use crate::{EndReason, Message};

#[test]
fn a_published_message_reaches_who_waits() {
    check(|| {
        let broker = broker();
        let queue = queue(&broker, "q");
        let consumer = queue.consume().start().expect("nothing is wrong with it");
        let waits = thread::spawn(move || {
            consumer.recv().expect("it has not ended").ack().expect("the broker is open");
        });
        queue.send(Message::new("x")).expect("there is room");
        waits.join().expect("it got the message");
        check_settled(&queue, 0);
    });
}

#[test]
fn a_settled_delivery_lets_the_next_one_through() {
    check(|| {
        let broker = broker();
        let queue = queue(&broker, "q");
        let consumer = queue.consume().prefetch(1).start().expect("nothing is wrong with it");
        queue.send(Message::new("1")).expect("there is room");
        let first = consumer.recv().expect("it was delivered");
        let acks = thread::spawn(move || first.ack().expect("the broker is open"));
        let sends = queue.clone();
        let sends = thread::spawn(move || sends.send(Message::new("2")).expect("there is room"));
        block_on(|cx| consumer.poll_recv(cx))
            .expect("it has not ended")
            .ack()
            .expect("the broker is open");
        acks.join().expect("it does not wait");
        sends.join().expect("it does not wait");
        check_settled(&queue, 0);
    });
}

#[test]
fn a_message_is_received_or_ready_after_the_end() {
    check(|| {
        let broker = broker();
        let queue = queue(&broker, "q");
        let consumer = queue.consume().start().expect("nothing is wrong with it");
        let receives = consumer.clone();
        let receives = thread::spawn(move || {
            let mut received = 0;
            while let Ok(delivery) = receives.recv() {
                delivery.ack().expect("the broker is open");
                received += 1;
            }
            received
        });
        let sends = queue.clone();
        let sends = thread::spawn(move || sends.send(Message::new("x")).expect("there is room"));
        consumer.cancel();
        sends.join().expect("it does not wait");
        let received: u64 = receives.join().expect("it learns the end");
        check_settled(&queue, 1 - received);
    });
}

#[test]
fn an_ack_counts_whatever_ends_the_consumer() {
    check(|| {
        let broker = broker();
        let queue = queue(&broker, "q");
        let consumer = queue.consume().start().expect("nothing is wrong with it");
        for text in ["1", "2"] {
            queue.send(Message::new(text)).expect("there is room");
        }
        let first = consumer.recv().expect("it was delivered");
        let acks = thread::spawn(move || first.ack().expect("the broker is open"));
        drop(consumer);
        acks.join().expect("it does not wait");
        check_settled(&queue, 1);
    });
}

#[test]
fn a_message_is_refused_or_deleted_with_the_queue() {
    check(|| {
        let broker = broker();
        let queue = queue(&broker, "q");
        let dropped = Dropped::none();
        let (sends, message) = (queue.clone(), dropped.message("x"));
        let sends = thread::spawn(move || sends.send(message).is_ok());
        let deleted = queue.delete().expect("nothing forbids it");
        let sent = sends.join().expect("it does not wait");
        assert_eq!(deleted, u64::from(sent), "counted as deleted, or refused");
        assert_eq!(dropped.count(), 1);
        check_settled(&queue, 0);
    });
}

#[test]
fn a_deleted_queue_ends_who_waits_and_keeps_no_message() {
    check(|| {
        let broker = broker();
        let queue = queue(&broker, "q");
        let dropped = Dropped::none();
        let consumer = queue.consume().start().expect("nothing is wrong with it");
        let receives = thread::spawn(move || {
            while let Ok(delivery) = consumer.recv() {
                delivery.ack().expect("the broker is open");
            }
            consumer.end()
        });
        queue.send(dropped.message("x")).expect("the queue is there");
        queue.delete().expect("nothing forbids it");
        assert_eq!(receives.join().expect("it learns the end"), Some(EndReason::QueueDeleted));
        assert_eq!(dropped.count(), 1);
        check_settled(&queue, 0);
    });
}

#[test]
fn an_abandoned_queue_goes_or_is_kept_by_a_new_consumer() {
    check(|| {
        let broker = broker();
        let queue = broker.declare_queue("q").auto_delete().declare().expect("the name is free");
        let last = queue.consume().start().expect("nothing is wrong with it");
        let starts = thread::spawn(move || queue.consume().start());
        drop(last);
        match starts.join().expect("it does not wait") {
            Ok(consumer) => {
                assert_eq!(consumer.end(), None, "the queue it has started on is still there");
                assert!(broker.queue("q").is_ok());
            }
            Err(error) => {
                assert!(error.is_not_found(), "{error}");
                assert!(broker.queue("q").is_err());
            }
        }
    });
}
