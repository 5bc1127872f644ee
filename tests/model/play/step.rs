//! What a program does to a broker, one call at a time.

/// The queues: a plain one, one that goes with its last consumer, one of a single connection.
pub(crate) const QUEUES: [&str; 3] = ["a", "b", "c"];
pub(crate) const AUTO_DELETE_QUEUE: usize = 1;
pub(crate) const EXCLUSIVE_QUEUE: usize = 2;

/// The exchanges: a direct one with the next as its alternate, a fanout, and a topic exchange that
/// goes with its last binding.
pub(crate) const EXCHANGES: [&str; 3] = ["d", "f", "t"];
pub(crate) const DIRECT: usize = 0;
pub(crate) const FANOUT: usize = 1;
pub(crate) const TOPIC: usize = 2;

/// Keys of messages and bindings. Three are names of queues, for the default exchange.
pub(crate) const KEYS: [&str; 8] = ["a", "b", "c", "k.l", "", "#", "*.l", "k.*"];

/// Two connections with two channels each.
pub(crate) const CHANNELS: usize = 4;

/// The connection of a channel.
pub(crate) fn connection_of(channel: usize) -> usize {
    channel / 2
}

/// A step on one of the channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) channel: usize,
    pub(crate) call: Call,
    /// Whether it is made even if it will be refused. If all were, channels would seldom live for
    /// long enough to see anything.
    pub(crate) is_daring: bool,
}

/// A call. Queues, exchanges and keys are places in the lists above.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    Ack {
        tag: Pick,
        multiple: bool,
    },
    Bind(Binding),
    Cancel {
        consumer: u8,
    },
    CloseChannel,
    CloseConnection,
    ConfirmSelect,
    Consume {
        queue: usize,
        consumer: u8,
        auto_ack: bool,
        exclusive: bool,
        priority: i8,
    },
    DeclareExchange {
        exchange: usize,
    },
    DeclareQueue {
        queue: usize,
    },
    DeleteExchange {
        exchange: usize,
        if_unused: bool,
    },
    DeleteQueue {
        queue: usize,
        if_unused: bool,
        if_empty: bool,
    },
    Get {
        queue: usize,
        auto_ack: bool,
    },
    Nack {
        tag: Pick,
        multiple: bool,
        requeue: bool,
    },
    /// `None` is the default exchange.
    Publish {
        exchange: Option<usize>,
        key: usize,
        mandatory: bool,
    },
    Purge {
        queue: usize,
    },
    Qos {
        count: u16,
        global: bool,
    },
    Recover,
    Reject {
        tag: Pick,
        requeue: bool,
    },
    TxCommit,
    TxRollback,
    TxSelect,
    Unbind(Binding),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    pub(crate) source: usize,
    pub(crate) to: Endpoint,
    pub(crate) key: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Exchange(usize),
    Queue(usize),
}

/// A delivery tag, mostly an outstanding one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pick(u8);

impl Pick {
    pub(crate) fn among(self, outstanding: &[u64]) -> u64 {
        match self.0 {
            250..=255 => u64::from(self.0 - 250),
            _ if outstanding.is_empty() => 0,
            nth => outstanding[usize::from(nth) % outstanding.len()],
        }
    }
}

impl Step {
    pub(crate) fn new(channel: usize, call: Call) -> Self {
        Self { channel, call, is_daring: false }
    }

    /// Any five bytes are a step.
    pub(crate) fn decode([kind, daring, a, b, c]: [u8; 5]) -> Self {
        let call = Call::decode(kind, a / 4, b, c);
        Self { channel: usize::from(a) % CHANNELS, call, is_daring: daring >= 240 }
    }
}

impl Call {
    fn decode(kind: u8, a: u8, b: u8, c: u8) -> Self {
        let (queue, exchange) = (usize::from(a) % 3, usize::from(b) % 3);
        let (tag, key) = (Pick(b), usize::from(c) % KEYS.len());
        let (first, second) = (c & 1 > 0, c & 2 > 0);
        match kind % 64 {
            0..16 => Self::Publish {
                exchange: Some(exchange).filter(|_| b >= 96),
                key: if b >= 96 { key } else { usize::from(c) % 4 },
                mandatory: a & 1 > 0,
            },
            16..22 => Self::Consume {
                queue,
                consumer: b % 3,
                auto_ack: c.is_multiple_of(4),
                exclusive: (c / 4).is_multiple_of(16),
                priority: [0, 0, 1, -1][usize::from(c / 64)],
            },
            22..28 => Self::Ack { tag, multiple: first },
            28..32 => Self::Nack { tag, multiple: first, requeue: c % 8 < 6 },
            32..34 => Self::Reject { tag, requeue: second },
            34..37 => Self::Get { queue, auto_ack: c.is_multiple_of(4) },
            37..42 => Self::DeclareQueue { queue },
            42..44 => Self::DeclareExchange { exchange },
            44..48 => Self::Bind(Binding::decode(a, b, c)),
            48 => Self::Unbind(Binding::decode(a, b, c)),
            49..51 => Self::Cancel { consumer: b % 3 },
            51..54 => Self::Qos { count: u16::from(b % 4), global: first },
            54 if first => Self::Purge { queue },
            54..56 => Self::Consume {
                queue,
                consumer: b % 3,
                auto_ack: false,
                exclusive: false,
                priority: 0,
            },
            56 if second => Self::ConfirmSelect,
            56 => Self::TxSelect,
            59 => Self::TxRollback,
            60 if b < 128 => Self::DeleteQueue { queue, if_unused: first, if_empty: second },
            61 if b < 64 => Self::DeleteExchange { exchange, if_unused: first },
            57..59 | 60..62 => Self::TxCommit,
            62 if b < 32 => Self::CloseConnection,
            62 if b < 128 => Self::CloseChannel,
            _ => Self::Recover,
        }
    }
}

impl Binding {
    fn decode(a: u8, b: u8, c: u8) -> Self {
        let target = usize::from(a) % 3;
        let to = if a < 48 { Endpoint::Queue(target) } else { Endpoint::Exchange(target) };
        Self { source: usize::from(b) % 3, to, key: usize::from(c) % KEYS.len() }
    }
}
