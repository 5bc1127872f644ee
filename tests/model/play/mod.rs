//! Plays programs on a broker and on a reference, and compares all that can be seen.
//!
//! Nothing promises in which order a message reaches several queues. So there may be several
//! references, one for each order that explains everything seen so far; each order that is
//! possible is tried, and at least one has to explain the next step too.

mod channel;
mod routing;
mod step;
mod store;
mod world;

use leveret::{
    Ack, Broker, Channel, ConnectOptions, Connection, Consume, DeliveryTag, Error, Event,
    ExchangeBind, ExchangeDeclare, ExchangeDelete, Get, Message, Nack, Publish, Qos, Queue,
    QueueBind, QueueDeclare, QueueDelete, QueueStats, Recover, Reject, Scope, Table,
};
pub(crate) use step::Step;
use step::{
    AUTO_DELETE_QUEUE, Binding, CHANNELS, Call, DIRECT, EXCHANGES, EXCLUSIVE_QUEUE, Endpoint,
    FANOUT, KEYS, QUEUES, TOPIC, connection_of,
};
use store::Counts;
use world::{Answer, Refusal, Seen, World};

/// With more explanations than this, a transaction takes no further publishes.
const WORLDS_MAX: usize = 50;

/// How each play begins: with everything there, and some of it bound.
const BEGINNING: [(usize, Call); 10] = [
    (0, Call::DeclareExchange { exchange: DIRECT }),
    (0, Call::DeclareExchange { exchange: FANOUT }),
    (0, Call::DeclareExchange { exchange: TOPIC }),
    (0, Call::DeclareQueue { queue: 0 }),
    (0, Call::DeclareQueue { queue: AUTO_DELETE_QUEUE }),
    (0, Call::DeclareQueue { queue: EXCLUSIVE_QUEUE }),
    (0, Call::Bind(Binding { source: DIRECT, to: Endpoint::Queue(0), key: 0 })),
    (0, Call::Bind(Binding { source: FANOUT, to: Endpoint::Queue(0), key: 0 })),
    (0, Call::Bind(Binding { source: FANOUT, to: Endpoint::Queue(AUTO_DELETE_QUEUE), key: 0 })),
    (0, Call::Bind(Binding { source: TOPIC, to: Endpoint::Queue(EXCLUSIVE_QUEUE), key: 5 })),
];

/// A broker and what it should be.
pub(crate) struct Play {
    broker: Broker,
    connections: Vec<Connection>,
    /// `None` only while one is opened again.
    channels: Vec<Option<Channel>>,
    /// A handle to each queue that ever was, except those of a single connection.
    queues: Vec<Option<Queue>>,
    worlds: Vec<World>,
    published: u32,
}

/// All that can be seen of a step.
#[derive(Debug, PartialEq, Eq)]
struct Sight {
    answer: Answer,
    events: Vec<Vec<Seen>>,
    counts: Vec<Option<Counts>>,
}

impl Play {
    pub(crate) fn new() -> Self {
        let (broker, _) = Broker::manual();
        let connect = || broker.connect(ConnectOptions::default()).unwrap();
        let connections = vec![connect(), connect()];
        let open = |channel| Some(connections[connection_of(channel)].open_channel().unwrap());
        let channels = (0..CHANNELS).map(open).collect();
        let worlds = vec![World::default()];
        let mut play =
            Self { broker, connections, channels, queues: Vec::new(), worlds, published: 0 };
        for (channel, call) in BEGINNING {
            play.step(Step::new(channel, call));
        }
        play
    }

    /// Does a step on all sides and compares them.
    pub(crate) fn step(&mut self, step: Step) {
        if self.is_left_out(step) {
            return;
        }
        let answer = self.act(step);
        let mut worlds = Vec::new();
        let mut foreseen = None;
        self.note_queue(step, &answer);
        let seen = Sight { answer, events: self.take_events(), counts: self.counts() };
        for world in &self.worlds {
            for order in orders(&world.reached(step)) {
                let mut world = world.clone();
                let sight = self.foresee(&mut world, step, &order);
                if sight != seen {
                    foreseen = Some(sight);
                } else if !worlds.contains(&world) {
                    worlds.push(world);
                }
            }
        }
        assert!(
            !worlds.is_empty(),
            "{step:?} led to\n{seen:?}\nand should have led to\n{:?}",
            foreseen.expect("each step has an order")
        );
        self.worlds = worlds;
        self.reopen(step, &seen.answer);
    }

