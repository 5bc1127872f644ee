//! Dead letters that several threads cause at a time.

use loom::thread;

use super::{broker, check};
use crate::{Broker, Message, Queue};

/// A queue whose dead letters go to another one.
fn pair(broker: &Broker) -> (Queue, Queue) {
    let dead = broker.declare_queue("dead").declare().expect("nothing is wrong with it");
    let tasks = broker.declare_queue("tasks").dead_letter_to(&dead).declare();
    (tasks.expect("nothing is wrong with it"), dead)
}

#[test]
fn whoever_causes_a_death_it_is_buried_once() {
    check(|| {
        let broker = broker();
        let (tasks, dead) = pair(&broker);
        for body in ["1", "2"] {
            tasks.send(Message::new(body)).expect("there is room");
        }
        let rejects = |tasks: &Queue| {
            let delivery = tasks.get().expect("the broker is open").expect("it is there");
            thread::spawn(move || delivery.reject().expect("the broker is open"))
        };
        let threads = [rejects(&tasks), rejects(&tasks)];
        threads.into_iter().for_each(|thread| thread.join().expect("it does not wait"));
        let stats = tasks.stats();
        assert!(stats.is_conserved(), "{stats:?}");
        assert_eq!((stats.dead_lettered, stats.moving, stats.held()), (2, 0, 0));
        assert_eq!(dead.stats().ready, 2);
        tasks.cell().check_invariants();
    });
}

#[test]
fn a_letter_leaves_a_queue_that_is_deleted_meanwhile() {
    check(|| {
        let broker = broker();
        let (tasks, dead) = pair(&broker);
        tasks.send(Message::new("1")).expect("there is room");
        let delivery = tasks.get().expect("the broker is open").expect("it is there");
        let rejects = thread::spawn(move || delivery.reject().expect("the broker is open"));
        let deletes = tasks.clone();
        let deletes = thread::spawn(move || deletes.delete().map(drop));
        rejects.join().expect("it does not wait");
        deletes.join().expect("it does not wait").expect("the broker is open");
        let stats = tasks.stats();
        assert!(stats.is_conserved(), "{stats:?}");
        assert_eq!((stats.dead_lettered + stats.deleted, stats.held()), (1, 0));
        assert_eq!(dead.stats().ready, stats.dead_lettered);
    });
}
