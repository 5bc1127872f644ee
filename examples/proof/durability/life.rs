//! One run of the workload: threads that publish and threads that consume.

use std::{
    error::Error,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use leveret::{Broker, Durability};

use super::{
    clerk::{Clerk, Manner},
    customer::Customer,
    dice::Dice,
    entry::Entry,
    item::Id,
    ledger::Ledger,
    look,
    memory::Memory,
    place::Queue,
    producer::Producer,
    topology::Topology,
};

/// What goes wrong in a thread; it ends the life.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Threads that publish.
const PRODUCERS: u16 = 4;

/// Who serves which queue.
const CUSTOMERS: [Queue; 9] = [
    Queue::Audit,
    Queue::Dead,
    Queue::Mail,
    Queue::Mail,
    Queue::Recent,
    Queue::Stock,
    Queue::Stock,
    Queue::Votes,
    Queue::Votes,
];

/// Who is at a channel of AMQP.
const CLERKS: [Manner; 2] = [Manner::Confirms, Manner::Transactions];

/// How often everything is waited for, at most.
const SYNCED_EVERY: Duration = Duration::from_millis(20);

/// A sync that takes longer has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// With so many waiting messages, nobody publishes.
const READY_MAX: u64 = 1_500;

/// What a life is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'p> {
    pub(crate) store: &'p Path,
    pub(crate) ledger: &'p Path,
    pub(crate) level: Durability,
    pub(crate) life: u32,
    pub(crate) seed: u64,
    /// `None` to go on until somebody ends it.
    pub(crate) within: Option<Duration>,
}

/// What the threads share.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) broker: Broker,
    pub(crate) topology: Topology,
    pub(crate) level: Durability,
    ledger: Ledger,
    life: u32,
    is_over: AtomicBool,
}

/// Lives. Tells when it begins to open the store, and when it is up.
pub(crate) fn live(plan: &Plan<'_>, tell: impl Fn(&str)) -> Result<(), Box<dyn Error>> {
    let ledger = Ledger::open(plan.ledger)?;
    ledger.note(&Entry::Life(plan.life));
    tell("opening");
    let mut dice = Dice::new(plan.seed);
    let broker = look::open(plan.store, plan.level, Memory::any(&mut dice))?;
    tell("up");
    let topology = Topology::declare(&broker)?;
    ledger.note(&Entry::Declared);
    let (level, life, is_over) = (plan.level, plan.life, AtomicBool::new(false));
    let stage = Stage { broker, topology, level, ledger, life, is_over };
    stage.run(&dice, plan.within);
    let report = stage.broker.close(PATIENCE);
    if report.is_clean() {
        stage.note(&Entry::Closed);
    } else {
        stage.note(&Entry::Failed(format!("the broker closed in disorder: {report:?}")));
    }
    Ok(())
}

impl Stage {
    pub(crate) fn note(&self, entry: &Entry) {
        self.ledger.note(entry);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Whether consumers are so far behind that publishers have to wait.
    pub(crate) fn is_crowded(&self) -> bool {
        self.broker.stats().held() > READY_MAX
    }

    /// Names of what a thread makes.
    pub(crate) fn names(&self, thread: u16) -> impl FnMut() -> Id + use<> {
        let (life, mut number) = (self.life, 0);
        move || {
            number += 1;
            Id { life, thread, number }
        }
    }

    /// Works until it is over, or something fails.
    fn run(&self, dice: &Dice, within: Option<Duration>) {
        let start = Instant::now();
        thread::scope(|scope| {
            for thread in 0..PRODUCERS {
                let dice = dice.split(thread.into());
                scope.spawn(move || self.try_to(|| Producer::new(self, thread, dice)?.run()));
            }
            for (thread, queue) in (PRODUCERS..).zip(CUSTOMERS) {
                let dice = dice.split(thread.into());
                scope.spawn(move || {
                    self.try_to(|| Customer::new(self, thread, queue, dice)?.run());
                });
            }
            let threads = (PRODUCERS..).zip(CUSTOMERS).count();
            let clerks = PRODUCERS + u16::try_from(threads).unwrap_or_default();
            for (thread, manner) in (clerks..).zip(CLERKS) {
                let dice = dice.split(thread.into());
                scope.spawn(move || {
                    self.try_to(|| Clerk::new(self, thread, manner, dice)?.run());
                });
            }
            self.try_to(|| self.oversee(start, within));
        });
    }

    /// Syncs now and then, until it is over.
    fn oversee(&self, start: Instant, within: Option<Duration>) -> Outcome {
        let mut names = self.names(u16::MAX);
        while !self.is_over() {
            thread::sleep(SYNCED_EVERY);
            let id = names();
            self.note(&Entry::Sync(id));
            self.broker.sync(PATIENCE)?;
            self.note(&Entry::Synced(id));
            if within.is_some_and(|within| start.elapsed() >= within) {
                self.is_over.store(true, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn try_to(&self, act: impl FnOnce() -> Outcome) {
        if let Err(error) = act() {
            self.note(&Entry::Failed(error.to_string()));
            self.is_over.store(true, Ordering::Relaxed);
        }
    }
}