    /// Shows the broker and its channels to somebody who can look inside.
    pub(crate) fn inspect(&self, broker: impl Fn(&Broker), channel: impl Fn(&Channel)) {
        broker(&self.broker);
        self.channels.iter().flatten().for_each(channel);
    }

    /// Lets go of everything, with nothing left in hand.
    pub(crate) fn end(self) {
        let Self { connections, queues, channels, .. } = self;
        drop((channels, connections));
        for queue in queues.into_iter().flatten() {
            let stats = queue.stats();
            assert!(stats.is_conserved() && stats.unacked == 0, "{stats:?}");
            assert_eq!(stats.consumers, 0, "{stats:?}");
        }
    }

    fn is_left_out(&self, step: Step) -> bool {
        let world = &self.worlds[0];
        let is_publish = matches!(step.call, Call::Publish { .. });
        if is_publish && self.worlds.len() > WORLDS_MAX && world.is_in_transaction(step.channel) {
            return true;
        }
        let answer = world.clone().step(step, &world.reached(step));
        matches!(answer, Answer::Refused(_)) && !step.is_daring
    }

    fn foresee(&self, world: &mut World, step: Step, order: &[usize]) -> Sight {
        let answer = world.step(step, order);
        let counts = self.queues.iter().enumerate();
        Sight {
            answer,
            events: (0..CHANNELS).map(|channel| world.take_events(channel)).collect(),
            counts: counts
                .map(|(store, queue)| queue.is_some().then(|| world.counts(store)))
                .collect(),
        }
    }

    fn act(&mut self, Step { channel: at, call, .. }: Step) -> Answer {
        let outstanding = self.worlds[0].outstanding(at);
        let tag = |pick: step::Pick| DeliveryTag(pick.among(&outstanding));
        let channel = self.channels[at].as_ref().expect("it was opened again");
        let done = |result: leveret::Result<()>| result.map(|()| Answer::Done);
        let result = match call {
            Call::Ack { tag: pick, multiple } => {
                done(channel.basic_ack(Ack { delivery_tag: tag(pick), multiple }))
            }
            Call::Bind(binding) => done(bind(channel, binding)),
            Call::Cancel { consumer } => done(channel.basic_cancel(&consumer.to_string())),
            Call::CloseChannel => {
                channel.close();
                Ok(Answer::Done)
            }
            Call::CloseConnection => {
                self.connections[connection_of(at)].close();
                Ok(Answer::Done)
            }
            Call::ConfirmSelect => done(channel.confirm_select()),
            Call::Consume { .. } => done(consume(channel, call)),
            Call::DeclareExchange { exchange } => done(declare_exchange(channel, exchange)),
            Call::DeclareQueue { queue } => declare_queue(channel, queue),
            Call::DeleteExchange { exchange, if_unused } => {
                let exchange = EXCHANGES[exchange];
                done(channel.exchange_delete(ExchangeDelete { exchange, if_unused }))
            }
            Call::DeleteQueue { queue, if_unused, if_empty } => channel
                .queue_delete(QueueDelete { queue: QUEUES[queue], if_unused, if_empty })
                .map(|ready| Answer::Count(ready.into())),
            Call::Get { queue, auto_ack } => get(channel, queue, auto_ack),
            Call::Nack { tag: pick, multiple, requeue } => {
                done(channel.basic_nack(Nack { delivery_tag: tag(pick), multiple, requeue }))
            }
            Call::Publish { exchange, key, mandatory } => {
                let message = Message::new(self.published.to_be_bytes().to_vec());
                self.published += 1;
                let exchange = exchange.map_or("", |exchange| EXCHANGES[exchange]);
                let routing_key = KEYS[key];
                let to = Publish { exchange, routing_key, mandatory, immediate: false };
                channel
                    .basic_publish(to, message)
                    .map(|number| Answer::Number(number.map(|number| number.0)))
                    .map_err(Error::from)
            }
            Call::Purge { queue } => {
                channel.queue_purge(QUEUES[queue]).map(|purged| Answer::Count(purged.into()))
            }
            Call::Qos { count: prefetch_count, global } => {
                done(channel.basic_qos(Qos { prefetch_size: 0, prefetch_count, global }))
            }
            Call::Recover => done(channel.basic_recover(Recover { requeue: true })),
            Call::Reject { tag: pick, requeue } => {
                done(channel.basic_reject(Reject { delivery_tag: tag(pick), requeue }))
            }
            Call::TxCommit => done(channel.tx_commit()),
            Call::TxRollback => done(channel.tx_rollback()),
            Call::TxSelect => done(channel.tx_select()),
            Call::Unbind(binding) => done(unbind(channel, binding)),
        };
        result.unwrap_or_else(|error| Answer::Refused(refusal(&error)))
    }

