//! Time that passes, and what stands out in many times.

use std::time::{Duration, Instant};

use cpu_time::ThreadTime;

/// How long something takes.
pub(crate) fn timed(act: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    act();
    begun.elapsed()
}

/// How long this thread is at work on something. What other programs take of a shared machine is
/// not in it, so it is for sides that start no thread and wait for nobody.
pub(crate) fn worked(act: impl FnOnce()) -> Duration {
    let begun = ThreadTime::now();
    act();
    begun.elapsed()
}

/// How long each of so many turns takes.
pub(crate) fn timed_each(turns: u64, mut act: impl FnMut()) -> Vec<Duration> {
    (0..turns).map(|_| timed(&mut act)).collect()
}

/// The smallest time that so many of a thousand do not exceed; zero without any.
pub(crate) fn percentile(mut times: Vec<Duration>, per_mille: usize) -> Duration {
    let rank = (times.len() * per_mille).div_ceil(1_000).saturating_sub(1);
    if rank >= times.len() {
        return Duration::ZERO;
    }
    *times.select_nth_unstable(rank).1
}
