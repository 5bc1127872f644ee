//! A place whose syncs wait until they are let go on.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
    mpsc,
};

use super::faulty::FaultyPlace;
use crate::{
    store::engine::{Each, Engine, EngineError, Key, Place},
    sync::{Mutex, Rank},
};

/// How a sync goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Well,
    Fails,
    Panics,
}

/// What syncs wait at. They pass it once whoever has the other end has gone.
#[derive(Debug)]
pub(super) struct Gate {
    /// Says that a sync has come.
    pub(super) come: mpsc::Receiver<()>,
    pub(super) go: mpsc::Sender<Way>,
    barrier: Arc<Barrier>,
}

impl Gate {
    /// Holds up who tidies once something has been put.
    pub(super) fn hold_up(&self) {
        self.barrier.holds_up.store(true, Ordering::Release);
    }

    pub(super) fn let_go(&self) {
        self.barrier.holds_up.store(false, Ordering::Release);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.let_go();
    }
}

#[derive(Debug)]
pub(super) struct GatedPlace {
    place: FaultyPlace,
    barrier: Arc<Barrier>,
}

#[derive(Debug)]
struct Barrier {
    come: mpsc::Sender<()>,
    go: Mutex<mpsc::Receiver<Way>>,
    holds_up: AtomicBool,
    has_put: AtomicBool,
}

#[derive(Debug)]
struct GatedEngine {
    engine: Arc<dyn Engine>,
    barrier: Arc<Barrier>,
}

impl GatedPlace {
    pub(super) fn new(place: &FaultyPlace) -> (Self, Gate) {
        let (has_come, come) = mpsc::channel();
        let (go, goes) = mpsc::channel();
        let go_on = Mutex::new(Rank::Broker, goes);
        let barrier = Arc::new(Barrier {
            come: has_come,
            go: go_on,
            holds_up: AtomicBool::new(false),
            has_put: AtomicBool::new(false),
        });
        let gated = Self { place: place.clone(), barrier: Arc::clone(&barrier) };
        (gated, Gate { come, go, barrier })
    }
}

impl Place for GatedPlace {
    fn engine(&self) -> Arc<dyn Engine> {
        Arc::new(GatedEngine { engine: self.place.engine(), barrier: Arc::clone(&self.barrier) })
    }

    fn noted(&self) -> u64 {
        self.place.noted()
    }

    fn note(&self, group: u64) -> Result<(), EngineError> {
        self.place.note(group)
    }

    fn begin_generation(&self) -> Result<Arc<dyn Engine>, EngineError> {
        self.place.begin_generation()
    }

    fn switch_generation(&self) -> Result<(), EngineError> {
        self.place.switch_generation()
    }
}

impl Engine for GatedEngine {
    fn put(&self, key: Key, value: &[u8]) -> Result<(), EngineError> {
        self.barrier.has_put.store(true, Ordering::Release);
        self.engine.put(key, value)
    }

    fn remove(&self, key: Key) -> Result<(), EngineError> {
        self.engine.remove(key)
    }

    fn get(&self, key: Key) -> Result<Option<Vec<u8>>, EngineError> {
        self.engine.get(key)
    }

    fn scan(&self, each: Each<'_>) -> Result<(), EngineError> {
        self.engine.scan(each)
    }

    fn write(&self) -> Result<(), EngineError> {
        self.engine.write()
    }

    fn sync(&self) -> Result<(), EngineError> {
        // Who has gone does not want to know.
        let _ = self.barrier.come.send(());
        match self.barrier.go.lock().recv() {
            Ok(Way::Well) | Err(_) => self.engine.sync(),
            Ok(Way::Fails) => Err(EngineError::Failed("the disk is on fire".to_owned())),
            Ok(Way::Panics) => panic!("it was told to"),
        }
    }

    fn make_way(&self, bytes: usize) {
        self.engine.make_way(bytes);
    }

    fn tidy(&self) -> Result<bool, EngineError> {
        let barrier = &self.barrier;
        while barrier.has_put.load(Ordering::Acquire) && barrier.holds_up.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        self.engine.tidy()
    }

    fn size(&self) -> Result<u64, EngineError> {
        self.engine.size()
    }
}
