//! Rounds in which all sides take turns, so that what slows the machine for a while slows all.
#![allow(clippy::disallowed_methods, reason = "a quick run ends in real time")]

use std::time::{Duration, Instant};

use crate::{figure::Spread, load::stopwatch::percentile, scale::Scale};

/// One line per round, the figures of all sides in a row: nanoseconds or bytes.
pub(crate) type Figures = Vec<Vec<f64>>;

/// In so many slices the sides take turns within a round, if they can. A slice is shorter than
/// what a busy machine lets a thread run in one go, so most are undisturbed, and the median of a
/// round's slices is that of an undisturbed one.
const SLICES: u64 = 10;

/// What a round runs of a side before the first one counts.
const WARM_UP_SHARE: u64 = 4;

/// Leveret or a rival, ready to run.
pub(crate) struct Side {
    messages: u64,
    slices: u64,
    run: Box<dyn FnMut(u64) -> Vec<f64>>,
}

impl Side {
    /// Runs so many messages a round; its figure is the time for one.
    pub(crate) fn each(messages: u64, run: impl FnMut(u64) -> Duration + 'static) -> Self {
        Self::per(1, messages, run)
    }

    /// Likewise, where each message comes to so many pieces of work; the time is that for one.
    pub(crate) fn per(
        pieces: u64,
        messages: u64,
        mut run: impl FnMut(u64) -> Duration + 'static,
    ) -> Self {
        let run = move |messages| vec![nanos(run(messages)) / count(messages * pieces)];
        Self::several(messages, run)
    }

    /// Runs so many turns a round; its figure is the time that so many of a thousand of them do
    /// not exceed.
    pub(crate) fn per_mille(
        rank: usize,
        turns: u64,
        mut run: impl FnMut(u64) -> Vec<Duration> + 'static,
    ) -> Self {
        let run = move |turns| vec![nanos(percentile(run(turns), rank))];
        Self::several(turns, run)
    }

    /// Runs so many messages a round, and reads several figures of them, each time as many.
    pub(crate) fn several(messages: u64, run: impl FnMut(u64) -> Vec<f64> + 'static) -> Self {
        Self { messages, slices: SLICES, run: Box::new(run) }
    }

    /// Runs a round in one go: for work that is not itself in small pieces.
    pub(crate) fn whole(mut self) -> Self {
        self.slices = 1;
        self
    }
}

/// Runs all sides by turns, forwards and backwards: what one leaves behind in caches and in the
/// heap meets each other side as often.
pub(crate) fn interleave(scale: Scale, mut sides: Vec<Side>) -> Figures {
    let begun = Instant::now();
    for side in &mut sides {
        (side.run)(side.messages.div_ceil(WARM_UP_SHARE));
    }
    let mut figures = Figures::new();
    while figures.is_empty() || figures.len() < scale.rounds() && begun.elapsed() < scale.time_max()
    {
        figures.push(one_round(figures.len(), &mut sides));
    }
    figures
}

fn one_round(round: usize, sides: &mut [Side]) -> Vec<f64> {
    let mut slices = vec![Vec::new(); sides.len()];
    for slice in 0..SLICES {
        let mut order: Vec<usize> = (0..sides.len()).collect();
        if !(round as u64 + slice).is_multiple_of(2) {
            order.reverse();
        }
        for index in order {
            let side = &mut sides[index];
            if slice < side.slices {
                slices[index].push((side.run)(side.messages / side.slices));
            }
        }
    }
    slices.iter().flat_map(|slices| medians(slices)).collect()
}

/// The median of each figure of a side.
fn medians(slices: &[Vec<f64>]) -> impl Iterator<Item = f64> {
    let figures = slices.first().expect("each side has a slice").len();
    (0..figures).map(|index| {
        let figures = slices.iter().map(|slice| slice[index]).collect();
        Spread::of(figures).expect("each side has a slice").median
    })
}

pub(crate) fn nanos(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

#[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^52 messages")]
pub(crate) fn count(messages: u64) -> f64 {
    messages as f64
}
