//! Exchanges: declaring, binding, where messages go, and what is left after a deletion.

use leveret::{
    BindingKey, Broker, Entity, ErrorKind, Exchange, Limits, Message, PublishReason, Queue, Result,
    Value,
};

fn texts(queue: &Queue) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    while let Some(delivery) = queue.get()? {
        texts.push(delivery.text().unwrap_or_default().to_owned());
        delivery.ack()?;
    }
    Ok(texts)
}

/// How many queues one message goes to.
#[track_caller]
fn reach(exchange: &Exchange, key: &str) -> u32 {
    exchange.publish(key, Message::new("x")).expect("it is published").queues
}

#[test]
fn declaring_again_compares_every_setting() -> Result<()> {
    let broker = Broker::new();
    let first = broker.declare_exchange("x").topic().durable().declare()?;
    let again = broker.declare_exchange("x").topic().durable().declare()?;
    let queue = broker.declare_queue("q").declare()?;
    first.bind(&queue, "a")?;
    assert_eq!(reach(&again, "a"), 1, "both handles are to one exchange");

    let declare = || broker.declare_exchange("x").topic().durable();
    let cases = [
        (declare().fanout(), "type", Value::from("topic"), Value::from("fanout")),
        (broker.declare_exchange("x").topic(), "durable", true.into(), false.into()),
        (declare().auto_delete(), "auto_delete", false.into(), true.into()),
        (declare().internal(), "internal", false.into(), true.into()),
    ];
    for (builder, name, is, asked) in cases {
        let error = builder.declare().unwrap_err();
        let ErrorKind::Mismatch { entity, argument, expected, found, .. } = error.kind() else {
            panic!("{error}")
        };
        assert_eq!((*entity, argument.as_str()), (Entity::Exchange, name));
        assert_eq!((expected, found), (&Some(is), &Some(asked)));
    }
    let other = broker.declare_exchange("other").declare()?;
    let error = declare().alternate(&other).declare().unwrap_err();
    assert_eq!(
        error.to_string(),
        "inequivalent arg 'alternate-exchange' for exchange 'x' in vhost '/': received the value \
         'other' of type 'longstr' but current is none"
    );
    assert_eq!(reach(&first, "a"), 1, "a mismatch changes nothing");
    Ok(())
}

#[test]
fn exchanges_of_the_broker_are_there_and_stay() -> Result<()> {
    let broker = Broker::new();
    for name in ["amq.direct", "amq.fanout", "amq.topic", "amq.headers", "amq.match"] {
        let error = broker.exchange(name)?.delete().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::AccessRefused { .. }), "{error}");
    }
    for name in ["amq.mine", ""] {
        let error = broker.declare_exchange(name).fanout().declare().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::AccessRefused { .. }), "{error}");
    }
    let default = broker.exchange("")?;
    let queue = broker.declare_queue("q").declare()?;
    assert!(matches!(
        default.bind(&queue, "k").unwrap_err().kind(),
        ErrorKind::AccessRefused { .. }
    ));
    assert_eq!(reach(&default, "q"), 1);
    Ok(())
}

#[test]
fn the_kinds_route_as_they_are_called() -> Result<()> {
    let broker = Broker::new();
    let queue = broker.declare_queue("q").declare()?;
    let direct = broker.declare_exchange("direct").declare()?;
    let fanout = broker.declare_exchange("fanout").fanout().declare()?;
    let topic = broker.declare_exchange("topic").topic().declare()?;
    direct.bind(&queue, "a.b")?;
    fanout.bind(&queue, "a.b")?;
    topic.bind(&queue, "a.*")?;
    let keys = ["a.b", "a.c", "a.b.c", ""];
    let reached = |exchange| keys.map(|key| reach(exchange, key));
    assert_eq!(reached(&direct), [1, 0, 0, 0]);
    assert_eq!(reached(&fanout), [1, 1, 1, 1]);
    assert_eq!(reached(&topic), [1, 1, 0, 0]);
    assert!(matches!(
        broker.declare_exchange("y").kind("x-unknown").declare().unwrap_err().kind(),
        ErrorKind::UnknownExchangeType { .. }
    ));
    Ok(())
}

