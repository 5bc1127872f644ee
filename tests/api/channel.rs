//! What the channel tier does beyond the recordings.

use leveret::{
    Ack, Broker, ConnectOptions, Consume, DeliveryTag, Event, Get, Limits, Message, Publish,
    PublishReason, Qos, QueueDeclare, Result,
};

fn narrow() -> Broker {
    let mut limits = Limits::default();
    limits.memory_bytes = 10_000;
    Broker::builder().limits(limits).open().expect("it is in memory")
}

#[test]
fn a_publish_without_room_leaves_the_channel_open_and_is_told_when_there_is_room() {
    let connection = narrow().connect(ConnectOptions::default()).expect("the broker is open");
    let channel = connection.open_channel().expect("the connection is open");
    channel.queue_declare(QueueDeclare { queue: "q", ..Default::default() }).expect("it is new");
    let to = Publish { routing_key: "q", ..Publish::default() };

    channel.basic_publish(to, Message::new(vec![1; 9_000])).expect("it fits");
    for _ in 0..3 {
        let refused = channel.basic_publish(to, Message::new(vec![2; 9_000])).unwrap_err();
        assert!(matches!(refused.reason(), PublishReason::Full { limit: "memory_bytes", .. }));
        assert_eq!(refused.into_message().body().len(), 9_000);
    }
    assert!(channel.try_event().is_none(), "there is no room yet");

    let get = Get { queue: "q", auto_ack: true };
    channel.basic_get(get).expect("the channel is open").expect("one is there");
    assert!(matches!(channel.try_event(), Some(Event::Unblocked)));
    assert!(channel.try_event().is_none(), "it is told once");
    channel.basic_publish(to, Message::new(vec![3; 9_000])).expect("there is room again");
}

#[test]
fn a_publish_without_room_is_a_nack_in_confirm_mode() {
    let connection = narrow().connect(ConnectOptions::default()).expect("the broker is open");
    let channel = connection.open_channel().expect("the connection is open");
    channel.queue_declare(QueueDeclare { queue: "q", ..Default::default() }).expect("it is new");
    channel.confirm_select().expect("the channel is plain");
    let to = Publish { routing_key: "q", ..Publish::default() };

    for body in [9_000, 9_000, 10] {
        channel.basic_publish(to, Message::new(vec![0; body])).expect("it gets a number");
    }
    let kinds: Vec<_> = std::iter::from_fn(|| channel.try_event())
        .map(|event| match event {
            Event::Ack { delivery_tag, .. } => (delivery_tag.0, true),
            Event::Nack { delivery_tag, .. } => (delivery_tag.0, false),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, [(1, true), (2, false), (3, true)]);
}

/// The queue `a` was refused credit before `b` was, so it goes on first when credit comes back;
/// that the message it wanted it for is gone changes nothing. A transaction gives credit back at
/// its commit. Its ack was once taken for that already: `a` was asked, had nothing, and lost its
/// place.
#[test]
fn an_ack_in_a_transaction_changes_nobodys_turn_before_the_commit() -> Result<()> {
    let broker = Broker::new();
    let connection = broker.connect(ConnectOptions::default())?;
    let channel = connection.open_channel()?;
    channel.basic_qos(Qos { prefetch_count: 1, global: true, ..Qos::default() })?;
    for queue in ["a", "b"] {
        channel.queue_declare(QueueDeclare { queue, ..QueueDeclare::default() })?;
        channel.basic_consume(Consume { queue, ..Consume::default() })?;
    }
    let [a, b] = [broker.queue("a")?, broker.queue("b")?];
    a.send(Message::new("first of a"))?;
    a.send(Message::new("purged"))?;
    assert_eq!(a.purge()?, 1);
    b.send(Message::new("first of b"))?;

    channel.tx_select()?;
    channel.basic_ack(Ack { delivery_tag: DeliveryTag(1), multiple: false })?;
    a.send(Message::new("second of a"))?;
    channel.tx_commit()?;
    let events = std::iter::from_fn(|| channel.try_event());
    let texts: Vec<_> = events
        .map(|event| match event {
            Event::Deliver(delivered) => delivered.message.text().unwrap_or_default().to_owned(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(texts, ["first of a", "second of a"]);
    Ok(())
}

#[test]
fn messages_of_a_transaction_count_from_when_they_join() {
    let broker = narrow();
    let connection = broker.connect(ConnectOptions::default()).expect("the broker is open");
    let channel = connection.open_channel().expect("the connection is open");
    channel.queue_declare(QueueDeclare { queue: "q", ..Default::default() }).expect("it is new");
    channel.tx_select().expect("the channel is plain");
    let to = Publish { routing_key: "q", ..Publish::default() };
    let nowhere = Publish { routing_key: "nowhere", ..Publish::default() };

    channel.basic_publish(to, Message::new(vec![1; 9_000])).expect("it fits");
    assert!(broker.memory_bytes() > 9_000);
    for of in [to, nowhere] {
        let refused = channel.basic_publish(of, Message::new(vec![2; 9_000])).unwrap_err();
        assert!(matches!(refused.reason(), PublishReason::Full { limit: "memory_bytes", .. }));
        assert_eq!(refused.into_message().body().len(), 9_000);
    }
    assert!(channel.try_event().is_none(), "there is no room yet");
    channel.tx_rollback().expect("it is a transaction");
    assert_eq!(broker.memory_bytes(), 0);
    assert!(matches!(channel.try_event(), Some(Event::Unblocked)));

    channel.basic_publish(to, Message::new(vec![3; 9_000])).expect("there is room again");
    channel.tx_commit().expect("its room is its own");
    let queue = broker.queue("q").expect("it is there");
    assert_eq!((queue.stats().ready, queue.stats().enqueued), (1, 1));
    queue.purge().expect("it is there");
    channel.basic_publish(to, Message::new(vec![4; 9_000])).expect("there is room again");
    channel.close();
    assert_eq!(broker.memory_bytes(), 0);
}
