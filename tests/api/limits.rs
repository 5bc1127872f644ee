//! Bounds: each field of `Limits` is met once, answers with its name, and nothing has changed.

use leveret::{
    Ack, Broker, ConnectOptions, Consume, DeliveryTag, Error, ErrorKind, Event, Limits, Message,
    Name, Publish, PublishReason, QueueDeclare, Result, Table, Value,
};

fn broker_with(set: impl FnOnce(&mut Limits)) -> Result<Broker> {
    let mut limits = Limits::default();
    set(&mut limits);
    Broker::builder().limits(limits).open()
}

/// Checks that an error names a limit and its value.
#[track_caller]
fn check(error: &Error, name: &str, bound: u64) {
    let ErrorKind::LimitExceeded { limit, max, found, .. } = error.kind() else {
        panic!("{error:?} is not about {name}")
    };
    assert_eq!((*limit, *max), (name, bound));
    assert!(*found > bound);
    assert_eq!(error.to_string(), format!("'{name}' is {bound}, but this would come to {found}"));
}

#[track_caller]
fn refusal(result: Result<impl Sized, leveret::PublishError>) -> (Error, Message) {
    let Err(error) = result else { panic!("it was not refused") };
    let (reason, message) = error.into_parts();
    let PublishReason::Refused(error) = reason else { panic!("{reason:?}") };
    (error, message)
}

#[test]
fn entities_are_counted() -> Result<()> {
    // Seven exchanges are there from the start.
    let broker = broker_with(|limits| {
        limits.vhosts = 2;
        limits.queues = 1;
        limits.exchanges = 7;
        limits.bindings = 2;
        limits.consumers = 1;
        limits.connections = 1;
        limits.channels = 2;
    })?;
    broker.create_vhost("second")?;
    check(&broker.create_vhost("third").unwrap_err(), "vhosts", 2);
    broker.delete_vhost("second")?;
    broker.create_vhost("third")?;

    let queue = broker.declare_queue("q").declare()?;
    check(&broker.declare_queue("r").declare().unwrap_err(), "queues", 1);
    check(&broker.temporary_queue().unwrap_err(), "queues", 1);
    broker.declare_queue("q").declare()?;
    broker.vhost("third")?.declare_queue("q").declare()?;

    let before = (0..8).map_while(|n| broker.declare_exchange(&format!("x{n}")).declare().ok());
    assert!(before.count() < 8);
    check(&broker.declare_exchange("y").declare().unwrap_err(), "exchanges", 7);
    assert!(broker.exchange("y").unwrap_err().is_not_found());

    let exchange = broker.exchange("amq.direct")?;
    exchange.bind(&queue, "1")?;
    exchange.bind(&queue, "2")?;
    check(&exchange.bind(&queue, "3").unwrap_err(), "bindings", 2);
    assert_eq!(exchange.publish("3", Message::new("x"))?.queues, 0);
    exchange.bind(&queue, "2")?;

    let consumer = queue.consume().start()?;
    check(&queue.consume().start().unwrap_err(), "consumers", 1);
    assert_eq!(queue.stats().consumers, 1);
    drop(consumer);
    drop(queue.consume().start()?);

    let connection = broker.connect(ConnectOptions::default())?;
    check(&broker.connect(ConnectOptions::default()).unwrap_err(), "connections", 1);
    let channels = [connection.open_channel()?, connection.open_channel()?];
    check(&connection.open_channel().unwrap_err(), "channels", 2);
    drop(channels);
    assert!(connection.open_channel().is_ok());
    drop(connection);
    assert!(broker.connect(ConnectOptions::default()).is_ok());
    Ok(())
}

#[test]
fn bodies_are_measured() -> Result<()> {
    let broker = broker_with(|limits| limits.message_bytes = 4)?;
    let queue = broker.declare_queue("q").declare()?;
    let default = broker.default_exchange();
    queue.send(Message::new("1234"))?;
    let (error, message) = refusal(queue.send(Message::new("12345")));
    check(&error, "message_bytes", 4);
    assert_eq!(message.text(), Some("12345"));
    check(&refusal(default.publish("q", Message::new("12345"))).0, "message_bytes", 4);
    let mut batch = vec![Message::new("1"), Message::new("12345")];
    assert!(default.publish_batch("q", &mut batch).is_err());
    assert_eq!((batch.len(), queue.stats().enqueued), (2, 1));
    Ok(())
}

