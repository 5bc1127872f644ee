//! What may happen to a queue, one step at a time.

use crate::engine::queue::{AckMode, Custody, Settlement, Sharing};

/// One step. Its numbers mean something whatever they are, so any bytes make a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    AcceptThrough(Pick),
    /// Time goes on.
    Advance {
        ms: u8,
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
    Get(AckMode, Custody),
    /// Changes how much a shared window lets through.
    Limit {
        window: u8,
        limit: Option<u8>,
    },
    Publish {
        bytes: u8,
    },
    Purge,
    Resume,
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

/// A consumer to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) mode: AckMode,
    pub(crate) custody: Custody,
    pub(crate) sharing: Sharing,
    pub(crate) priority: i8,
    pub(crate) prefetch: Option<u8>,
    /// Which window it shares with others.
    pub(crate) window: u8,
}

/// How many windows the consumers share.
pub(crate) const WINDOWS: u8 = 2;

const SETTLEMENTS: [Settlement; 6] = [
    Settlement::Accept,
    Settlement::Requeue,
    Settlement::Reject,
    Settlement::ReturnUnseen,
    Settlement::AcceptOnReceipt,
    Settlement::Drop,
];

impl Step {
    /// Any four bytes are a step; the first says which.
    pub(crate) fn decode([kind, a, b, c]: [u8; 4]) -> Self {
        match kind % 64 {
            0..20 => Self::Publish { bytes: a },
            20..27 => Self::Consume(Terms::decode(a, b, c)),
            27..31 => {
                let settlement =
                    if b & 1 == 0 { Settlement::Requeue } else { Settlement::ReturnUnseen };
                let returning =
                    if b & 6 == 0 { Returning::Nothing } else { Returning::All(settlement) };
                Self::Cancel { consumer: Pick(a), returning }
            }
            31..46 => {
                let settlement = SETTLEMENTS[usize::from(c) % SETTLEMENTS.len()];
                Self::Settle { first: Pick(a), stride: b / 8, count: 1 + b % 4, settlement }
            }
            46..49 => Self::AcceptThrough(Pick(a)),
            49..53 => Self::Get(mode(a), custody(b)),
            53..55 => Self::Resume,
            55..58 => {
                let limit = Some(b % 6).filter(|most| *most > 0);
                Self::Limit { window: a % WINDOWS, limit }
            }
            58 => Self::Purge,
            59 => Self::Touch,
            60..63 => Self::Advance { ms: a },
            // A queue lives for as long as most programs last.
            _ if a < 64 => Self::Delete { unused: b & 1 > 0, empty: b & 2 > 0, expired: b & 4 > 0 },
            _ => Self::Publish { bytes: b },
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
