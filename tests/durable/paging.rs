//! Backlogs larger than memory.

use std::time::Duration;

use leveret::{Broker, Limits, Message, Queue};

use super::folder::{Folder, PATIENCE};

const BUDGET: u64 = 1 << 20;
const BODY: usize = 10_000;

fn open(folder: &Folder) -> Broker {
    let mut limits = Limits::default();
    limits.memory_bytes = BUDGET;
    Broker::builder().store(folder.path()).limits(limits).open().unwrap()
}

fn body(number: usize) -> Vec<u8> {
    let mut body = number.to_string().into_bytes();
    body.resize(BODY, b' ');
    body
}

fn number(body: &[u8]) -> usize {
    std::str::from_utf8(body).unwrap().trim().parse().unwrap()
}

/// Publishes so many messages, ten times the memory there is.
fn fill(broker: &Broker, queue: &Queue, messages: usize) {
    let publisher = broker.default_exchange().publisher().open().unwrap();
    for n in 0..messages {
        let message = Message::new(body(n)).persistent();
        let _counted = publisher.publish_timeout(queue.name(), message, PATIENCE).unwrap();
        assert!(broker.memory_bytes() <= BUDGET, "{} bytes", broker.memory_bytes());
    }
    assert_eq!(publisher.wait_all(PATIENCE).pending, 0);
}

#[test]
fn a_backlog_may_be_ten_times_as_large_as_memory() {
    let folder = Folder::new();
    let broker = open(&folder);
    let queue = broker.declare_queue("q").durable().declare().unwrap();
    let messages = 10 * usize::try_from(BUDGET).unwrap() / BODY;
    fill(&broker, &queue, messages);
    assert_eq!(queue.stats().ready, messages as u64);
    let consumer = queue.consume().prefetch(10).start().unwrap();
    for n in 0..messages / 2 {
        let delivery = consumer.recv_timeout(PATIENCE).unwrap();
        assert_eq!(number(delivery.body()), n);
        delivery.ack().unwrap();
        assert!(broker.memory_bytes() <= BUDGET, "{} bytes", broker.memory_bytes());
    }
    drop(consumer);
    broker.close(PATIENCE);
    drop((queue, broker));
    let broker = open(&folder);
    assert!(broker.memory_bytes() <= BUDGET, "{} bytes", broker.memory_bytes());
    let queue = broker.queue("q").unwrap();
    for n in messages / 2..messages {
        let delivery = queue.get().unwrap().expect("it is there");
        assert_eq!(number(delivery.body()), n);
        delivery.ack().unwrap();
    }
    assert!(queue.get().unwrap().is_none());
}

#[test]
fn a_lazy_queue_keeps_no_body_in_memory() {
    let folder = Folder::new();
    let broker = open(&folder);
    let queue = broker.declare_queue("q").durable().lazy().declare().unwrap();
    for n in 0..20 {
        queue.send(Message::new(body(n)).persistent()).unwrap();
    }
    assert!(broker.memory_bytes() < 2 * BODY as u64, "{} bytes", broker.memory_bytes());
    let seen: Vec<_> = queue.browse(5).unwrap();
    assert_eq!(
        seen.iter().map(|of| number(of.message.body())).collect::<Vec<_>>(),
        [0, 1, 2, 3, 4]
    );
    let workers = queue
        .workers(2, |delivery| {
            number(delivery.body());
        })
        .unwrap();
    assert!(queue.wait_empty(PATIENCE));
    assert_eq!(workers.stop(PATIENCE).acked, 20);
}

#[test]
fn letters_of_a_lazy_queue_have_their_bodies() {
    let folder = Folder::new();
    let broker = open(&folder);
    let dead = broker.declare_queue("dead").durable().declare().unwrap();
    let queue = broker.declare_queue("q").durable().lazy().max_length(1).dead_letter_to(&dead);
    let queue = queue.declare().unwrap();
    for n in 0..4 {
        queue.send(Message::new(body(n)).persistent()).unwrap();
    }
    for n in 0..3 {
        let letter = dead.get().unwrap().expect("it has died");
        assert_eq!(number(letter.body()), n);
        letter.ack().unwrap();
    }
    assert_eq!(number(queue.get().unwrap().unwrap().body()), 3);
}

#[test]
fn without_auto_acks_or_with_them_bodies_are_there() {
    let folder = Folder::new();
    let broker = open(&folder);
    let queue = broker.declare_queue("q").durable().lazy().declare().unwrap();
    for n in 0..300 {
        queue.send(Message::new(body(n)).persistent()).unwrap();
    }
    let connection = broker.connect(leveret::ConnectOptions::default()).unwrap();
    let channel = connection.open_channel().unwrap();
    let consume = leveret::Consume { queue: "q", auto_ack: true, ..leveret::Consume::default() };
    channel.basic_consume(consume).unwrap();
    for n in 0..300 {
        match channel.next_event(PATIENCE).expect("it comes") {
            leveret::Event::Deliver(delivered) => assert_eq!(number(delivered.message.body()), n),
            other => panic!("{other:?}"),
        }
    }
    assert!(queue.wait_empty(Duration::ZERO));
}

#[test]
fn without_a_store_publishers_are_refused() {
    let mut limits = Limits::default();
    limits.memory_bytes = BUDGET;
    let broker = Broker::builder().limits(limits).open().unwrap();
    let queue = broker.declare_queue("q").durable().declare().unwrap();
    let sent = (0..).take_while(|n| queue.send(Message::new(body(*n)).persistent()).is_ok());
    assert!((80..110).contains(&sent.count()));
}