#[test]
fn header_bindings_compare_values_and_presence() -> Result<()> {
    let broker = Broker::new();
    let exchange = broker.declare_exchange("x").headers().declare()?;
    let [all, any] = [broker.declare_queue("all"), broker.declare_queue("any")];
    let (all, any) = (all.declare()?, any.declare()?);
    let keys = [("format", Value::from("pdf")), ("signed", Value::Void)];
    exchange.bind(&all, BindingKey::all(keys.clone()))?;
    exchange.bind(&any, BindingKey::any(keys))?;
    let send = |message: Message| exchange.publish("", message).map(|routed| routed.queues);
    assert_eq!(send(Message::new("1"))?, 0, "no headers at all");
    assert_eq!(send(Message::new("2").with_header("format", "pdf"))?, 1);
    assert_eq!(send(Message::new("3").with_header("format", "ps"))?, 0);
    let both = Message::new("4").with_header("format", "pdf").with_header("signed", false);
    assert_eq!(send(both)?, 2, "a void asks for presence only");
    assert_eq!(texts(&all)?, ["4"]);
    assert_eq!(texts(&any)?, ["2", "4"]);
    let error = exchange.bind(&all, BindingKey::from("").argument("x-match", "some")).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidArgument { .. }), "{error}");
    Ok(())
}

#[test]
fn a_binding_is_what_its_key_and_arguments_say() -> Result<()> {
    let broker = Broker::new();
    let exchange = broker.declare_exchange("x").declare()?;
    let queue = broker.declare_queue("q").declare()?;
    let plain = exchange.bind(&queue, "k")?;
    exchange.bind(&queue, "k")?;
    let noted = BindingKey::from("k").argument("note", 1);
    exchange.bind(&queue, noted.clone())?;
    assert_eq!(reach(&exchange, "k"), 1, "a queue gets one copy");
    plain.unbind()?;
    assert_eq!(reach(&exchange, "k"), 1, "the one with an argument is another");
    plain.unbind()?;
    exchange.unbind(&queue, noted)?;
    assert_eq!(reach(&exchange, "k"), 0);
    Ok(())
}

#[test]
fn an_alternate_takes_what_matches_nothing() -> Result<()> {
    let broker = Broker::new();
    let last = broker.declare_exchange("last").fanout().declare()?;
    let middle = broker.declare_exchange("middle").alternate(&last).declare()?;
    let first = broker.declare_exchange("first").alternate(&middle).declare()?;
    let [one, two, three] = ["one", "two", "three"].map(|name| broker.declare_queue(name));
    let (one, two, three) = (one.declare()?, two.declare()?, three.declare()?);
    first.bind(&one, "1")?;
    middle.bind(&two, "2")?;
    last.bind(&three, "")?;
    for key in ["1", "2", "3"] {
        assert_eq!(first.publish(key, Message::new(key))?.queues, 1);
    }
    assert_eq!(
        [texts(&one)?, texts(&two)?, texts(&three)?],
        [vec!["1".to_owned()], vec!["2".to_owned()], vec!["3".to_owned()]]
    );

    // It is looked up by its name each time.
    last.delete()?;
    assert_eq!(reach(&first, "3"), 0);
    broker.declare_exchange("last").fanout().declare()?.bind(&three, "")?;
    assert_eq!(reach(&first, "3"), 1);
    Ok(())
}

#[test]
fn an_alternate_takes_nothing_that_matches_a_way_already_gone() -> Result<()> {
    let broker = Broker::new();
    let [queue, other] = ["queue", "other"].map(|name| broker.declare_queue(name).declare());
    let (queue, other) = (queue?, other?);
    let rest = broker.declare_exchange("rest").fanout().declare()?;
    rest.bind(&other, "")?;
    let first = broker.declare_exchange("first").fanout().declare()?;
    first.bind(&queue, "")?;
    let declare = |name| broker.declare_exchange(name).alternate(&rest);
    let cases = [
        (declare("direct").direct().declare()?, BindingKey::from("k")),
        (declare("fanout").fanout().declare()?, BindingKey::from("")),
        (declare("headers").headers().declare()?, BindingKey::all([("a", 1)])),
        (declare("topic").topic().declare()?, BindingKey::from("#")),
    ];
    for (second, key) in cases {
        let way = first.bind(&second, "")?;
        second.bind(&queue, key)?;
        let routed = first.publish("k", Message::new("x").with_header("a", 1))?;
        assert_eq!(routed.queues, 1, "{}", second.name());
        way.unbind()?;
    }
    Ok(())
}

