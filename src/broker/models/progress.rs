//! Waiting for something of the whole broker: room, and the end of closing.

use std::sync::Arc;

use loom::thread;

use super::{EVER, block_on, broker_within, check, queue};
use crate::{
    Limits, Message, Name,
    broker::progress::Progress,
    clock::HostDeadline,
    message::Label,
    sync::atomic::{AtomicUsize, Ordering},
};

/// A number that is waited for, as the room of a budget is. Each location has been written with
/// the strongest order once: loom orders initial values less than the language does.
fn goal() -> (Arc<AtomicUsize>, Arc<Progress>) {
    let (goal, progress) = (Arc::new(AtomicUsize::new(0)), Arc::new(Progress::new()));
    goal.store(0, Ordering::SeqCst);
    drop(progress.watch());
    (goal, progress)
}

#[test]
fn a_step_is_not_missed_by_a_thread() {
    check(|| {
        let (goal, progress) = goal();
        let step = (Arc::clone(&goal), Arc::clone(&progress));
        let steps = thread::spawn(move || {
            let (goal, progress) = step;
            for _ in 0..2 {
                goal.fetch_add(1, Ordering::SeqCst);
                progress.made();
            }
        });
        let mut watch = progress.watch();
        while goal.load(Ordering::SeqCst) < 2 {
            assert!(watch.wait(HostDeadline::NEVER));
        }
        drop(watch);
        steps.join().expect("it does not wait");
    });
}

#[test]
fn a_step_is_not_missed_by_tasks() {
    check(|| {
        let (goal, progress) = goal();
        let wait = || {
            let (goal, progress) = (Arc::clone(&goal), Arc::clone(&progress));
            thread::spawn(move || {
                block_on(|cx| {
                    progress.register(cx.waker().clone());
                    match goal.load(Ordering::SeqCst) {
                        0 => std::task::Poll::Pending,
                        _ => std::task::Poll::Ready(()),
                    }
                });
            })
        };
        let (one, other) = (wait(), wait());
        goal.fetch_add(1, Ordering::SeqCst);
        progress.made();
        one.join().expect("it is woken");
        other.join().expect("it is woken");
    });
}

#[test]
fn a_publisher_learns_of_room() {
    check(|| {
        let mut limits = Limits::default();
        limits.memory_bytes = 10_000;
        let broker = broker_within(limits);
        let queue = queue(&broker, "q");
        queue.send(Message::new(vec![0; 9_000])).expect("there is room");
        let taken = queue.get().expect("it is open").expect("it is there");
        drop(queue.cell().context().room.watch());
        let exchange = broker.default_exchange();
        let publishes = thread::spawn(move || {
            exchange.publish_timeout("q", Message::new(vec![0; 9_000]), EVER).map(drop)
        });
        taken.ack().expect("it is open");
        publishes.join().expect("it is told").expect("there is room now");
    });
}

#[test]
fn a_publisher_that_waits_for_room_learns_of_the_end() {
    check(|| {
        let mut limits = Limits::default();
        limits.memory_bytes = 10;
        let broker = broker_within(limits);
        queue(&broker, "q");
        let exchange = broker.default_exchange();
        let publishes = thread::spawn(move || {
            exchange.publish_timeout("q", Message::new(vec![0; 9_000]), EVER).map(drop)
        });
        broker.close(EVER);
        // It is refused, or finds that its queue is gone.
        drop(publishes.join().expect("it is told"));
    });
}

#[test]
fn a_task_that_waits_for_room_learns_of_the_end() {
    check(|| {
        let mut limits = Limits::default();
        limits.memory_bytes = 0;
        let broker = broker_within(limits);
        queue(&broker, "q");
        let publisher = broker.default_exchange().publisher().open().expect("it is open");
        let waits = thread::spawn(move || block_on(|cx| publisher.poll_ready(cx)).is_err());
        broker.close(EVER);
        assert!(waits.join().expect("it is told"));
    });
}

#[test]
fn a_task_learns_of_room() {
    check(|| {
        let message = Message::new("x");
        let mut limits = Limits::default();
        // Not a byte more than the message takes.
        limits.memory_bytes =
            message.bytes_with(&Label::new(Name::default(), Name::from("q"))).into();
        let broker = broker_within(limits);
        let queue = queue(&broker, "q");
        queue.send(message).expect("there is room");
        let taken = queue.get().expect("it is open").expect("it is there");
        drop(queue.cell().context().room.watch());
        let publisher = broker.default_exchange().publisher().open().expect("it is open");
        let waits = thread::spawn(move || block_on(|cx| publisher.poll_ready(cx)).is_ok());
        taken.ack().expect("it is open");
        assert!(waits.join().expect("it is told"));
    });
}
