//! Channels and connections: credit that queues share, events, and closing in the middle of it.

use loom::thread;

use super::{EVER, block_on, broker, broker_within, check, check_settled, queue};
use crate::{
    Ack, Broker, Channel, ConnectOptions, Connection, Consume, Event, Get, Limits, Message,
    Publish, Qos,
};

fn channel(broker: &Broker) -> (Connection, Channel) {
    let connection = broker.connect(ConnectOptions::default()).expect("it is open");
    let channel = connection.open_channel().expect("it is open");
    (connection, channel)
}

fn consume(channel: &Channel, queue: &str, auto_ack: bool) {
    let of = Consume { queue, auto_ack, ..Consume::default() };
    channel.basic_consume(of).expect("the queue is there");
}

fn ack(event: &Event) -> Ack {
    let Event::Deliver(delivered) = event else { panic!("{event:?} is no delivery") };
    Ack { delivery_tag: delivered.delivery_tag, multiple: false }
}

#[test]
fn an_ack_resumes_the_queue_that_found_the_window_full() {
    check(|| {
        let broker = broker();
        let (one, other) = (queue(&broker, "one"), queue(&broker, "other"));
        let (_connection, channel) = channel(&broker);
        let window = Qos { prefetch_count: 1, global: true, ..Qos::default() };
        channel.basic_qos(window).expect("nothing is wrong with it");
        consume(&channel, "one", false);
        consume(&channel, "other", false);
        one.send(Message::new("1")).expect("there is room");
        let first = ack(&channel.try_event().expect("it was delivered"));
        let sends = other.clone();
        let sends = thread::spawn(move || sends.send(Message::new("2")).expect("there is room"));
        channel.basic_ack(first).expect("it is outstanding");
        sends.join().expect("it does not wait");
        let second = ack(&channel.try_event().expect("the other queue goes on"));
        channel.basic_ack(second).expect("it is outstanding");
        check_settled(&one, 0);
        check_settled(&other, 0);
    });
}

#[test]
fn taking_an_event_resumes_the_queue_that_found_the_outbox_full() {
    check(|| {
        let mut limits = Limits::default();
        limits.events = 1;
        let broker = broker_within(limits);
        let queue = queue(&broker, "q");
        let (_connection, channel) = channel(&broker);
        consume(&channel, "q", true);
        let sends = queue.clone();
        let sends = thread::spawn(move || {
            for text in ["1", "2"] {
                sends.send(Message::new(text)).expect("there is room");
            }
        });
        for _ in 0..2 {
            assert!(matches!(channel.next_event(EVER), Some(Event::Deliver(_))));
        }
        sends.join().expect("it does not wait");
        check_settled(&queue, 0);
    });
}

#[test]
fn taking_an_event_lets_a_reply_in_that_waits_for_a_place() {
    check(|| {
        let mut limits = Limits::default();
        limits.events = 1;
        let broker = broker_within(limits);
        let requests = queue(&broker, "q");
        let (_connection, channel) = channel(&broker);
        consume(&channel, "amq.rabbitmq.reply-to", true);
        let request = Message::new("?").with_reply_to("amq.rabbitmq.reply-to");
        let to = Publish { routing_key: "q", ..Publish::default() };
        channel.basic_publish(to, request).expect("there is room");
        let request = requests.get().expect("it is open").expect("it is there");
        let address = request.reply_to().expect("it is a request").to_owned();
        request.ack().expect("it is open");
        let default = broker.default_exchange();
        default.publish(&address, Message::new("1")).expect("there is a place");
        drop(requests.cell().context().room.watch());
        let replies = thread::spawn(move || {
            default.publish_timeout(&address, Message::new("2"), EVER).expect("it is told");
        });
        for _ in 0..2 {
            assert!(matches!(channel.next_event(EVER), Some(Event::Deliver(_))));
        }
        replies.join().expect("it does not wait any more");
    });
}

