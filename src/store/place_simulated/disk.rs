//! The disk below simulated places.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    SimulatedPlace,
    fault::Fault,
    image::{Change, Image, Tearing, crashed},
};
use crate::{
    store::{
        engine::{EngineError, Key},
        proof::dice::Dice,
    },
    sync::{Mutex, MutexGuard, Rank},
};

/// So many notes may be lost.
const NOTES_MAX: usize = 4;

/// A simulated disk. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Disk(Arc<Mutex<State>>);

/// How far a change has got that is not durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Not beyond the process.
    Process,
    /// To the host.
    Host,
    /// To the host, which has failed to make it durable, and will not try again. It shows it as
    /// long as the process lives.
    Lost,
}

#[derive(Debug)]
pub(super) struct State {
    /// What a power cut leaves for sure.
    durable: Image,
    /// What can be read.
    present: Image,
    /// What has been done to `present` and not to `durable`.
    pending: Vec<(Change, Reach)>,
    begun: Option<u64>,
    newest: u64,
    /// How many use each generation.
    users: BTreeMap<u64, u64>,
    /// How many bytes each generation has been given.
    grown: BTreeMap<u64, u64>,
    /// How many crashes there have been. Places of former lives are refused.
    life: u64,
    /// How many operations there have been in this life.
    operations: u64,
    /// From which operation on the process is as good as dead.
    stop: Option<u64>,
    fault: Option<Fault>,
    /// Whether the fault has been met.
    is_met: bool,
    dice: Dice,
    tearing: Tearing,
    /// Whether syncs are syncs.
    syncs: bool,
}

impl Disk {
    pub(crate) fn new(seed: u64) -> Self {
        let state = State {
            durable: Image::new(),
            present: Image::new(),
            pending: Vec::new(),
            begun: None,
            newest: 1,
            users: BTreeMap::new(),
            grown: BTreeMap::new(),
            life: 0,
            operations: 0,
            stop: None,
            fault: None,
            is_met: false,
            dice: Dice::new(seed),
            tearing: Tearing::Never,
            syncs: true,
        };
        Self(Arc::new(Mutex::new(Rank::Place, state)))
    }

    pub(crate) fn open(&self) -> SimulatedPlace {
        let mut state = self.state();
        state.life += 1;
        state.operations = 0;
        state.begun = None;
        state.settle(|_| true);
        state.durable.clear_left_overs();
        state.pending.clear();
        state.present = state.durable.clone();
        SimulatedPlace { disk: self.clone(), life: state.life }
    }

    /// After so many operations of its next life the process is as good as dead: whatever it does
    /// then fails, and does nothing. Nobody knows that before a [`kill`](Self::kill) or a
    /// [`cut`](Self::cut).
    pub(crate) fn stop_after(&self, operations: u64) {
        self.state().stop = Some(operations);
    }

    /// Lets something go wrong, in every life from now on.
    pub(crate) fn set_fault(&self, fault: Option<Fault>) {
        let mut state = self.state();
        state.fault = fault;
        state.is_met = false;
    }

    /// Whether what was to go wrong has gone wrong.
    pub(crate) fn has_met_fault(&self) -> bool {
        self.state().is_met
    }

    /// How many operations there have been since it was opened.
    pub(crate) fn operations(&self) -> u64 {
        self.state().operations
    }

    /// What is written stays, and of the rest some.
    pub(crate) fn kill(&self) {
        let mut state = self.state();
        let pending = std::mem::take(&mut state.pending);
        let kept: Vec<_> = pending
            .into_iter()
            .filter_map(|(change, reach)| match reach {
                Reach::Process => state.dice.one_in(2).then_some((change, Reach::Host)),
                Reach::Host | Reach::Lost => Some((change, reach)),
            })
            .collect();
        let mut left = state.durable.clone();
        for (change, _) in &kept {
            left.apply(change);
        }
        state.pending = kept;
        state.crash(left);
    }

