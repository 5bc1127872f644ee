//! The part of a connection that its channels share.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Waker,
};

use super::{
    channel_state::{self, ChannelConsumer, ChannelState, Remains},
    event::ChannelId,
    vhost_state::VhostState,
    waiting::{Waiting, wake_all},
};
use crate::{
    Error, ErrorKind, Name, Result,
    clock::HostDeadline,
    engine::{entity::OwnerId, queue::Settlement},
    sync::{Condvar, Mutex, Rank},
};

/// One connection to a virtual host.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    pub(crate) vhost: Arc<VhostState>,
    /// The owner of its exclusive queues.
    pub(crate) owner: OwnerId,
    pub(crate) user: Name,
    pub(crate) signal: Arc<Signal>,
    wants_cancel: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    channels: BTreeMap<u16, Arc<ChannelState>>,
    is_closed: bool,
    /// Whether closing is done, so that no more events arise.
    is_over: bool,
    error: Option<Error>,
    /// Whether the closing error is still to be taken as an event.
    announces: bool,
}

/// Whether a connection hears of consumers that end with their queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CancelNotify {
    Silent,
    Wanted,
}

/// Orders the events of all channels of a connection, and wakes who waits for any of them.
#[derive(Debug)]
pub(crate) struct Signal {
    /// Numbers events. Relaxed: the number is taken under the lock of the channel.
    next_stamp: AtomicU64,
    state: Mutex<SignalState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct SignalState {
    /// How often something has happened. Who has seen less looks again before it waits.
    wakes: u64,
    waiting: Waiting,
}

impl ConnectionState {
    pub(crate) fn new(vhost: Arc<VhostState>, user: Name, cancel_notify: CancelNotify) -> Self {
        let owner = OwnerId(vhost.context.next_number());
        let state = State {
            channels: BTreeMap::new(),
            is_closed: false,
            is_over: false,
            error: None,
            announces: false,
        };
        Self {
            vhost,
            owner,
            user,
            signal: Arc::new(Signal::new()),
            wants_cancel: cancel_notify == CancelNotify::Wanted,
            state: Mutex::new(Rank::Broker, state),
        }
    }

    /// Opens a channel under the lowest number that is free.
    pub(crate) fn open_channel(&self) -> Result<Arc<ChannelState>> {
        self.vhost.check_open()?;
        let limits = &self.vhost.context.limits;
        let mut state = self.state.lock();
        state.check_open()?;
        let number = (1..=limits.channels).find(|number| !state.channels.contains_key(number));
        let Some(number) = number else {
            let max = u64::from(limits.channels);
            let kind = ErrorKind::LimitExceeded { limit: "channels", max, found: max + 1 };
            return Err(Error::plain(kind));
        };
        let channel = Arc::new(ChannelState::new(
            ChannelId(number),
            Arc::clone(&self.vhost.context),
            Arc::clone(&self.signal),
            self.wants_cancel,
        ));
        state.channels.insert(number, Arc::clone(&channel));
        Ok(channel)
    }

    /// Closes a channel: what it had goes back to the queues, in order.
    pub(crate) fn close_channel(&self, channel: &Arc<ChannelState>, error: Option<Error>) {
        if let Some(remains) = channel.close(error) {
            self.withdraw(channel, &remains);
        }
    }

    /// Forgets a channel that nobody can ask for events any more.
    pub(crate) fn forget_channel(&self, channel: &Arc<ChannelState>) {
        let mut state = self.state.lock();
        let number = channel.id.0;
        if state.channels.get(&number).is_some_and(|known| Arc::ptr_eq(known, channel)) {
            state.channels.remove(&number);
        }
    }

    /// Closes the connection with all its channels, and deletes its exclusive queues. All channels
    /// are closed before the first gives anything back, so that none gets what another returns.
    pub(crate) fn close(&self, error: Option<&Error>) {
        let channels: Vec<_> = {
            let mut state = self.state.lock();
            if state.is_closed {
                return;
            }
            state.is_closed = true;
            state.error = error.cloned();
            state.announces = error.is_some();
            state.channels.values().cloned().collect()
        };
        let closed: Vec<_> = channels
            .iter()
            .filter_map(|channel| Some((channel, channel.close(error.cloned())?)))
            .collect();
        for (channel, remains) in &closed {
            self.withdraw(channel, remains);
        }
        self.vhost.delete_queues_of(self.owner);
        self.state.lock().is_over = true;
        self.signal.wake();
    }

    /// Ends all consumers of its channels. What was not taken from the outbox goes back.
    pub(crate) fn end_consumers(&self) {
        let channels: Vec<_> = self.state.lock().channels.values().cloned().collect();
        for channel in channels {
            end_consumers_of(&channel);
        }
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        self.state.lock().check_open()
    }

