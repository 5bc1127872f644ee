//! One line of the table: what is read from the figures of a concern, and what it should be.

use crate::{figure::Unit, heap::Heap};

/// Reads one figure from a round: of a side, or made from several.
pub(crate) type Reading = fn(&[f64]) -> f64;

/// One line of the table. With a rival, what is judged is the ratio to it; without, the figure.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) unit: Unit,
    pub(crate) ours: Reading,
    /// What stands in the table as the rival, whether or not it was measured.
    pub(crate) against: &'static str,
    pub(crate) rival: Option<Reading>,
    /// The most that meets the target; without one the row is only reported.
    pub(crate) target: Option<f64>,
    pub(crate) stretch: Option<f64>,
    /// The allocator that the target speaks of.
    pub(crate) judged_with: Heap,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, unit: Unit, ours: Reading) -> Self {
        Self {
            what: what.into(),
            unit,
            ours,
            against: "",
            rival: None,
            target: None,
            stretch: None,
            judged_with: Heap::System,
        }
    }

    pub(crate) fn against(mut self, name: &'static str, rival: Reading) -> Self {
        self.against = name;
        self.rival = Some(rival);
        self
    }

    /// Names what the target was taken from, which is not measured here.
    pub(crate) fn beside(mut self, name: &'static str) -> Self {
        self.against = name;
        self
    }

    pub(crate) fn at_most(mut self, target: f64) -> Self {
        self.target = Some(target);
        self
    }

    pub(crate) fn stretch(mut self, stretch: f64) -> Self {
        self.stretch = Some(stretch);
        self
    }

    pub(crate) fn judged_with(mut self, heap: Heap) -> Self {
        self.judged_with = heap;
        self
    }
}
