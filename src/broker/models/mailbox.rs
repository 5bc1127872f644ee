//! Pushing, waiting and ending, at a mailbox alone.

use std::sync::Arc;

use loom::thread;

use super::{block_on, broker, check, queue};
use crate::{
    EndReason, Message,
    broker::mailbox::{Lag, Mailbox, Parcel},
    clock::HostDeadline,
    engine::queue::AckMode,
};

/// Messages of a queue that is gone: what is in a mailbox does not matter to it.
fn parcels<const N: usize>() -> [Parcel; N] {
    let broker = broker();
    let queue = queue(&broker, "q");
    std::array::from_fn(|_| {
        queue.send(Message::new("x")).expect("there is room");
        let (message, key, _) = queue.cell().get(AckMode::Manual).expect("it is there");
        Parcel { message, key: key.expect("it has to be settled") }
    })
}

fn put(mailbox: &Mailbox, parcel: Parcel) {
    if mailbox.push(parcel).wakes {
        mailbox.wake();
    }
}

fn end(mailbox: &Mailbox) -> usize {
    let unreceived = mailbox.end(EndReason::Cancelled);
    mailbox.wake();
    unreceived.len()
}

#[test]
fn each_of_two_threads_gets_one_of_two_messages() {
    check(|| {
        let mailbox = Arc::new(Mailbox::new(Lag::Unbounded));
        let receive = |mailbox: &Arc<Mailbox>| {
            let mailbox = Arc::clone(mailbox);
            thread::spawn(move || mailbox.take(HostDeadline::NEVER).expect("it has not ended").key)
        };
        let (one, other) = (receive(&mailbox), receive(&mailbox));
        for parcel in parcels::<2>() {
            put(&mailbox, parcel);
        }
        let (one, other) = (one.join().expect("it got one"), other.join().expect("it got one"));
        assert_ne!(one, other, "none is doubled");
    });
}

#[test]
fn a_thread_that_waits_gets_what_passers_by_leave() {
    check(|| {
        let mailbox = Arc::new(Mailbox::new(Lag::Unbounded));
        let waits = Arc::clone(&mailbox);
        let waits = thread::spawn(move || {
            drop(waits.take(HostDeadline::NEVER).expect("it has not ended"));
        });
        let passes = Arc::clone(&mailbox);
        let passes = thread::spawn(move || usize::from(passes.try_take().is_ok()));
        for parcel in parcels::<2>() {
            put(&mailbox, parcel);
        }
        waits.join().expect("it got one");
        let taken = passes.join().expect("it does not wait");
        assert_eq!(end(&mailbox), 1 - taken);
    });
}

#[test]
fn a_task_and_a_thread_get_one_of_two_messages_each() {
    check(|| {
        let mailbox = Arc::new(Mailbox::new(Lag::Unbounded));
        let task = Arc::clone(&mailbox);
        let task =
            thread::spawn(move || block_on(|cx| task.poll_take(cx)).expect("it has not ended").key);
        let waits = Arc::clone(&mailbox);
        let waits =
            thread::spawn(move || waits.take(HostDeadline::NEVER).expect("it has not ended").key);
        for parcel in parcels::<2>() {
            put(&mailbox, parcel);
        }
        let (one, other) = (task.join().expect("it got one"), waits.join().expect("it got one"));
        assert_ne!(one, other, "none is doubled");
    });
}

#[test]
fn everyone_learns_the_end_and_nothing_is_lost_in_it() {
    check(|| {
        let mailbox = Arc::new(Mailbox::new(Lag::Unbounded));
        let waits = Arc::clone(&mailbox);
        let waits = thread::spawn(move || {
            let mut taken = 0;
            while waits.take(HostDeadline::NEVER).is_ok() {
                taken += 1;
            }
            taken
        });
        let task = Arc::clone(&mailbox);
        let task = thread::spawn(move || {
            let mut taken = 0;
            while block_on(|cx| task.poll_take(cx)).is_ok() {
                taken += 1;
            }
            taken
        });
        let [parcel] = parcels();
        put(&mailbox, parcel);
        let returned = end(&mailbox);
        let taken: usize = waits.join().expect("it ends") + task.join().expect("it ends");
        assert_eq!(taken + returned, 1);
    });
}

#[test]
fn the_token_stands_for_whatever_is_left() {
    check(|| {
        let mailbox = Arc::new(Mailbox::new(Lag::Unbounded));
        let token = mailbox.ready().clone();
        let drains = Arc::clone(&mailbox);
        let drains = thread::spawn(move || {
            let mut taken = 0;
            if drains.ready().try_recv().is_ok() {
                while drains.try_take().is_ok() {
                    taken += 1;
                }
            }
            taken
        });
        for parcel in parcels::<2>() {
            put(&mailbox, parcel);
        }
        let taken: usize = drains.join().expect("it does not wait");
        assert!(taken == 2 || token.try_recv().is_ok(), "{taken} taken, and nobody is told");
        assert_eq!(taken + end(&mailbox), 2);
    });
}