#[test]
fn cycles_and_diamonds_give_each_queue_one_copy() -> Result<()> {
    let broker = Broker::new();
    let declare = |name| broker.declare_exchange(name).fanout().declare();
    let (a, b, c, d) = (declare("a")?, declare("b")?, declare("c")?, declare("d")?);
    let queue = broker.declare_queue("q").declare()?;
    for (from, to) in [(&a, &b), (&a, &c), (&b, &d), (&c, &d), (&d, &a), (&d, &d)] {
        from.bind(to, "")?;
    }
    for exchange in [&a, &b, &c, &d] {
        exchange.bind(&queue, "")?;
    }
    for exchange in [&a, &b, &c, &d] {
        assert_eq!(reach(exchange, ""), 1, "{exchange:?}");
    }
    d.delete()?;
    assert_eq!(reach(&a, ""), 1);
    assert_eq!(queue.stats().ready, 5);
    Ok(())
}

#[test]
fn an_internal_exchange_takes_messages_from_exchanges_only() -> Result<()> {
    let broker = Broker::new();
    let inner = broker.declare_exchange("inner").fanout().internal().declare()?;
    let outer = broker.declare_exchange("outer").fanout().declare()?;
    inner.bind(&broker.declare_queue("q").declare()?, "")?;
    outer.bind(&inner, "")?;
    assert_eq!(reach(&outer, ""), 1);
    let error = inner.publish("", Message::new("back")).unwrap_err();
    assert!(matches!(error.reason(), PublishReason::Refused(_)), "{error}");
    assert_eq!(error.into_message().text(), Some("back"));
    Ok(())
}

#[test]
fn an_auto_delete_exchange_goes_with_its_last_binding() -> Result<()> {
    let broker = Broker::new();
    let exchange = broker.declare_exchange("x").fanout().auto_delete().declare()?;
    let queue = broker.declare_queue("q").declare()?;
    assert_eq!(reach(&exchange, ""), 0, "one that never had a binding stays");
    let binding = exchange.bind(&queue, "")?;
    let second = broker.declare_queue("r").declare()?;
    exchange.bind(&second, "")?;
    binding.unbind()?;
    assert!(broker.exchange("x").is_ok());
    second.delete()?;
    assert!(broker.exchange("x").unwrap_err().is_not_found());
    assert!(exchange.publish("", Message::new("x")).is_err());
    Ok(())
}

#[test]
fn deleting_may_insist_on_disuse() -> Result<()> {
    let broker = Broker::new();
    let exchange = broker.declare_exchange("x").declare()?;
    let binding = exchange.bind(&broker.declare_queue("q").declare()?, "k")?;
    let error = exchange.delete_if_unused().unwrap_err();
    assert_eq!(error.to_string(), "exchange 'x' in vhost '/' in use");
    assert_eq!(reach(&exchange, "k"), 1);
    binding.unbind()?;
    exchange.delete_if_unused()?;
    exchange.delete_if_unused()?;
    exchange.delete()?;
    assert!(broker.exchange("x").unwrap_err().is_not_found());
    Ok(())
}

/// A handle means the exchange that it was made for, also when another one has got its name.
/// Where a message goes that is refused is not looked at, and not taken for nowhere afterwards.
#[test]
fn a_message_refused_for_room_finds_its_way_later() -> Result<()> {
    let mut limits = Limits::default();
    limits.memory_bytes = 10_000;
    let broker = Broker::builder().limits(limits).open()?;
    let exchange = broker.declare_exchange("x").topic().declare()?;
    let (queue, full) =
        (broker.declare_queue("q").declare()?, broker.declare_queue("f").declare()?);
    exchange.bind(&queue, "a.*")?;
    while full.send(Message::new(vec![0; 1_000])).is_ok() {}
    for _ in 0..2 {
        assert!(exchange.publish("a.b", Message::new(vec![0; 1_000])).unwrap_err().is_full());
        assert!(
            exchange.publish_mandatory("a.b", Message::new(vec![0; 1_000])).unwrap_err().is_full()
        );
    }
    full.purge()?;
    assert_eq!(exchange.publish("a.b", Message::new(vec![0; 1_000])).expect("room").queues, 1);
    assert_eq!(queue.stats().ready, 1);
    Ok(())
}

