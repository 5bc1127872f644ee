//! Where a queue puts what it hands to a consumer of the handle tier.
//!
//! There are two parts. The *tray* belongs to the queue and lies under its lock: messages are put
//! in there, and who waits for them is noted there. The *mailbox* belongs to the consumer: a thread
//! that finds it empty takes everything out of the tray at once, so that receiving and publishing
//! seldom meet. A message in either is unacked, and visible to all who share the consumer until one
//! of them receives it. What is in the mailbox is older than what is in the tray.
//!
//! Invariant: while anyone waits, nothing is taken at once, so the mailbox is empty. Once ended,
//! both are empty and stay so.

use std::{
    collections::VecDeque,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    task::Waker,
};

use crossbeam_channel::{Receiver, Sender};

use super::{
    consumer::EndReason,
    waiting::{Waiting, wake_all},
};
use crate::{
    Name,
    engine::queue::{Attention, Handed, Held, UnackedKey},
    sync::{Condvar, Mutex, MutexGuard, Rank},
};

/// Room for so many messages is kept when a mailbox has run empty.
const KEPT_PARCELS: usize = 1_024;

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

/// What receiving does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receipt {
    /// It settles the delivery.
    Acks,
    /// It hands over the duty to settle.
    Hands,
}

/// How much of a tray is taken out at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taking {
    AtOnce,
    /// One by one, since the queue has to know what nobody has received: it may give way, is
    /// settled by being received, or goes back by itself.
    Singly,
}

impl Taking {
    pub(crate) fn new(lag: Lag, receipt: Receipt, has_leases: bool) -> Self {
        if lag == Lag::Unbounded && receipt == Receipt::Hands && !has_leases {
            Self::AtOnce
        } else {
            Self::Singly
        }
    }
}

/// The consumer's part.
#[derive(Debug)]
pub(crate) struct Mailbox {
    taken: Mutex<Taken>,
    /// To be waited for with the lock of the queue.
    pub(crate) arrived: Condvar,
    arrivals: Arrivals,
    ended: OnceLock<EndReason>,
    /// How many messages gave way. A plain counter: it orders nothing else.
    lost: AtomicU64,
    /// Made when somebody first asks for it.
    pub(crate) token: OnceLock<Receiver<()>>,
}

/// How many messages were put into the tray, and one more for the end. A hint for those who look
/// again and again; nothing hangs on it. It lies apart from what the consumer writes to.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Arrivals(AtomicU64);

/// What was taken out of the tray and is received next, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    parcels: VecDeque<Parcel>,
    /// How much had arrived when the tray was last left empty with credit to spare. As long as no
    /// more has, there is nothing to be had, whatever acks the queue has not been told.
    idle_since: Option<u64>,
}

/// The queue's part.
#[derive(Debug)]
pub(crate) struct Tray {
    /// Of the consumer.
    pub(crate) tag: Name,
    pub(crate) mailbox: Arc<Mailbox>,
    lag: Lag,
    taking: Taking,
    parcels: VecDeque<Parcel>,
    pub(crate) waiting: Waiting,
    /// The other end of the token.
    pub(crate) token: Option<Sender<()>>,
    /// Whether settlements are told at once because somebody waits here.
    pub(crate) is_urgent: bool,
}

/// Someone to wake once no lock is held.
#[derive(Debug)]
pub(crate) struct Ring {
    mailbox: Arc<Mailbox>,
    wakers: Vec<Waker>,
    token: Option<Sender<()>>,
}

impl Mailbox {
    pub(crate) fn new() -> Self {
        Self {
            taken: Mutex::new(Rank::Hand, Taken::default()),
            arrived: Condvar::default(),
            arrivals: Arrivals::default(),
            ended: OnceLock::new(),
            lost: AtomicU64::new(0),
            token: OnceLock::new(),
        }
    }

    pub(crate) fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock()
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(crate) fn ended(&self) -> Option<EndReason> {
        self.ended.get().copied()
    }

    /// How much has arrived so far.
    pub(crate) fn arrivals(&self) -> u64 {
        self.arrivals.0.load(Ordering::Relaxed)
    }

    /// Notes the end, unless it has been noted. Called under the lock of the queue, when it takes
    /// the tray away.
    pub(crate) fn end(&self, reason: EndReason) {
        let _ = self.ended.set(reason);
        self.note_arrival();
    }
}

impl Mailbox {
    /// Called under the lock of the queue, so nobody else counts at the same time.
    #[inline]
    fn note_arrival(&self) {
        self.arrivals.0.store(self.arrivals() + 1, Ordering::Relaxed);
    }
}

