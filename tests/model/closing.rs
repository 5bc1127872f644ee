//! What closing does when a channel has to do with several queues.
//!
//! The queues were once visited in the order of their addresses in memory, and consumers ended in
//! the order of a hash map, so that the same program did not always do the same. With so many
//! queues and consumers chance would have to be very kind to hide that again.

use std::time::Duration;

use leveret::{Broker, Channel, ConnectOptions, Consume, Event, Message, Publish, QueueDeclare};

const NAMES: [&str; 8] = ["f", "c", "h", "a", "g", "e", "b", "d"];

fn consume_all(channel: &Channel) {
    for name in NAMES {
        channel.queue_declare(QueueDeclare { queue: name, ..QueueDeclare::default() }).unwrap();
        let of = Consume { queue: name, consumer_tag: name, ..Consume::default() };
        channel.basic_consume(of).unwrap();
    }
}

fn events(channel: &Channel) -> Vec<Event> {
    std::iter::from_fn(|| channel.try_event()).collect()
}

#[test]
fn what_a_closed_channel_held_returns_queue_by_queue_in_the_order_of_names() {
    let (broker, _) = Broker::manual();
    let connection = broker.connect(ConnectOptions::default()).unwrap();
    let closed = connection.open_channel().unwrap();
    consume_all(&closed);
    for name in NAMES {
        let to = Publish { routing_key: name, ..Publish::default() };
        closed.basic_publish(to, Message::new("text")).unwrap();
    }
    let heir = connection.open_channel().unwrap();
    consume_all(&heir);
    closed.close();
    let inherited = events(&heir).into_iter().map(|event| match event {
        Event::Deliver(delivered) => delivered.routing_key.to_string(),
        other => panic!("{other:?}"),
    });
    assert!(inherited.eq(["a", "b", "c", "d", "e", "f", "g", "h"]));
}

#[test]
fn the_consumers_of_a_broker_that_closes_end_in_the_order_of_their_tags() {
    let (broker, _) = Broker::manual();
    let connection = broker.connect(ConnectOptions::default()).unwrap();
    let channel = connection.open_channel().unwrap();
    consume_all(&channel);
    broker.close(Duration::ZERO);
    let ended = events(&channel).into_iter().filter_map(|event| match event {
        Event::Cancel { consumer_tag } => Some(consumer_tag.to_string()),
        _ => None,
    });
    assert!(ended.eq(["a", "b", "c", "d", "e", "f", "g", "h"]));
}