#[test]
fn no_bound_is_wider_than_what_can_be_kept() -> Result<()> {
    let broker = broker_with(|limits| {
        (limits.table_depth, limits.message_bytes) = (u32::MAX, u64::MAX);
        limits.table_bytes = u64::MAX;
    })?;
    let queue = broker.declare_queue("q").declare()?;
    queue.send(Message::new("x").with_headers(nested(256)))?;
    let (error, _) = refusal(queue.send(Message::new("x").with_headers(nested(257))));
    check(&error, "table_depth", 256);
    let long = vec![0; (512 << 20) + 1];
    check(&refusal(queue.send(Message::new(long))).0, "message_bytes", 512 << 20);
    Ok(())
}

fn nested(levels: u32) -> Table {
    let deepest = Table::from([("leaf", Value::from(1))]);
    (1..levels).fold(deepest, |table, _| Table::from([("in", Value::from(table))]))
}

#[test]
fn tables_are_measured_wherever_they_come() -> Result<()> {
    let broker = broker_with(|limits| {
        limits.table_depth = 3;
        limits.table_entries = 5;
        limits.table_bytes = 100;
    })?;
    let queue = broker.declare_queue("q").declare()?;
    let exchange = broker.declare_exchange("x").headers().declare()?;
    let many: Table = (0..6).map(|n| (Name::from(n.to_string()), Value::from(true))).collect();
    let long = Table::from([("h", "x".repeat(100))]);
    let cases =
        [(nested(4), "table_depth", 3), (many, "table_entries", 5), (long, "table_bytes", 100)];
    for (table, limit, max) in cases {
        let with_headers = Message::new("x").with_headers(table.clone());
        let (error, message) = refusal(queue.send(with_headers.clone()));
        check(&error, limit, max);
        assert_eq!(message, with_headers);
        let argument = Value::from(table.clone());
        let errors = [
            broker.declare_queue("r").argument("a", argument.clone()).declare().map(drop),
            broker.declare_exchange("y").argument("a", argument.clone()).declare().map(drop),
            queue.consume().argument("a", argument).start().map(drop),
            exchange.bind(&queue, leveret::BindingKey::all(table)).map(drop),
        ];
        for error in errors.map(|result| result.expect_err("it is too large")) {
            // An argument is a level deeper and an entry more than the table in it.
            let ErrorKind::LimitExceeded { limit: found, .. } = error.kind() else {
                panic!("{error}")
            };
            assert_eq!(*found, limit);
        }
    }
    queue.send(Message::new("x").with_headers(nested(3)))?;
    assert!(broker.queue("r").is_err() && broker.exchange("y").is_err());
    assert_eq!((queue.stats().enqueued, queue.stats().consumers), (1, 0));
    Ok(())
}

/// A table without entries has no level.
#[test]
fn where_no_level_is_allowed_tables_are_empty() -> Result<()> {
    let broker = broker_with(|limits| limits.table_depth = 0)?;
    let queue = broker.declare_queue("q").declare()?;
    let exchange = broker.declare_exchange("x").declare()?;
    exchange.bind(&queue, "k")?;
    drop(queue.consume().start()?);
    queue.send(Message::new("x").with_headers(Table::new()))?;
    check(&refusal(queue.send(Message::new("x").with_header("h", 1))).0, "table_depth", 0);
    check(&broker.declare_queue("r").argument("a", 1).declare().unwrap_err(), "table_depth", 0);
    Ok(())
}

