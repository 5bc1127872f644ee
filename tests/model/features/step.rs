//! What a program does to a broker, one step at a time.

use std::time::Duration;

use super::options::{NAMES, Place};

/// A step. Slots are places in the list of queues.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Advance(Duration),
    CancelConsumer(usize),
    CloseChannel(usize),
    CommitChannel { rollback: bool },
    ConsumeByChannel { channel: usize, slot: usize, auto_ack: bool, timeout: u8 },
    ConsumeByHandle { slot: usize, prefetch: u16, auto_ack: bool, timeout: u8 },
    DeclareAgain { slot: usize, at: usize, byte: u8 },
    Delete(usize),
    Get(usize),
    GetByChannel { channel: usize, slot: usize, auto_ack: bool },
    Pause { slot: usize, resume: bool },
    Publish { way: Way, to: Address, make: Make },
    Purge { slot: usize, most: u64 },
    Receive(usize),
    Settle { hand: usize, how: How },
    SettleByChannel { channel: usize, nth: usize, how: How, multiple: bool },
    Transact { to: Address, make: Make, settled: usize, how: How, commit: bool },
}

/// By which method a message is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Batch,
    Channel(usize),
    Confirmed,
    Mandatory,
    Plain,
    Send,
}

/// Where to, with further keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address {
    pub(crate) place: Place,
    pub(crate) slot: usize,
    pub(crate) copy: Option<usize>,
    pub(crate) blind: Option<usize>,
}

/// What kind of message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Make {
    pub(crate) expiration: Option<Duration>,
    pub(crate) priority: Option<u8>,
    pub(crate) body_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Ack,
    Drop,
    Extend,
    Reject,
    RejectBecause,
    Requeue,
    RetryIn(Duration),
}

impl Step {
    /// Any five bytes are a step.
    pub(crate) fn decode([kind, a, b, c, d]: [u8; 5]) -> Self {
        let slot = usize::from(a) % NAMES.len();
        let (nth, channel) = (usize::from(a / 4), usize::from(b) % 3);
        let (to, make) = (Address::decode(a, b), Make::decode(c, d));
        let (how, auto_ack) = (How::decode(c), c.is_multiple_of(4));
        match kind % 64 {
            0..12 => Self::Publish { way: Way::decode(d), to, make },
            12..18 => Self::Publish { way: Way::Channel(usize::from(d) % 3), to, make },
            18..20 => {
                Self::Transact { to, make, settled: nth, how: How::decode(d), commit: b & 1 > 0 }
            }
            20..26 => Self::Get(slot),
            26..29 => Self::GetByChannel { channel, slot, auto_ack },
            29..32 => {
                Self::ConsumeByHandle { slot, prefetch: u16::from(b % 4), auto_ack, timeout: d }
            }
            32..35 => Self::ConsumeByChannel { channel, slot, auto_ack, timeout: d },
            35..40 => Self::Receive(nth),
            40..47 => Self::Settle { hand: nth, how },
            47..52 => Self::SettleByChannel { channel, nth, how, multiple: d & 1 > 0 },
            52 => Self::CancelConsumer(nth),
            53 => Self::Pause { slot, resume: b & 1 > 0 },
            54 => Self::Pause { slot, resume: true },
            55 => Self::Purge { slot, most: u64::from(b % 4) },
            56..60 => Self::Advance(Duration::from_millis(match b % 8 {
                0 => 1,
                1 => 5,
                2 | 3 => 20,
                4 => 26,
                5 => 60,
                6 => u64::from(c),
                _ => u64::from(c) * 8,
            })),
            60 | 61 => Self::DeclareAgain { slot, at: usize::from(b) % 8, byte: c },
            62 if b < 96 => Self::Delete(slot),
            62 => Self::Purge { slot, most: 1 },
            _ if b < 64 => Self::CloseChannel(channel),
            _ => Self::CommitChannel { rollback: b > 200 },
        }
    }
}

impl Way {
    fn decode(byte: u8) -> Self {
        match byte % 8 {
            0 => Self::Batch,
            1 | 2 => Self::Confirmed,
            3 => Self::Mandatory,
            4 | 5 => Self::Send,
            _ => Self::Plain,
        }
    }
}

impl Address {
    fn decode(a: u8, b: u8) -> Self {
        let other = |bits: u8| usize::from(bits) % NAMES.len();
        Self {
            place: match b % 8 {
                0 => Place::Fanout,
                1 => Place::Topic,
                _ => Place::Default,
            },
            slot: other(a),
            copy: (a & 0x30 == 0x30).then(|| other(a >> 6)),
            blind: (a & 0x0c == 0x0c).then(|| other(b >> 6)),
        }
    }

    /// The keys, the message's own first.
    pub(crate) fn keys(self) -> Vec<&'static str> {
        let own = if self.place == Place::Topic { "dead.own" } else { NAMES[self.slot] };
        let further = self.copy.into_iter().chain(self.blind).map(|slot| NAMES[slot]);
        std::iter::once(own).chain(further).collect()
    }
}

impl Make {
    fn decode(c: u8, d: u8) -> Self {
        let expiration = match c % 16 {
            0 => Some(0),
            1 => Some(1),
            2 | 3 => Some(15),
            4 => Some(70),
            _ => None,
        };
        Self {
            expiration: expiration.map(Duration::from_millis),
            priority: (c & 0x30 > 0).then_some(c >> 5),
            body_bytes: 4 + usize::from(d / 16),
        }
    }
}

impl How {
    fn decode(byte: u8) -> Self {
        match byte % 16 {
            0..5 => Self::Ack,
            5 => Self::Drop,
            6 => Self::Extend,
            7 | 8 => Self::Reject,
            9 => Self::RejectBecause,
            10..14 => Self::Requeue,
            14 => Self::RetryIn(Duration::ZERO),
            _ => Self::RetryIn(Duration::from_millis(u64::from(byte))),
        }
    }
}
