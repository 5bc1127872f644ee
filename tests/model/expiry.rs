//! Queues that expire while time passes: at once, little by little, and on paper.

use std::{collections::BTreeMap, time::Duration};

use leveret::{Broker, Channel, ConnectOptions, Consume, Get, ManualClock, Message, Publish};
use leveret::{QueueDeclare, QueueDelete, Table};
use proptest::{collection, prelude::*};

/// The queues, and after how many milliseconds without use each goes.
const QUEUES: [(&str, u32); 3] = [("a", 5), ("b", 20), ("c", 33)];

#[derive(Clone, Copy, Debug)]
enum Call {
    Cancel,
    Consume,
    Declare,
    Delete,
    Get,
    Publish,
}

/// A call on a queue, and how long after the one before it.
#[derive(Clone, Debug)]
struct Step {
    queue: usize,
    call: Call,
    /// The parts of the time that passes before, in milliseconds.
    pauses: Vec<u64>,
}

/// How time passes.
#[derive(Clone, Copy)]
enum Pace {
    AtOnce,
    InParts,
}

fn step() -> impl Strategy<Value = Step> {
    let call = prop_oneof![
        1 => Just(Call::Cancel),
        1 => Just(Call::Consume),
        4 => Just(Call::Declare),
        1 => Just(Call::Delete),
        2 => Just(Call::Get),
        2 => Just(Call::Publish),
    ];
    let pauses = collection::vec(0..12_u64, 0..5);
    (0..QUEUES.len(), call, pauses).prop_map(|(queue, call, pauses)| Step { queue, call, pauses })
}

/// A broker, and on paper: when each queue that exists was last used, or that it is in use.
struct Run {
    clock: ManualClock,
    _connection: leveret::Connection,
    channel: Channel,
    broker: Broker,
    paper: BTreeMap<usize, Use>,
    now_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Consumer,
    Last(u64),
}

impl Run {
    fn new() -> Self {
        let (broker, clock) = Broker::manual();
        let connection = broker.connect(ConnectOptions::default()).unwrap();
        let channel = connection.open_channel().unwrap();
        let paper = BTreeMap::new();
        Self { clock, _connection: connection, channel, broker, paper, now_ms: 0 }
    }

    fn pass(&mut self, pauses: &[u64], pace: Pace) {
        let all: u64 = pauses.iter().sum();
        match pace {
            Pace::AtOnce => self.clock.advance(Duration::from_millis(all)),
            Pace::InParts => {
                for pause in pauses {
                    self.clock.advance(Duration::from_millis(*pause));
                }
            }
        }
        self.now_ms += all;
        let now_ms = self.now_ms;
        self.paper.retain(|queue, used| match used {
            Use::Consumer => true,
            Use::Last(at) => now_ms < *at + u64::from(QUEUES[*queue].1),
        });
    }

    fn call(&mut self, queue: usize, call: Call) {
        let (name, after) = QUEUES[queue];
        let known = self.paper.get(&queue).copied();
        match (call, known) {
            (Call::Declare, _) => {
                let arguments = Table::from([("x-expires", after)]);
                let of = QueueDeclare { queue: name, arguments, ..QueueDeclare::default() };
                self.channel.queue_declare(of).unwrap();
                if known != Some(Use::Consumer) {
                    self.paper.insert(queue, Use::Last(self.now_ms));
                }
            }
            (Call::Delete, _) => {
                let of = QueueDelete { queue: name, ..QueueDelete::default() };
                self.channel.queue_delete(of).unwrap();
                self.paper.remove(&queue);
            }
            (Call::Publish, _) => {
                let to = Publish { routing_key: name, ..Publish::default() };
                self.channel.basic_publish(to, Message::new("text")).unwrap();
            }
            (Call::Cancel, Some(Use::Consumer)) => {
                self.channel.basic_cancel(name).unwrap();
                self.paper.insert(queue, Use::Last(self.now_ms));
            }
            (Call::Consume, Some(Use::Last(_))) => {
                let of = Consume { queue: name, consumer_tag: name, ..Consume::default() };
                self.channel.basic_consume(of).unwrap();
                self.paper.insert(queue, Use::Consumer);
            }
            (Call::Get, Some(used)) => {
                self.channel.basic_get(Get { queue: name, auto_ack: true }).unwrap();
                if used != Use::Consumer {
                    self.paper.insert(queue, Use::Last(self.now_ms));
                }
            }
            (Call::Cancel, Some(Use::Last(_)) | None)
            | (Call::Consume, Some(Use::Consumer) | None)
            | (Call::Get, None) => {}
        }
    }

    /// Which queues exist, with what is ready in them.
    fn existing(&self) -> BTreeMap<usize, u64> {
        let found = |queue: usize| Some((queue, self.broker.queue(QUEUES[queue].0).ok()?));
        let found = (0..QUEUES.len()).filter_map(found);
        found.map(|(queue, handle)| (queue, handle.stats().ready)).collect()
    }
}

proptest! {
    #[test]
    fn one_advance_of_the_clock_equals_many_small_ones(
        program in collection::vec(step(), 0..60),
    ) {
        let (mut at_once, mut in_parts) = (Run::new(), Run::new());
        for Step { queue, call, pauses } in program {
            for (run, pace) in [(&mut at_once, Pace::AtOnce), (&mut in_parts, Pace::InParts)] {
                run.pass(&pauses, pace);
                prop_assert!(run.existing().keys().eq(run.paper.keys()), "{:?}", run.paper);
                run.call(queue, call);
            }
            prop_assert_eq!(at_once.existing(), in_parts.existing());
            prop_assert_eq!(at_once.clock.next_deadline(), in_parts.clock.next_deadline());
            prop_assert_eq!(at_once.clock.elapsed(), in_parts.clock.elapsed());
        }
    }
}