/// A field name is a short string, at every level of a table.
#[test]
fn names_of_headers_and_arguments_are_short_strings() -> Result<()> {
    let broker = Broker::new();
    let queue = broker.declare_queue("q").declare()?;
    let exchange = broker.declare_exchange("x").headers().declare()?;
    let (fits, long) = ("n".repeat(255), "n".repeat(256));
    let with = |name: &str| {
        let flat = Table::from([(name, 1)]);
        let nested = Table::from([("t", Value::from(flat.clone()))]);
        let in_array = Table::from([("a", Value::Array(vec![1.into(), nested.clone().into()]))]);
        [flat, nested, in_array]
    };
    for table in with(&fits) {
        queue.send(Message::new("x").with_headers(table.clone()))?;
        exchange.bind(&queue, leveret::BindingKey::all(table))?;
    }
    let sent = queue.stats().enqueued;
    for table in with(&long) {
        let message = Message::new("x").with_headers(table.clone());
        let default = broker.default_exchange();
        let mut batch = vec![message.clone()];
        let reason = default.publish_batch("q", &mut batch).unwrap_err();
        let of_batch = Error::from(reason);
        for error in [refusal(queue.send(message.clone())).0, of_batch] {
            let ErrorKind::InvalidMessage { property, text, .. } = error.kind() else {
                panic!("{error:?}")
            };
            assert_eq!(*property, "headers");
            assert_eq!(*text, format!("header name '{fits}' is longer than 255 bytes"));
        }
        let argument =
            |of: Table| of.iter().next().map(|(name, value)| (name.to_owned(), value.clone()));
        let (name, value) = argument(table.clone()).expect("it has one");
        let errors = [
            (
                broker.declare_queue("r").argument(&name, value.clone()).declare().map(drop),
                "queue 'r'",
            ),
            (
                broker.declare_exchange("y").argument(&name, value.clone()).declare().map(drop),
                "exchange 'y'",
            ),
            (queue.consume().argument(&name, value).start().map(drop), "consumer of queue 'q'"),
            (
                exchange.bind(&queue, leveret::BindingKey::all(table.clone())).map(drop),
                "binding of queue 'q'",
            ),
            (
                exchange.unbind(&queue, leveret::BindingKey::all(table)).map(drop),
                "binding of queue 'q'",
            ),
        ];
        for (result, of) in errors {
            let error = result.expect_err("it is too long");
            let ErrorKind::InvalidArgument { argument, .. } = error.kind() else {
                panic!("{error:?}")
            };
            assert_eq!(argument.as_str(), fits);
            let text = error.to_string();
            assert!(text.contains(of) && text.contains("longer than 255 bytes"), "{text}");
        }
    }
    assert_eq!((queue.stats().enqueued, queue.stats().consumers), (sent, 0));
    assert!(broker.queue("r").is_err() && broker.exchange("y").is_err());
    Ok(())
}

#[test]
fn a_full_memory_refuses_publishes_and_nothing_else() -> Result<()> {
    let broker = broker_with(|limits| limits.memory_bytes = 2_000)?;
    let exchange = broker.declare_exchange("x").fanout().declare()?;
    let [one, two] = [broker.declare_queue("1").declare()?, broker.declare_queue("2").declare()?];
    exchange.bind(&one, "")?;
    exchange.bind(&two, "")?;
    let body = || Message::new(vec![0; 500]);
    exchange.publish("", body())?;
    // It would have to fit into both.
    let error = exchange.publish("", body()).unwrap_err();
    assert!(error.is_full());
    assert_eq!(error.reason().to_string(), "no room now, the bound is 'memory_bytes'");
    let error = Error::from(error);
    assert_eq!(error.to_string(), "no room now, the bound is 'memory_bytes'");
    assert_eq!((one.stats().enqueued, two.stats().enqueued), (1, 1));
    assert!(exchange.publish_mandatory("", body()).unwrap_err().is_full());
    let mut batch = vec![body()];
    let reason = exchange.publish_batch("", &mut batch).unwrap_err();
    assert!(matches!(reason, PublishReason::Full { limit: "memory_bytes", .. }));
    assert_eq!(batch.len(), 1);

    one.send(Message::new(vec![0; 300]))?;
    assert!(one.send(body()).unwrap_err().is_full());
    let connection = broker.connect(ConnectOptions::default())?;
    let channel = connection.open_channel()?;
    let of = Publish { routing_key: "1", ..Publish::default() };
    let error = channel.basic_publish(of, body()).unwrap_err();
    assert!(error.is_full());
    channel.confirm_select()?;
    channel.basic_publish(of, body()).expect("with confirms it is a nack");
    assert!(matches!(channel.try_event(), Some(Event::Nack { .. })));

    // Going back to the queue is no publish, nor is getting rid of what is there.
    one.get()?.expect("it is there").requeue()?;
    drop(one.consume().start()?);
    assert_eq!((one.stats().ready, one.stats().unacked), (2, 0));
    one.purge()?;
    assert!(one.send(body()).is_ok());
    two.delete()?;
    assert!(one.send(body()).is_ok());
    Ok(())
}