    /// What is durable stays, and of the rest some, in any order.
    pub(crate) fn cut(&self) {
        let mut state = self.state();
        let mut pending: Vec<_> = std::mem::take(&mut state.pending);
        let often = 1 + state.dice.below(4);
        pending.retain(|(_, reach)| *reach != Reach::Lost && state.dice.below(5) < often);
        let mut pending: Vec<_> = pending.into_iter().map(|(change, _)| change).collect();
        if state.dice.one_in(2) {
            state.dice.shuffle(&mut pending);
        }
        for change in pending {
            let is_torn = state.tearing == Tearing::Sometimes && state.dice.one_in(4);
            let change = if is_torn { change.torn(&mut state.dice) } else { change };
            state.durable.apply(&change);
        }
        let left = state.durable.clone();
        state.crash(left);
    }

    /// From now on the process is as good as dead.
    pub(crate) fn halt(&self) {
        let mut state = self.state();
        state.stop = Some(0);
    }

    /// Lets syncs be syncs, or mere writes.
    pub(crate) fn set_sync(&self, syncs: bool) {
        self.state().syncs = syncs;
    }

    /// How values are met by power cuts from now on.
    pub(crate) fn set_tearing(&self, tearing: Tearing) {
        self.state().tearing = tearing;
    }

    /// The keys of the present generation.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let state = self.state();
        let values = state.present.values(state.present.generation);
        values.into_iter().map(|(key, _)| key).collect()
    }

    pub(crate) fn value(&self, key: Key) -> Vec<u8> {
        let state = self.state();
        state.present.get(state.present.generation, key).unwrap()
    }

    /// Changes a value, or takes it out, as damage does: at once and for good.
    pub(crate) fn damage(&self, key: Key, value: Option<Vec<u8>>) {
        let mut state = self.state();
        let generation = state.present.generation;
        let change = match value {
            Some(value) => Change::Put(generation, key, value),
            None => Change::Remove(generation, key),
        };
        state.present.apply(&change);
        state.durable.apply(&change);
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

impl State {
    pub(super) fn present(&self) -> &Image {
        &self.present
    }

    pub(super) fn begun(&self) -> Option<u64> {
        self.begun
    }

    /// As of a log that grows with each change and is tidied up by nobody.
    pub(super) fn size(&self, generation: u64) -> u64 {
        self.grown.get(&generation).copied().unwrap_or_default()
    }

    /// Counts an operation, and fails what is to fail.
    pub(super) fn begin(&mut self, life: u64) -> Result<(), EngineError> {
        if !self.is_alive(life) {
            return Err(crashed());
        }
        let number = self.operations;
        self.operations += 1;
        if !self.is_alive(life) {
            return Err(crashed());
        }
        match self.fault.as_ref().and_then(|fault| fault.at(number)) {
            Some(error) => {
                self.is_met = true;
                Err(error)
            }
            None => Ok(()),
        }
    }

    pub(super) fn change(&mut self, change: Change) {
        if let Change::Put(generation, _, value) = &change {
            *self.grown.entry(*generation).or_default() += u64::try_from(value.len()).unwrap() + 16;
        }
        self.present.apply(&change);
        // Notes are written at once, and stay if the process ends.
        if change.is_note() {
            self.write_back_notes();
        }
        let reach = if change.is_note() { Reach::Host } else { Reach::Process };
        self.pending.push((change, reach));
    }

    /// The host writes old notes by itself sooner or later.
    fn write_back_notes(&mut self) {
        let notes = self.pending.iter().filter(|(change, _)| change.is_note()).count();
        if notes >= NOTES_MAX
            && let Some(oldest) = self.pending.iter().position(|(change, _)| change.is_note())
        {
            let (oldest, _) = self.pending.remove(oldest);
            self.durable.apply(&oldest);
        }
    }

    pub(super) fn write(&mut self, generation: u64) {
        for (change, reach) in &mut self.pending {
            if *reach == Reach::Process && change.is_of(generation) {
                *reach = Reach::Host;
            }
        }
    }

    /// Whether nothing of a generation is still in the process.
    pub(super) fn is_written(&self, life: u64, generation: u64) -> bool {
        let is_unwritten = |(change, reach): &(Change, Reach)| {
            *reach == Reach::Process && change.is_of(generation)
        };
        self.is_alive(life) && !self.pending.iter().any(is_unwritten)
    }

    pub(super) fn sync(&mut self, generation: u64) {
        if self.syncs {
            self.settle(|change| change.is_of(generation));
        } else {
            self.write(generation);
        }
    }

    /// Makes some changes durable, in their order.
    pub(super) fn settle(&mut self, which: impl Fn(&Change) -> bool) {
        let pending = std::mem::take(&mut self.pending);
        for (change, reach) in pending {
            if which(&change) && reach != Reach::Lost {
                self.durable.apply(&change);
            } else {
                self.pending.push((change, reach));
            }
        }
    }

    /// A write has failed: some of what it was about is written.
    pub(super) fn half_write(&mut self, life: u64, generation: u64) {
        if !self.is_alive(life) {
            return;
        }
        for (change, reach) in &mut self.pending {
            if *reach == Reach::Process && change.is_of(generation) && self.dice.one_in(2) {
                *reach = Reach::Host;
            }
        }
    }

    /// A sync has failed: of each change before it nobody knows whether it is durable by now, may
    /// become so, or never will.
    pub(super) fn half_sync(&mut self, life: u64, generation: u64) {
        if !self.is_alive(life) {
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        for (change, reach) in pending {
            let fate = if change.is_of(generation) { self.dice.below(4) } else { 0 };
            match fate {
                0 => self.pending.push((change, reach)),
                1 if reach != Reach::Lost => self.durable.apply(&change),
                2 if reach == Reach::Process => self.pending.push((change, Reach::Host)),
                _ => self.pending.push((change, Reach::Lost)),
            }
        }
    }

    /// What was not written since there was space is gone, but for some of it.
    pub(super) fn forget_unwritten(&mut self, generation: u64) {
        let pending = std::mem::take(&mut self.pending);
        for (change, reach) in pending {
            let is_unwritten = reach == Reach::Process && change.is_of(generation);
            if !is_unwritten || self.dice.one_in(3) {
                self.pending.push((change, reach));
            }
        }
        self.present = self.durable.clone();
        for (change, _) in &self.pending {
            self.present.apply(change);
        }
    }

    pub(super) fn begin_generation(&mut self) -> u64 {
        self.newest += 1;
        self.begun = Some(self.newest);
        for image in [&mut self.present, &mut self.durable] {
            image.generations.insert(self.newest, BTreeMap::new());
        }
        self.newest
    }

    pub(super) fn enter(&mut self, generation: u64) {
        *self.users.entry(generation).or_default() += 1;
    }

    /// A generation that nobody uses and nothing names is gone.
    pub(super) fn leave(&mut self, generation: u64) {
        let users = self.users.entry(generation).or_default();
        *users -= 1;
        let is_named = self.begun == Some(generation)
            || self.present.generation == generation
            || self.durable.generation == generation;
        if *users == 0 && !is_named {
            self.pending.retain(|(change, _)| !change.is_of(generation));
            for image in [&mut self.present, &mut self.durable] {
                image.generations.remove(&generation);
            }
        }
    }

    /// Both images change at one blow. What was not synced of the new one stays pending.
    pub(super) fn switch(&mut self, generation: u64) {
        self.begun = None;
        for image in [&mut self.present, &mut self.durable] {
            image.generation = generation;
        }
    }

    /// Whether a switch that has failed took place all the same.
    pub(super) fn is_switched_though_failed(&mut self, life: u64) -> bool {
        life == self.life && self.dice.one_in(2)
    }

    fn is_alive(&self, life: u64) -> bool {
        life == self.life && self.stop.is_none_or(|stop| self.operations <= stop)
    }

    fn crash(&mut self, left: Image) {
        self.life += 1;
        self.stop = None;
        self.present = left;
    }
}
