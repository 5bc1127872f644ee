//! Dead letters: what is rejected, expires or finds no room goes to an exchange, with its history.
//!
//! `cargo run --example dead_letters`
//!
//! The queue `tasks` has a dead-letter exchange, a key for what goes there, a time to live of ten
//! seconds, and room for three. Four messages die in it, each in its own way, and arrive in the
//! queue `failed` with the header `x-death`, which is printed for people here. Then a program that
//! was written against RabbitMQ does the same by AMQP's methods, on the same queues: it declares
//! them with the arguments that it has always used, and finds them equal.
//!
//! Every line that is printed is checked; the exit code is 1 if one is not as it should be.

use std::{error::Error, fmt::Debug, time::Duration};

use leveret::{
    Broker, Channel, ConnectOptions, ExchangeDeclare, Get, ManualClock, Message, Outcome, Publish,
    Queue, QueueBind, QueueDeclare, Reject, Table, Value,
};

const SECOND: Duration = Duration::from_secs(1);

type Checked = Result<(), Box<dyn Error>>;

fn main() -> Checked {
    let (broker, time) = Broker::manual();
    println!("with handles:");
    with_handles(&broker, &time)?;
    println!("with AMQP's methods:");
    let connection = broker.connect(ConnectOptions::default())?;
    with_methods(&connection.open_channel()?, &time)
}

fn with_handles(broker: &Broker, time: &ManualClock) -> Checked {
    let failures = broker.declare_exchange("failures").topic().declare()?;
    let failed = broker.declare_queue("failed").declare()?;
    failures.bind(&failed, "failed.*")?;
    let tasks = broker
        .declare_queue("tasks")
        .dead_letter_to(&failures)
        .dead_letter_key("failed.tasks")
        .message_ttl(10 * SECOND)
        .max_length(3)
        .declare()?;

    // The oldest gives way to the fourth.
    for task in ["one too many", "sweep the desert", "be quick", "wait for me"] {
        let task = Message::new(task);
        // A message may have less time than the queue gives, and it never gets more.
        let is_urgent = task.text() == Some("be quick");
        tasks.send(if is_urgent { task.expires_in(2 * SECOND) } else { task })?;
    }
    says("gave way", letters(&failed)?, ["one too many: maxlen in tasks, 1 time"])?;

    let sweep = tasks.get()?.ok_or("there is none")?;
    // What a handler of a worker pool does by returning an error.
    sweep.settle(Outcome::Reject("the broom is too small".into()))?;
    let expected = "sweep the desert: rejected in tasks, 1 time (the broom is too small)";
    says("rejected", letters(&failed)?, [expected])?;

    time.advance(2 * SECOND);
    // Its expiration is noted in its history and no longer its own: it does not expire again.
    let expected = "be quick: expired in tasks, 1 time, had 2000 ms";
    says("expired by itself", letters(&failed)?, [expected])?;
    time.advance(8 * SECOND);
    says("expired by the queue", letters(&failed)?, ["wait for me: expired in tasks, 1 time"])?;

    // Sent again as it came, a letter keeps its history, and what happens again counts up.
    tasks.send(Message::new("iron the sea"))?;
    tasks.get()?.ok_or("there is none")?.reject()?;
    let letter = failed.get()?.ok_or("no dead letter came")?;
    says("its key", letter.routing_key(), "failed.tasks")?;
    tasks.send(letter.message().clone())?;
    letter.ack()?;
    tasks.get()?.ok_or("there is none")?.reject()?;
    says("twice", letters(&failed)?, ["iron the sea: rejected in tasks, 2 times"])?;
    says("all are accounted for", tasks.stats().dead_lettered, 6)
}

/// Ported code: every field of the protocol by its name. A difference in a declaration would close
/// the channel.
fn with_methods(channel: &Channel, time: &ManualClock) -> Checked {
    let exchange = "failures";
    let kind = "topic";
    channel.exchange_declare(ExchangeDeclare { exchange, kind, ..Default::default() })?;
    channel.queue_declare(QueueDeclare { queue: "failed", ..Default::default() })?;
    let routing_key = "failed.*";
    channel.queue_bind(QueueBind {
        queue: "failed",
        exchange,
        routing_key,
        ..Default::default()
    })?;
    let mut arguments = Table::new();
    arguments.insert("x-dead-letter-exchange", "failures");
    arguments.insert("x-dead-letter-routing-key", "failed.tasks");
    arguments.insert("x-message-ttl", 10_000);
    arguments.insert("x-max-length", 3);
    channel.queue_declare(QueueDeclare { queue: "tasks", arguments, ..Default::default() })?;

    let to = Publish { routing_key: "tasks", ..Publish::default() };
    channel.basic_publish(to, Message::new("sweep the desert"))?;
    channel.basic_publish(to, Message::new("be quick").with_expiration("2000"))?;
    let get = Get { queue: "tasks", ..Get::default() };
    let delivery_tag = channel.basic_get(get)?.ok_or("there is none")?.delivery_tag;
    channel.basic_reject(Reject { delivery_tag, requeue: false })?;
    time.advance(2 * SECOND);

    let get = Get { queue: "failed", auto_ack: true };
    let mut letters = Vec::new();
    while let Some(letter) = channel.basic_get(get)? {
        letters.push(obituary(&letter.message));
    }
    // AMQP has no cause to give when it rejects.
    let expected = [
        "sweep the desert: rejected in tasks, 1 time",
        "be quick: expired in tasks, 1 time, had 2000 ms",
    ];
    says("the same", letters, expected)
}

/// Takes all dead letters, and says what is to be said about them.
fn letters(failed: &Queue) -> leveret::Result<Vec<String>> {
    let mut letters = Vec::new();
    while let Some(letter) = failed.get()? {
        letters.push(obituary(&letter));
        letter.ack()?;
    }
    Ok(letters)
}

/// What happened to a message, the latest first, and what the handler said, if it was one.
fn obituary(letter: &Message) -> String {
    let deaths = letter.header("x-death").and_then(Value::as_array).unwrap_or_default();
    let deaths: Vec<_> = deaths.iter().filter_map(Value::as_table).map(death).collect();
    let text = letter.text().unwrap_or_default();
    let exception = letter.header("x-exception").and_then(Value::as_table);
    match exception.and_then(|exception| exception.get("error")?.as_str()) {
        Some(cause) => format!("{text}: {} ({cause})", deaths.join("; ")),
        None => format!("{text}: {}", deaths.join("; ")),
    }
}

/// One entry of `x-death`: a queue, a reason, and how often the one was the end for the other.
fn death(entry: &Table) -> String {
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    let queue = text("queue").unwrap_or("somewhere");
    let reason = text("reason").unwrap_or("dead");
    let times = match entry.get("count").and_then(Value::as_i64) {
        Some(1) => "1 time".to_owned(),
        count => format!("{} times", count.unwrap_or_default()),
    };
    match text("original-expiration") {
        Some(had) => format!("{reason} in {queue}, {times}, had {had} ms"),
        None => format!("{reason} in {queue}, {times}"),
    }
}

/// Prints what is found, and ends the program if it is not what is expected.
#[expect(clippy::needless_pass_by_value, reason = "what is found is seldom kept")]
fn says<T: Debug + PartialEq<U>, U: Debug>(what: &str, found: T, expected: U) -> Checked {
    println!("  {what}: {found:?}");
    if found == expected { Ok(()) } else { Err(format!("{what} should be {expected:?}").into()) }
}