/// Memory that queues once needed is there for others when they are empty.
#[test]
fn empty_queues_leave_the_memory_to_others() -> Result<()> {
    const QUEUES: u64 = 4_200;
    // A queue draws a 4 096th at a time, here 300 bytes, which is more than a small message takes.
    let broker = broker_with(|limits| limits.memory_bytes = 4_096 * 300)?;
    for n in 0..QUEUES {
        let queue = broker.declare_queue(&n.to_string()).declare()?;
        queue.send(Message::new("")).unwrap_or_else(|_| panic!("{n} empty queues fill it"));
        queue.get()?.expect("it is there").ack()?;
    }
    Ok(())
}

#[test]
fn an_outbox_that_is_full_holds_messages_in_their_queue() -> Result<()> {
    let broker = broker_with(|limits| limits.events = 3)?;
    let connection = broker.connect(ConnectOptions::default())?;
    let channel = connection.open_channel()?;
    channel.queue_declare(QueueDeclare { queue: "q", ..QueueDeclare::default() })?;
    let queue = broker.queue("q")?;
    let of = Consume { queue: "q", auto_ack: true, ..Consume::default() };
    channel.basic_consume(of)?;
    for n in 0..8 {
        queue.send(Message::new(n.to_string()))?;
    }
    assert_eq!((queue.stats().ready, queue.stats().auto_acked), (5, 3));
    let publish = Publish { routing_key: "q", ..Publish::default() };
    let mandatory = Publish { mandatory: true, ..publish };
    let error = channel.basic_publish(mandatory, Message::new("late")).unwrap_err();
    assert!(error.is_full(), "there would be no room for a return");
    let mut seen = Vec::new();
    while let Some(Event::Deliver(delivered)) = channel.try_event() {
        seen.push(delivered.message.text().unwrap_or_default().to_owned());
    }
    assert_eq!(seen, ["0", "1", "2", "3", "4", "5", "6", "7"], "nothing is dropped");
    assert!(channel.basic_publish(publish, Message::new("x")).is_ok());
    Ok(())
}

#[test]
fn names_are_short_strings() -> Result<()> {
    let broker = Broker::new();
    let (fits, long) = ("n".repeat(255), "n".repeat(256));
    let queue = broker.declare_queue(&fits).declare()?;
    let exchange = broker.declare_exchange(&fits).declare()?;
    exchange.bind(&queue, fits.as_str())?;
    assert_eq!(exchange.publish(&fits, Message::new("x").with_message_id(&*fits))?.queues, 1);
    broker.create_vhost(&fits)?;
    drop(queue.consume().tag(&fits).start()?);

    let errors = [
        broker.declare_queue(&long).declare().map(drop),
        broker.declare_exchange(&long).declare().map(drop),
        broker.create_vhost(&long).map(drop),
        exchange.bind(&queue, long.as_str()).map(drop),
        queue.consume().tag(&long).start().map(drop),
        broker.connect(ConnectOptions::default().user(&long)).map(drop),
        exchange.publish(&long, Message::new("x")).map(drop).map_err(Error::from),
    ];
    for error in errors.map(|result| result.expect_err("it is too long")) {
        let ErrorKind::InvalidName { name, reason, .. } = error.kind() else { panic!("{error:?}") };
        assert_eq!((name.len(), *reason), (255, "it is longer than 255 bytes"));
    }
    let (error, _) = refusal(queue.send(Message::new("x").with_message_id(&*long)));
    let ErrorKind::InvalidMessage { property, .. } = error.kind() else { panic!("{error:?}") };
    assert_eq!(*property, "message_id");
    assert_eq!((queue.stats().enqueued, queue.stats().consumers), (1, 0));
    Ok(())
}

