//! What every system is given to carry, and the two ends that it carries it between.
//!
//! The sending end hands out bodies, at most a window of them ahead of the receiving end, which
//! takes note of what arrives. Both are the same for all systems, so that what differs between two
//! measurements is what lies between the ends.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_lite::future::block_on;
use tokio::sync::Semaphore;

/// The bytes of a body. The first eight of them may hold a stamp.
pub(crate) const BODY_BYTES: usize = 64;

/// How far the sending end may be ahead where throughput is measured.
pub(crate) const WINDOW: u32 = 1_024;

/// How much room the receiving end gives back at a time then: seldom enough that waking the sending
/// end does not count, often enough that it never runs dry.
const GIVEN_BACK: u32 = WINDOW / 4;

const STAMP_BYTES: usize = size_of::<u64>();

/// So many messages, to be carried in one of two ways.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    messages: u64,
    measure: Measure,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    /// One message at a time, each timed from before it is published until it is received.
    Latency,
    /// As many as the window lets through, timed as a whole.
    Throughput,
}

impl Load {
    pub(crate) fn latency(messages: u64) -> Self {
        Self { messages, measure: Measure::Latency }
    }

    pub(crate) fn throughput(messages: u64) -> Self {
        Self { messages, measure: Measure::Throughput }
    }

    /// Starts the clock. A system is ready by then.
    pub(crate) fn begin(self) -> (Outbound, Inbound) {
        let is_timed = self.measure == Measure::Latency;
        let (window, chunk) = if is_timed { (1, 1) } else { (WINDOW, GIVEN_BACK) };
        let window = Arc::new(Semaphore::new(window as usize));
        let begun = Instant::now();
        let outbound = Outbound {
            left: self.messages,
            window: Arc::clone(&window),
            chunk,
            granted: 0,
            begun,
            is_timed,
        };
        let room = if is_timed { self.messages } else { 0 };
        let latencies = Vec::with_capacity(usize::try_from(room).unwrap_or_default());
        let left = self.messages;
        (outbound, Inbound { left, window, chunk, free: 0, begun, is_timed, latencies })
    }
}

/// The sending end.
pub(crate) struct Outbound {
    left: u64,
    window: Arc<Semaphore>,
    /// How much room is asked for at a time.
    chunk: u32,
    /// What is left of the room that was asked for.
    granted: u32,
    begun: Instant,
    is_timed: bool,
}

impl Outbound {
    /// Waits as a task until the next body may be sent; `None` after the last, or when nobody
    /// receives any more.
    pub(crate) async fn next(&mut self) -> Option<[u8; BODY_BYTES]> {
        if self.left > 0 && self.granted == 0 {
            self.window.acquire_many(self.chunk).await.ok()?.forget();
            self.granted = self.chunk;
        }
        self.take()
    }

    /// The same for a thread.
    pub(crate) fn next_blocking(&mut self) -> Option<[u8; BODY_BYTES]> {
        if self.left > 0 && self.granted == 0 {
            block_on(self.window.acquire_many(self.chunk)).ok()?.forget();
            self.granted = self.chunk;
        }
        self.take()
    }

    fn take(&mut self) -> Option<[u8; BODY_BYTES]> {
        self.left = self.left.checked_sub(1)?;
        self.granted -= 1;
        let mut body = [7; BODY_BYTES];
        if self.is_timed {
            body[..STAMP_BYTES].copy_from_slice(&nanos(self.begun.elapsed()).to_le_bytes());
        }
        Some(body)
    }
}

/// The receiving end. When it is dropped the sending end stops.
pub(crate) struct Inbound {
    left: u64,
    window: Arc<Semaphore>,
    /// How much room is given back at a time.
    chunk: u32,
    /// Room that has not been given back.
    free: u32,
    begun: Instant,
    is_timed: bool,
    latencies: Vec<u64>,
}

impl Inbound {
    pub(crate) fn expects_more(&self) -> bool {
        self.left > 0
    }

    /// Takes note of a body, as soon as it is there.
    pub(crate) fn arrived(&mut self, body: &[u8]) {
        let body = black_box(body);
        if self.is_timed {
            let now = nanos(self.begun.elapsed());
            let stamp = body.first_chunk().copied().map_or(now, u64::from_le_bytes);
            self.latencies.push(now.saturating_sub(stamp));
        }
    }

    /// The message is done with, acked where that is done one by one: there is room for another.
    pub(crate) fn done(&mut self) {
        self.left = self.left.saturating_sub(1);
        self.free += 1;
        if self.free == self.chunk {
            self.free = 0;
            self.window.add_permits(self.chunk as usize);
        }
    }

    /// Stops the clock.
    pub(crate) fn finish(mut self) -> Figures {
        let took = self.begun.elapsed();
        Figures::new(took, std::mem::take(&mut self.latencies))
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        self.window.close();
    }
}

/// What one load took.
pub(crate) struct Figures {
    took: Duration,
    /// In nanoseconds, sorted.
    latencies: Vec<u64>,
}

impl Figures {
    /// With latencies in nanoseconds, in any order.
    pub(crate) fn new(took: Duration, mut latencies: Vec<u64>) -> Self {
        latencies.sort_unstable();
        Self { took, latencies }
    }

    pub(crate) fn took(&self) -> Duration {
        self.took
    }

    /// The latency in nanoseconds that so many of a thousand messages stayed within.
    pub(crate) fn within(&self, per_mille: usize) -> f64 {
        let rank = (self.latencies.len() * per_mille).div_ceil(1_000);
        self.latencies.get(rank.saturating_sub(1)).map_or(f64::NAN, |nanos| *nanos as f64)
    }
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bodies_pass_and_no_more() {
        for load in [Load::latency(10), Load::throughput(10 * u64::from(WINDOW) + 3)] {
            let (mut outbound, mut inbound) = load.begin();
            let mut bodies = 0;
            while let Some(body) = outbound.next_blocking() {
                bodies += 1;
                inbound.arrived(&body);
                inbound.done();
            }
            assert_eq!(bodies, load.messages);
            assert!(!inbound.expects_more());
        }
    }

    #[test]
    fn sending_stops_when_nobody_receives() {
        let (mut outbound, inbound) = Load::latency(10).begin();
        assert!(outbound.next_blocking().is_some());
        drop(inbound);
        assert!(outbound.next_blocking().is_none());
    }

    #[test]
    fn percentiles_are_ranks() {
        let figures = Figures::new(Duration::ZERO, (1..=1_000).rev().collect());
        let found = [500, 990, 999].map(|per_mille| figures.within(per_mille).to_string());
        assert_eq!(found, ["500", "990", "999"]);
    }
}
