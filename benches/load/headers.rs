//! Finding where a message of a headers exchange goes.
//!
//! Each binding asks for all of two headers, and each message has these two and a third and matches
//! one binding. As with topics, leveret makes a whole publish whose bindings lead to an exchange
//! that leads nowhere, of a clone of a message made beforehand; the rival looks at that message and
//! does nothing else.

use std::{hint::black_box, time::Duration};

use leveret::{BindingKey, Broker, Message, Value};

use super::{linear::LinearHeaders, stopwatch::worked};

/// Different messages, which are published in turn.
const MESSAGES: usize = 1_024;

/// A prime, so that messages that follow each other match bindings far apart.
const STRIDE: usize = 7_919;

const REGIONS: usize = 10;

pub(crate) fn leveret(bindings: usize) -> impl FnMut(u64) -> Duration {
    let broker = Broker::new();
    let exchange = broker.declare_exchange("events").headers().declare().expect("a new name");
    let nowhere = broker.declare_exchange("nowhere").fanout().declare().expect("a new name");
    for nth in 0..bindings {
        exchange.bind(&nowhere, BindingKey::all(asked(nth))).expect("both are there");
    }
    in_turn(messages(bindings), move |message| {
        black_box(exchange.publish("", message.clone()).expect("it leads nowhere"));
    })
}

/// One binding after the other.
pub(crate) fn linear(bindings: usize) -> impl FnMut(u64) -> Duration {
    let asked = (0..bindings)
        .map(|nth| asked(nth).into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
    let linear = LinearHeaders::new(asked.collect());
    let mut matched = Vec::new();
    in_turn(messages(bindings), move |message| {
        linear.find(message, &mut matched);
        black_box(&matched);
    })
}

/// What the nth binding asks for.
fn asked(nth: usize) -> [(&'static str, Value); 2] {
    let region = format!("region{}", nth % REGIONS);
    [("region", Value::from(region)), ("customer", Value::from(format!("customer{nth}")))]
}

fn messages(bindings: usize) -> Vec<Message> {
    (0..MESSAGES)
        .map(|turn| {
            let [region, customer] = asked(turn * STRIDE % bindings);
            Message::new("")
                .with_header(region.0, region.1)
                .with_header(customer.0, customer.1)
                .with_header("turn", format!("turn{turn}"))
        })
        .collect()
}

fn in_turn(messages: Vec<Message>, mut act: impl FnMut(&Message)) -> impl FnMut(u64) -> Duration {
    let mut next = 0;
    move |times| {
        worked(|| {
            for _ in 0..times {
                act(&messages[next]);
                next = (next + 1) % messages.len();
            }
        })
    }
}