#[test]
fn delivery_tags_are_not_used_again() -> Result<()> {
    let broker = Broker::new();
    let connection = broker.connect(ConnectOptions::default())?;
    let channel = connection.open_channel()?;
    channel.queue_declare(QueueDeclare { queue: "q", ..QueueDeclare::default() })?;
    broker.queue("q")?.send(Message::new("x"))?;
    let of = leveret::Get { queue: "q", ..leveret::Get::default() };
    for expected in 1..=5 {
        let got = channel.basic_get(of)?.expect("it is there");
        assert_eq!(got.delivery_tag.0, expected);
        let delivery_tag = got.delivery_tag;
        channel.basic_nack(leveret::Nack { delivery_tag, multiple: false, requeue: true })?;
    }
    Ok(())
}

/// A fanout to three queues, where a message of 3 000 bytes has room and one of 4 000 has not.
#[test]
fn memory_is_asked_for_once_for_each_queue() -> Result<()> {
    let broker = broker_with(|limits| limits.memory_bytes = 10_000)?;
    let exchange = broker.declare_exchange("x").fanout().declare()?;
    let queues = ["a", "b", "c"].map(|name| broker.declare_queue(name).declare());
    let queues: Vec<_> = queues.into_iter().collect::<Result<_>>()?;
    queues.iter().try_for_each(|queue| exchange.bind(queue, "").map(drop))?;
    let connection = broker.connect(ConnectOptions::default())?;
    let (plain, tx) = (connection.open_channel()?, connection.open_channel()?);
    tx.tx_select()?;
    let publisher = exchange.publisher().open()?;
    let to = Publish { exchange: "x", ..Publish::default() };

    let check = |way: &str, publish: &dyn Fn(Message) -> Result<()>| -> Result<()> {
        let refused = publish(Message::new(vec![0; 4_000]));
        assert!(refused.is_err_and(|error| error.is_full()), "{way}");
        assert!(queues.iter().all(|queue| queue.stats().ready == 0), "{way}");
        publish(Message::new(vec![0; 3_000]))?;
        for queue in &queues {
            assert_eq!(queue.purge()?, 1, "{way}");
        }
        Ok(())
    };
    check("one", &|message| Ok(exchange.publish("", message).map(drop)?))?;
    check("batch", &|message| Ok(exchange.publish_batch("", &mut vec![message]).map(drop)?))?;
    check("confirmed", &|message| Ok(publisher.publish("", message).map(drop)?))?;
    check("transaction", &|message| {
        let mut transaction = broker.transaction();
        transaction.publish(&exchange, "", message)?;
        Ok(transaction.commit()?)
    })?;
    check("on a channel", &|message| Ok(plain.basic_publish(to, message).map(drop)?))?;
    check("in a transaction of a channel", &|message| {
        tx.basic_publish(to, message)?;
        tx.tx_commit().inspect_err(|_| tx.tx_rollback().expect("it is still open"))
    })
}

#[test]
fn what_a_full_transaction_does_not_settle_is_still_there_to_settle() -> Result<()> {
    let broker = broker_with(|limits| limits.transaction_steps = 1)?;
    let connection = broker.connect(ConnectOptions::default())?;
    let channel = connection.open_channel()?;
    channel.queue_declare(QueueDeclare { queue: "q", ..QueueDeclare::default() })?;
    channel.basic_consume(Consume { queue: "q", ..Consume::default() })?;
    let queue = broker.queue("q")?;
    for text in ["1", "2", "3"] {
        queue.send(Message::new(text))?;
    }
    channel.tx_select()?;
    let ack = |tag, multiple| channel.basic_ack(Ack { delivery_tag: DeliveryTag(tag), multiple });
    ack(1, false)?;
    for (tag, multiple) in [(2, false), (3, true), (0, true)] {
        assert!(ack(tag, multiple).is_err_and(|error| error.is_full()), "{tag}");
    }
    channel.tx_commit()?;
    assert_eq!(queue.stats().unacked, 2);
    ack(2, false)?;
    channel.tx_commit()?;
    ack(0, true)?;
    channel.tx_commit()?;
    assert_eq!((queue.stats().acked, queue.stats().unacked), (3, 0));
    Ok(())
}
