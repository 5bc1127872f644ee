//! Inventory: threads that receive and settle by themselves, since giving up an order takes more
//! than a verdict on it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use leveret::{Broker, Consumer, Delivery, Queue};

use crate::{
    chance::{Accident, Chance},
    ledger::Ledger,
    service::{Busy, Service, Staff, number},
};

const WORKERS: u16 = 4;

/// How many attempts an order gets.
const ATTEMPTS_MAX: u32 = 3;

/// How often the stock's database does not answer, in a thousand attempts.
const NO_ANSWER_PER_MILLE: u64 = 50;

/// How many orders in a thousand ask for what there is none of.
const SOLD_OUT_PER_MILLE: u64 = 10;

/// The threads of the service.
pub(crate) struct Crew {
    consumer: Consumer,
    threads: Vec<JoinHandle<leveret::Result<()>>>,
    tally: Arc<Tally>,
}

/// What they did. Plain counters: they order nothing else.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) done: AtomicU64,
    pub(crate) retried: AtomicU64,
    pub(crate) failed: AtomicU64,
}

/// What each thread needs.
#[derive(Clone)]
struct Clerk {
    broker: Broker,
    dead: Queue,
    chance: Chance,
    busy: Arc<Busy>,
    ledger: Arc<Ledger>,
    tally: Arc<Tally>,
}

/// Sets goods aside for each order, unless it fails.
pub(crate) fn start(
    broker: &Broker,
    queue: &Queue,
    dead: &Queue,
    orders: u32,
    chance: Chance,
) -> leveret::Result<Service> {
    let (busy, tally) = (Arc::<Busy>::default(), Arc::<Tally>::default());
    let ledger = Arc::new(Ledger::new(orders));
    let clerk = Clerk {
        broker: broker.clone(),
        dead: dead.clone(),
        chance,
        busy: Arc::clone(&busy),
        ledger: Arc::clone(&ledger),
        tally: Arc::clone(&tally),
    };
    let consumer = queue.consume().prefetch(WORKERS).start()?;
    let threads = (0..WORKERS).map(|_| {
        let (clerk, consumer) = (clerk.clone(), consumer.clone());
        // The loop is over when the consumer ends.
        thread::spawn(move || consumer.iter().try_for_each(|order| clerk.serve(order)))
    });
    let threads = threads.collect();
    let staff = Staff::Crew(Crew { consumer, threads, tally });
    Ok(Service { queue: queue.clone(), workers: WORKERS, busy, ledger, staff })
}

impl Clerk {
    fn serve(&self, order: Delivery) -> leveret::Result<()> {
        let _at_work = self.busy.start();
        let n = number(&order);
        self.ledger.came(n, order.is_redelivered());
        let counter = match self.set_aside(&order) {
            Ok(()) => {
                order.ack()?;
                self.ledger.done(n);
                &self.tally.done
            }
            Err(_) if order.attempts() < ATTEMPTS_MAX => {
                order.requeue()?;
                &self.tally.retried
            }
            Err(cause) => {
                self.give_up(order, cause)?;
                self.ledger.gave_up(n);
                &self.tally.failed
            }
        };
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn set_aside(&self, order: &Delivery) -> Result<(), &'static str> {
        let (n, attempt) = (number(order), order.attempts());
        if self.chance.strikes(Accident::SoldOut, n, 0, SOLD_OUT_PER_MILLE) {
            return Err("sold out");
        }
        if self.chance.strikes(Accident::NoAnswer, n, attempt, NO_ANSWER_PER_MILLE) {
            return Err("no answer");
        }
        Ok(())
    }

    /// Moves an order to `orders.dead`: at no moment is it in both queues, or in none.
    fn give_up(&self, order: Delivery, cause: &str) -> leveret::Result<()> {
        let letter = order
            .message()
            .clone()
            .with_header("cause", cause)
            .with_header("attempts", i64::from(order.attempts()));
        let mut transaction = self.broker.transaction();
        transaction.publish(&self.broker.default_exchange(), self.dead.name(), letter)?;
        transaction.ack(order)?;
        transaction.commit()?;
        Ok(())
    }
}

impl Crew {
    /// Ends the consumer and waits for the threads.
    pub(crate) fn stop(self) -> leveret::Result<Arc<Tally>> {
        self.consumer.cancel();
        for thread in self.threads {
            thread.join().expect("the clerks do not panic")?;
        }
        Ok(self.tally)
    }
}