#[test]
fn a_deleted_exchange_is_not_found_however_often() -> Result<()> {
    let broker = Broker::new();
    let exchange = broker.declare_exchange("e").declare()?;
    exchange.delete()?;
    for _ in 0..3 {
        let refused = exchange.publish("key", Message::new("x")).unwrap_err();
        assert!(matches!(refused.reason(), PublishReason::Refused(error) if error.is_not_found()));
    }
    Ok(())
}

#[test]
fn a_handle_to_a_deleted_exchange_does_nothing_to_its_successor() -> Result<()> {
    let broker = Broker::new();
    let queue = broker.declare_queue("q").declare()?;
    let stale = broker.declare_exchange("x").fanout().declare()?;
    let stale_binding = stale.bind(&queue, "")?;
    stale.delete()?;
    assert!(stale.bind(&queue, "").unwrap_err().is_not_found());

    let successor = broker.declare_exchange("x").fanout().declare()?;
    assert_eq!(reach(&successor, ""), 0, "bindings go with their exchange");
    let error = stale.publish("", Message::new("late")).unwrap_err();
    let PublishReason::Refused(reason) = error.reason() else { panic!("{error}") };
    assert!(reason.is_not_found());
    assert!(stale.bind(&queue, "").unwrap_err().is_not_found());
    assert!(stale.subscribe("").unwrap_err().is_not_found());
    assert!(stale.bind(&successor, "").unwrap_err().is_not_found());
    assert!(successor.bind(&stale, "").unwrap_err().is_not_found());
    assert_eq!(reach(&successor, ""), 0);

    successor.bind(&queue, "")?;
    stale_binding.unbind()?;
    stale.unbind(&queue, "")?;
    stale.delete()?;
    stale.delete_if_unused()?;
    assert_eq!(reach(&successor, ""), 1, "the successor has kept its binding");
    Ok(())
}

#[test]
fn a_handle_to_a_deleted_queue_binds_nothing() -> Result<()> {
    let broker = Broker::new();
    let exchange = broker.declare_exchange("x").fanout().declare()?;
    let stale = broker.declare_queue("q").declare()?;
    exchange.bind(&stale, "")?;
    stale.delete()?;
    assert_eq!(reach(&exchange, ""), 0, "a deleted queue stops receiving at once");
    broker.declare_queue("q").declare()?;
    let error = exchange.bind(&stale, "").unwrap_err();
    assert_eq!(error.to_string(), "no queue 'q' in vhost '/'");
    assert_eq!(reach(&exchange, ""), 0);
    Ok(())
}

#[test]
fn a_mandatory_message_comes_back_unless_it_reaches_a_queue() -> Result<()> {
    let broker = Broker::new();
    let exchange = broker.declare_exchange("x").declare()?;
    let error = exchange.publish_mandatory("k", Message::new("back")).unwrap_err();
    assert!(matches!(error.reason(), PublishReason::Unroutable));
    assert!(!error.is_full());
    let (_, message) = error.into_parts();
    exchange.bind(&broker.declare_queue("q").declare()?, "k")?;
    assert_eq!(exchange.publish_mandatory("k", message)?.queues, 1);
    Ok(())
}

#[test]
fn a_batch_is_published_in_order_or_not_at_all() -> Result<()> {
    let broker = Broker::new();
    let exchange = broker.declare_exchange("x").headers().declare()?;
    let [all, even] = [broker.declare_queue("all"), broker.declare_queue("even")];
    let (all, even) = (all.declare()?, even.declare()?);
    exchange.bind(&all, BindingKey::all([("n", Value::Void)]))?;
    exchange.bind(&even, BindingKey::all([("even", true)]))?;
    let numbered =
        |n: i32| Message::new(n.to_string()).with_header("n", n).with_header("even", n % 2 == 0);
    let mut batch: Vec<_> = (0..4).map(numbered).collect();
    batch.push(Message::new("nowhere"));
    assert_eq!(exchange.publish_batch("", &mut batch)?.queues, 6);
    assert!(batch.is_empty());
    assert_eq!(texts(&all)?, ["0", "1", "2", "3"]);
    assert_eq!(texts(&even)?, ["0", "2"]);

    batch = vec![numbered(4), numbered(5).with_delivery_mode(3)];
    let refused = exchange.publish_batch("", &mut batch).unwrap_err();
    assert!(matches!(refused, PublishReason::Refused(_)), "{refused}");
    assert_eq!((batch.len(), all.stats().ready, even.stats().ready), (2, 0, 0));
    Ok(())
}

