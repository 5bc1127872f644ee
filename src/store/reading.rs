//! The values of an engine, commit by commit.

use std::{mem, ops::Range, panic, sync::mpsc, thread};

use super::engine::{Each, Engine, EngineError, Key};

/// So many commits are read ahead.
const AHEAD_MAX: usize = 2;

/// The values of one commit.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) values: Vec<(Key, Range<usize>)>,
    pub(super) buffer: Vec<u8>,
}

/// Who looks at commits, one by one, until it says that it has seen enough.
pub(super) type EachCommit<'a> = &'a mut dyn FnMut(&mut Gathered) -> Result<(), EngineError>;

/// Shows the commits of a scan.
pub(super) fn by_commit(
    scan: impl FnOnce(Each<'_>) -> Result<(), EngineError>,
    each: EachCommit<'_>,
) -> Result<(), EngineError> {
    let mut gathered = Gathered::default();
    scan(&mut |key, value| {
        if gathered.is_of_another(key) {
            each(&mut gathered)?;
            gathered.clear();
        }
        gathered.add(key, value);
        Ok(())
    })?;
    if gathered.values.is_empty() { Ok(()) } else { each(&mut gathered) }
}

/// Shows the commits of an engine, which another thread reads meanwhile, if there can be one.
pub(super) fn read_ahead(engine: &dyn Engine, each: EachCommit<'_>) -> Result<(), EngineError> {
    let (read, commits) = mpsc::sync_channel(AHEAD_MAX);
    let (used, spares) = mpsc::channel::<Gathered>();
    let reading = move || {
        by_commit(|each| engine.scan(each), &mut |gathered| {
            let spare = spares.try_recv().unwrap_or_default();
            let sent = read.send(mem::replace(gathered, spare));
            sent.map_err(|_| EngineError::Failed("nobody looks at it any more".to_owned()))
        })
    };
    thread::scope(|scope| {
        let builder = thread::Builder::new().name("leveret-read".into());
        let Ok(reader) = builder.spawn_scoped(scope, reading) else {
            return by_commit(|each| engine.scan(each), each);
        };
        let seen = commits.into_iter().try_for_each(|mut gathered: Gathered| {
            each(&mut gathered)?;
            gathered.clear();
            // By now there may be no more to read.
            let _ = used.send(gathered);
            Ok(())
        });
        let read = reader.join().unwrap_or_else(|payload| panic::resume_unwind(payload));
        seen.and(read)
    })
}

impl Gathered {
    fn is_of_another(&self, key: Key) -> bool {
        self.values.last().is_some_and(|(last, _)| last.group != key.group)
    }

    fn add(&mut self, key: Key, value: &[u8]) {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(value);
        self.values.push((key, start..self.buffer.len()));
    }

    fn clear(&mut self) {
        self.values.clear();
        self.buffer.clear();
    }
}