    /// Takes a handle to a queue that has just come into being.
    fn note_queue(&mut self, step: Step, answer: &Answer) {
        let Call::DeclareQueue { queue } = step.call else { return };
        let is_new = self.worlds[0].store_of(queue).is_none();
        if is_new && !matches!(answer, Answer::Refused(_)) {
            let is_open = queue != EXCLUSIVE_QUEUE;
            self.queues.push(is_open.then(|| self.broker.queue(QUEUES[queue]).unwrap()));
        }
    }

    fn take_events(&self) -> Vec<Vec<Seen>> {
        let channels = self.channels.iter().flatten();
        channels
            .map(|channel| std::iter::from_fn(|| channel.try_event()).map(seen).collect())
            .collect()
    }

    fn counts(&self) -> Vec<Option<Counts>> {
        self.queues.iter().map(|queue| queue.as_ref().map(|queue| counts(queue.stats()))).collect()
    }

    /// Opens again what a step has closed.
    fn reopen(&mut self, step: Step, answer: &Answer) {
        let closes_connection = match (step.call, answer) {
            (Call::CloseConnection, _) => true,
            (_, Answer::Refused(refusal)) => refusal.closes_connection,
            (Call::CloseChannel, _) => false,
            _ => return,
        };
        let channel = self.channels[step.channel].as_ref().expect("it was opened again");
        let again = channel.basic_qos(Qos::default()).unwrap_err();
        match answer {
            Answer::Refused(first) => assert_eq!(refusal(&again), *first, "it stays closed so"),
            _ => assert!(again.is_closed(), "{again}"),
        }
        let connection = connection_of(step.channel);
        if closes_connection {
            let announced = self.connections[connection].try_event();
            let is_error = matches!(answer, Answer::Refused(_));
            assert_eq!(announced.is_some(), is_error, "an error is announced, once: {announced:?}");
            self.connections[connection] = self.broker.connect(ConnectOptions::default()).unwrap();
        }
        for channel in 0..CHANNELS {
            let is_closed = closes_connection && connection_of(channel) == connection;
            if channel == step.channel || is_closed {
                self.channels[channel] = None;
                let opened = self.connections[connection_of(channel)].open_channel().unwrap();
                self.channels[channel] = Some(opened);
            }
        }
    }
}

/// Every order of some queues.
fn orders(of: &[usize]) -> Vec<Vec<usize>> {
    let Some((first, rest)) = of.split_first() else { return vec![Vec::new()] };
    let mut orders = Vec::new();
    for order in self::orders(rest) {
        for at in 0..=order.len() {
            let mut order = order.clone();
            order.insert(at, *first);
            orders.push(order);
        }
    }
    orders
}

fn declare_exchange(channel: &Channel, exchange: usize) -> leveret::Result<()> {
    let arguments = match exchange {
        DIRECT => Table::from([("alternate-exchange", EXCHANGES[FANOUT])]),
        _ => Table::new(),
    };
    channel.exchange_declare(ExchangeDeclare {
        exchange: EXCHANGES[exchange],
        kind: ["direct", "fanout", "topic"][exchange],
        auto_delete: exchange == TOPIC,
        arguments,
        ..ExchangeDeclare::default()
    })
}

