//! Where a queue puts what it hands to a consumer of the handle tier.
//!
//! The queue pushes under its own lock; threads and tasks take out under the mailbox's. A message
//! in here is unacked. Everything in the mailbox is visible to all who share the consumer until
//! one of them takes it.
//!
//! Invariant: once ended, the mailbox is empty and stays so.

use std::{
    collections::VecDeque,
    sync::OnceLock,
    task::{Context, Poll},
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender};

use super::waiting::Waiting;
use crate::{
    broker::consumer::{EndReason, RecvError, RecvTimeoutError, TryRecvError},
    clock::HostDeadline,
    engine::queue::{Handed, UnackedKey},
    sync::{Condvar, Mutex, MutexGuard, Rank},
};

/// A message in a mailbox, and how to settle it.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) message: Handed,
    pub(crate) key: UnackedKey,
}

/// How far a consumer may lag behind what is pushed to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lag {
    /// By so many messages; then the oldest gives way.
    AtMost(u32),
    /// As far as its prefetch lets it.
    Unbounded,
}

/// What putting a message in leaves to do.
#[derive(Debug)]
pub(crate) struct Pushed {
    /// Somebody has to be woken, by [`Mailbox::wake`] and after all locks are let go.
    pub(crate) wakes: bool,
    /// The oldest message, which gave way.
    pub(crate) displaced: Option<Parcel>,
}

/// The mailbox of one consumer.
#[derive(Debug)]
pub(crate) struct Mailbox {
    lag: Lag,
    state: Mutex<State>,
    changed: Condvar,
    /// Made when somebody first asks for it; see [`Mailbox::ready`].
    token: OnceLock<Receiver<()>>,
}

#[derive(Debug, Default)]
struct State {
    parcels: VecDeque<Parcel>,
    ended: Option<EndReason>,
    waiting: Waiting,
    /// How many messages gave way.
    lost: u64,
    /// The other end of the token, until the mailbox ends.
    token: Option<Sender<()>>,
}

impl Mailbox {
    pub(crate) fn new(lag: Lag) -> Self {
        Self {
            lag,
            state: Mutex::new(Rank::Outlet, State::default()),
            changed: Condvar::default(),
            token: OnceLock::new(),
        }
    }

    /// Puts a message in. Called under the lock of the queue.
    #[must_use]
    pub(crate) fn push(&self, parcel: Parcel) -> Pushed {
        let mut state = self.state.lock();
        let displaced = match self.lag {
            Lag::AtMost(most) if state.parcels.len() >= most as usize => {
                let displaced = state.parcels.pop_front();
                state.lost += u64::from(displaced.is_some());
                displaced
            }
            Lag::AtMost(_) | Lag::Unbounded => None,
        };
        state.parcels.push_back(parcel);
        Pushed { wakes: state.waiting.anyone() || state.token.is_some(), displaced }
    }

    /// Ends it and gives out what nobody took. Whoever waits has to be woken.
    pub(crate) fn end(&self, reason: EndReason) -> VecDeque<Parcel> {
        let mut state = self.state.lock();
        state.ended.get_or_insert(reason);
        state.token = None;
        std::mem::take(&mut state.parcels)
    }

    /// Wakes who waits. Runs other people's wakers, so no lock may be held.
    pub(crate) fn wake(&self) {
        let (wakers, threads, token) = {
            let mut state = self.state.lock();
            let wakers = state.waiting.take_wakers();
            let threads = match state.ended {
                Some(_) => state.waiting.threads,
                None => state.parcels.len().min(state.waiting.threads),
            };
            (wakers, threads, state.token.clone())
        };
        for _ in 0..threads {
            self.changed.notify_one();
        }
        for waker in wakers {
            waker.wake();
        }
        if let Some(token) = token {
            // A full token channel already says what this would.
            let _ = token.try_send(());
        }
    }

    pub(crate) fn try_take(&self) -> Result<Parcel, TryRecvError> {
        self.state.lock().take()
    }

    /// Waits for a message.
    pub(crate) fn take(&self, until: HostDeadline) -> Result<Parcel, RecvTimeoutError> {
        let mut state = self.state.lock();
        loop {
            match state.take() {
                Ok(parcel) => return Ok(parcel),
                Err(TryRecvError::Ended(reason)) => return Err(RecvTimeoutError::Ended(reason)),
                Err(TryRecvError::Empty) => {}
            }
            let Some(left) = until.left() else { return Err(RecvTimeoutError::Timeout) };
            self.wait(&mut state, left);
        }
    }

    /// Waits for a first message and takes what is there then, up to `max`.
    pub(crate) fn take_batch(
        &self,
        into: &mut Vec<Parcel>,
        max: usize,
        until: HostDeadline,
    ) -> Result<(), RecvTimeoutError> {
        if max == 0 {
            return Ok(());
        }
        into.push(self.take(until)?);
        let mut state = self.state.lock();
        let more = state.parcels.len().min(max - 1);
        into.extend(state.parcels.drain(..more));
        Ok(())
    }

    /// Takes a message, or has the task woken when there is one.
    pub(crate) fn poll_take(&self, cx: &Context<'_>) -> Poll<Result<Parcel, RecvError>> {
        // Cloned and dropped outside of the lock, since wakers are somebody else's code.
        let waker = cx.waker().clone();
        let (taken, _spare) = {
            let mut state = self.state.lock();
            match state.take() {
                Err(TryRecvError::Empty) => (None, state.waiting.register(waker)),
                taken => (Some(taken), Some(waker)),
            }
        };
        match taken {
            None | Some(Err(TryRecvError::Empty)) => Poll::Pending,
            Some(Ok(parcel)) => Poll::Ready(Ok(parcel)),
            Some(Err(TryRecvError::Ended(reason))) => Poll::Ready(Err(RecvError(reason))),
        }
    }

    /// A channel that has a token when messages may wait, and disconnects at the end.
    pub(crate) fn ready(&self) -> &Receiver<()> {
        self.token.get_or_init(|| {
            let (sender, receiver) = crossbeam_channel::bounded(1);
            let mut state = self.state.lock();
            if !state.parcels.is_empty() {
                // The channel is new, so it has room.
                let _ = sender.try_send(());
            }
            if state.ended.is_none() {
                state.token = Some(sender);
            }
            receiver
        })
    }

    pub(crate) fn lost(&self) -> u64 {
        self.state.lock().lost
    }

    pub(crate) fn ended(&self) -> Option<EndReason> {
        self.state.lock().ended
    }

    fn wait(&self, state: &mut MutexGuard<'_, State>, left: Duration) {
        state.waiting.threads += 1;
        if left == Duration::MAX {
            self.changed.wait(state);
        } else {
            self.changed.wait_for(state, left);
        }
        state.waiting.threads -= 1;
    }
}

impl State {
    fn take(&mut self) -> Result<Parcel, TryRecvError> {
        match (self.parcels.pop_front(), self.ended) {
            (Some(parcel), _) => Ok(parcel),
            (None, Some(reason)) => Err(TryRecvError::Ended(reason)),
            (None, None) => Err(TryRecvError::Empty),
        }
    }
}