#[test]
fn copies_go_to_the_keys_in_cc_and_bcc() -> Result<()> {
    let broker = Broker::new();
    let [to, cc, bcc] = ["to", "cc", "bcc"].map(|name| broker.declare_queue(name));
    let (to, cc, bcc) = (to.declare()?, cc.declare()?, bcc.declare()?);
    let list = |name: &str| Value::Array(vec![Value::from(name), Value::from("to")]);
    let message = Message::new("x").with_header("CC", list("cc")).with_header("BCC", list("bcc"));
    to.send(message.clone())?;
    assert_eq!(broker.default_exchange().publish("nowhere", message)?.queues, 3);
    for queue in [&to, &cc, &bcc] {
        assert_eq!(queue.stats().ready, 2, "{queue:?}");
        let delivery = queue.get()?.expect("it is there");
        assert!(delivery.header("CC").is_some() && delivery.header("BCC").is_none());
    }
    Ok(())
}

/// Threads remember where messages went. Whatever changes has to count for the very next one.
#[test]
fn each_change_counts_for_the_next_publish() -> Result<()> {
    let broker = Broker::new();
    let front = broker.declare_exchange("front").declare()?;
    let reached =
        |exchange: &Exchange| exchange.publish("k", Message::new("x")).map(|to| to.queues);
    assert_eq!(reached(&front)?, 0);
    let queue = broker.declare_queue("q").declare()?;
    let binding = front.bind(&queue, "k")?;
    assert_eq!((reached(&front)?, reached(&front)?), (1, 1));
    binding.unbind()?;
    assert_eq!(reached(&front)?, 0);
    let back = broker.declare_exchange("back").fanout().declare()?;
    front.bind(&back, "k")?;
    assert_eq!(reached(&front)?, 0);
    back.bind(&queue, "")?;
    assert_eq!(reached(&front)?, 1, "a binding further on");
    queue.delete()?;
    assert_eq!(reached(&front)?, 0);
    back.bind(&broker.declare_queue("q").declare()?, "")?;
    assert_eq!(reached(&front)?, 1);
    back.delete()?;
    assert_eq!(reached(&front)?, 0);
    front.delete()?;
    assert!(reached(&front).is_err());
    Ok(())
}

#[test]
fn a_queue_is_found_by_its_name_from_its_declaration_on() -> Result<()> {
    let broker = Broker::new();
    let default = broker.default_exchange();
    let reached = || default.publish("q", Message::new("x")).map(|to| to.queues);
    for _ in 0..3 {
        assert_eq!(reached()?, 0);
        let queue = broker.declare_queue("q").declare()?;
        assert_eq!((reached()?, reached()?), (1, 1));
        assert_eq!(queue.delete()?, 2);
    }
    Ok(())
}

#[test]
fn an_alternate_exchange_takes_part_from_its_declaration_on() -> Result<()> {
    let broker = Broker::new();
    let queue = broker.declare_queue("q").declare()?;
    let front =
        broker.declare_exchange("front").argument("alternate-exchange", "back").declare()?;
    let reached = || front.publish("k", Message::new("x")).map(|to| to.queues);
    assert_eq!(reached()?, 0);
    let back = broker.declare_exchange("back").fanout().declare()?;
    back.bind(&queue, "")?;
    assert_eq!(reached()?, 1);
    back.delete()?;
    assert_eq!(reached()?, 0);
    Ok(())
}

#[test]
fn brokers_with_the_same_names_do_not_share_routes() -> Result<()> {
    let make = |count: usize| {
        let broker = Broker::new();
        let exchange = broker.declare_exchange("e").fanout().declare()?;
        for number in 0..count {
            exchange.bind(&broker.declare_queue(&format!("q{number}")).declare()?, "")?;
        }
        Ok::<_, leveret::Error>(exchange)
    };
    let exchanges = [make(0)?, make(1)?, make(2)?];
    for _ in 0..3 {
        for (count, exchange) in (0..).zip(&exchanges) {
            assert_eq!(exchange.publish("", Message::new("x"))?.queues, count);
        }
    }
    Ok(())
}
