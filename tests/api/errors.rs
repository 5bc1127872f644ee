//! Errors: what their texts name, and how they convert.

use std::{error::Error as _, time::Duration};

use leveret::{
    BindingKey, Broker, CallError, ConfirmError, ConnectOptions, Consumer, EndReason, Entity,
    Error, ErrorKind, Message, PublishError, PublishReason, QueueBind, ReplyCode, Result, Scope,
    Table,
};

/// Checks the text, and the code that AMQP has for the mistake.
#[track_caller]
fn check(error: &Error, text: &str, code: ReplyCode) {
    assert_eq!(error.to_string(), text);
    assert_eq!(error.reply_code(), code);
    assert_eq!(error.reply_text(), format!("{} - {text}", code.name()));
    assert!(format!("{error:?}").contains(text), "{error:?}");
}

#[test]
fn texts_say_what_is_wrong_with_what() -> Result<()> {
    let broker = Broker::new();
    let queue = broker.declare_queue("q").max_length(5).declare()?;
    let exchange = broker.declare_exchange("x").declare()?;
    exchange.bind(&queue, "k")?;
    check(
        &broker.queue("nowhere").unwrap_err(),
        "no queue 'nowhere' in vhost '/'",
        ReplyCode::NOT_FOUND,
    );
    check(
        &broker.declare_queue("q").max_length(6).declare().unwrap_err(),
        "inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received '6' but current is \
         '5'",
        ReplyCode::PRECONDITION_FAILED,
    );
    check(
        &broker.declare_exchange("x").fanout().declare().unwrap_err(),
        "inequivalent arg 'type' for exchange 'x' in vhost '/': received 'fanout' but current is \
         'direct'",
        ReplyCode::PRECONDITION_FAILED,
    );
    check(
        &exchange.delete_if_unused().unwrap_err(),
        "exchange 'x' in vhost '/' in use",
        ReplyCode::PRECONDITION_FAILED,
    );
    check(
        &broker.exchange("amq.topic")?.delete().unwrap_err(),
        "deletion of system exchange 'amq.topic' in vhost '/' not allowed",
        ReplyCode::ACCESS_REFUSED,
    );
    check(
        &broker.declare_queue("amq.q").declare().unwrap_err(),
        "queue name 'amq.q' contains reserved prefix 'amq.*'",
        ReplyCode::ACCESS_REFUSED,
    );
    check(
        &broker.declare_exchange("y").kind("round").declare().unwrap_err(),
        "unknown exchange type 'round'",
        ReplyCode::COMMAND_INVALID,
    );
    let in_vhost = broker.create_vhost("v")?.queue("q").unwrap_err();
    check(&in_vhost, "no queue 'q' in vhost 'v'", ReplyCode::NOT_FOUND);
    assert_eq!(in_vhost.scope(), Scope::Channel);
    Ok(())
}

#[test]
fn a_refused_publish_says_why_and_gives_back() -> Result<()> {
    let broker = Broker::new();
    let queue = broker.declare_queue("q").declare()?;
    let text = |error: PublishError| error.to_string();
    assert_eq!(
        text(queue.send(Message::new("x").with_expiration("soon")).unwrap_err()),
        "not published: invalid expiration 'soon': no_integer"
    );
    assert_eq!(
        text(queue.send(Message::new("x").with_user_id("somebody")).unwrap_err()),
        "not published: user_id property set to 'somebody' but authenticated user was 'guest'"
    );
    let error = broker.declare_exchange("x").declare()?.publish_mandatory("k", Message::new("x"));
    let error = error.unwrap_err();
    assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("no queue was reached"));
    check(&error.into(), "no queue was reached", ReplyCode::NO_ROUTE);
    assert_eq!(queue.stats().enqueued, 0);
    Ok(())
}

