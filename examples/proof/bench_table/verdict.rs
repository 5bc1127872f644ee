//! Whether a row holds what it should.

use std::fmt;

use crate::{figure::Spread, rounds::Figures, row::Row};

/// A rival that swings further than this between rounds is no measure.
const SWING_MAX: f64 = 3.0;

/// What became of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Failed,
    Met,
    Missed,
    Noisy,
    Reported,
    Stretch,
}

/// A row as it was measured with one allocator.
pub(crate) struct Measured {
    pub(crate) ours: Spread,
    pub(crate) rival: Option<Spread>,
    /// The median of the ratios within each round.
    pub(crate) ratio: Option<f64>,
}

impl Measured {
    /// `None` if there are no figures, or they make no sense.
    pub(crate) fn of(row: &Row, figures: &Figures) -> Option<Self> {
        let read = |reading: fn(&[f64]) -> f64| -> Vec<f64> {
            figures.iter().map(|round| reading(round)).collect()
        };
        let ours = read(row.ours);
        let rival = row.rival.map(read);
        let ratios = rival.as_ref().map(|rival| {
            ours.iter().zip(rival).map(|(ours, rival)| ours / rival).collect::<Vec<_>>()
        });
        let is_number = |figures: &Vec<f64>| figures.iter().all(|figure| figure.is_finite());
        if !is_number(&ours) || !ratios.as_ref().is_none_or(is_number) {
            return None;
        }
        Some(Self {
            ours: Spread::of(ours)?,
            rival: rival.and_then(Spread::of),
            ratio: ratios.and_then(Spread::of).map(|ratios| ratios.median),
        })
    }

    pub(crate) fn verdict(&self, row: &Row) -> Verdict {
        let Some(target) = row.target else { return Verdict::Reported };
        if self.rival.is_some_and(|rival| rival.max > SWING_MAX * rival.min) {
            return Verdict::Noisy;
        }
        let judged = self.ratio.unwrap_or(self.ours.median);
        match row.stretch {
            Some(stretch) if judged <= stretch => Verdict::Stretch,
            _ if judged <= target => Verdict::Met,
            _ => Verdict::Missed,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "**failed**",
            Self::Met => "met",
            Self::Missed => "**missed**",
            Self::Noisy => "noisy",
            Self::Reported => "reported",
            Self::Stretch => "stretch",
        })
    }
}
