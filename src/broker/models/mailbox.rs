//! Waiting at a mailbox and its tray, by threads and tasks, while messages come and the end does.

use loom::thread;

use super::{EVER, block_on, broker, check, check_settled, queue};
use crate::{Consumer, Message, Queue};

fn consumer(queue: &Queue) -> Consumer {
    queue.consume().start().expect("nothing is wrong with it")
}

fn send(queue: &Queue, count: usize) {
    for _ in 0..count {
        queue.send(Message::new("x")).expect("there is room");
    }
}

/// Receives until the end, and says how much that was.
fn receive_all(consumer: &Consumer) -> u64 {
    let mut received = 0;
    while let Ok(delivery) = consumer.recv() {
        delivery.ack().expect("the broker is open");
        received += 1;
    }
    received
}

fn receive(consumer: &Consumer) {
    consumer.recv().expect("it has not ended").ack().expect("the broker is open");
}

#[test]
fn each_of_two_threads_gets_one_of_two_messages() {
    check(|| {
        let broker = broker();
        let queue = queue(&broker, "q");
        let one = consumer(&queue);
        let other = one.clone();
        let (one, other) =
            (thread::spawn(move || receive(&one)), thread::spawn(move || receive(&other)));
        send(&queue, 2);
        one.join().expect("it got one");
        other.join().expect("it got one");
        check_settled(&queue, 0);
    });
}

#[test]
fn what_one_thread_has_taken_at_once_another_receives() {
    check(|| {
        let broker = broker();
        let queue = queue(&broker, "q");
        let one = consumer(&queue);
        send(&queue, 2);
        let other = one.clone();
        let other = thread::spawn(move || receive(&other));
        receive(&one);
        other.join().expect("it got one");
        check_settled(&queue, 0);
    });
}

#[test]
fn a_thread_that_waits_gets_what_passers_by_leave() {
    check(|| {
        let broker = broker();
        let queue = queue(&broker, "q");
        let consumer = consumer(&queue);
        let (waits, passes) = (consumer.clone(), consumer.clone());
        let waits = thread::spawn(move || receive(&waits));
        let passes = thread::spawn(move || match passes.try_recv() {
            Ok(delivery) => {
                delivery.ack().expect("the broker is open");
                1
            }
            Err(_) => 0,
        });
        send(&queue, 2);
        waits.join().expect("it got one");
        let taken = passes.join().expect("it does not wait");
        drop(consumer);
        check_settled(&queue, 1 - taken);
    });
}

#[test]
fn a_task_and_a_thread_get_one_of_two_messages_each() {
    check(|| {
        let broker = broker();
        let queue = queue(&broker, "q");
        let task = consumer(&queue);
        let waits = task.clone();
        let waits = thread::spawn(move || receive(&waits));
        let sends = queue.clone();
        let sends = thread::spawn(move || send(&sends, 2));
        block_on(|cx| task.poll_recv(cx))
            .expect("it has not ended")
            .ack()
            .expect("the broker is open");
        waits.join().expect("it got one");
        sends.join().expect("it does not wait");
        check_settled(&queue, 0);
    });
}

#[test]
fn everyone_learns_the_end_and_nothing_is_lost_in_it() {
    check(|| {
        let broker = broker();
        let queue = queue(&broker, "q");
        let consumer = consumer(&queue);
        let (waits, task) = (consumer.clone(), consumer.clone());
        let waits = thread::spawn(move || receive_all(&waits));
        let task = thread::spawn(move || {
            let mut taken = 0;
            while let Ok(delivery) = block_on(|cx| task.poll_recv(cx)) {
                delivery.ack().expect("the broker is open");
                taken += 1;
            }
            taken
        });
        send(&queue, 1);
        consumer.cancel();
        let taken: u64 = waits.join().expect("it ends") + task.join().expect("it ends");
        check_settled(&queue, 1 - taken);
    });
}

#[test]
fn the_token_stands_for_whatever_is_left() {
    check(|| {
        let broker = broker();
        let queue = queue(&broker, "q");
        let consumer = consumer(&queue);
        let token = consumer.ready().clone();
        let drains = consumer.clone();
        let drains = thread::spawn(move || {
            let mut taken = 0;
            // Loom does not see the token: the look at it goes with one that it sees.
            assert_eq!(drains.end(), None);
            if drains.ready().try_recv().is_ok() {
                while let Ok(delivery) = drains.try_recv() {
                    delivery.ack().expect("the broker is open");
                    taken += 1;
                }
            }
            taken
        });
        send(&queue, 2);
        let taken: u64 = drains.join().expect("it does not wait");
        assert!(taken == 2 || token.try_recv().is_ok(), "{taken} taken, and nobody is told");
        drop(consumer);
        check_settled(&queue, 2 - taken);
    });
}

#[test]
fn an_ack_of_one_thread_lets_a_message_through_to_another_that_waits() {
    check(|| {
        let broker = broker();
        let queue = queue(&broker, "q");
        let consumer = queue.consume().prefetch(1).start().expect("nothing is wrong with it");
        send(&queue, 2);
        let first = consumer.recv().expect("it was delivered");
        let waits = consumer.clone();
        let waits = thread::spawn(move || receive(&waits));
        first.ack().expect("the broker is open");
        waits.join().expect("it got the second");
        check_settled(&queue, 0);
    });
}

#[test]
fn whoever_takes_over_gets_what_the_other_did_not_receive() {
    check(|| {
        let broker = broker();
        let queue = queue(&broker, "q");
        let first = consumer(&queue);
        send(&queue, 2);
        let receives = thread::spawn(move || receive_all(&first));
        let second = queue.consume().take_over().start().expect("nothing is wrong with it");
        let received = receives.join().expect("it learns that it is superseded");
        for _ in received..2 {
            second.recv_timeout(EVER).expect("it is there").ack().expect("the broker is open");
        }
        check_settled(&queue, 0);
    });
}
