//! Plays programs on queues with all kinds of options and on both tiers, without a reference: after
//! each step laws are asked for that hold whatever happens.

mod channels;
mod hands;
mod kept;
mod laws;
mod options;
mod publishing;
mod step;

use std::{sync::Weak, time::Duration};

use channels::Line;
use hands::{Hand, Taker};
use kept::Kept;
use leveret::{Broker, Channel, ConnectOptions, Connection, ManualClock, Publisher, QueueStats};
use options::{FANOUT, NAMES, Options, TOPIC};
use publishing::Published;
use step::Step;

/// A program begins with what its queues are declared with; its steps follow.
const OPTION_BYTES: usize = 6;
const HEAD_BYTES: usize = OPTION_BYTES * NAMES.len();
const STEP_BYTES: usize = 5;
const STEPS_MAX: usize = 300;

/// A broker, and what is known of it.
pub(crate) struct Features {
    broker: Broker,
    time: ManualClock,
    connection: Connection,
    /// One confirms, one is plain, one has transactions.
    lines: Vec<Line>,
    publishers: Vec<Publisher>,
    /// What the queue of a slot was declared with last.
    options: Vec<Options>,
    /// Every queue that ever was, and which of them a slot has now.
    kept: Vec<Kept>,
    slots: Vec<Option<usize>>,
    hands: Vec<Hand>,
    takers: Vec<Taker>,
    published: Published,
    bodies: Vec<(u32, Weak<publishing::Token>)>,
    next_tag: u32,
    /// As of the end of the step before.
    last_sum: QueueStats,
    /// When the present step began.
    began: Duration,
    /// What the present step publishes, by the number of copies that each slot should get; `None`
    /// if that is not known.
    expected: Option<Vec<u64>>,
    /// Which slot's dead letters have ever led to which.
    leads: Vec<[bool; 4]>,
    /// Whether a queue has come or gone in this step.
    has_moved: bool,
}

impl Features {
    /// Plays a whole program; somebody may look inside after each step.
    pub(crate) fn play(program: &[u8], inspect: impl Fn(&Broker), channel: impl Fn(&Channel)) {
        let Some((head, steps)) = program.split_at_checked(HEAD_BYTES) else { return };
        let mut features = Self::new(head);
        features.check("the beginning");
        for step in steps.as_chunks::<STEP_BYTES>().0.iter().take(STEPS_MAX) {
            let step = Step::decode(*step);
            features.step(step);
            features.check(&format!("{step:?}"));
            inspect(&features.broker);
            features.lines.iter().for_each(|line| channel(&line.channel));
        }
        features.end();
    }

    fn new(head: &[u8]) -> Self {
        let (broker, time) = Broker::manual();
        broker.declare_exchange(FANOUT).fanout().declare().unwrap();
        broker.declare_exchange(TOPIC).topic().declare().unwrap();
        let connection = broker.connect(ConnectOptions::default()).unwrap();
        let lines = (0..3).map(|nth| Line::open(&connection, nth)).collect();
        let exchanges = [
            broker.default_exchange(),
            broker.exchange(FANOUT).unwrap(),
            broker.exchange(TOPIC).unwrap(),
        ];
        let publishers = exchanges.map(|exchange| exchange.publisher().open().unwrap()).into();
        let options = head.as_chunks().0.iter().map(|bytes| Options(*bytes)).collect();
        let mut features = Self {
            broker,
            time,
            connection,
            lines,
            publishers,
            options,
            kept: Vec::new(),
            slots: vec![None; NAMES.len()],
            hands: Vec::new(),
            takers: Vec::new(),
            published: Published::default(),
            bodies: Vec::new(),
            next_tag: 0,
            last_sum: QueueStats::default(),
            began: Duration::ZERO,
            expected: None,
            leads: vec![[false; 4]; NAMES.len()],
            has_moved: false,
        };
        (0..NAMES.len()).for_each(|slot| features.declare(slot));
        features
    }

    fn step(&mut self, step: Step) {
        self.began = self.time.elapsed();
        self.expected = Some(vec![0; NAMES.len()]);
        self.has_moved = false;
        match step {
            Step::Advance(by) => self.time.advance(by),
            Step::CancelConsumer(nth) => self.cancel(nth),
            Step::CloseChannel(nth) => self.close_channel(nth),
            Step::CommitChannel { rollback } => self.commit_channel(rollback),
            Step::ConsumeByChannel { channel, slot, auto_ack, timeout } => {
                self.consume_by_channel(channel, slot, auto_ack, timeout);
            }
            Step::ConsumeByHandle { slot, prefetch, auto_ack, timeout } => {
                self.consume_by_handle(slot, prefetch, auto_ack, timeout);
            }
            Step::DeclareAgain { slot, at, byte } => self.declare_again(slot, at, byte),
            Step::Delete(slot) => self.delete(slot),
            Step::Get(slot) => self.get(slot),
            Step::GetByChannel { channel, slot, auto_ack } => {
                self.get_by_channel(channel, slot, auto_ack);
            }
            Step::Pause { slot, resume } => self.pause(slot, resume),
            Step::Publish { way, to, make } => self.publish(way, to, make),
            Step::Purge { slot, most } => self.purge(slot, most),
            Step::Receive(nth) => self.receive(nth),
            Step::Settle { hand, how } => self.settle(hand, how),
            Step::SettleByChannel { channel, nth, how, multiple } => {
                self.settle_by_channel(channel, nth, how, multiple);
            }
            Step::Transact { to, make, settled, how, commit } => {
                self.transact(to, make, (settled, how), commit);
            }
        }
    }
}
