//! Opening a broker with a store.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{Journal, millis, restoring::Restoring, topology::StoredVhost};
use crate::{
    Broker, BrokerBuilder, Durability, Error, ErrorKind, RecoveryReport, Result, SalvageReport,
    StoreFault,
    broker::broker_state::BrokerState,
    clock::Clock,
    store::{
        Store, StoreError,
        engine::{EngineError, Place},
        open_error::OpenError,
        place_sled::SledPlace,
        position::Level,
        record::Recovered,
        salvage,
    },
};

/// Where a broker keeps what outlives it, and how well.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoreOptions {
    /// `None` for a broker in memory.
    path: Option<PathBuf>,
    if_missing: IfMissing,
    durability: Option<Durability>,
}

/// What is done about a directory that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum IfMissing {
    #[default]
    Create,
    Refuse,
}

/// A store that is open, before anything was made of what is in it.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    journal: Option<Journal>,
    is_there: bool,
    recovered: Recovered,
}

impl StoreOptions {
    /// Opens the store, if there is to be one. Bodies are read into memory up to so many bytes.
    pub(crate) fn open(self, clock: &Clock, resident_bytes: u64) -> Result<Opened> {
        let Some(path) = self.path else { return Ok(Opened::default()) };
        let level = match self.durability {
            Some(Durability::Process) => Level::Process,
            Some(Durability::Power | Durability::Memory) | None => Level::Power,
        };
        let place = match self.if_missing {
            IfMissing::Create => SledPlace::open_or_create(&path),
            IfMissing::Refuse => SledPlace::open(&path),
        };
        let place = place.map_err(unusable)?;
        Opened::new(Box::new(place), level, clock, resident_bytes)
            .map_err(|error| unreadable(path, error))
    }
}

impl Opened {
    pub(super) fn new(
        place: Box<dyn Place>,
        level: Level,
        clock: &Clock,
        resident_bytes: u64,
    ) -> Result<Self, StoreError> {
        static NEXT_NUMBER: AtomicU64 = AtomicU64::new(0);
        let (store, recovered) = Store::open(place, level, resident_bytes)?;
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        let origin_ms = clock.unix_milliseconds().saturating_sub(millis(clock.now()));
        let journal = Some(Journal { store, level, origin_ms, number, fault: OnceLock::new() });
        Ok(Self { journal, is_there: true, recovered })
    }

    /// What the store knows of the default virtual host.
    pub(crate) fn default_vhost(&self) -> Option<StoredVhost> {
        self.is_there.then(|| StoredVhost::new(None))
    }

    /// Takes the journal out.
    pub(crate) fn take_journal(&mut self) -> Option<Journal> {
        self.journal.take()
    }

    /// Makes what is in the store, and has the broker told of its progress from now on.
    pub(crate) fn restore(self, broker: &Arc<BrokerState>) -> Result<RecoveryReport> {
        let Some(journal) = &broker.context.journal else { return Ok(RecoveryReport::default()) };
        journal.tell(&broker.context);
        Restoring::new(journal, broker).restore(self.recovered)
    }
}

