//! How often the hot paths ask for memory: making a message once beyond its body; publishing it
//! never, whatever the exchange and however many queues it reaches, unless somebody else holds the
//! message too, and then twice, for an envelope and for sharing the body; a delivery and its
//! settlement never.
//!
//! Counted on the calling thread, over thousands of messages and after warming up: queues, tables
//! and thread-local memory grow to their size and stay there.

use allocation_counter::measure;
use leveret::{BindingKey, Broker, Consumer, Exchange, Message, Queue, Result, Value};

const MESSAGES: usize = 10_000;

/// What a queue may ask for beyond that: for growing a ring buffer or a slab once more, and for
/// each 512 messages that wait.
const GROWTH: u64 = 64;

/// What messages are called, and how one is made.
type Kind = (&'static str, fn() -> Message);

fn messages(make: fn() -> Message) -> Vec<Message> {
    (0..MESSAGES).map(|_| make()).collect()
}

fn plain() -> Message {
    Message::new("a body of some forty bytes, give or take")
}

/// With the two properties that programs set on every message.
fn persistent() -> Message {
    plain().persistent().with_priority(3)
}

/// With more headers than are searched one by one.
fn with_headers() -> Message {
    (0..20).fold(plain(), |message, nth| message.with_header(format!("header{nth}"), nth))
}

/// How many allocations one publish takes. The messages are made before.
fn of_publishing(exchange: &Exchange, key: &str, messages: Vec<Message>, queues: u32) -> u64 {
    measure(|| {
        for message in messages {
            let routed = exchange.publish(key, message).expect("there is room");
            assert_eq!(routed.queues, queues);
        }
    })
    .count_total
}

/// How many allocations it takes to receive everything and ack it.
fn of_receiving(consumer: &Consumer) -> u64 {
    measure(|| {
        for _ in 0..MESSAGES {
            let delivery = consumer.recv().expect("it is there");
            delivery.ack().expect("the broker is open");
        }
    })
    .count_total
}

#[track_caller]
fn check(exchange: &Exchange, key: &str, queues: &[Queue]) -> Result<()> {
    check_kinds(&[("plain", plain), ("persistent", persistent)], exchange, key, queues)
}

/// Publishes and receives messages of one's own, and such as somebody else holds, too.
#[track_caller]
fn check_kinds(kinds: &[Kind], exchange: &Exchange, key: &str, queues: &[Queue]) -> Result<()> {
    let reached = u32::try_from(queues.len()).expect("they are few");
    for &(kind, make) in kinds {
        let consumers: Vec<_> =
            queues.iter().map(|queue| queue.consume().start()).collect::<Result<_>>()?;
        // The first turn warms up.
        for (turn, times) in [0, 0, 2].into_iter().enumerate() {
            let messages = messages(make);
            let held_by_others = if times > 0 { messages.clone() } else { Vec::new() };
            let published = of_publishing(exchange, key, messages, reached);
            let received: u64 = consumers.iter().map(of_receiving).sum();
            drop(held_by_others);
            let expected = times * MESSAGES as u64;
            if turn > 0 {
                let growth = GROWTH * queues.len() as u64;
                let is_so = (expected..=expected + growth).contains(&published);
                assert!(is_so, "{kind}: {published} in all, {times} per publish expected");
                assert!(received <= growth, "{kind}: {received} for receiving and acking");
            }
        }
    }
    Ok(())
}

fn declare(broker: &Broker, count: usize) -> Result<Vec<Queue>> {
    (0..count).map(|n| broker.declare_queue(&n.to_string()).durable().declare()).collect()
}

/// For the envelope and the copied body.
#[test]
fn of_making_a_message() {
    for make in [plain, persistent] {
        let mut messages = Vec::with_capacity(MESSAGES);
        let made = measure(|| messages.extend((0..MESSAGES).map(|_| make()))).count_total;
        assert_eq!(made, 2 * MESSAGES as u64);
    }
}

#[test]
fn on_the_default_exchange() -> Result<()> {
    let broker = Broker::new();
    let queues = declare(&broker, 1)?;
    check(&broker.default_exchange(), queues[0].name(), &queues)
}

#[test]
fn on_a_direct_exchange() -> Result<()> {
    let broker = Broker::new();
    let queues = declare(&broker, 1)?;
    let exchange = broker.declare_exchange("orders").durable().declare()?;
    exchange.bind(&queues[0], "order.created")?;
    check(&exchange, "order.created", &queues)
}

#[test]
fn on_a_topic_exchange() -> Result<()> {
    let broker = Broker::new();
    let queues = declare(&broker, 3)?;
    let exchange = broker.declare_exchange("orders").topic().declare()?;
    for (queue, pattern) in queues.iter().zip(["order.*", "#", "*.created"]) {
        exchange.bind(queue, pattern)?;
    }
    check(&exchange, "order.created", &queues)
}

#[test]
fn on_a_fanout_exchange_to_ten_queues() -> Result<()> {
    let broker = Broker::new();
    let queues = declare(&broker, 10)?;
    let exchange = broker.declare_exchange("orders").fanout().declare()?;
    for queue in &queues {
        exchange.bind(queue, "")?;
    }
    check(&exchange, "", &queues)
}

#[test]
fn on_a_headers_exchange() -> Result<()> {
    let broker = Broker::new();
    let queues = declare(&broker, 3)?;
    let exchange = broker.declare_exchange("orders").headers().declare()?;
    let pair = [("header7", Value::from(7)), ("header9", Value::from(9))];
    exchange.bind(&queues[0], BindingKey::all(pair.clone()))?;
    exchange.bind(&queues[1], BindingKey::any(pair))?;
    exchange.bind(&queues[2], BindingKey::all([("header7", Value::Void)]))?;
    check_kinds(&[("with headers", with_headers)], &exchange, "", &queues)
}

#[test]
fn through_exchanges_bound_to_exchanges() -> Result<()> {
    let broker = Broker::new();
    let queues = declare(&broker, 2)?;
    let [first, second] = [broker.declare_exchange("1"), broker.declare_exchange("2").fanout()];
    let (first, second) = (first.declare()?, second.declare()?);
    first.bind(&second, "k")?;
    first.bind(&queues[0], "k")?;
    second.bind(&queues[0], "")?;
    second.bind(&queues[1], "")?;
    check(&first, "k", &queues)
}

/// Straight to a queue, one message at a time, and settled in each way.
#[test]
fn in_a_round_trip() -> Result<()> {
    let broker = Broker::new();
    let queue = broker.declare_queue("q").declare()?;
    let consumer = queue.consume().start()?;
    let round_trip = |is_warm: bool| -> Result<()> {
        let messages = messages(plain);
        let counted = measure(|| {
            for (n, message) in messages.into_iter().enumerate() {
                queue.send(message).expect("there is room");
                consumer.recv().expect("it is there").requeue().expect("the broker is open");
                let delivery = consumer.try_recv().expect("it is there");
                let settled = if n % 2 == 0 { delivery.ack() } else { delivery.reject() };
                settled.expect("the broker is open");
            }
        });
        let total = counted.count_total;
        assert!(!is_warm || total <= GROWTH, "{total} in all");
        Ok(())
    };
    round_trip(false)?;
    round_trip(true)
}
