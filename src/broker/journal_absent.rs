//! The place of the journal in a broker that cannot have a store.
//!
//! There is never a journal, so nothing of this is ever called, and the compiler sees that: what
//! asks for one costs nothing.

#![expect(
    clippy::needless_pass_by_ref_mut,
    clippy::unnecessary_wraps,
    clippy::unused_self,
    reason = "these are the calls of the journal that there is with a store"
)]

use std::sync::Arc;

use crate::{
    Error, Message, Name, PublishReason, RecoveryReport,
    clock::{Clock, HostDeadline},
    engine::{
        definition::{ExchangeDefinition, QueueDefinition},
        ids::Seq,
        queue::{Staged, Staging},
        topology::BindingSpec,
    },
};

use super::{
    broker_state::BrokerState, confirm::Durability, exchange_cell::Target, store_stats::StoreStats,
};

/// There is none.
#[derive(Debug)]
pub(crate) enum Journal {}

/// None can be asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoreOptions(());

/// Nothing was opened.
#[derive(Debug)]
pub(crate) struct Opened;

/// Everything is where it ever will be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(());

impl Position {
    pub(crate) const NONE: Self = Self(());
}

/// There is none.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StoredExchange {}

/// There is none.
#[derive(Debug)]
pub(crate) enum StoredQueue {}

/// There is none.
#[derive(Debug)]
pub(crate) enum StoredVhost {}

/// Nobody listens.
#[derive(Debug, Default)]
pub(crate) struct Story(());

impl StoreOptions {
    pub(crate) fn open(self, _: &Clock, _: u64) -> Result<Opened, Error> {
        Ok(Opened)
    }
}

impl Opened {
    pub(crate) fn default_vhost(&self) -> Option<StoredVhost> {
        None
    }

    pub(crate) fn take_journal(&mut self) -> Option<Journal> {
        None
    }

    pub(crate) fn restore(self, _: &Arc<BrokerState>) -> Result<RecoveryReport, Error> {
        Ok(RecoveryReport::default())
    }
}

impl Journal {
    pub(crate) fn note(&self, _: &StoredQueue, _: &[Staged]) -> Position {
        match *self {}
    }

    pub(crate) fn note_settled(&self, _: &StoredQueue, _: Seq) {
        match *self {}
    }

    pub(crate) fn step<R>(&self, _: impl FnOnce() -> R) -> (R, Position) {
        match *self {}
    }

    pub(crate) fn is_at_step(&self) -> bool {
        match *self {}
    }

    pub(crate) fn let_go(&self) {
        match *self {}
    }

    pub(crate) fn check_accepts(&self, _: u64) -> Result<(), PublishReason> {
        match *self {}
    }

    pub(crate) fn check_works(&self) -> Result<(), Error> {
        match *self {}
    }

    pub(crate) fn poll(&self, _: Position) -> Option<Result<(), Error>> {
        match *self {}
    }

    pub(crate) fn position(&self) -> Position {
        match *self {}
    }

    pub(crate) fn durability(&self) -> Durability {
        match *self {}
    }

    pub(crate) fn add_vhost(&self, _: &Name) -> (Option<StoredVhost>, Position) {
        match *self {}
    }

    pub(crate) fn fetch(&self, _: &StoredQueue, _: Seq) -> Option<Message> {
        match *self {}
    }

    pub(crate) fn check_readable(&self) -> Result<(), Error> {
        match *self {}
    }

    pub(crate) fn stats(&self) -> StoreStats {
        match *self {}
    }

    pub(crate) fn note_use(&self, _: &StoredQueue) -> Position {
        match *self {}
    }

    pub(crate) fn note_rest(&self, _: &StoredQueue) {
        match *self {}
    }

    pub(crate) fn close(&self, _: HostDeadline) -> u64 {
        match *self {}
    }
}

impl StoredQueue {
    pub(crate) fn staging(&self) -> Staging {
        match *self {}
    }

    pub(crate) fn keeps(&self, _: bool) -> bool {
        match *self {}
    }

    pub(crate) fn end_later(&self, _: Story) {
        match *self {}
    }

    pub(crate) fn take_ending(&self) -> Story {
        match *self {}
    }
}

impl Story {
    pub(crate) fn add_exchange(
        &mut self,
        journal: &Journal,
        _: &StoredVhost,
        _: &Name,
        _: &ExchangeDefinition,
    ) -> Option<StoredExchange> {
        match *journal {}
    }

    pub(crate) fn add_queue(
        &mut self,
        journal: &Journal,
        _: &StoredVhost,
        _: &Name,
        _: &QueueDefinition,
    ) -> Option<StoredQueue> {
        match *journal {}
    }

    pub(crate) fn bind(
        &mut self,
        journal: &Journal,
        _: &StoredVhost,
        _: &BindingSpec,
        _: (&Target, &Target),
    ) {
        match *journal {}
    }

    pub(crate) fn unbind(&mut self, stored: &StoredVhost, _: &BindingSpec) {
        match *stored {}
    }

    pub(crate) fn remove_exchange(&mut self, stored: StoredExchange) {
        match stored {}
    }

    pub(crate) fn remove_queue(&mut self, stored: &StoredQueue) {
        match *stored {}
    }

    pub(crate) fn remove_vhost(&mut self, stored: &StoredVhost) {
        match *stored {}
    }

    pub(crate) fn tell(self, journal: &Journal) -> Position {
        match *journal {}
    }
}
