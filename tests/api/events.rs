//! The events of a channel: what finds a place among them, what is refused, and who hears of room.

use std::{
    iter,
    task::{Context, Poll},
    thread,
    time::Duration,
};

use leveret::{
    Ack, Broker, Channel, ConnectOptions, Connection, Consume, Error, ErrorKind, Event, Get,
    Limits, Message, Publish, QueueDeclare, Result,
};

use crate::{task::Alarm, watchdog::in_time};

const LONG: Duration = Duration::from_hours(1);

/// The pseudo queue of direct reply-to.
const REPLIES: &str = "amq.rabbitmq.reply-to";

fn broker_with_events(events: usize) -> Result<Broker> {
    let mut limits = Limits::default();
    limits.events = events;
    Broker::builder().limits(limits).open()
}

fn open(broker: &Broker) -> Result<(Connection, Channel)> {
    let connection = broker.connect(ConnectOptions::default())?;
    let channel = connection.open_channel()?;
    Ok((connection, channel))
}

fn to(routing_key: &str) -> Publish<'_> {
    Publish { routing_key, ..Publish::default() }
}

fn mandatory(routing_key: &str) -> Publish<'_> {
    Publish { mandatory: true, ..to(routing_key) }
}

/// Has a channel consume replies, and says at which address.
fn replies_to(broker: &Broker, channel: &Channel) -> Result<String> {
    channel.basic_consume(Consume { queue: REPLIES, auto_ack: true, ..Consume::default() })?;
    let requests = broker.temporary_queue()?;
    channel.basic_publish(to(requests.name()), Message::new("?").with_reply_to(REPLIES))?;
    let request = requests.get()?.expect("it is there");
    let address = request.reply_to().expect("it is a request").to_owned();
    request.ack()?;
    Ok(address)
}

fn messages(count: usize) -> Vec<Message> {
    (0..count).map(|n| Message::new(n.to_string())).collect()
}

fn take_all(channel: &Channel) -> Vec<Event> {
    iter::from_fn(|| channel.try_event()).collect()
}

/// Checks that something is full, and of what.
#[track_caller]
fn check_full(error: impl Into<Error>, bound: &str) {
    let error = error.into();
    let ErrorKind::Full { limit, .. } = error.kind() else { panic!("{error:?}") };
    assert_eq!(*limit, bound);
}

#[test]
fn a_commit_that_cannot_place_its_returns_changes_nothing() -> Result<()> {
    let broker = broker_with_events(2)?;
    let queue = broker.declare_queue("q").declare()?;
    queue.send(Message::new("x"))?;
    let (_connection, channel) = open(&broker)?;
    channel.tx_select()?;
    let got = channel.basic_get(Get { queue: "q", auto_ack: false })?.expect("it is there");
    channel.basic_ack(Ack { delivery_tag: got.delivery_tag, multiple: false })?;
    channel.basic_publish(to("q"), Message::new("y"))?;
    for message in messages(50) {
        channel.basic_publish(mandatory("nowhere"), message)?;
    }
    for _ in 0..2 {
        check_full(channel.tx_commit().unwrap_err(), "events");
        assert!(channel.try_event().is_none() && channel.error().is_none());
        assert_eq!((queue.stats().enqueued, queue.stats().unacked), (1, 1));
    }
    channel.tx_rollback()?;
    channel.basic_ack(Ack { delivery_tag: got.delivery_tag, multiple: false })?;
    for key in ["nowhere", "q", "nowhere"] {
        channel.basic_publish(mandatory(key), Message::new("z"))?;
    }
    channel.tx_commit()?;
    assert_eq!((queue.stats().enqueued, queue.stats().acked), (2, 1));
    let events = take_all(&channel);
    assert!(events.len() == 2 && events.iter().all(|event| matches!(event, Event::Return(_))));
    Ok(())
}

