//! Saving what can be read of a store that cannot be opened.
//!
//! Nothing of it is changed. A copy is opened, and if all is there that its last commit says, that
//! is what there is to save. Otherwise the files are searched for values, whatever database they
//! belonged to, and these are played like any commits, but for what commits say of one another.
//! What comes of it is written to a new store, under the same serials and places.

mod estate;
mod remains;
pub(crate) mod report;
mod sighting;
mod transfer;

use std::{collections::BTreeSet, path::Path, sync::Arc};

use self::{estate::Estate, remains::Remains, report::SalvageReport, transfer::Transfer};
use super::{
    Store, StoreError,
    codec::Malformed,
    engine::{Each, Engine, EngineError, Key, Place},
    ledger::Ledger,
    open_error::OpenError,
    place_sled::{Copied, Site, SledPlace, Snapshots, Wreck},
    position::Level,
    record::Recovered,
    recovery::{self, Found, Gleanings},
};

/// Where values come from.
enum Source {
    /// A copy in which all is there. The place holds it.
    Copy {
        engine: Arc<dyn Engine>,
        _place: SledPlace,
    },
    Remains(Remains),
}

/// What is to be written, and the values that it is in.
struct Salvage {
    source: Source,
    ledger: Ledger,
    recovered: Recovered,
    report: SalvageReport,
}

/// Makes a store of what can be read of another one.
pub(crate) fn salvage(from: &Path, to: &Path) -> Result<SalvageReport, OpenError> {
    let wreck = Wreck::hold(from)?;
    refuse_inside(from, to)?;
    let site = Site::begin(to)?;
    let remains = Remains::search(&wreck.data())?;
    let salvage = match open_copy(&wreck, &site, &remains)? {
        Some(salvage) => salvage,
        None => Salvage::of_remains(remains, from)?,
    };
    let report = salvage.write(&site, to)?;
    site.finish()?;
    drop(wreck);
    Ok(report)
}

impl Source {
    fn scan(&self, each: Each<'_>) -> Result<(), EngineError> {
        match self {
            Self::Copy { engine, .. } => engine.scan(each),
            Self::Remains(remains) => remains.scan(each),
        }
    }
}

impl Salvage {
    fn of_remains(remains: Remains, from: &Path) -> Result<Self, OpenError> {
        if remains.is_empty() {
            return Err(OpenError::damaged(from, "there is no value in any of its files"));
        }
        let gleanings = recovery::glean(|each| remains.scan(each));
        let Gleanings { found, faults, cut_longs } =
            gleanings.map_err(|error| unreadable(from, &error))?;
        let mut report = SalvageReport {
            values_missing: remains.missing(),
            records_lost: remains.broken() + cut_longs.len() as u64,
            ..SalvageReport::default()
        };
        if remains.unreadable_sectors > 0 {
            let sectors = remains.unreadable_sectors;
            report.tell(|| format!("the host could not read {sectors} sectors"));
        }
        report.note_faults(&faults);
        let Found { ledger, mut recovered, .. } = found;
        recovered.next_serial = remains.next_serial();
        Ok(Self { source: Source::Remains(remains), ledger, recovered, report })
    }

    fn write(self, site: &Site, to: &Path) -> Result<SalvageReport, OpenError> {
        let Self { source, ledger, mut recovered, mut report } = self;
        let place = SledPlace::open_or_create(&site.store())?;
        let (store, _) = Store::open_unattended(Box::new(place), Level::Power, 0)
            .map_err(|error| unreadable(to, &error))?;
        store.keep_serials_below(next_serial(&recovered));
        let estate = Estate::of(&mut recovered, &mut report);
        // The outlines are needed no more, and the new store comes to know as much.
        drop(recovered);
        let transfer = Transfer { store: &store, path: to };
        transfer.entities(&estate)?;
        transfer.messages(|each| source.scan(each), &ledger, &estate, &mut report)?;
        transfer.end()?;
        Ok(report)
    }
}

impl SalvageReport {
    fn note_faults(&mut self, faults: &[(Key, Malformed)]) {
        let values: BTreeSet<Key> = faults.iter().map(|(key, _)| *key).collect();
        let commits: BTreeSet<u64> = values.iter().map(|key| key.group).collect();
        self.values_unreadable = values.len() as u64;
        self.commits_incomplete = commits.len() as u64;
        for (Key { group, part }, malformed) in faults {
            self.tell(|| format!("value {part} of commit {group}: {}", malformed.0));
        }
    }
}

/// Opens a copy of the generation in use, if all is there that there should be.
fn open_copy(wreck: &Wreck, site: &Site, remains: &Remains) -> Result<Option<Salvage>, OpenError> {
    let noted = wreck.noted().unwrap_or_default();
    for generation in wreck.candidates() {
        for snapshots in [Snapshots::Kept, Snapshots::LeftOut] {
            site.drop_copy()?;
            let copy = site.copy();
            if wreck.copy(generation, noted, snapshots, &copy)? == Copied::Unreadable {
                continue;
            }
            let place = match SledPlace::open_copy(&copy) {
                Ok(place) => place,
                Err(error @ OpenError::Full { .. }) => return Err(error),
                Err(_) => continue,
            };
            let engine = place.engine();
            let Ok(found) = recovery::recover(&*engine, noted, 0) else { continue };
            let Found { ledger, stale, recovered } = found;
            // sled may have cut off what was durable and not noted.
            if remains.has_newer(ledger.number, &stale) {
                continue;
            }
            let source = Source::Copy { engine, _place: place };
            let report = SalvageReport { is_whole: true, ..SalvageReport::default() };
            return Ok(Some(Salvage { source, ledger, recovered, report }));
        }
    }
    site.drop_copy()?;
    Ok(None)
}

/// A serial that nothing has which is there.
fn next_serial(recovered: &Recovered) -> u64 {
    let entities = recovered.entities.iter().map(|(serial, _)| *serial);
    let queues = recovered.messages.iter().map(|message| message.id.queue);
    let most = entities.chain(queues).max().unwrap_or_default();
    recovered.next_serial.max(most.saturating_add(1))
}

/// Nothing is made in the directory that is only to be read.
fn refuse_inside(from: &Path, to: &Path) -> Result<(), OpenError> {
    let from = from.canonicalize().map_err(|error| OpenError::reading(from, &error))?;
    let above = to.ancestors().find_map(|above| {
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        above.canonicalize().ok()
    });
    match above {
        Some(above) if above.starts_with(&from) => {
            Err(OpenError::occupied(to, format!("it lies in the store at {}", from.display())))
        }
        Some(_) | None => Ok(()),
    }
}

fn unreadable(path: &Path, error: &StoreError) -> OpenError {
    OpenError::Io { path: path.to_path_buf(), reason: error.to_string() }
}
