//! How much may wait in a queue: `x-max-length`, `x-max-length-bytes`.
//!
//! Both count what is ready. Bytes are those of bodies, whatever else a message carries.

use crate::engine::definition::{Overflow, QueueArguments, QueueType};

/// The declared bounds of a queue, and how much of them is used.
#[derive(Debug)]
pub(super) struct Limit {
    length_max: u64,
    bytes_max: u64,
    pub(super) overflow: Overflow,
    /// Invariant: the bytes of the bodies that are ready.
    body_bytes: u64,
    /// Whether a message has been ready and is no more, since somebody asked last.
    has_left: bool,
    closing: Closing,
}

/// When a bound refuses messages, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    /// When one more would pass it.
    Exact,
    /// After it was passed, until a fifth of it is free again: what quorum queues do.
    Late { is_closed: bool },
}

impl Limit {
    /// `None` if the arguments set none.
    pub(super) fn new(arguments: &QueueArguments) -> Option<Self> {
        let QueueArguments { length_max, bytes_max, overflow, queue_type, .. } = arguments;
        (length_max.is_some() || bytes_max.is_some()).then(|| Self {
            length_max: length_max.unwrap_or(u64::MAX),
            bytes_max: bytes_max.unwrap_or(u64::MAX),
            overflow: match (queue_type, overflow) {
                // What `RabbitMQ` does with it there.
                (QueueType::Quorum, Overflow::RejectPublishDlx) => Overflow::DropHead,
                (_, overflow) => *overflow,
            },
            body_bytes: 0,
            has_left: false,
            closing: match queue_type {
                QueueType::Classic => Closing::Exact,
                QueueType::Quorum => Closing::Late { is_closed: false },
            },
        })
    }

    /// Looks how much is ready after something has happened.
    pub(super) fn look(&mut self, ready: usize) {
        let ready = ready as u64;
        let is_above = ready > self.length_max || self.body_bytes > self.bytes_max;
        let part = |max: u64| max / 5 * 4 + max % 5 * 4 / 5;
        let is_below = ready <= part(self.length_max) && self.body_bytes <= part(self.bytes_max);
        if let Closing::Late { is_closed } = &mut self.closing {
            *is_closed = is_above || *is_closed && !is_below;
        }
    }

    /// A message has become ready.
    pub(super) fn add(&mut self, body_bytes: u64) {
        self.body_bytes += body_bytes;
    }

    /// A message is ready no more.
    pub(super) fn remove(&mut self, body_bytes: u64) {
        self.body_bytes -= body_bytes;
        self.has_left = true;
    }

    /// Says whether a message has left since this was asked last.
    pub(super) fn take_has_left(&mut self) -> bool {
        std::mem::take(&mut self.has_left)
    }

    /// The argument whose bound one more message would pass.
    pub(super) fn passed_by(&self, ready: usize, body_bytes: u64) -> Option<&'static str> {
        if let Closing::Late { is_closed } = self.closing {
            let is_long = self.length_max < u64::MAX;
            let bound = if is_long { "x-max-length" } else { "x-max-length-bytes" };
            return is_closed.then_some(bound);
        }
        if ready as u64 >= self.length_max {
            return Some("x-max-length");
        }
        let would_be = self.body_bytes.saturating_add(body_bytes);
        (would_be > self.bytes_max).then_some("x-max-length-bytes")
    }

    /// Whether old messages have to go because of so many that are ready.
    pub(super) fn drops_head(&self, ready: usize) -> bool {
        self.overflow == Overflow::DropHead
            && (ready as u64 > self.length_max || self.body_bytes > self.bytes_max)
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn check_invariants(&self, body_bytes: u64) {
        assert_eq!(self.body_bytes, body_bytes, "bytes of bodies");
    }
}
