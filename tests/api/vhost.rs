//! Virtual hosts: nothing of one is seen or changed from another.

use std::time::Duration;

use leveret::{
    Broker, ConnectOptions, Consume, EndReason, Entity, ErrorKind, Event, Message, Result,
};

#[test]
fn equal_names_in_two_are_two_things() -> Result<()> {
    let broker = Broker::new();
    let other = broker.create_vhost("other")?;
    let ours = broker.declare_exchange("x").topic().declare()?;
    let theirs = other.declare_exchange("x").fanout().declare()?;
    let [our_queue, their_queue] =
        [broker.declare_queue("q").declare()?, other.declare_queue("q").durable().declare()?];
    ours.bind(&our_queue, "#")?;
    assert_eq!(theirs.publish("k", Message::new("x"))?.queues, 0);
    theirs.bind(&their_queue, "")?;
    assert_eq!(ours.publish("k", Message::new("x"))?.queues, 1);
    assert_eq!(other.default_exchange().publish("q", Message::new("x"))?.queues, 1);
    assert_eq!((our_queue.stats().ready, their_queue.stats().ready), (1, 1));
    our_queue.delete()?;
    ours.delete()?;
    assert!(other.queue("q").is_ok() && other.exchange("x").is_ok());
    assert!(other.exchange("amq.topic").is_ok(), "each has the predeclared exchanges");
    Ok(())
}

/// A binding joins the two entities that its handles stand for, or none.
#[test]
fn handles_of_another_bind_nothing() -> Result<()> {
    let broker = Broker::new();
    let other = broker.create_vhost("other")?;
    let ours = broker.declare_exchange("x").fanout().declare()?;
    let theirs = other.declare_exchange("x").fanout().declare()?;
    let our_queue = broker.declare_queue("q").declare()?;
    let their_queue = other.declare_queue("q").declare()?;
    for (error, entity, text) in [
        (
            ours.bind(&their_queue, ""),
            Entity::Queue,
            "queue 'q' is not of vhost '/', but of another",
        ),
        (
            theirs.bind(&our_queue, ""),
            Entity::Queue,
            "queue 'q' is not of vhost 'other', but of another",
        ),
        (
            ours.bind(&theirs, ""),
            Entity::Exchange,
            "exchange 'x' is not of vhost '/', but of another",
        ),
    ] {
        let error = error.unwrap_err();
        let ErrorKind::Foreign { entity: found, .. } = error.kind() else { panic!("{error}") };
        assert_eq!((*found, error.to_string().as_str()), (entity, text));
    }
    assert_eq!(ours.publish("", Message::new("x"))?.queues, 0);
    assert_eq!(theirs.publish("", Message::new("x"))?.queues, 0);
    ours.bind(&our_queue, "")?;
    ours.unbind(&their_queue, "")?;
    assert_eq!(ours.publish("", Message::new("x"))?.queues, 1);
    Ok(())
}

/// What is kept by name would mean the entity of that name here.
#[test]
fn handles_of_another_are_no_alternates_and_take_no_dead_letters() -> Result<()> {
    let broker = Broker::new();
    let (other, elsewhere) = (broker.create_vhost("other")?, Broker::new());
    for foreign in [&other, &*elsewhere] {
        let exchange = foreign.declare_exchange("x").declare()?;
        let queue = foreign.declare_queue("q").declare()?;
        let errors = [
            broker.declare_exchange("new").alternate(&exchange).declare().map(drop),
            broker
                .declare_exchange("new")
                .alternate(&foreign.default_exchange())
                .declare()
                .map(drop),
            broker.declare_queue("new").dead_letter_to(&exchange).declare().map(drop),
            broker.declare_queue("new").dead_letter_to(&queue).declare().map(drop),
        ];
        for error in errors.map(|result| result.expect_err("it is of another")) {
            assert!(matches!(error.kind(), ErrorKind::Foreign { .. }), "{error}");
        }
        assert!(broker.exchange("new").is_err() && broker.queue("new").is_err());
    }
    // The last word counts.
    let (own, theirs) = (broker.exchange("amq.fanout")?, other.exchange("amq.fanout")?);
    broker.declare_exchange("new").alternate(&theirs).alternate(&own).declare()?;
    let again = broker.declare_exchange("new").alternate(&own).alternate(&theirs).declare();
    assert!(matches!(again.unwrap_err().kind(), ErrorKind::Foreign { .. }));
    Ok(())
}