impl Broker {
    /// Opens a broker whose durable exchanges, queues and bindings, and the persistent messages in
    /// durable queues, outlive the process and a power cut: they are in this directory, which is
    /// made if there is none. Short for `Broker::builder().store(path).open()`.
    ///
    /// # Errors
    ///
    /// As [`BrokerBuilder::open`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::builder().store(path).open()
    }

    /// Makes a store of what can be read of another one, which [`open`](Self::open) refuses as
    /// [`Damaged`](StoreFault::Damaged). The other one is only read, and nobody can open it
    /// meanwhile; where the new one is to be there is nothing yet, or an empty directory.
    ///
    /// Each message that is given back is as it was published, under checksums, in its queue and in
    /// its place, and has the redelivered flag. One may be lost if the disk has lost it, and
    /// messages may be back that were settled long ago, if their settlements are lost or are no
    /// longer kept: the report says what is known of that. A queue whose declaration is lost is
    /// made under another name if there are messages of it.
    ///
    /// It takes twice the space of the store for a while, and as much memory as opening it.
    ///
    /// # Errors
    ///
    /// `StoreUnusable`. The other store is as it was then, and there is no new one. The fault is
    /// [`Damaged`](StoreFault::Damaged) only if there is nothing left to be saved, and
    /// [`Occupied`](StoreFault::Occupied) if there is something in the directory for the new one.
    ///
    /// # Examples
    ///
    /// ```
    /// use leveret::{Broker, ErrorKind, StoreFault};
    ///
    /// fn open_or_salvage(path: &str, spare: &str) -> leveret::Result<Broker> {
    ///     match Broker::open(path) {
    ///         Err(error) if is_damage(&error) => {
    ///             let report = Broker::salvage(path, spare)?;
    ///             eprintln!("{error}; saved {} messages", report.messages);
    ///             Broker::open(spare)
    ///         }
    ///         opened => opened,
    ///     }
    /// }
    ///
    /// fn is_damage(error: &leveret::Error) -> bool {
    ///     matches!(error.kind(), ErrorKind::StoreUnusable { fault: StoreFault::Damaged, .. })
    /// }
    /// # let folder = std::env::temp_dir().join(format!("leveret-salvage-{}", std::process::id()));
    /// # let (path, spare) = (folder.join("store"), folder.join("spare"));
    /// # let (path, spare) = (path.to_str().unwrap(), spare.to_str().unwrap());
    /// # let queue = open_or_salvage(path, spare)?.declare_queue("q").durable().declare()?;
    /// # queue.send(leveret::Message::new("kept").persistent())?;
    /// # drop(queue);
    /// # let data = std::path::Path::new(path).join("gen-1").join("redo-1");
    /// # let mut bytes = std::fs::read(&data).unwrap();
    /// # let at = bytes.windows(4).position(|window| window == b"kept").unwrap();
    /// # bytes[at] ^= 1;
    /// # std::fs::write(&data, bytes).unwrap();
    /// # let broker = open_or_salvage(path, spare)?;
    /// # assert_eq!(broker.recovery_report().queues, 1);
    /// # drop(broker);
    /// # std::fs::remove_dir_all(folder).unwrap();
    /// # Ok::<(), leveret::Error>(())
    /// ```
    pub fn salvage(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<SalvageReport> {
        salvage::salvage(from.as_ref(), to.as_ref()).map_err(unusable)
    }
}

impl BrokerBuilder {
    /// Keeps what is durable in this directory, which is made if there is none, and of which the
    /// broker is the only user while it is open.
    pub fn store(mut self, path: impl Into<PathBuf>) -> Self {
        self.store.path = Some(path.into());
        self
    }

    /// The same for a directory that has a store already; one that has none is refused, and stays
    /// as it is.
    pub fn existing_store(mut self, path: impl Into<PathBuf>) -> Self {
        self.store.if_missing = IfMissing::Refuse;
        self.store(path)
    }

    /// What a confirm promises of a message that is stored. [`Durability::Power`] by default: it is
    /// synced first, which takes as long as the disk takes. [`Durability::Process`] only has the
    /// operating system take it, so a power cut may take the last seconds. There is no third:
    /// [`Durability::Memory`] is the same as not to call this.
    pub fn durability(mut self, level: Durability) -> Self {
        self.store.durability = Some(level);
        self
    }
}

/// Why the directory cannot be used.
fn unusable(error: OpenError) -> Error {
    let text = error.to_string();
    let (path, fault) = match error {
        OpenError::Damaged { path, .. } => (path, StoreFault::Damaged),
        OpenError::Foreign { path, .. } => (path, StoreFault::Foreign),
        OpenError::Full { path } => (path, StoreFault::Full),
        OpenError::Io { path, .. } => (path, StoreFault::Io),
        OpenError::Locked { path } => (path, StoreFault::Locked),
        OpenError::Missing { path } => (path, StoreFault::Missing),
        OpenError::Newer { path, .. } => (path, StoreFault::Newer),
        OpenError::NotADirectory { path } => (path, StoreFault::NotADirectory),
        OpenError::Occupied { path, .. } => (path, StoreFault::Occupied),
        OpenError::ReadOnly { path, .. } => (path, StoreFault::ReadOnly),
        OpenError::Unreadable { path, .. } => (path, StoreFault::Unreadable),
    };
    Error::plain(ErrorKind::StoreUnusable { path, fault, text })
}

/// Why what is in the directory cannot be used.
fn unreadable(path: PathBuf, error: StoreError) -> Error {
    let text = format!("{}: {error}", path.display());
    let fault = match error {
        StoreError::Damaged { .. } | StoreError::Engine(EngineError::Damaged(_)) => {
            StoreFault::Damaged
        }
        StoreError::Engine(EngineError::Full) => StoreFault::Full,
        StoreError::Engine(EngineError::Failed(_)) => StoreFault::Io,
        StoreError::Newer { .. } => StoreFault::Newer,
        StoreError::Thread(text) => return Error::plain(ErrorKind::Thread { text }),
    };
    Error::plain(ErrorKind::StoreUnusable { path, fault, text })
}
