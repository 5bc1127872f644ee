//! What a broker does when its disk fails, or is full.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use crate::{
    Broker, ConfirmError, ConnectOptions, ErrorKind, Event, Message, Outcome, Publish,
    PublishReason, Queue, Value,
    broker::dead_letters,
    store::{
        engine::EngineError,
        place_simulated::{Disk, Fault, Lasting},
        position::Level,
    },
};

use super::{Opened, Position};

/// How long a thread may take.
const PATIENCE: Duration = Duration::from_secs(30);

fn open(disk: &Disk) -> Broker {
    let place = Box::new(disk.open());
    let opened =
        |_, clock: &_, resident| Ok(Opened::new(place, Level::Power, clock, resident).unwrap());
    Broker::builder().open_with(opened).unwrap()
}

fn persistent(body: &str) -> Message {
    Message::new(body.to_owned()).persistent()
}

fn durable(broker: &Broker) -> Queue {
    broker.declare_queue("q").durable().declare().unwrap()
}

/// From now on every operation fails.
fn fail(disk: &Disk, error: EngineError, lasting: Lasting) {
    disk.set_fault(Some(Fault { after: disk.operations(), error, lasting }));
}

fn no_space(disk: &Disk) {
    fail(disk, EngineError::Full, Lasting::Life);
}

#[test]
fn a_failed_disk_is_told_to_every_publisher_and_keeps_nobody_from_consuming() {
    let disk = Disk::new(1);
    let broker = open(&disk);
    let queue = durable(&broker);
    let publisher = broker.default_exchange().publisher().open().unwrap();
    publisher.publish("q", persistent("a")).unwrap().wait().unwrap();
    fail(&disk, EngineError::Failed("no such luck".to_owned()), Lasting::Times(1));
    let confirm = publisher.publish("q", persistent("b")).unwrap();
    let error = confirm.wait().unwrap_err();
    assert!(matches!(error, ConfirmError::StoreFailed { .. }), "{error}");
    assert!(error.to_string().contains("no such luck"), "{error}");
    // Once it has failed it stays so, although the disk would do it again.
    let refused = publisher.publish("q", persistent("c")).unwrap_err();
    let PublishReason::Refused(error) = refused.reason() else { panic!("{refused}") };
    assert!(matches!(error.kind(), ErrorKind::StoreFailed { .. }), "{error}");
    assert_eq!(refused.into_message().text(), Some("c"));
    assert!(queue.send(persistent("d")).is_err());
    assert!(queue.send(Message::new("transient")).is_ok());
    let error = broker.declare_queue("new").durable().declare().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::StoreFailed { .. }), "{error}");
    assert!(broker.queue("new").is_err(), "nothing was made");
    let bodies = ["a", "b", "transient"];
    for body in bodies {
        let delivery = queue.get().unwrap().expect("it is in memory");
        assert_eq!(delivery.text(), Some(body));
        delivery.ack().unwrap();
    }
    assert!(broker.sync(PATIENCE).is_err());
    let report = broker.close(PATIENCE);
    assert!(report.unconfirmed > 0 && !report.is_clean(), "{report:?}");
    disk.cut();
    assert_eq!(open(&disk).recovery_report().messages, 1, "what was confirmed is there");
}

#[test]
fn on_a_channel_a_failed_disk_is_a_nack() {
    let disk = Disk::new(2);
    let broker = open(&disk);
    durable(&broker);
    let connection = broker.connect(ConnectOptions::default()).unwrap();
    let channel = connection.open_channel().unwrap();
    let publish = || Publish { routing_key: "q", ..Publish::default() };
    let plain = connection.open_channel().unwrap();
    channel.confirm_select().unwrap();
    fail(&disk, EngineError::Failed("gone".to_owned()), Lasting::Life);
    for number in 1..=3 {
        let tag = channel.basic_publish(publish(), persistent("x")).unwrap().unwrap();
        assert_eq!(tag.0, number);
        match channel.next_event(PATIENCE).expect("it is decided") {
            Event::Nack { delivery_tag, multiple: false } => assert_eq!(delivery_tag.0, number),
            other => panic!("{other:?}"),
        }
    }
    let error = plain.basic_publish(publish(), persistent("x")).unwrap_err();
    assert!(matches!(error.reason(), PublishReason::Refused(_)), "{error}");
    assert!(plain.error().is_none(), "the channel stays open, to consume what is in memory");
    assert!(channel.error().is_none());
}

