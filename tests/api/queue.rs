//! Queues: declaring, holding messages in order, purging, deleting, and how long they live.

use leveret::{
    Broker, EndReason, Entity, ErrorKind, Message, Overflow, PublishReason, Queue, Result, Value,
};

fn send_all<const N: usize>(queue: &Queue, texts: [&str; N]) -> Result<()> {
    texts.into_iter().try_for_each(|text| Ok(queue.send(Message::new(text))?))
}

#[test]
fn declaring_again_compares_every_setting() -> Result<()> {
    let broker = Broker::new();
    let declare = || broker.declare_queue("q").max_length(5);
    let queue = declare().declare()?;
    queue.send(Message::new("x"))?;
    assert_eq!(declare().declare()?.stats().ready, 1);
    let wide = broker.declare_queue("q").argument("x-max-length", 5_i16).declare()?;
    assert_eq!(wide.stats().ready, 1, "the width of a number does not count");

    let cases = [
        (declare().durable(), "durable", Some(Value::from(false)), Some(Value::from(true))),
        (declare().auto_delete(), "auto_delete", Some(false.into()), Some(true.into())),
        (declare().max_length(6), "x-max-length", Some(5_i64.into()), Some(6_i64.into())),
        (broker.declare_queue("q"), "x-max-length", Some(5_i64.into()), None),
        (
            declare().overflow(Overflow::RejectPublish),
            "x-overflow",
            None,
            Some("reject-publish".into()),
        ),
    ];
    for (builder, name, is, asked) in cases {
        let error = builder.declare().unwrap_err();
        assert!(error.is_mismatch());
        let ErrorKind::Mismatch { entity, argument, expected, found, .. } = error.kind() else {
            panic!("{error}")
        };
        assert_eq!((*entity, argument.as_str()), (Entity::Queue, name));
        assert_eq!((expected, found), (&is, &asked), "{name}");
    }
    assert!(declare().argument("x-nobody-knows", 1).declare().is_ok());
    Ok(())
}

#[test]
fn bad_arguments_and_reserved_names_make_no_queue() -> Result<()> {
    let broker = Broker::new();
    let error = broker.declare_queue("q").argument("x-max-length", -1).declare().unwrap_err();
    let ErrorKind::InvalidArgument { entity, name, argument, .. } = error.kind() else {
        panic!("{error}")
    };
    assert_eq!((*entity, name.as_str()), (Entity::Queue, "q"));
    assert_eq!(argument.as_str(), "x-max-length");
    assert!(broker.queue("q").unwrap_err().is_not_found());
    let error = broker.declare_queue("amq.mine").declare().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::AccessRefused { .. }), "{error}");
    let [one, two] = [broker.declare_queue("").declare()?, broker.declare_queue("").declare()?];
    assert_ne!(one.name(), two.name());
    assert!(broker.queue(one.name()).is_ok());
    Ok(())
}

#[test]
fn messages_come_out_in_order_and_go_back_to_their_place() -> Result<()> {
    let queue = Broker::new().declare_queue("q").declare()?;
    send_all(&queue, ["a", "b", "c", "d"])?;
    let [a, b, c] = [queue.get()?, queue.get()?, queue.get()?].map(|got| got.expect("it is there"));
    assert_eq!([a.text(), b.text(), c.text()], [Some("a"), Some("b"), Some("c")]);
    c.requeue()?;
    drop(a);
    b.reject()?;
    let mut rest = Vec::new();
    while let Some(delivery) = queue.get()? {
        rest.push((delivery.text().unwrap_or_default().to_owned(), delivery.is_redelivered()));
        delivery.ack()?;
    }
    let is = |text: &str, redelivered| (text.to_owned(), redelivered);
    assert_eq!(rest, [is("a", true), is("c", true), is("d", false)]);
    Ok(())
}

#[test]
fn counts_say_where_every_message_is() -> Result<()> {
    let queue = Broker::new().declare_queue("q").declare()?;
    let consumer = queue.consume().auto_ack().prefetch(1).start()?;
    send_all(&queue, ["1", "2", "3", "4", "5", "6", "7"])?;
    // In the mailbox it is unacked, and receiving acks it.
    assert_eq!((queue.stats().unacked, queue.stats().ready), (1, 6));
    let _ = consumer.recv()?;
    consumer.cancel();
    queue.get()?.expect("2").ack()?;
    queue.get()?.expect("3").reject()?;
    let in_hand = queue.get()?.expect("4");
    drop(queue.get()?.expect("5"));
    let stats = queue.stats();
    assert!(stats.is_conserved(), "{stats:?}");
    assert_eq!((stats.enqueued, stats.ready, stats.unacked, stats.consumers), (7, 3, 1, 0));
    assert_eq!((stats.auto_acked, stats.acked, stats.rejected), (1, 1, 1));
    assert!(stats.bytes > 4);

    assert_eq!(queue.purge()?, 3, "what is in hand is not purged");
    assert_eq!((queue.stats().purged, queue.stats().unacked), (3, 1));
    queue.send(Message::new("8"))?;
    assert_eq!(queue.delete()?, 1);
    let stats = queue.stats();
    assert!(stats.is_conserved(), "{stats:?}");
    assert_eq!((stats.deleted, stats.ready, stats.unacked, stats.bytes), (2, 0, 0, 0));
    in_hand.ack()?;
    assert_eq!(queue.stats(), stats, "it is gone with its queue");
    Ok(())
}