    pub(crate) fn error(&self) -> Option<Error> {
        self.state.lock().error.clone()
    }

    /// Whether it is closed with all its channels: no more events arise then.
    pub(crate) fn is_over(&self) -> bool {
        self.state.lock().is_over
    }

    /// The channel with the oldest event.
    pub(crate) fn channel_with_oldest_event(&self) -> Option<Arc<ChannelState>> {
        let channels: Vec<_> = self.state.lock().channels.values().cloned().collect();
        channels
            .into_iter()
            .filter_map(|channel| Some((channel.oldest_stamp()?, channel)))
            .min_by_key(|(stamp, _)| *stamp)
            .map(|(_, channel)| channel)
    }

    /// The error that closed the connection, once.
    pub(crate) fn take_announcement(&self) -> Option<Error> {
        let mut state = self.state.lock();
        if !std::mem::take(&mut state.announces) {
            return None;
        }
        state.error.clone()
    }

    fn withdraw(&self, channel: &Arc<ChannelState>, remains: &Remains) {
        for cell in &remains.cells {
            let consumers: Vec<_> = remains
                .consumers
                .iter()
                .filter(|consumer| Arc::ptr_eq(&consumer.cell, cell))
                .map(|consumer| consumer.id)
                .collect();
            cell.withdraw(&consumers, Settlement::Abandon, || channel.take_of(cell));
        }
        if let Some(address) = &remains.reply_address {
            self.vhost.forget_reply_address(address);
        }
    }
}

impl State {
    fn check_open(&self) -> Result<()> {
        match (&self.error, self.is_closed) {
            (Some(error), true) => Err(error.clone()),
            (None, true) => Err(Error::closed()),
            (_, false) => Ok(()),
        }
    }
}

impl Signal {
    fn new() -> Self {
        Self {
            next_stamp: AtomicU64::new(0),
            state: Mutex::new(Rank::Signal, SignalState::default()),
            changed: Condvar::default(),
        }
    }

    pub(crate) fn next_stamp(&self) -> u64 {
        self.next_stamp.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells whoever waits that there may be something. Runs other people's wakers.
    pub(crate) fn wake(&self) {
        let (threads, wakers) = {
            let mut state = self.state.lock();
            state.wakes += 1;
            (state.waiting.threads, state.waiting.take_wakers())
        };
        if threads > 0 {
            self.changed.notify_all();
        }
        wake_all(wakers);
    }

    /// How often something has happened so far: to be asked before looking.
    pub(crate) fn wakes(&self) -> u64 {
        self.state.lock().wakes
    }

    /// Waits until something has happened since `seen`. `false` when the time is over first.
    pub(crate) fn wait(&self, seen: u64, until: HostDeadline) -> bool {
        let mut state = self.state.lock();
        while state.wakes == seen {
            let Some(left) = until.left() else { return false };
            state.waiting.threads += 1;
            self.changed.wait_for(&mut state, left);
            state.waiting.threads -= 1;
        }
        true
    }

    /// Has a task woken when something happens. `false` if something has since `seen`.
    pub(crate) fn register(&self, seen: u64, waker: Waker) -> bool {
        let registered = {
            let mut state = self.state.lock();
            if state.wakes != seen {
                return false;
            }
            state.waiting.register(waker)
        };
        drop(registered);
        true
    }
}

/// Ends all consumers of a channel. What was not taken from the outbox goes back.
pub(crate) fn end_consumers_of(channel: &ChannelState) {
    for (tag, ChannelConsumer { cell, id }) in channel.take_consumers() {
        let mut retracted = Vec::new();
        cell.withdraw(&[id], Settlement::ReturnUnseen, || {
            let (keys, deliveries) = channel.take_untaken_of(&cell);
            retracted = deliveries;
            keys
        });
        drop(retracted);
        channel.announce_cancel(&tag);
    }
    channel.tell_who_waits_for_room();
}

/// Settles what was taken out of a channel, and lets those go on that waited. Several deliveries
/// go group by group, and the queue is served after each of them, as in `RabbitMQ`.
pub(crate) fn settle(
    channel: &ChannelState,
    taken: &[(u64, channel_state::Outstanding)],
    settlement: Settlement,
) {
    let resumed = channel.release(taken);
    if let [(_, single)] = taken {
        single.cell.settle(&[single.key], settlement);
    } else {
        let mut ordered: Vec<_> = taken.iter().map(|(_, outstanding)| outstanding).collect();
        ordered.sort_by(|one, other| one.group().cmp(&other.group()));
        for group in ordered.chunk_by(|one, other| one.group() == other.group()) {
            let keys: Vec<_> = group.iter().map(|outstanding| outstanding.key).collect();
            if let Some(first) = group.first() {
                first.cell.settle(&keys, settlement);
            }
        }
    }
    channel_state::resume(resumed);
}
