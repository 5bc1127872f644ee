//! What closing a connection leaves behind, also while other threads are at work on it.

use std::sync::Barrier;

use leveret::{
    Broker, ConnectOptions, Connection, Consume, Get, Message, Publish, QueueDeclare, Result,
};

fn connect(broker: &Broker) -> Result<Connection> {
    broker.connect(ConnectOptions::default())
}

fn declare(queue: &str) -> QueueDeclare<'_> {
    QueueDeclare { queue, ..QueueDeclare::default() }
}

#[test]
fn no_channel_of_a_closing_connection_gets_what_another_returns() -> Result<()> {
    let broker = Broker::new();
    let connection = connect(&broker)?;
    let (first, second) = (connection.open_channel()?, connection.open_channel()?);
    first.queue_declare(declare("q"))?;
    first.basic_consume(Consume { queue: "q", ..Consume::default() })?;
    let to = Publish { routing_key: "q", ..Publish::default() };
    first.basic_publish(to, Message::new("m"))?;
    second.basic_consume(Consume { queue: "q", auto_ack: true, ..Consume::default() })?;

    connection.close();
    assert_eq!(broker.queue("q")?.stats().ready, 1, "it would be lost on the second channel");
    Ok(())
}

#[test]
fn a_method_that_races_with_the_close_leaves_nothing_behind() -> Result<()> {
    let broker = Broker::new();
    let keeper = connect(&broker)?;
    let channel = keeper.open_channel()?;
    channel.queue_declare(declare("q"))?;
    let queue = broker.queue("q")?;
    let to = Publish { routing_key: "q", ..Publish::default() };
    channel.basic_publish(to, Message::new("m"))?;
    for _ in 0..2_000 {
        let connection = connect(&broker)?;
        let racer = connection.open_channel()?;
        std::thread::scope(|scope| {
            scope.spawn(|| connection.close());
            // Each of them may come before the close or after it.
            let _ = racer.basic_get(Get { queue: "q", ..Get::default() });
            let _ = racer.basic_consume(Consume { queue: "q", ..Consume::default() });
            let mine = QueueDeclare { exclusive: true, ..declare("mine") };
            let _ = racer.queue_declare(mine);
        });
        let stats = queue.stats();
        assert_eq!((stats.ready, stats.unacked, stats.consumers), (1, 0, 0));
        assert!(broker.queue("mine").is_err(), "an exclusive queue goes with its connection");
    }
    Ok(())
}

#[test]
fn two_threads_that_ask_for_one_tag_leave_no_consumer_behind() -> Result<()> {
    let broker = Broker::new();
    let keeper = connect(&broker)?;
    keeper.open_channel()?.queue_declare(declare("q"))?;
    let queue = broker.queue("q")?;
    for _ in 0..2_000 {
        let connection = connect(&broker)?;
        let channel = connection.open_channel()?;
        let of = || Consume { queue: "q", consumer_tag: "t", ..Consume::default() };
        let begin = Barrier::new(2);
        let consumes = || {
            begin.wait();
            channel.basic_consume(of()).is_ok()
        };
        std::thread::scope(|scope| {
            let other = scope.spawn(consumes);
            let both = consumes() && other.join().unwrap_or(true);
            assert!(!both, "a tag stands for one consumer");
        });
        drop(connection);
        assert_eq!(queue.stats().consumers, 0);
    }
    Ok(())
}