#[test]
fn deleting_may_insist_on_disuse_and_emptiness() -> Result<()> {
    let broker = Broker::new();
    let queue = broker.declare_queue("q").declare()?;
    queue.send(Message::new("x"))?;
    let error = queue.delete_if_empty().unwrap_err();
    assert_eq!(error.to_string(), "queue 'q' in vhost '/' not empty");
    let consumer = queue.consume().start()?;
    assert_eq!(queue.delete_if_unused().unwrap_err().to_string(), "queue 'q' in vhost '/' in use");
    assert_eq!((consumer.end(), queue.stats().unacked), (None, 1));
    drop(consumer);
    assert_eq!(queue.delete_if_unused()?, 1);
    assert_eq!(queue.delete()?, 0);
    assert_eq!(queue.delete_if_empty()?, 0);
    Ok(())
}

/// A handle means the queue that it was made for, also when another one has got its name.
#[test]
fn a_handle_to_a_deleted_queue_does_nothing_to_its_successor() -> Result<()> {
    let broker = Broker::new();
    let stale = broker.declare_queue("q").declare()?;
    let consumer = stale.consume().start()?;
    stale.delete()?;
    assert_eq!(consumer.end(), Some(EndReason::QueueDeleted));
    let successor = broker.declare_queue("q").declare()?;
    successor.send(Message::new("x"))?;

    let error = stale.send(Message::new("late")).unwrap_err();
    let PublishReason::Refused(reason) = error.reason() else { panic!("{error}") };
    assert_eq!(reason.to_string(), "no queue 'q' in vhost '/'");
    assert!(stale.get().unwrap_err().is_not_found());
    assert!(stale.purge().unwrap_err().is_not_found());
    assert!(stale.consume().start().unwrap_err().is_not_found());
    assert_eq!((stale.delete()?, stale.delete_if_unused()?), (0, 0));
    drop(consumer);
    assert_eq!(successor.stats().ready, 1);
    assert!(broker.queue("q").is_ok());
    Ok(())
}

#[test]
fn a_temporary_queue_goes_with_its_last_handle() -> Result<()> {
    let broker = Broker::new();
    let queue = broker.declare_queue("q").temporary().declare()?;
    for error in [
        broker.queue("q").unwrap_err(),
        broker.declare_queue("q").declare().unwrap_err(),
        broker.declare_queue("q").temporary().declare().unwrap_err(),
    ] {
        assert!(matches!(error.kind(), ErrorKind::Locked { .. }), "{error}");
        assert!(error.to_string().contains("locked queue 'q' in vhost '/'"), "{error}");
    }
    assert_eq!(broker.default_exchange().publish("q", Message::new("x"))?.queues, 1);
    let exchange = broker.declare_exchange("x").fanout().declare()?;
    exchange.bind(&queue, "")?;
    let clone = queue.clone();
    drop(queue);
    assert_eq!(clone.stats().ready, 1);
    let delivery = clone.get()?.expect("it is there");
    drop(clone);
    assert!(broker.queue("q").unwrap_err().is_not_found(), "a delivery does not keep it");
    assert_eq!(exchange.publish("", Message::new("x"))?.queues, 0);
    delivery.requeue()?;
    Ok(())
}

#[test]
fn a_temporary_queue_goes_with_its_last_consumer() -> Result<()> {
    let broker = Broker::new();
    let queue = broker.temporary_queue()?;
    let name = queue.name().to_owned();
    let consumer = queue.consume().start()?;
    drop(queue);
    let reach =
        || broker.default_exchange().publish(&name, Message::new("x")).map(|routed| routed.queues);
    assert_eq!(reach()?, 1);
    let clone = consumer.clone();
    drop(consumer);
    assert_eq!((reach()?, clone.end()), (1, None));
    let workers = broker.temporary_queue()?.workers(2, |_| ())?;
    drop(clone);
    assert_eq!(reach()?, 0);
    let _ = workers.stop(std::time::Duration::from_secs(10));
    Ok(())
}

#[test]
fn an_auto_delete_queue_goes_with_its_last_consumer() -> Result<()> {
    let broker = Broker::new();
    let queue = broker.declare_queue("q").auto_delete().declare()?;
    drop(broker.queue("q")?);
    queue.send(Message::new("x"))?;
    let [one, two] = [queue.consume().start()?, queue.consume().start()?];
    one.cancel();
    assert!(broker.queue("q").is_ok());
    let delivery = two.recv_timeout(std::time::Duration::from_secs(10))?;
    drop(two);
    assert!(broker.queue("q").unwrap_err().is_not_found());
    delivery.ack()?;
    assert!(queue.stats().is_conserved());
    assert!(queue.send(Message::new("late")).is_err());
    Ok(())
}

#[test]
fn what_has_died_when_its_queue_is_deleted_still_arrives() -> Result<()> {
    let (broker, _) = Broker::manual();
    let dead = broker.declare_queue("dead").declare()?;
    let tasks = broker
        .declare_queue("tasks")
        .message_ttl(std::time::Duration::ZERO)
        .dead_letter_to(&dead)
        .declare()?;
    let consumer = tasks.consume().start()?;
    tasks.send(Message::new("x"))?;
    // It ends at once, and nobody has looked since.
    consumer.recv().expect("it was taken").retry_in(std::time::Duration::from_secs(1))?;
    assert_eq!(tasks.stats().delayed, 1);
    tasks.delete()?;
    let stats = tasks.stats();
    assert_eq!((stats.moving, stats.dead_lettered, stats.deleted), (0, 1, 0), "{stats:?}");
    assert_eq!(dead.stats().ready, 1);
    assert!(broker.stats().is_conserved());
    Ok(())
}
