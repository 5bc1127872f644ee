//! Trying again, but not at once: one call, or one option of the queue.
//!
//! `cargo run --example retry_backoff`
//!
//! [`retry_in`](leveret::Delivery::retry_in) is for whoever knows when to come back, because the
//! other side has said so. For all else there is
//! [`delayed_retry`](leveret::QueueBuilder::delayed_retry): the queue waits longer from try to try,
//! and handlers just give back. A delivery limit ends it, at the dead letters. No second queue, no
//! message with a time to live, nothing to poll.
//!
//! Every line that is printed is checked; the exit code is 1 if one is not as it should be.

use std::{error::Error, fmt::Debug, time::Duration};

use leveret::{Broker, DelayedRetry, ManualClock, Message, Queue, Value};

const SECOND: Duration = Duration::from_secs(1);

type Checked = Result<(), Box<dyn Error>>;

fn main() -> Checked {
    println!("one call:");
    one_call()?;
    println!("one option of the queue, with a delivery limit:");
    one_option()?;
    println!("with jitter:");
    jitter()?;
    println!("only what failed:");
    only_what_failed()
}

/// The mail server is busy and says for how long.
fn one_call() -> Checked {
    let (broker, time) = Broker::manual();
    let mails = broker.declare_queue("mails").declare()?;
    for mail in ["to Anna", "to Ben"] {
        mails.send(Message::new(mail))?;
    }
    mails.get()?.ok_or("there is none")?.retry_in(30 * SECOND)?;

    // Nobody waits behind it.
    says("next meanwhile", next(&mails)?, "to Ben")?;
    time.advance(29 * SECOND);
    says("delayed after 29 s", mails.stats().delayed, 1)?;
    // It goes back to its place, which is before all that came later.
    mails.send(Message::new("to Cleo"))?;
    time.advance(SECOND);
    says("next after 30 s", next(&mails)?, "to Anna")?;
    says("and then", next(&mails)?, "to Cleo")
}

/// A task that nobody succeeds at: it comes back after 1, 2, 4, 5, 5 seconds, and is a dead letter
/// when it is given back once more.
fn one_option() -> Checked {
    let (broker, time) = Broker::manual();
    let failed = broker.declare_queue("tasks.failed").declare()?;
    let tasks = broker
        .declare_queue("tasks")
        .delayed_retry(DelayedRetry::exponential(SECOND).at_most(5 * SECOND))
        .delivery_limit(5)
        .dead_letter_to(&failed)
        .declare()?;
    tasks.send(Message::new("sweep the desert"))?;

    let mut pauses = Vec::new();
    while let Some(task) = tasks.get()? {
        says("attempt", task.attempts() as usize, pauses.len() + 1)?;
        task.requeue()?;
        pauses.extend(wait(&tasks, &time));
    }
    says("pauses", pauses, [1, 2, 4, 5, 5].map(Duration::from_secs).to_vec())?;
    says("left in the queue", tasks.stats().held(), 0)?;

    let letter = failed.get()?.ok_or("no dead letter came")?;
    let deaths = letter.header("x-death").and_then(Value::as_array).unwrap_or_default();
    let death = deaths.first().and_then(Value::as_table);
    let reason = death.and_then(|death| death.get("reason")?.as_str());
    says("died of", reason, Some("delivery_limit"))?;
    Ok(letter.ack()?)
}

/// A hundred tasks fail together, and are not tried again together: each pause is up to a fifth
/// longer or shorter.
fn jitter() -> Checked {
    let (broker, time) = Broker::manual();
    let retry = DelayedRetry::exponential(10 * SECOND).jitter(0.2);
    let tasks = broker.declare_queue("tasks").delayed_retry(retry).declare()?;
    for n in 0..100 {
        tasks.send(Message::new(n.to_string()))?;
    }
    while let Some(task) = tasks.get()? {
        task.requeue()?;
    }
    time.advance(Duration::from_millis(7_999));
    says("back before 8 s", tasks.stats().ready, 0)?;
    // Which second each one gets is left to the queue.
    let mut came = Vec::new();
    for _ in 0..4 {
        let before = tasks.stats().ready;
        time.advance(SECOND);
        came.push(tasks.stats().ready - before);
    }
    says("some in each second", came.iter().all(|came| *came >= 10), true)?;
    time.advance(Duration::from_millis(1));
    says("back after 12 s", tasks.stats().ready, 100)
}

/// What a worker gives back on purpose is ready at once; what it dropped waits.
fn only_what_failed() -> Checked {
    let (broker, time) = Broker::manual();
    let retry = DelayedRetry::fixed(SECOND).only_failed();
    let tasks = broker.declare_queue("tasks").delayed_retry(retry).declare()?;
    tasks.send(Message::new("sweep"))?;

    tasks.get()?.ok_or("there is none")?.requeue()?;
    says("ready after requeue", tasks.stats().ready, 1)?;
    // As by a `?` on the way, or by a panic.
    drop(tasks.get()?);
    says("ready after a failure", tasks.stats().ready, 0)?;
    says("comes back after", wait(&tasks, &time), Some(SECOND))?;
    says("next", next(&tasks)?, "sweep")
}

/// Takes the next message and acks it.
fn next(queue: &Queue) -> leveret::Result<String> {
    let Some(delivery) = queue.get()? else { return Ok("nothing".into()) };
    let text = delivery.text().unwrap_or_default().to_owned();
    delivery.ack()?;
    Ok(text)
}

/// Lets time pass until something is ready, and says how much; `None` if nothing is to come.
fn wait(queue: &Queue, time: &ManualClock) -> Option<Duration> {
    let start = time.elapsed();
    while queue.stats().ready == 0 {
        time.advance(time.next_deadline()?);
    }
    time.elapsed().checked_sub(start)
}

/// Prints what is found, and ends the program if it is not what is expected.
#[expect(clippy::needless_pass_by_value, reason = "what is found is seldom kept")]
fn says<T: Debug + PartialEq<U>, U: Debug>(what: &str, found: T, expected: U) -> Checked {
    println!("  {what}: {found:?}");
    if found == expected { Ok(()) } else { Err(format!("{what} should be {expected:?}").into()) }
}
