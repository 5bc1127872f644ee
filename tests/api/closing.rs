//! What closing a connection leaves behind, also while other threads are at work on it.

use std::sync::Barrier;

use leveret::{
    Broker, ConnectOptions, Connection, Consume, Event, Get, Message, Publish, Qos, QueueDeclare,
    Result, Table,
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

/// The successor of a single active consumer is served at once, so what was handed out has to be
/// back by then, or younger messages would come first.
#[test]
fn who_follows_on_a_closed_channel_gets_the_oldest_message_first() -> Result<()> {
    for closes_connection in [false, true] {
        let broker = Broker::new();
        let (closed, heir) = (connect(&broker)?, connect(&broker)?);
        let (first, second) = (closed.open_channel()?, heir.open_channel()?);
        let arguments = Table::from([("x-single-active-consumer", true)]);
        first.queue_declare(QueueDeclare { arguments, ..declare("q") })?;
        first.basic_qos(Qos { prefetch_count: 2, ..Qos::default() })?;
        for channel in [&first, &second] {
            channel.basic_consume(Consume { queue: "q", ..Consume::default() })?;
        }
        let queue = broker.queue("q")?;
        for text in ["1", "2", "3", "4"] {
            queue.send(Message::new(text))?;
        }
        assert!(first.try_event().is_some(), "one was taken and one was not");
        if closes_connection {
            closed.close();
        } else {
            first.close();
        }
        let events = std::iter::from_fn(|| second.try_event());
        let inherited: Vec<_> = events
            .map(|event| match event {
                Event::Deliver(of) => {
                    (of.message.text().unwrap_or_default().to_owned(), of.redelivered)
                }
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = [("1", true), ("2", true), ("3", false), ("4", false)];
        assert_eq!(inherited, expected.map(|(text, again)| (text.to_owned(), again)));
    }
    Ok(())
}