#[test]
fn a_reply_in_a_transaction_that_finds_no_place_is_refused() -> Result<()> {
    let broker = broker_with_events(3)?;
    let queue = broker.declare_queue("q").declare()?;
    let ((_one, asking), (_other, channel)) = (open(&broker)?, open(&broker)?);
    let address = replies_to(&broker, &asking)?;
    channel.tx_select()?;
    channel.basic_publish(to("q"), Message::new("x"))?;
    // Replies wait for no commit, so each needs its place when it is published.
    for message in messages(3) {
        channel.basic_publish(to(&address), message)?;
    }
    let refused = channel.basic_publish(to(&address), Message::new("too many")).unwrap_err();
    check_full(Error::from(refused), "events");
    assert_eq!((queue.stats().enqueued, take_all(&asking).len()), (0, 3));
    channel.tx_commit()?;
    assert_eq!((queue.stats().enqueued, take_all(&asking).len()), (1, 0));
    Ok(())
}

#[test]
fn a_transaction_that_cannot_place_its_replies_stays_as_it_is() -> Result<()> {
    let broker = broker_with_events(3)?;
    let queue = broker.declare_queue("q").declare()?;
    let (_connection, channel) = open(&broker)?;
    let address = replies_to(&broker, &channel)?;
    let default = broker.default_exchange();
    default.publish(&address, Message::new("first"))?;
    let mut transaction = broker.transaction();
    transaction.publish(&default, "q", Message::new("x"))?;
    for message in messages(3) {
        transaction.publish(&default, &address, message)?;
    }
    let refused = transaction.commit().unwrap_err();
    check_full(refused.error().clone(), "events");
    assert_eq!((queue.stats().enqueued, take_all(&channel).len()), (0, 1));
    refused.into_transaction().commit()?;
    assert_eq!((queue.stats().enqueued, take_all(&channel).len()), (1, 3));
    Ok(())
}

#[test]
fn a_batch_of_replies_is_placed_or_refused_as_one() -> Result<()> {
    let broker = broker_with_events(2)?;
    let (_connection, channel) = open(&broker)?;
    let address = replies_to(&broker, &channel)?;
    let default = broker.default_exchange();
    let mut batch = messages(50);
    check_full(default.publish_batch(&address, &mut batch).unwrap_err(), "events");
    assert_eq!((batch.len(), take_all(&channel).len()), (50, 0));
    let mut with_headers: Vec<_> = messages(3).into_iter().map(|m| m.with_header("h", 1)).collect();
    check_full(default.publish_batch(&address, &mut with_headers).unwrap_err(), "events");
    batch.truncate(2);
    assert_eq!(default.publish_batch(&address, &mut batch)?.queues, 0);
    assert_eq!(take_all(&channel).len(), 2);
    Ok(())
}

#[test]
fn a_publish_asks_for_the_places_that_it_may_need() -> Result<()> {
    let broker = broker_with_events(1)?;
    let queue = broker.declare_queue("q").declare()?;
    let (connection, channel) = open(&broker)?;
    channel.basic_publish(mandatory("nowhere"), Message::new("1"))?;
    // A return waits to be taken; what causes no event goes on.
    channel.basic_publish(to("q"), Message::new("2"))?;
    channel.basic_publish(to("nowhere"), Message::new("3"))?;
    let refused = channel.basic_publish(mandatory("q"), Message::new("4")).unwrap_err();
    check_full(refused, "events");
    assert_eq!(take_all(&channel).len(), 1);
    channel.basic_publish(mandatory("q"), Message::new("5"))?;
    assert_eq!((queue.stats().enqueued, take_all(&channel).len()), (2, 0));

    let confirmed = connection.open_channel()?;
    confirmed.confirm_select()?;
    let first = confirmed.basic_publish(to("q"), Message::new("6"))?;
    let refused = confirmed.basic_publish(to("q"), Message::new("7")).unwrap_err();
    assert_eq!(refused.to_string(), "not published: no room now, the bound is 'events'");
    check_full(refused, "events");
    assert!(confirmed.error().is_none());
    // Taking events makes room, and the number of the refused one was not used.
    assert!(matches!(take_all(&confirmed)[..], [Event::Ack { .. }]));
    let second = confirmed.basic_publish(to("q"), Message::new("8"))?;
    assert_eq!([first, second].map(|tag| tag.map(|tag| tag.0)), [Some(1), Some(2)]);
    // A confirm and a return are two.
    take_all(&confirmed);
    let refused = confirmed.basic_publish(mandatory("q"), Message::new("9")).unwrap_err();
    check_full(refused, "events");
    assert_eq!(queue.stats().enqueued, 4);
    Ok(())
}