fn declare_queue(channel: &Channel, queue: usize) -> leveret::Result<Answer> {
    let declared = channel.queue_declare(QueueDeclare {
        queue: QUEUES[queue],
        exclusive: queue == EXCLUSIVE_QUEUE,
        auto_delete: queue == AUTO_DELETE_QUEUE,
        ..QueueDeclare::default()
    })?;
    Ok(Answer::Declared {
        ready: declared.message_count.into(),
        consumers: declared.consumer_count.into(),
    })
}

fn bind(channel: &Channel, Binding { source, to, key }: Binding) -> leveret::Result<()> {
    match to {
        Endpoint::Exchange(destination) => channel.exchange_bind(between(source, destination, key)),
        Endpoint::Queue(queue) => channel.queue_bind(to_queue(source, queue, key)),
    }
}

fn unbind(channel: &Channel, Binding { source, to, key }: Binding) -> leveret::Result<()> {
    match to {
        Endpoint::Exchange(destination) => {
            channel.exchange_unbind(between(source, destination, key))
        }
        Endpoint::Queue(queue) => channel.queue_unbind(to_queue(source, queue, key)),
    }
}

fn between(source: usize, destination: usize, key: usize) -> ExchangeBind<'static> {
    ExchangeBind {
        destination: EXCHANGES[destination],
        source: EXCHANGES[source],
        routing_key: KEYS[key],
        arguments: Table::new(),
    }
}

fn to_queue(source: usize, queue: usize, key: usize) -> QueueBind<'static> {
    QueueBind {
        queue: QUEUES[queue],
        exchange: EXCHANGES[source],
        routing_key: KEYS[key],
        arguments: Table::new(),
    }
}

fn consume(channel: &Channel, call: Call) -> leveret::Result<()> {
    let Call::Consume { queue, consumer, auto_ack, exclusive, priority } = call else {
        unreachable!("it is asked to consume")
    };
    let consumed = channel.basic_consume(Consume {
        queue: QUEUES[queue],
        consumer_tag: &consumer.to_string(),
        auto_ack,
        exclusive,
        no_local: false,
        arguments: Table::from([("x-priority", i32::from(priority))]),
    });
    consumed.map(drop)
}

fn get(channel: &Channel, queue: usize, auto_ack: bool) -> leveret::Result<Answer> {
    let Some(got) = channel.basic_get(Get { queue: QUEUES[queue], auto_ack })? else {
        return Ok(Answer::GotNothing);
    };
    Ok(Answer::Got {
        tag: got.delivery_tag.0,
        content: content(&got.message),
        redelivered: got.redelivered,
        left: got.message_count.expect("it was got").into(),
    })
}

fn seen(event: Event) -> Seen {
    match event {
        Event::Ack { delivery_tag, multiple: false } => Seen::Ack(delivery_tag.0),
        Event::Cancel { consumer_tag } => Seen::Cancel(consumer_tag.parse().unwrap()),
        Event::Closed(error) => Seen::Closed(error.reply_code().as_u16()),
        Event::Deliver(delivered) => Seen::Deliver {
            consumer: delivered.consumer_tag.expect("it has a consumer").parse().unwrap(),
            tag: delivered.delivery_tag.0,
            content: content(&delivered.message),
            redelivered: delivered.redelivered,
        },
        Event::Return(returned) => Seen::Return(content(&returned.message)),
        other => panic!("nothing leads to {other:?}"),
    }
}

fn content(message: &Message) -> u32 {
    u32::from_be_bytes(message.body().as_ref().try_into().expect("a number was published"))
}

fn refusal(error: &Error) -> Refusal {
    Refusal {
        code: error.reply_code().as_u16(),
        closes_connection: error.scope() == Scope::Connection,
    }
}

fn counts(stats: QueueStats) -> Counts {
    assert!(stats.is_conserved(), "{stats:?}");
    assert_eq!(stats.dropped, 0, "no limit was declared");
    Counts {
        ready: stats.ready,
        unacked: stats.unacked,
        consumers: stats.consumers,
        enqueued: stats.enqueued,
        acked: stats.acked,
        auto_acked: stats.auto_acked,
        rejected: stats.rejected,
        purged: stats.purged,
        deleted: stats.deleted,
    }
}
