//! What is measured, row by row.

#[cfg(feature = "persist")]
mod durable;
mod life;
mod memory;
mod passing;
mod routing;
mod waiting;

use crate::{rounds::Figures, row::Row, scale::Scale};

/// Sides that are measured together, and the rows that are read from them.
pub(crate) struct Concern {
    /// As the targets are numbered; several concerns may share one.
    pub(crate) id: &'static str,
    /// Sets the sides up and runs all rounds.
    pub(crate) figures: fn(Scale) -> Figures,
    pub(crate) rows: Vec<Row>,
}

/// Rows that this build cannot measure.
pub(crate) const IDS_LEFT_OUT: &[&str] =
    if cfg!(feature = "persist") { &[] } else { &["P15", "P16", "P17"] };

/// All concerns, in the order of the table. Each is known by its place.
pub(crate) fn all(scale: Scale) -> Vec<Concern> {
    let mut concerns = vec![
        passing::one_thread(),
        passing::two_threads(),
        passing::backlog(),
        passing::crowd(),
        passing::batches(),
        waiting::round_trip(),
        passing::fan_out(),
    ];
    concerns.extend(routing::topics());
    concerns.extend([routing::headers(), memory::million()]);
    if scale == Scale::Full {
        concerns.push(memory::ten_millions());
    }
    concerns.extend([
        life::many_queues(),
        memory::idle_queues(),
        waiting::calls(),
        life::brokers(),
        waiting::contention(),
        passing::options(),
    ]);
    #[cfg(feature = "persist")]
    concerns.extend(durable::all());
    concerns
}
