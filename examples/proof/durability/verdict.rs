//! What was found wrong.

use std::{fmt, str::FromStr};

/// How many findings are told in full.
const TOLD_MAX: usize = 10;

/// A promise that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// What was confirmed is not there.
    Lost,
    /// Somebody got it twice and was not told, or it is there twice.
    UnflaggedDuplicate,
    /// What was settled for good came back.
    ResurrectedAck,
    /// It stands before one that was published earlier.
    OrderViolation,
    /// A publish or a transaction has half happened.
    TornFanOut,
    /// Nobody published it, or the broker did not take it.
    Unexpected,
    /// It is not as it was published.
    WrongPayload,
    /// A dead letter is in both of its places, or where none can be.
    MisplacedLetter,
    /// Opened twice, it was not the same.
    UnequalReopening,
    /// Something failed that should not.
    Failure,
}

const FAULTS: usize = 10;

impl FromStr for Fault {
    type Err = String;

    /// Only what a store that does wrong is to be found out by has a name.
    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "lost" => Ok(Self::Lost),
            "resurrected-acks" => Ok(Self::ResurrectedAck),
            _ => Err(format!("{name} is no fault to wait for")),
        }
    }
}

/// The sum of all findings.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) cycles: u64,
    /// Messages.
    pub(crate) confirmed: u64,
    counts: [u64; FAULTS],
    /// The first ones.
    told: Vec<(Fault, String)>,
}

impl Verdict {
    pub(crate) fn find(&mut self, fault: Fault, text: impl Into<String>) {
        self.counts[fault as usize] += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push((fault, text.into()));
        }
    }

    pub(crate) fn count(&self, fault: Fault) -> u64 {
        self.counts[fault as usize]
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.counts == [0; FAULTS]
    }

    /// Takes out what is to be told.
    pub(crate) fn take_told(&mut self) -> Vec<(Fault, String)> {
        // As many as there were are not told again.
        let told = self.told.clone();
        self.told.iter_mut().for_each(|(_, text)| text.clear());
        told.into_iter().filter(|(_, text)| !text.is_empty()).collect()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cycles, confirmed, .. } = self;
        let count = |fault| self.count(fault);
        writeln!(
            f,
            "unexpected {}, wrong payloads {}, misplaced letters {}, unequal reopenings {}, \
             failures {}",
            count(Fault::Unexpected),
            count(Fault::WrongPayload),
            count(Fault::MisplacedLetter),
            count(Fault::UnequalReopening),
            count(Fault::Failure),
        )?;
        write!(
            f,
            "cycles {cycles}, confirmed {confirmed}, lost {}, unflagged duplicates {}, \
             resurrected acks {}, order violations {}, torn fan-outs {}",
            count(Fault::Lost),
            count(Fault::UnflaggedDuplicate),
            count(Fault::ResurrectedAck),
            count(Fault::OrderViolation),
            count(Fault::TornFanOut),
        )
    }
}
