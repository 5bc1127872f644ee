//! Figures as the table shows them.

use std::fmt;

/// What a figure counts, and how it is written. All times are measured in nanoseconds, all sizes
/// in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Bytes,
    Mebibytes,
    Micros,
    /// Only durable rows take so long.
    #[cfg_attr(not(feature = "persist"), expect(dead_code, reason = "there are none"))]
    Millis,
    Nanos,
}

impl Unit {
    pub(crate) fn text(self, figure: f64) -> String {
        match self {
            Self::Bytes => format!("{figure:.0} B"),
            Self::Mebibytes => format!("{:.1} MiB", figure / f64::from(1 << 20)),
            Self::Micros => format!("{} µs", digits(figure / 1e3)),
            Self::Millis => format!("{} ms", digits(figure / 1e6)),
            Self::Nanos => format!("{} ns", digits(figure)),
        }
    }
}

/// The middle and the ends of what the rounds gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` without any figure.
    pub(crate) fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let (min, max) = (*figures.first()?, *figures.last()?);
        let (low, high) = (figures[(figures.len() - 1) / 2], figures[figures.len() / 2]);
        Some(Self { median: f64::midpoint(low, high), min, max })
    }

    pub(crate) fn text(self, unit: Unit) -> String {
        let Self { median, min, max } = self;
        if min.total_cmp(&max).is_eq() {
            return unit.text(median);
        }
        format!("{} [{}–{}]", unit.text(median), bare(unit, min), bare(unit, max))
    }
}

/// A ratio, as a fraction of one where that says more.
pub(crate) struct Ratio(pub(crate) f64);

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(ratio) = *self;
        if ratio > 0.0 && ratio < 0.2 {
            let whole = 1.0 / ratio;
            write!(f, "1/{}", digits(whole).trim_end_matches(".0"))
        } else {
            write!(f, "{ratio:.2}")
        }
    }
}

/// Without the name of the unit.
fn bare(unit: Unit, figure: f64) -> String {
    let text = unit.text(figure);
    match text.split_once(' ') {
        Some((number, _)) => number.to_owned(),
        None => text,
    }
}

/// So many digits that the last still means something.
fn digits(number: f64) -> String {
    match number.abs() {
        size if size < 10.0 => format!("{number:.2}"),
        size if size < 100.0 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}
