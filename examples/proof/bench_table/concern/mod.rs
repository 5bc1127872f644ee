//! What is measured, row by row.

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
    concerns
}
