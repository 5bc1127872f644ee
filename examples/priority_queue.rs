//! A priority queue: the urgent is served first, and what happens when the queue is full.
//!
//! `cargo run --example priority_queue`
//!
//! A queue that is declared with `max_priority` has that many levels beside level 0, which is for
//! messages that say nothing. Higher levels are served first, each in the order of arrival. What is
//! handed out already is not overtaken, so a consumer that is to see the urgent soon has a small
//! prefetch.
//!
//! A bound of the queue needs a thought: `drop-head`, the default, drops what would be served next,
//! as in `RabbitMQ`, and that is the most urgent. `reject-publish` keeps what is there.
//!
//! Every line that is printed is checked; the exit code is 1 if one is not as it should be.

use std::{error::Error, fmt::Debug};

use leveret::{Broker, Message, Overflow, Queue, TryRecvError};

type Checked = Result<(), Box<dyn Error>>;

fn main() -> Checked {
    println!("urgent first:");
    urgent_first()?;
    println!("beside a consumer:");
    prefetch()?;
    println!("full, drop-head:");
    drop_head()?;
    println!("full, reject-publish:");
    reject_publish()
}

fn urgent_first() -> Checked {
    let broker = Broker::new();
    let calls = broker.declare_queue("calls").max_priority(5).declare()?;
    send(&calls, "cat in a tree", Some(1))?;
    send(&calls, "wrong number", None)?;
    send(&calls, "fire", Some(5))?;
    send(&calls, "broken arm", Some(3))?;
    // No more urgent than a fire: the highest level is 5.
    send(&calls, "my neighbour snores", Some(200))?;
    let expected = ["fire", "my neighbour snores", "broken arm", "cat in a tree", "wrong number"];
    says("served", take_all(&calls)?, expected)?;

    // One that is given back returns to its place in its level, whatever came meanwhile.
    send(&calls, "fire", Some(5))?;
    let fire = calls.get()?.ok_or("there is none")?;
    send(&calls, "second fire", Some(5))?;
    send(&calls, "broken leg", Some(3))?;
    fire.requeue()?;
    says("served", take_all(&calls)?, ["fire", "second fire", "broken leg"])
}

fn prefetch() -> Checked {
    let broker = Broker::new();
    let calls = broker.declare_queue("calls").max_priority(5).declare()?;
    let consumer = calls.consume().prefetch(1).start()?;
    for call in ["cat in a tree", "cat on a roof"] {
        send(&calls, call, Some(1))?;
    }
    send(&calls, "fire", Some(5))?;
    let mut served = Vec::new();
    loop {
        match consumer.try_recv() {
            Ok(call) => {
                served.push(call.text().unwrap_or_default().to_owned());
                call.ack()?;
            }
            Err(TryRecvError::Empty) => break,
            Err(ended) => return Err(ended.into()),
        }
    }
    // The first was on its way to the consumer when the fire broke out, the second was not.
    says("with a prefetch of 1", served, ["cat in a tree", "fire", "cat on a roof"])
}

/// What is dropped is what would be served next.
fn drop_head() -> Checked {
    let broker = Broker::new();
    let dropped = broker.declare_queue("calls.dropped").declare()?;
    let calls = broker
        .declare_queue("calls")
        .max_priority(5)
        .max_length(2)
        .dead_letter_to(&dropped)
        .declare()?;
    send(&calls, "wrong number", None)?;
    send(&calls, "fire", Some(5))?;
    send(&calls, "cat in a tree", Some(1))?;
    says("dropped for a cat", take_all(&dropped)?, ["fire"])?;
    send(&calls, "second fire", Some(5))?;
    says("dropped for itself", take_all(&dropped)?, ["second fire"])?;
    says("served", take_all(&calls)?, ["cat in a tree", "wrong number"])
}

/// Who comes too late is told so, and may try elsewhere.
fn reject_publish() -> Checked {
    let broker = Broker::new();
    let calls = broker
        .declare_queue("calls")
        .max_priority(5)
        .max_length(2)
        .overflow(Overflow::RejectPublish)
        .declare()?;
    send(&calls, "fire", Some(5))?;
    send(&calls, "wrong number", None)?;
    let message = Message::new("second fire").with_priority(5);
    let Err(refused) = calls.send(message) else { return Err("it was taken".into()) };
    let reason = refused.to_string();
    says("refused", reason, "not published: no room now, the bound is 'x-max-length'")?;
    says("in hand again", refused.into_message().text(), Some("second fire"))?;
    says("served", take_all(&calls)?, ["fire", "wrong number"])
}

fn send(queue: &Queue, call: &str, priority: Option<u8>) -> leveret::Result<()> {
    let message = Message::new(call);
    let message = match priority {
        Some(priority) => message.with_priority(priority),
        None => message,
    };
    Ok(queue.send(message)?)
}

/// Takes and acks everything, in the order in which it is served.
fn take_all(queue: &Queue) -> leveret::Result<Vec<String>> {
    let mut texts = Vec::new();
    while let Some(delivery) = queue.get()? {
        texts.push(delivery.text().unwrap_or_default().to_owned());
        delivery.ack()?;
    }
    Ok(texts)
}

/// Prints what is found, and ends the program if it is not what is expected.
#[expect(clippy::needless_pass_by_value, reason = "what is found is seldom kept")]
fn says<T: Debug + PartialEq<U>, U: Debug>(what: &str, found: T, expected: U) -> Checked {
    println!("  {what}: {found:?}");
    if found == expected { Ok(()) } else { Err(format!("{what} should be {expected:?}").into()) }
}
