//! What the shop declares, and who works for it.

use std::{panic, thread, time::Duration};

use leveret::{Broker, DelayedRetry, Exchange, Outcome, Queue};

use super::{
    arguments::Settings,
    book::Book,
    chance::{Accident, Chance},
    service::Service,
};

/// How long the mail server takes for one mail.
const MAIL_TIME: Duration = Duration::from_millis(5);
/// When the mail server wants to be asked again, if it is busy.
const BUSY_TIME: Duration = Duration::from_millis(3);
const BUSY_PER_MILLE: u64 = 10;
const MAIL_WORKERS: u16 = 32;

/// How many attempts an order gets at the stock's database, and how long the first pause is.
const STOCK_ATTEMPTS_MAX: u32 = 3;
const STOCK_PAUSE: Duration = Duration::from_millis(1);
/// How often the database does not answer, in a thousand attempts.
const NO_ANSWER_PER_MILLE: u64 = 50;
/// How many orders in a thousand ask for what there is none of.
const SOLD_OUT_PER_MILLE: u64 = 10;
const STOCK_WORKERS: u16 = 4;

/// How often an order may come back from analytics, and how long it stays away then.
const PANICS_MAX: u32 = 3;
const PANIC_PAUSE: Duration = Duration::from_millis(1);
/// How often analytics panics, in a thousand attempts, and at how many orders in a thousand it
/// always does.
const PANICS_PER_MILLE: u64 = 10;
const POISON_PER_MILLE: u64 = 2;
const ANALYTICS_WORKERS: u16 = 2;

/// What a deliberate panic carries, to be told from others.
pub(crate) struct Mishap;

/// What the shop consists of.
pub(crate) struct Shop {
    /// Where orders are published.
    pub(crate) orders: Exchange,
    pub(crate) services: Vec<Service>,
    /// Where orders end that a service has given up.
    pub(crate) dead: Queue,
}

/// Declares everything and puts the services to work.
pub(crate) fn open(broker: &Broker, settings: &Settings) -> leveret::Result<Shop> {
    let (orders, chance) = (settings.orders, Chance::new(settings.seed));
    // All of it is durable, which makes a difference if the broker is.
    let exchange = broker.declare_exchange("orders").fanout().durable().declare()?;
    // An exchange and not just the queue, so that whoever is interested in failures can bind to it.
    let failures = broker.declare_exchange("orders.failures").fanout().durable().declare()?;
    let dead = broker.declare_queue("orders.dead").durable().declare()?;
    failures.bind(&dead, "")?;

    let mail = broker.declare_queue("e-mail").durable().declare()?;
    // What the database does not answer is tried again later and later.
    let stock = broker
        .declare_queue("inventory")
        .durable()
        .dead_letter_to(&failures)
        .delayed_retry(DelayedRetry::exponential(STOCK_PAUSE).at_most(8 * STOCK_PAUSE).jitter(0.2))
        .declare()?;
    // A handler that panics cannot say how often it has, so the queue counts.
    let figures = broker
        .declare_queue("analytics")
        .durable()
        .dead_letter_to(&failures)
        .delivery_limit(PANICS_MAX)
        .delayed_retry(DelayedRetry::fixed(PANIC_PAUSE).only_failed())
        .declare()?;
    for queue in [&mail, &stock, &figures] {
        exchange.bind(queue, "")?;
    }
    let book = |queue: &Queue| match settings.durable {
        Some(_) => Book::open(broker, queue.name()).map(Some),
        None => Ok(None),
    };
    let services = vec![
        Service::start(&mail, MAIL_WORKERS, orders, book(&mail)?, move |n, order| {
            send_mail(chance, n, order.attempts())
        })?,
        Service::start(&stock, STOCK_WORKERS, orders, book(&stock)?, move |n, order| {
            set_aside(chance, n, order.attempts())
        })?,
        Service::start(&figures, ANALYTICS_WORKERS, orders, book(&figures)?, move |n, order| {
            add_up(chance, n, order.attempts())
        })?,
    ];
    Ok(Shop { orders: exchange, services, dead })
}

/// Sends a mail and takes its time. The mail server itself says when to come back, which is the
/// case for `RetryIn`.
fn send_mail(chance: Chance, n: u64, attempt: u32) -> Outcome {
    if chance.strikes(Accident::Busy, n, attempt, BUSY_PER_MILLE) {
        return Outcome::RetryIn(BUSY_TIME);
    }
    thread::sleep(MAIL_TIME);
    Outcome::Ack
}

/// Sets goods aside. What fails for good goes to the dead letters with its cause; what may succeed
/// later goes back, and the queue knows how long it waits there.
fn set_aside(chance: Chance, n: u64, attempt: u32) -> Outcome {
    if chance.strikes(Accident::SoldOut, n, 0, SOLD_OUT_PER_MILLE) {
        return Outcome::Reject("sold out".into());
    }
    if !chance.strikes(Accident::NoAnswer, n, attempt, NO_ANSWER_PER_MILLE) {
        return Outcome::Ack;
    }
    if attempt < STOCK_ATTEMPTS_MAX {
        return Outcome::Requeue;
    }
    Outcome::Reject(format!("no answer in {attempt} attempts"))
}

/// Adds an order to the figures, and panics now and then.
fn add_up(chance: Chance, n: u64, attempt: u32) -> Outcome {
    if chance.strikes(Accident::Poison, n, 0, POISON_PER_MILLE)
        || chance.strikes(Accident::Panic, n, attempt, PANICS_PER_MILLE)
    {
        panic::panic_any(Mishap);
    }
    Outcome::Ack
}