#[test]
fn a_full_disk_refuses_what_is_to_be_stored_and_goes_on_by_itself() {
    let disk = Disk::new(3);
    let broker = open(&disk);
    let queue = durable(&broker);
    let publisher = broker.default_exchange().publisher().open().unwrap();
    publisher.publish("q", persistent("a")).unwrap().wait().unwrap();
    no_space(&disk);
    let mut pending = publisher.publish("q", persistent("b")).unwrap();
    // The first to be written finds out.
    let refused = loop {
        match publisher.publish("q", persistent("c")) {
            Ok(_) => thread::yield_now(),
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused.reason(), PublishReason::Full { limit: "disk" }), "{refused}");
    assert_eq!(pending.wait_timeout(Duration::ZERO).unwrap(), None, "nothing is claimed");
    assert!(queue.send(Message::new("transient")).is_ok());
    let got = queue.get().unwrap().expect("consuming goes on");
    assert_eq!(got.text(), Some("a"));
    got.ack().unwrap();
    let error = broker.declare_queue("new").durable().declare().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Full { limit: "disk" }), "{error}");
    disk.set_fault(None);
    let confirm = publisher.publish_timeout("q", refused.into_message(), PATIENCE).unwrap();
    confirm.wait().unwrap();
    pending.wait().unwrap();
    broker.close(PATIENCE);
    disk.cut();
    let queue = open(&disk).queue("q").unwrap();
    assert_eq!(queue.get().unwrap().unwrap().text(), Some("b"), "the ack was written as well");
}

#[test]
fn an_ack_is_told_in_the_step_that_it_was_made_in() {
    let broker = open(&Disk::new(4));
    let queue = durable(&broker);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        // Whoever looks at the queue tells it first what it was not told.
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let _ = queue.stats();
            }
        });
        let elsewhere = (0..20_000).filter(|number| {
            queue.send(persistent(&number.to_string())).unwrap();
            let delivery = queue.get().unwrap().unwrap();
            let journal = broker.state().context.journal.as_ref().unwrap();
            let (acked, position) = journal.step(|| delivery.ack());
            acked.unwrap();
            position == Position::NONE
        });
        let elsewhere = elsewhere.count();
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(elsewhere, 0, "acks were told in steps of others");
    });
}

#[test]
fn confirms_of_several_queues_survive_a_power_cut_as_one() {
    for seed in 0..50 {
        let disk = Disk::new(seed);
        let broker = open(&disk);
        let exchange = broker.declare_exchange("x").fanout().durable().declare().unwrap();
        let names = ["a", "b", "c"];
        for name in names {
            let queue = broker.declare_queue(name).durable().declare().unwrap();
            exchange.bind(&queue, "").unwrap();
        }
        let publisher = exchange.publisher().open().unwrap();
        let confirms: Vec<_> =
            (0..40).map(|n| publisher.publish("", persistent(&n.to_string())).unwrap()).collect();
        let confirmed =
            confirms.into_iter().take((seed % 40) as usize).map(|of| of.wait().unwrap());
        let confirmed = confirmed.count() as u64;
        disk.cut();
        drop((publisher, exchange, broker));
        let broker = open(&disk);
        let counts = names.map(|name| broker.queue(name).unwrap().stats().ready);
        assert!(counts.iter().all(|count| *count == counts[0]), "seed {seed}: {counts:?}");
        assert!(counts[0] >= confirmed, "seed {seed}: {counts:?}, {confirmed} were confirmed");
    }
}

#[test]
fn a_rejection_in_a_transaction_is_durable_with_it() {
    let disk = Disk::new(5);
    let broker = open(&disk);
    let letters = broker.declare_exchange("letters").fanout().durable().declare().unwrap();
    let queue = broker.declare_queue("q").durable().dead_letter_to(&letters).declare().unwrap();
    let dead = broker.declare_queue("dead").durable().declare().unwrap();
    letters.bind(&dead, "").unwrap();
    broker.declare_queue("done").durable().declare().unwrap();
    queue.send(persistent("task")).unwrap();
    let task = queue.get().unwrap().unwrap();
    let mut transaction = broker.transaction();
    transaction.settle(task, Outcome::Reject("no".to_owned())).unwrap();
    transaction.publish(&broker.default_exchange(), "done", persistent("result")).unwrap();
    dead_letters::after(|| {
        transaction.commit().unwrap();
        assert_eq!((queue.stats().moving, dead.stats().ready), (1, 0));
        // The letter is not on its way yet.
        disk.cut();
    });
    drop((queue, letters, dead, broker));
    for _ in 0..2 {
        let broker = open(&disk);
        let ready = ["q", "dead", "done"].map(|name| broker.queue(name).unwrap().stats().ready);
        assert_eq!(ready, [0, 1, 1]);
        let letter = broker.queue("dead").unwrap().browse(1).unwrap().remove(0).message;
        let headers = letter.headers().expect("it has died");
        let Some(Value::Array(deaths)) = headers.get("x-death") else { panic!("{letter:?}") };
        let Value::Table(death) = &deaths[0] else { panic!("{deaths:?}") };
        assert_eq!(death.get("reason"), Some(&Value::from("rejected")));
        disk.cut();
    }
}