#[test]
fn a_place_kept_in_vain_resumes_the_queue_that_found_none() {
    check(|| {
        let mut limits = Limits::default();
        limits.events = 1;
        let broker = broker_within(limits);
        let (queue, _elsewhere) = (queue(&broker, "q"), queue(&broker, "elsewhere"));
        let (_connection, channel) = channel(&broker);
        consume(&channel, "q", true);
        let sends = queue.clone();
        let sends = thread::spawn(move || sends.send(Message::new("x")).expect("there is room"));
        let to = Publish { routing_key: "elsewhere", mandatory: true, ..Publish::default() };
        // It finds a place that it does not need, or none.
        drop(channel.basic_publish(to, Message::new("y")));
        assert!(matches!(channel.next_event(EVER), Some(Event::Deliver(_))));
        sends.join().expect("it does not wait");
        check_settled(&queue, 0);
    });
}

#[test]
fn an_event_wakes_who_waits_at_the_channel_and_at_the_connection() {
    check(|| {
        let broker = broker();
        let queue = queue(&broker, "q");
        let (connection, channel) = channel(&broker);
        consume(&channel, "q", true);
        let at_channel = thread::spawn(move || {
            block_on(|cx| channel.poll_event(cx)).expect("it is not closed");
            channel
        });
        queue.send(Message::new("1")).expect("there is room");
        let channel = at_channel.join().expect("it is woken");
        let at_connection = thread::spawn(move || {
            connection.next_event(EVER).expect("it is not closed");
            connection
        });
        queue.send(Message::new("2")).expect("there is room");
        drop(at_connection.join().expect("it is woken"));
        drop(channel);
    });
}

#[test]
fn an_ack_happens_or_is_refused_by_a_channel_that_closes() {
    check(|| {
        let broker = broker();
        let queue = queue(&broker, "q");
        let (connection, channel) = channel(&broker);
        consume(&channel, "q", false);
        queue.send(Message::new("x")).expect("there is room");
        let of = ack(&channel.try_event().expect("it was delivered"));
        let acks = thread::spawn(move || channel.basic_ack(of).is_ok());
        connection.close();
        let is_acked = acks.join().expect("it does not wait");
        check_settled(&queue, u64::from(!is_acked));
    });
}

#[test]
fn a_message_on_its_way_to_a_channel_that_closes_goes_back() {
    check(|| {
        let broker = broker();
        let queue = queue(&broker, "q");
        let (connection, channel) = channel(&broker);
        consume(&channel, "q", false);
        let sends = queue.clone();
        let sends = thread::spawn(move || sends.send(Message::new("x")).expect("there is room"));
        connection.close();
        sends.join().expect("it does not wait");
        check_settled(&queue, 1);
        assert!(channel.try_event().is_none(), "a closed channel delivers nothing");
    });
}

#[test]
fn a_got_message_goes_back_from_a_channel_that_closes() {
    check(|| {
        let broker = broker();
        let queue = queue(&broker, "q");
        queue.send(Message::new("x")).expect("there is room");
        let (connection, channel) = channel(&broker);
        let gets = thread::spawn(move || {
            drop(channel.basic_get(Get { queue: "q", auto_ack: false }));
            channel
        });
        connection.close();
        let channel = gets.join().expect("it does not wait");
        check_settled(&queue, 1);
        drop(channel);
    });
}

#[test]
fn a_channel_that_closes_leaves_no_consumer_behind() {
    check(|| {
        let broker = broker();
        let queue = queue(&broker, "q");
        let (connection, channel) = channel(&broker);
        let consumes = thread::spawn(move || {
            let of = Consume { queue: "q", exclusive: true, ..Consume::default() };
            drop(channel.basic_consume(of));
            channel
        });
        connection.close();
        let channel = consumes.join().expect("it does not wait");
        assert_eq!(queue.stats().consumers, 0);
        drop(channel);
    });
}

#[test]
fn a_transaction_that_did_not_commit_settled_nothing() {
    check(|| {
        let broker = broker();
        let queue = queue(&broker, "q");
        queue.send(Message::new("x")).expect("there is room");
        let (connection, channel) = channel(&broker);
        channel.tx_select().expect("it is a plain channel");
        let got = channel.basic_get(Get { queue: "q", auto_ack: false });
        let got = got.expect("it is open").expect("it is there");
        let of = Ack { delivery_tag: got.delivery_tag, multiple: false };
        let acks = thread::spawn(move || {
            let _ = channel.basic_ack(of);
            let _ = channel.tx_rollback();
            channel
        });
        connection.close();
        let channel = acks.join().expect("it does not wait");
        check_settled(&queue, 1);
        drop(channel);
    });
}
