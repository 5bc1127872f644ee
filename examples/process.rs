//! Acks that nobody can forget: a closure works on the message, and how it ends settles it.
//!
//! `cargo run --example process`
//!
//! Success acks, an error rejects, a panic puts the message back. This is the
//! `async with message.process()` of other clients. Without a closure it is the same: a delivery
//! that is dropped unsettled, for instance because of a `?`, goes back to its place.

use std::panic::{self, AssertUnwindSafe};

use leveret::{Broker, Message, Outcome, Queue};

fn main() -> leveret::Result<()> {
    panic::set_hook(Box::new(|panic| {
        println!("  {}", panic.payload_as_str().unwrap_or("a panic without words"));
    }));

    let queue = Broker::new().declare_queue("numbers").declare()?;
    for text in ["7", "seven", "0"] {
        queue.send(Message::new(text))?;
    }

    println!("success acks:");
    let outcome = divide_100_by_next(&queue)?;
    assert_eq!(outcome, Outcome::Ack);
    assert_eq!(queue.stats().acked, 1);

    println!("an error rejects:");
    let outcome = divide_100_by_next(&queue)?;
    assert_eq!(outcome, Outcome::Reject("invalid digit found in string".into()));
    assert_eq!(queue.stats().rejected, 1);

    println!("a panic puts back:");
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| divide_100_by_next(&queue)));
    assert!(panicked.is_err());
    assert_eq!(queue.stats().ready, 1);

    println!("dropping puts back too:");
    let Err(problem) = look_at_next(&queue) else { unreachable!("the text is no date") };
    println!("  {problem}");
    assert_eq!(queue.stats().ready, 1);

    let delivery = queue.get()?.expect("it is still there");
    println!("it is attempt {} by now", delivery.attempts());
    assert!(delivery.is_redelivered());
    assert_eq!(delivery.attempts(), 3);
    delivery.reject()
}

/// Settles by what the closure does.
fn divide_100_by_next(queue: &Queue) -> leveret::Result<Outcome> {
    let delivery = queue.get()?.expect("it is there");
    let outcome = delivery.process(|number| {
        let number: u32 = number.text().unwrap_or_default().parse()?;
        println!("  100 / {number} = {}", 100 / number);
        Ok::<_, std::num::ParseIntError>(())
    })?;
    if let Outcome::Reject(cause) = &outcome {
        println!("  {cause}");
    }
    Ok(outcome)
}

/// Leaves early, and does not settle.
fn look_at_next(queue: &Queue) -> Result<(), String> {
    let delivery = queue.get().map_err(|error| error.to_string())?.expect("it is there");
    let text = delivery.text().unwrap_or_default();
    let (_year, _month) = text.split_once('-').ok_or_else(|| format!("{text:?} is no date"))?;
    delivery.ack().map_err(|error| error.to_string())
}
