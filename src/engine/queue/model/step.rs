//! What may happen to a queue, one step at a time.

use std::time::Duration;

use crate::engine::queue::{AckMode, Custody, Flow, Settlement, Sharing};

/// One step. Its numbers mean something whatever they are, so any bytes make a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    AcceptThrough(Pick),
    /// Time goes on. The queue learns of it when something else happens.
    Advance {
        ms: u8,
    },
    /// Dead letters leave, in the order of their deaths, if there is an exchange for them.
    Bury {
        most: u8,
        has_exchange: bool,
    },
    Cancel {
        consumer: Pick,
        returning: Returning,
    },
    Consume(Terms),
    Delete {
        unused: bool,
        empty: bool,
        expired: bool,
    },
    /// A timer of the queue goes off, or one that should have before.
    Due {
        most: usize,
    },
    /// A hand-out gets more time.
    Extend {
        hand_out: Pick,
        ms: u8,
    },
    Get(AckMode, Custody),
    /// Changes how much a shared window lets through.
    Limit {
        window: u8,
        limit: Option<u8>,
    },
    Publish(Letter),
    Purge {
        most: u64,
    },
    Resume,
    SetFlow(Flow),
    /// Ends some hand-outs, the same one perhaps twice.
    Settle {
        first: Pick,
        stride: u8,
        count: u8,
        settlement: Settlement,
    },
    Touch,
}

/// One of what there is, by a number of any size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pick(u8);

/// What becomes of the messages of a consumer that is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Returning {
    All(Settlement),
    Nothing,
}

/// A message to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    /// How long its body is.
    pub(crate) bytes: u8,
    pub(crate) priority: Option<u8>,
    pub(crate) expiration_ms: Option<u8>,
    /// Whether declared bounds keep it out.
    pub(crate) is_bounded: bool,
}

/// A consumer to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) mode: AckMode,
    pub(crate) custody: Custody,
    pub(crate) sharing: Sharing,
    pub(crate) priority: i8,
    pub(crate) prefetch: Option<u8>,
    pub(crate) timeout_ms: Option<u8>,
    /// Which window it shares with others.
    pub(crate) window: u8,
}

/// How many windows the consumers share.
pub(crate) const WINDOWS: u8 = 2;

const SETTLEMENTS: [Settlement; 16] = [
    Settlement::Accept,
    Settlement::Requeue,
    Settlement::Reject,
    Settlement::ReturnUnseen,
    Settlement::AcceptOnReceipt,
    Settlement::Drop,
    Settlement::Fail,
    Settlement::Abandon,
    Settlement::Accept,
    Settlement::Requeue,
    Settlement::Reject,
    Settlement::RetryIn(Duration::from_millis(30)),
    Settlement::RetryIn(Duration::ZERO),
    Settlement::RetryIn(Duration::from_millis(4)),
    Settlement::Fail,
    Settlement::Requeue,
];

impl Step {
    /// Any four bytes are a step; the first says which.
    pub(crate) fn decode([kind, a, b, c]: [u8; 4]) -> Self {
        match kind % 128 {
            0..38 => Self::Publish(Letter::decode(a, b, c)),
            38..50 => Self::Consume(Terms::decode(a, b, c)),
            50..55 => {
                let settlement = SETTLEMENTS[[1, 3, 6, 7][usize::from(b / 8 % 4)]];
                let returning =
                    if b & 6 == 0 { Returning::Nothing } else { Returning::All(settlement) };
                Self::Cancel { consumer: Pick(a), returning }
            }
            55..82 => {
                let settlement = SETTLEMENTS[usize::from(c) % SETTLEMENTS.len()];
                Self::Settle { first: Pick(a), stride: b / 8, count: 1 + b % 4, settlement }
            }
            82..86 => Self::AcceptThrough(Pick(a)),
            86..92 => Self::Get(mode(a), custody(b)),
            92..94 => Self::Resume,
            94..97 => {
                let limit = Some(b % 6).filter(|most| *most > 0);
                Self::Limit { window: a % WINDOWS, limit }
            }
            97..99 => Self::Purge { most: if a % 4 == 0 { u64::MAX } else { (b % 8).into() } },
            99 => Self::Touch,
            100..108 => Self::Advance { ms: if a < 224 { a % 32 } else { b } },
            108..114 => Self::Due { most: [usize::MAX, 1, 2, 3][usize::from(a % 4)] },
            114..116 => Self::Extend { hand_out: Pick(a), ms: b },
            116..122 => Self::Bury { most: a % 4, has_exchange: !b.is_multiple_of(4) },
            122..126 => {
                Self::SetFlow(if a.is_multiple_of(4) { Flow::Paused } else { Flow::Running })
            }
            // A queue lives for as long as most programs last.
            126 if a < 64 => {
                Self::Delete { unused: b & 1 > 0, empty: b & 2 > 0, expired: b & 4 > 0 }
            }
            _ => Self::Publish(Letter::decode(b, c, a)),
        }
    }
}

impl Letter {
    fn decode(a: u8, b: u8, c: u8) -> Self {
        Self {
            // Bodies of one length are dropped one for one; empty ones take no room.
            bytes: [0, 10, 50, a][usize::from(a % 4)],
            priority: Some(b % 16).filter(|priority| *priority < 12),
            expiration_ms: [Some(0), Some(8), Some(20), Some(40)]
                .get(usize::from(b / 16))
                .copied()
                .flatten(),
            is_bounded: !c.is_multiple_of(16),
        }
    }
}

impl Terms {
    fn decode(a: u8, b: u8, c: u8) -> Self {
        Self {
            mode: if a.is_multiple_of(4) { AckMode::Auto } else { AckMode::Manual },
            custody: custody(b / 16),
            sharing: if (a / 4).is_multiple_of(16) { Sharing::Exclusive } else { Sharing::Shared },
            priority: [0, 0, 1, -1][usize::from(b % 4)],
            prefetch: Some(b / 4 % 4).filter(|most| *most > 0),
            timeout_ms: [Some(20), Some(50)].get(usize::from(c / 2 % 8)).copied().flatten(),
            window: c % WINDOWS,
        }
    }
}

impl Pick {
    /// Which of so many.
    pub(crate) fn of(self, count: usize) -> Option<usize> {
        usize::from(self.0).checked_rem(count)
    }

    pub(crate) fn plus(self, more: u8) -> Self {
        Self(self.0.wrapping_add(more))
    }

    /// Now and then what has ended long ago is picked, too.
    pub(crate) fn is_of_all(self) -> bool {
        self.0 >= 224
    }
}

fn custody(number: u8) -> Custody {
    if number.is_multiple_of(2) { Custody::Queue } else { Custody::Holder }
}

fn mode(number: u8) -> AckMode {
    if number.is_multiple_of(2) { AckMode::Auto } else { AckMode::Manual }
}
