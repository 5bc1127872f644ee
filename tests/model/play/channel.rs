//! A channel of the reference.

use std::collections::BTreeMap;

use super::{store::End, world::Seen};

/// What is outstanding under a delivery tag: a place in the order of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outstanding {
    pub(crate) store: usize,
    pub(crate) place: u64,
    /// The tag of the consumer; `None` if it was got. Settling what was got gives no room back to
    /// the window of the channel.
    pub(crate) consumer: Option<u8>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The number of the last publish.
    Confirm(u64),
    #[default]
    Plain,
    Tx(Transaction),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub(crate) publishes: Vec<Publish>,
    pub(crate) settlements: Vec<(End, Vec<(u64, Outstanding)>)>,
}

/// A message, and the names of the queues that it goes to, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Publish {
    pub(crate) content: u32,
    pub(crate) queues: Vec<usize>,
    pub(crate) mandatory: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Channel {
    pub(crate) last_tag: u64,
    pub(crate) outstanding: BTreeMap<u64, Outstanding>,
    pub(crate) prefetch: u16,
    /// How many deliveries may take room, zero being unlimited, and how many do.
    pub(crate) window: u16,
    pub(crate) taken: i64,
    /// Queues that it refused a delivery, in that order.
    pub(crate) refused: Vec<usize>,
    pub(crate) mode: Mode,
    /// By tag: the queue, and which consumer of it.
    pub(crate) consumers: BTreeMap<u8, (usize, usize)>,
    pub(crate) events: Vec<Seen>,
    /// Whether it is being closed, and takes nothing any more.
    pub(crate) is_closed: bool,
}

impl Channel {
    /// Whether a delivery from this queue fits the window.
    pub(crate) fn try_take(&mut self, store: usize, auto_ack: bool) -> bool {
        if self.is_closed || self.window > 0 && self.taken >= i64::from(self.window) {
            if !self.refused.contains(&store) {
                self.refused.push(store);
            }
            return false;
        }
        self.taken += i64::from(self.window > 0 && !auto_ack);
        true
    }

    /// A limit that comes where there was none finds everything that is unsettled.
    pub(crate) fn set_window(&mut self, count: u16) {
        match (self.window, count) {
            (_, 0) => self.taken = 0,
            (0, _) => self.taken = i64::try_from(self.outstanding.len()).unwrap_or(i64::MAX),
            _ => {}
        }
        self.window = count;
    }

    /// Gives room back for what was delivered to consumers. What was got has taken it for good.
    pub(crate) fn release(&mut self, settled: &[(u64, Outstanding)]) {
        let consumed =
            settled.iter().filter(|(_, outstanding)| outstanding.consumer.is_some()).count();
        if self.taken != 0 {
            self.taken -= i64::try_from(consumed).unwrap_or(i64::MAX);
        }
    }

    /// Gives a delivery its tag.
    pub(crate) fn number(&mut self, outstanding: Option<Outstanding>) -> u64 {
        self.last_tag += 1;
        self.outstanding.extend(outstanding.map(|outstanding| (self.last_tag, outstanding)));
        self.last_tag
    }

    /// Takes out a delivery, or all up to it; `None` if the tag is not outstanding.
    pub(crate) fn take(&mut self, tag: u64, multiple: bool) -> Option<Vec<(u64, Outstanding)>> {
        if multiple && tag == 0 {
            return Some(std::mem::take(&mut self.outstanding).into_iter().collect());
        }
        let outstanding = *self.outstanding.get(&tag)?;
        if !multiple {
            self.outstanding.remove(&tag);
            return Some(vec![(tag, outstanding)]);
        }
        let later = self.outstanding.split_off(&(tag + 1));
        Some(std::mem::replace(&mut self.outstanding, later).into_iter().collect())
    }
}