impl Parcel {
    pub(crate) fn into_parts(self) -> (UnackedKey, Held) {
        (self.key, self.message.held)
    }
}

impl Taken {
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Parcel> {
        let parcel = self.parcels.pop_front()?;
        if self.parcels.is_empty() && self.parcels.capacity() > KEPT_PARCELS {
            self.parcels = VecDeque::new();
        }
        Some(parcel)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    /// Whether nothing can be had, of all that has arrived so far.
    pub(crate) fn is_idle(&self, arrivals: u64) -> bool {
        self.parcels.is_empty() && self.idle_since == Some(arrivals)
    }

    /// Takes out everything, to be given back.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (UnackedKey, Held)> {
        self.parcels.drain(..).map(Parcel::into_parts)
    }

    /// Takes up to so many, and says how many those are.
    pub(crate) fn take(&mut self, max: usize, put: impl FnMut(Parcel)) -> usize {
        let count = self.parcels.len().min(max);
        self.parcels.drain(..count).for_each(put);
        count
    }
}

impl Tray {
    pub(crate) fn new(tag: Name, mailbox: Arc<Mailbox>, lag: Lag, taking: Taking) -> Self {
        Self {
            tag,
            mailbox,
            lag,
            taking,
            parcels: VecDeque::new(),
            waiting: Waiting::default(),
            token: None,
            is_urgent: false,
        }
    }

    /// Puts a message in; the oldest comes back if it has to give way.
    #[inline]
    pub(crate) fn put(&mut self, parcel: Parcel) -> Option<Parcel> {
        self.parcels.push_back(parcel);
        self.mailbox.note_arrival();
        match self.lag {
            Lag::AtMost(most) => self.make_room(most),
            Lag::Unbounded => None,
        }
    }

    #[cold]
    fn make_room(&mut self, most: u32) -> Option<Parcel> {
        if self.parcels.len() <= most.max(1) as usize {
            return None;
        }
        self.mailbox.lost.fetch_add(1, Ordering::Relaxed);
        self.parcels.pop_front()
    }

    /// Takes out everything, to be given back.
    pub(crate) fn take_all(&mut self) -> Vec<(UnackedKey, Held)> {
        self.parcels.drain(..).map(Parcel::into_parts).collect()
    }

    /// Takes the next message, and what is behind it as well if nobody waits for that.
    #[inline]
    pub(crate) fn take(&mut self, taken: &mut Taken) -> Option<Parcel> {
        if self.taking == Taking::AtOnce && !self.is_urgent {
            debug_assert!(taken.is_empty(), "what is in the mailbox comes first");
            std::mem::swap(&mut self.parcels, &mut taken.parcels);
            taken.next()
        } else {
            self.next()
        }
    }

    /// Takes the next message and nothing else.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Parcel> {
        self.parcels.pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    /// Notes that its consumer has credit to spare. Called under the lock of the queue.
    #[inline]
    pub(crate) fn note_credit(&self, taken: &mut Taken) {
        taken.idle_since = self.parcels.is_empty().then(|| self.mailbox.arrivals());
    }

    /// Whether anyone waits for a message.
    #[inline]
    pub(crate) fn attention(&self) -> Attention {
        if self.waiting.anyone() || self.token.is_some() {
            Attention::Somebody
        } else {
            Attention::Nobody
        }
    }

    /// Whoever waits for a message, after one was put in.
    pub(crate) fn ring(&mut self) -> Option<Ring> {
        (self.attention() == Attention::Somebody).then(|| Ring {
            mailbox: Arc::clone(&self.mailbox),
            wakers: self.waiting.take_wakers(),
            token: self.token.clone(),
        })
    }

    /// What nobody has received, oldest first: what is in the mailbox, then what is in here.
    pub(crate) fn unreceived(&mut self, taken: &mut Taken) -> Vec<(UnackedKey, Held)> {
        taken.drain().chain(self.take_all()).collect()
    }

    /// Tells all who wait that it has ended, and drops what is left. No lock may be held.
    pub(crate) fn close(mut self) {
        let taken = std::mem::take(&mut self.mailbox.taken().parcels);
        self.mailbox.arrived.notify_all();
        wake_all(self.waiting.take_wakers());
        drop((taken, self.parcels));
    }
}

impl Ring {
    /// Runs other people's wakers, so no lock may be held.
    pub(crate) fn ring(self) {
        self.mailbox.arrived.notify_one();
        wake_all(self.wakers);
        if let Some(token) = self.token {
            // A full token channel already says what this would.
            let _ = token.try_send(());
        }
    }
}