#[test]
fn they_are_created_found_and_deleted_by_name() -> Result<()> {
    let broker = Broker::new();
    assert_eq!((broker.name(), broker.vhost("/")?.name()), ("/", "/"));
    let error = broker.vhost("v").unwrap_err();
    assert_eq!(error.to_string(), "no vhost 'v'");
    broker.create_vhost("v")?;
    let error = broker.create_vhost("v").unwrap_err();
    let ErrorKind::AlreadyExists { entity, name, .. } = error.kind() else { panic!("{error}") };
    assert_eq!((*entity, name.as_str()), (Entity::VirtualHost, "v"));
    broker.vhost("v")?.declare_queue("q").declare()?;
    broker.delete_vhost("v")?;
    assert!(broker.delete_vhost("v").unwrap_err().is_not_found());
    let error = broker.delete_vhost("/").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::AccessRefused { .. }), "{error}");
    assert!(broker.create_vhost("v")?.queue("q").unwrap_err().is_not_found());
    Ok(())
}

#[test]
fn deleting_one_ends_all_that_lives_in_it() -> Result<()> {
    let broker = Broker::new();
    let vhost = broker.create_vhost("v")?;
    let queue = vhost.declare_queue("q").declare()?;
    let exchange = vhost.declare_exchange("x").fanout().declare()?;
    exchange.bind(&queue, "")?;
    let consumer = queue.consume().prefetch(1).start()?;
    let subscription = exchange.subscribe("")?;
    let workers = vhost.declare_queue("w").declare()?.workers(2, |_| ())?;
    let publisher = exchange.publisher().open()?;
    let connection = vhost.connect(ConnectOptions::default())?;
    let channel = connection.open_channel()?;
    queue.send(Message::new("1"))?;
    queue.send(Message::new("2"))?;
    let in_hand = consumer.recv()?;
    let questions = vhost.declare_queue("questions").declare()?;
    questions.send(Message::new("?").with_reply_to("q"))?;
    let asking = questions.get()?.expect("it is there");
    channel.basic_consume(Consume { queue: "q", ..Consume::default() })?;
    let elsewhere = broker.connect(ConnectOptions::default())?;
    let outside = broker.declare_queue("q").declare()?;
    let outside_consumer = outside.consume().start()?;

    broker.delete_vhost("v")?;
    assert_eq!(consumer.end(), Some(EndReason::QueueDeleted));
    assert_eq!(subscription.end(), Some(EndReason::QueueDeleted));
    assert_eq!(workers.join().running, 0);
    let error = connection.error().expect("it was closed");
    assert!(error.is_not_found(), "{error}");
    while let Some(event) = channel.try_event() {
        assert!(matches!(event, Event::Closed(_)), "{event:?}");
    }
    in_hand.ack()?;
    assert!(queue.stats().is_conserved());
    assert_eq!(queue.stats().deleted, 2);

    let gone = |error: leveret::Error| assert_eq!(error.to_string(), "no vhost 'v'");
    gone(vhost.queue("q").unwrap_err());
    gone(vhost.declare_queue("new").declare().unwrap_err());
    gone(vhost.declare_exchange("new").declare().unwrap_err());
    gone(vhost.connect(ConnectOptions::default()).unwrap_err());
    gone(queue.get().unwrap_err());
    gone(queue.delete().unwrap_err());
    let late = || Message::new("late").with_reply_to("q");
    gone(publisher.publish("", late()).unwrap_err().into());
    gone(exchange.publish("", late()).unwrap_err().into());
    gone(exchange.publish_batch("", &mut vec![late()]).unwrap_err().into());
    gone(vhost.transaction().publish(&exchange, "", late()).unwrap_err().into());
    gone(queue.send(late()).unwrap_err().into());
    gone(asking.reply(late()).unwrap_err().into());

    // A successor of the same name has nothing to do with it.
    let successor = broker.create_vhost("v")?;
    gone(vhost.declare_queue("new").declare().unwrap_err());
    assert!(successor.declare_queue("q").declare()?.send(Message::new("x")).is_ok());
    assert_eq!((elsewhere.error().is_none(), outside_consumer.end()), (true, None));
    assert!(broker.close(Duration::from_secs(10)).is_clean());
    Ok(())
}
