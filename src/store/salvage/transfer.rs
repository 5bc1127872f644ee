//! Writing what was salvaged to a new store, a little at a time.

use std::path::Path;

use super::{estate::Estate, report::SalvageReport};
use crate::{
    clock::HostDeadline,
    message::Label,
    store::{
        Store,
        codec::Stored,
        engine::{Each, EngineError, Key},
        failure::text,
        ledger::Ledger,
        open_error::OpenError,
        position::State,
        record::{Amendment, MessageRecord, Record},
        recovery,
    },
};

/// So much is told before it is written.
const UNWRITTEN_BYTES_MAX: u64 = 4 * 1_024 * 1_024;

/// A store that is being filled.
pub(super) struct Transfer<'t> {
    pub(super) store: &'t Store,
    /// Where it will be, for errors.
    pub(super) path: &'t Path,
}

impl Transfer<'_> {
    pub(super) fn entities(&self, estate: &Estate) -> Result<(), OpenError> {
        for (serial, entity) in &estate.entities {
            self.tell(&mut vec![Record::Entity(*serial, Box::new(entity.clone()))])?;
        }
        self.write()
    }

    /// Writes the messages that a ledger knows, out of the values that it was made of.
    pub(super) fn messages(
        &self,
        scan: impl FnOnce(Each<'_>) -> Result<(), EngineError>,
        ledger: &Ledger,
        estate: &Estate,
        report: &mut SalvageReport,
    ) -> Result<(), OpenError> {
        let (mut label, mut group, mut refused) = (Label::default(), Vec::new(), None);
        let scanned = recovery::messages(scan, &mut |key, stored| {
            gather(ledger, estate, report, (key, stored), &mut label, &mut group);
            self.tell(&mut group).map_err(|error| {
                refused = Some(error);
                // Whatever it is: it only ends the scan.
                EngineError::Full
            })
        });
        match (refused, scanned) {
            (Some(error), _) => Err(error),
            (None, Err(error)) => Err(self.failed(text(&error))),
            (None, Ok(())) => self.write(),
        }
    }

    /// Closes the store.
    pub(super) fn end(&self) -> Result<(), OpenError> {
        self.store.close(HostDeadline::NEVER).map_err(|failure| self.failed(&failure.to_string()))
    }

    fn tell(&self, group: &mut Vec<Record>) -> Result<(), OpenError> {
        if !group.is_empty() {
            self.store.append(group);
            group.clear();
        }
        if self.store.unwritten_bytes() > UNWRITTEN_BYTES_MAX { self.write() } else { Ok(()) }
    }

    /// Writes all that was told.
    fn write(&self) -> Result<(), OpenError> {
        while self.store.run_once() {}
        match (self.store.failure(), self.store.state()) {
            (Some(failure), _) => Err(self.failed(&failure.to_string())),
            (None, State::Full) => Err(OpenError::Full { path: self.path.to_path_buf() }),
            (None, State::Working | State::Failed) if self.store.unwritten_bytes() > 0 => {
                Err(self.failed("not all of it was written"))
            }
            (None, State::Working | State::Failed) => Ok(()),
        }
    }

    fn failed(&self, reason: &str) -> OpenError {
        OpenError::Io { path: self.path.to_path_buf(), reason: reason.to_owned() }
    }
}

/// Makes a group of a message in all places where it is live. Nobody knows who has seen it.
fn gather(
    ledger: &Ledger,
    estate: &Estate,
    report: &mut SalvageReport,
    (key, stored): (Key, Stored<'_>),
    label: &mut Label,
    group: &mut Vec<Record>,
) {
    let Some(block) = ledger.block_at(key) else { return };
    let live = stored.heads().filter_map(|(origin, state)| {
        let id = ledger.present(block, origin)?;
        Some((id, ledger.state(id).unwrap_or(state)))
    });
    let live: Vec<_> = live.collect();
    if live.is_empty() {
        return;
    }
    let message = match stored.message(label) {
        Ok(message) => message,
        Err(malformed) => {
            report.records_lost += 1;
            return report.tell(|| {
                let Key { group, part } = key;
                format!("a message in value {part} of commit {group}: {}", malformed.0)
            });
        }
    };
    for (id, state) in live {
        if !estate.has_queue(id.queue) {
            report.orphaned += 1;
            continue;
        }
        report.messages += 1;
        let state = Amendment { is_redelivered: true, ..state };
        group.push(Record::Message(MessageRecord { id, state, message: message.clone() }));
    }
}