#[test]
fn texts_of_keys_and_bindings_say_what_is_meant() -> Result<()> {
    let broker = Broker::new();
    let queue = broker.declare_queue("q").declare()?;
    let exchange = broker.declare_exchange("x").headers().declare()?;
    let long = "k".repeat(256);
    let text = format!("invalid routing key '{}': it is longer than 255 bytes", "k".repeat(255));
    let publish = Error::from(exchange.publish(&long, Message::new("x")).unwrap_err());
    let bind = exchange.bind(&queue, long.as_str()).unwrap_err();
    let unbind = exchange.unbind(&queue, long.as_str()).unwrap_err();
    for error in [publish, bind, unbind] {
        assert_eq!(error.to_string(), text);
    }

    let sometimes = || BindingKey::from("k").argument("x-match", "some");
    let recorded = "Invalid x-match field value <<\"some\">>; expected all, any, all-with-x, or \
                    any-with-x";
    let where_to =
        |to: &str| format!("{recorded}, in a binding of {to} to exchange 'x' in vhost '/'");
    let fanout = broker.declare_exchange("y").fanout().declare()?;
    let error = exchange.bind(&queue, sometimes()).unwrap_err();
    assert_eq!(error.to_string(), where_to("queue 'q'"));
    let error = exchange.bind(&fanout, sometimes()).unwrap_err();
    assert_eq!(error.to_string(), where_to("exchange 'y'"));
    let ErrorKind::InvalidArgument { entity, argument, .. } = error.kind() else {
        panic!("{error}")
    };
    assert_eq!((*entity, argument.as_str()), (Entity::Binding, "x-match"));
    let error = exchange.subscribe(sometimes()).unwrap_err().to_string();
    assert!(error.contains("queue 'amq.gen-") && error.contains("exchange 'x'"), "{error}");
    // A channel says no more than `RabbitMQ` does.
    let connection = broker.connect(ConnectOptions::default())?;
    let arguments = Table::from([("x-match", "some")]);
    let of = QueueBind { queue: "q", exchange: "x", arguments, ..QueueBind::default() };
    assert_eq!(connection.open_channel()?.queue_bind(of).unwrap_err().to_string(), recorded);
    Ok(())
}

#[test]
fn every_failure_becomes_an_error() -> Result<()> {
    let broker = Broker::new();
    let queue = broker.declare_queue("q").declare()?;
    let consumer = queue.consume().start()?;
    let empty = Error::from(consumer.try_recv().unwrap_err());
    check(&empty, "nothing happened within the time given", ReplyCode::PRECONDITION_FAILED);
    let timed = Error::from(consumer.recv_timeout(Duration::ZERO).unwrap_err());
    assert!(matches!(timed.kind(), ErrorKind::Timeout));
    let pending = broker.default_exchange().request("q", Message::new("x"))?;
    assert!(matches!(
        Error::from(pending.wait(Duration::ZERO).unwrap_err()).kind(),
        ErrorKind::Timeout
    ));
    assert!(Error::from(ConfirmError::Closed).is_closed());
    assert!(Error::from(CallError::Closed).is_closed());
    Ok(())
}

/// Whichever way to receive met the end, the error says why.
#[track_caller]
fn check_ended(consumer: &Consumer, check: impl Fn(Error)) {
    check(consumer.recv().unwrap_err().into());
    check(consumer.try_recv().unwrap_err().into());
    check(consumer.recv_timeout(Duration::ZERO).unwrap_err().into());
    check(consumer.recv_batch(&mut Vec::new(), 1, Duration::ZERO).unwrap_err().into());
}

#[test]
fn the_end_of_a_consumer_says_why() -> Result<()> {
    let broker = Broker::new();
    let queue = broker.declare_queue("q").declare()?;
    let [cancelled, deleted] = [queue.consume().start()?, queue.consume().start()?];
    let closed = broker.declare_queue("r").declare()?.consume().start()?;
    cancelled.cancel();
    queue.delete()?;
    broker.close(Duration::ZERO);
    check_ended(&cancelled, |error| {
        assert!(!error.is_closed());
        let text = "the consumer has ended: it was cancelled";
        check(&error, text, ReplyCode::PRECONDITION_FAILED);
    });
    check_ended(&deleted, |error| {
        let text = "the consumer has ended: its queue was deleted";
        check(&error, text, ReplyCode::PRECONDITION_FAILED);
        assert_eq!(error.scope(), Scope::Channel);
        let ErrorKind::ConsumerEnded { reason, .. } = error.kind() else { panic!("{error}") };
        assert_eq!(*reason, EndReason::QueueDeleted);
    });
    check_ended(&closed, |error| assert!(error.is_closed(), "{error}"));
    Ok(())
}

#[test]
fn long_texts_are_cut_where_amqp_cuts_them() {
    let name = "é".repeat(127);
    let error = Broker::new().queue(&name).unwrap_err();
    assert!(error.to_string().contains(&name));
    let text = error.reply_text();
    assert!(text.len() <= 255 && text.len() > 250, "{}", text.len());
    assert!(text.starts_with("NOT_FOUND - no queue 'éé") && text.ends_with("é..."), "{text}");
}

#[test]
fn errors_are_small_and_can_be_passed_on() {
    fn passes<T: Send + Sync + Clone + std::error::Error + 'static>() {}
    passes::<Error>();
    assert!(size_of::<Error>() <= 24);
    assert!(size_of::<Result<()>>() <= 24);
    assert!(size_of::<PublishReason>() <= 24);
    assert!(size_of::<CallError>() <= 24);
    let error = Broker::new().exchange("x").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NotFound { entity: Entity::Exchange, .. }));
    assert_eq!(error.clone().kind(), error.kind());
}
