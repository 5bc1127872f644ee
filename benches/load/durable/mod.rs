//! Persistent messages on their way through a durable queue, each confirmed once a disk has it.
//!
//! One thread is both ends: it publishes while fewer than so many are unconfirmed, takes one
//! message for each that it publishes, and acks it, so the queue keeps its depth. Besides it there
//! is only the thread that writes. The rival is a [raw log](raw_log), which is what a disk allows.
//!
//! Latency is from before a message is published until the publisher could know that it is
//! confirmed, all those together that one sync has confirmed. Processor time is that of all
//! threads.

pub(crate) mod folder;
mod leveret;
mod raw_log;
pub(crate) mod stock;

use std::{
    collections::VecDeque,
    path::Path,
    time::{Duration, Instant},
};

use ::leveret::{Durability, Message};
use cpu_time::ProcessTime;

use self::{folder::Folder, leveret::Leveret, raw_log::RawLog};

/// What waits in the queue at least, and for each message that may be unconfirmed.
const DEPTH_MIN: usize = 1_000;
const DEPTH_TIMES: usize = 4;

/// What is carried, and how much of it at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) body_bytes: usize,
    pub(crate) in_flight: usize,
    pub(crate) level: Durability,
}

/// What so many messages took.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) took: Duration,
    pub(crate) worked: Duration,
    /// From each publish to its confirm.
    pub(crate) latencies: Vec<Duration>,
}

/// A queue that outlives the process, with both its ends.
pub(crate) trait Way {
    type Confirm;

    fn publish(&mut self) -> Self::Confirm;

    fn wait(&mut self, confirm: Self::Confirm);

    fn is_confirmed(&mut self, confirm: &mut Self::Confirm) -> bool;

    /// Takes one message, looks at it and acks it.
    fn finish_one(&mut self);
}

pub(crate) fn leveret(load: Load, folder: &Path) -> impl FnMut(u64) -> Passed + use<> {
    carrying(Leveret::open(load, Folder::new_in(folder)), load)
}

pub(crate) fn raw_log(load: Load, folder: &Path) -> impl FnMut(u64) -> Passed + use<> {
    carrying(RawLog::create(load, Folder::new_in(folder)), load)
}

fn carrying<W: Way>(mut way: W, load: Load) -> impl FnMut(u64) -> Passed {
    fill(&mut way, load.depth() as u64, load.in_flight);
    move |messages| pass(&mut way, messages, load.in_flight)
}

/// Publishes so many messages that nobody takes.
fn fill<W: Way>(way: &mut W, messages: u64, in_flight: usize) {
    let mut unconfirmed = VecDeque::with_capacity(in_flight);
    for _ in 0..messages {
        if unconfirmed.len() == in_flight
            && let Some(oldest) = unconfirmed.pop_front()
        {
            way.wait(oldest);
        }
        unconfirmed.push_back(way.publish());
    }
    for confirm in unconfirmed {
        way.wait(confirm);
    }
}

fn pass<W: Way>(way: &mut W, messages: u64, in_flight: usize) -> Passed {
    let mut latencies = Vec::with_capacity(usize::try_from(messages).unwrap_or_default());
    let mut unconfirmed = VecDeque::with_capacity(in_flight);
    let (begun, worked) = (Instant::now(), ProcessTime::now());
    for _ in 0..messages {
        if unconfirmed.len() == in_flight {
            wait_for_oldest(way, &mut unconfirmed, &mut latencies);
        }
        unconfirmed.push_back((Instant::now(), way.publish()));
        way.finish_one();
    }
    while !unconfirmed.is_empty() {
        wait_for_oldest(way, &mut unconfirmed, &mut latencies);
    }
    Passed { took: begun.elapsed(), worked: worked.elapsed(), latencies }
}

/// Waits for the oldest, and notes it with all that are confirmed by then.
fn wait_for_oldest<W: Way>(
    way: &mut W,
    unconfirmed: &mut VecDeque<(Instant, W::Confirm)>,
    latencies: &mut Vec<Duration>,
) {
    let Some((begun, oldest)) = unconfirmed.pop_front() else { return };
    way.wait(oldest);
    let now = Instant::now();
    latencies.push(now - begun);
    while let Some((begun, confirm)) = unconfirmed.front_mut()
        && way.is_confirmed(confirm)
    {
        latencies.push(now - *begun);
        unconfirmed.pop_front();
    }
}

impl Load {
    /// Small messages, so many in flight, kept through a power cut.
    pub(crate) fn small(in_flight: usize) -> Self {
        Self { body_bytes: 64, in_flight, level: Durability::Power }
    }

    pub(crate) fn with_body(self, body_bytes: usize) -> Self {
        Self { body_bytes, ..self }
    }

    pub(crate) fn at(self, level: Durability) -> Self {
        Self { level, ..self }
    }

    fn depth(self) -> usize {
        DEPTH_MIN.max(DEPTH_TIMES * self.in_flight)
    }

    /// A new message, as programs make them.
    fn message(self) -> Message {
        Message::new(vec![7; self.body_bytes]).persistent()
    }
}
