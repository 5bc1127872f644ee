//! What is known of a store from outside, over all its lives.

use super::model::Model;
use crate::store::record::{Record, Serial};

#[derive(Debug, Default)]
pub(super) struct History {
    /// What is there for sure.
    base: Model,
    /// What was told since, group by group, and may be there.
    unsure: Vec<Vec<Record>>,
    /// Whether there was no space for a while. What ends something may be durable then before what
    /// was told earlier.
    had_no_space: bool,
    /// No serial up to this may be given out again: it has been seen on the disk. (One of which
    /// everything has gone before it was written leaves nothing that could be mistaken.)
    serial_max: Serial,
}

impl History {
    /// What there should be is known from elsewhere.
    pub(super) fn expect(&mut self, truth: &Model) {
        self.base = truth.clone();
    }

    /// A life has ended. Of what it told the first groups are durable.
    pub(super) fn end_life(&mut self, groups: Vec<Vec<Record>>, durable: usize) {
        for (at, group) in groups.into_iter().enumerate() {
            if at < durable {
                self.base.tell_all(&group);
            } else {
                self.unsure.push(group);
            }
        }
    }

    pub(super) fn note_no_space(&mut self) {
        self.had_no_space = true;
    }

    /// A store was opened, and this was found, if it can be right.
    pub(super) fn begin_life(&mut self, found: &Model, next_serial: Serial) -> Result<(), String> {
        self.explain(found)?;
        self.serial_max = self.serial_max.max(found.serial_max());
        if next_serial <= self.serial_max {
            return Err(format!("serial {next_serial} is given out for the second time"));
        }
        // What is found is there for good: a place that is opened sees to that.
        self.base = found.clone();
        self.unsure.clear();
        self.had_no_space = false;
        Ok(())
    }

    /// Finds a group up to which all has become durable.
    fn explain(&self, found: &Model) -> Result<(), String> {
        let mut state = self.base.clone();
        let mut differences = vec![self.difference(&state, found, 0)];
        for (at, group) in self.unsure.iter().enumerate() {
            state.tell_all(group);
            differences.push(self.difference(&state, found, at + 1));
        }
        if differences.iter().any(Option::is_none) {
            return Ok(());
        }
        let text =
            |difference: Option<&Option<String>>| difference.cloned().flatten().unwrap_or_default();
        Err(format!(
            "there should be and is, with what is durable: {}; with all {} groups after it: {}",
            text(differences.first()),
            self.unsure.len(),
            text(differences.last()),
        ))
    }

    fn difference(&self, state: &Model, found: &Model, told: usize) -> Option<String> {
        if !self.had_no_space {
            return state.difference(found);
        }
        let mut least = state.clone();
        for group in self.unsure.iter().skip(told) {
            let adds = |record: &Record| matches!(record, Record::Message(_) | Record::Entity(..));
            let ends =
                |record: &&Record| matches!(record, Record::Settled(_) | Record::QueueEnded(_));
            if !group.iter().any(adds) {
                group.iter().filter(ends).for_each(|record| least.tell(record));
            }
        }
        state.without_those_missing(&least, found).difference(found)
    }
}