/// A publish keeps places for a return and a confirm, and needs one. A consumer of the same channel
/// found none meanwhile.
#[test]
fn a_place_that_was_kept_in_vain_goes_to_who_found_none() -> Result<()> {
    let broker = broker_with_events(2)?;
    let (_connection, channel) = open(&broker)?;
    channel.queue_declare(QueueDeclare { queue: "q", ..QueueDeclare::default() })?;
    channel.basic_consume(Consume { queue: "q", auto_ack: true, ..Consume::default() })?;
    channel.confirm_select()?;
    channel.basic_publish(mandatory("q"), Message::new("x"))?;
    let events = take_all(&channel);
    let delivered = events.iter().filter(|event| matches!(event, Event::Deliver(_))).count();
    assert_eq!((events.len(), delivered), (2, 1), "{events:?}");
    Ok(())
}

#[test]
fn replies_of_many_threads_fill_it_to_the_bound_and_no_further() -> Result<()> {
    const THREADS: usize = 4;
    const EACH: usize = 200;
    in_time(|| {
        let broker = broker_with_events(100)?;
        let (_connection, channel) = open(&broker)?;
        let address = replies_to(&broker, &channel)?;
        let publishers: Vec<_> = (0..THREADS)
            .map(|_| {
                let (default, address) = (broker.default_exchange(), address.clone());
                thread::spawn(move || {
                    let publish = |message| default.publish(&address, message).is_ok();
                    messages(EACH).into_iter().filter(|message| publish(message.clone())).count()
                })
            })
            .collect();
        let published = publishers.into_iter().map(|one| one.join().expect("it does not panic"));
        assert_eq!(published.sum::<usize>(), 100);
        assert_eq!(take_all(&channel).len(), 100);
        Ok(())
    })
}

#[test]
fn who_waits_to_reply_hears_that_an_event_was_taken() -> Result<()> {
    in_time(|| {
        let broker = broker_with_events(1)?;
        let (connection, channel) = open(&broker)?;
        let address = replies_to(&broker, &channel)?;
        let default = broker.default_exchange();
        default.publish(&address, Message::new("1"))?;
        let publisher = default.publisher().open()?;
        check_full(publisher.publish(&address, Message::new("2")).unwrap_err(), "events");
        let alarm = Alarm::new();
        let waker = alarm.waker();
        let mut cx = Context::from_waker(&waker);
        assert!(publisher.poll_ready(&mut cx).is_pending());
        let waiting = {
            let (default, address) = (default.clone(), address.clone());
            thread::spawn(move || default.publish_timeout(&address, Message::new("2"), LONG))
        };
        let mut seen = Vec::new();
        while seen.len() < 2 {
            if let Some((_, Event::Deliver(reply))) = connection.next_event(LONG) {
                seen.push(reply.message.text().unwrap_or_default().to_owned());
            }
        }
        assert_eq!(seen, ["1", "2"]);
        assert_eq!(waiting.join().expect("it does not panic")?.queues, 0);
        assert_eq!(alarm.rings(), 1);
        assert!(matches!(publisher.poll_ready(&mut cx), Poll::Ready(Ok(()))));

        // Nor is there anything to wait for once the channel is closed: the reply is dropped.
        default.publish(&address, Message::new("3"))?;
        let waiting =
            thread::spawn(move || default.publish_timeout(&address, Message::new("4"), LONG));
        thread::yield_now();
        channel.close();
        assert!(waiting.join().expect("it does not panic").is_ok());
        Ok(())
    })
}
