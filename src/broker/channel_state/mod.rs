//! The part of a channel that queues and callers meet at: its outbox, its delivery tags, its
//! window and its mode, all behind one lock.
//!
//! The lock is a leaf: queues take it while they hold theirs, so nothing in here ever calls a
//! queue. What has to happen to queues is returned.
//!
//! Invariant: a channel that is closed takes no credit. A message that was under way to it at that
//! moment is still noted under its tag, and whoever closes the channel finds it there when it has
//! taken the consumer off the queue.

mod publishing;
mod settling;

use std::{
    collections::{BTreeMap, VecDeque, btree_map::Entry},
    sync::{Arc, Weak},
    task::{Context as TaskContext, Poll},
};

use super::{
    cell::QueueCell,
    connection_state::Signal,
    context::Context,
    event::{ChannelId, Delivered, DeliveryTag, Event},
    outbox::Outbox,
    tx::TxBuffer,
    waiting::{Registered, Waiting, wake_all},
};
use crate::{
    Error, Name, Result,
    clock::HostDeadline,
    engine::{
        channel::{Tags, Window},
        queue::{AckMode, ConsumerId, Handed, Held, UnackedKey},
    },
    sync::{Condvar, Mutex, Rank},
};

pub(crate) use self::publishing::Begun;
use self::publishing::Unconfirmed;

/// One channel, as its queues see it.
#[derive(Debug)]
pub(crate) struct ChannelState {
    pub(crate) id: ChannelId,
    pub(crate) context: Arc<Context>,
    /// Wakes who waits for events of the connection as a whole, and numbers them.
    signal: Arc<Signal>,
    /// Whether the client wants to know of consumers that end.
    wants_cancel: bool,
    state: Mutex<State>,
    changed: Condvar,
}

/// What is outstanding under a delivery tag.
#[derive(Clone, Debug)]
pub(crate) struct Outstanding {
    pub(crate) cell: Arc<QueueCell>,
    pub(crate) key: UnackedKey,
    origin: Origin,
}

/// How a delivery came about: got, under this tag, or delivered to the consumer of this tag.
/// Settling what was got gives the window no room back.
///
/// Invariant: the order is that in which `RabbitMQ` settles them, whose terms have numbers before
/// strings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Get(u64),
    Consumer(Name),
}

impl Outstanding {
    /// Deliveries of one group are settled in one step. Groups go in order: by the name of the
    /// queue and the tag of the consumer, where each that was got is a group of its own. Of one
    /// name there may be several queues, of which all but one are deleted.
    pub(crate) fn group(&self) -> impl Ord {
        (&self.cell.name, &self.origin, self.cell.slot())
    }
}

/// A consumer of the channel.
#[derive(Clone, Debug)]
pub(crate) struct ChannelConsumer {
    pub(crate) cell: Arc<QueueCell>,
    pub(crate) id: ConsumerId,
}

/// What the channel does with what is published and settled on it.
#[derive(Debug)]
pub(crate) enum Mode {
    Plain,
    /// The number of the next publish.
    Confirm(u64),
    Tx(TxBuffer),
}

/// What is left of a closed channel, for the caller to withdraw from the queues.
#[derive(Debug)]
pub(crate) struct Remains {
    pub(crate) consumers: Vec<ChannelConsumer>,
    pub(crate) reply_address: Option<Name>,
    /// Queues that hold something of the channel.
    pub(crate) cells: Vec<Arc<QueueCell>>,
    /// Dropped where no lock is held.
    _dropped: (Vec<Delivered>, TxBuffer),
}

/// Who is to go on now that something has got free.
#[derive(Debug)]
#[must_use = "somebody may wait for it"]
pub(crate) struct Resumed {
    /// Queues whose consumers on this channel have credit again.
    cells: Vec<Weak<QueueCell>>,
    /// The broker whose publishers may have waited for a place among the events.
    room_of: Option<Arc<Context>>,
}

#[derive(Debug)]
struct State {
    outbox: Outbox,
    tags: Tags<Outstanding>,
    window: Window,
    /// Queues that found no credit here. Invariant: no two are the same.
    blocked: Vec<Weak<QueueCell>>,
    /// By tag, so that whatever ends several of them does so in the order of their tags.
    consumers: BTreeMap<Name, ChannelConsumer>,
    reply: Option<ReplyConsumer>,
    mode: Mode,
    /// Publishes that are numbered and not confirmed, in order. For each a place among the events
    /// is kept.
    unconfirmed: VecDeque<Unconfirmed>,
    waiting: Waiting,
    /// Whether the client is to be told when there is room again.
    waits_for_room: bool,
    life: Life,
}

#[derive(Clone, Debug)]
struct ReplyConsumer {
    tag: Name,
    address: Name,
}

#[derive(Debug)]
enum Life {
    Open,
    /// By an error, or in good order.
    Closed(Option<Error>),
}

impl ChannelState {
    pub(crate) fn new(
        id: ChannelId,
        context: Arc<Context>,
        signal: Arc<Signal>,
        wants_cancel: bool,
    ) -> Self {
        let state = State {
            outbox: Outbox::new(Arc::clone(&signal), context.limits.events),
            tags: Tags::new(),
            window: Window::default(),
            blocked: Vec::new(),
            consumers: BTreeMap::new(),
            reply: None,
            mode: Mode::Plain,
            unconfirmed: VecDeque::new(),
            waiting: Waiting::default(),
            waits_for_room: false,
            life: Life::Open,
        };
        Self {
            id,
            context,
            signal,
            wants_cancel,
            state: Mutex::new(Rank::Outlet, state),
            changed: Condvar::default(),
        }
    }

    // ----- what queues call, under their lock

    /// Takes credit for one delivery. A queue that gets none is resumed later.
    pub(crate) fn try_take(&self, mode: AckMode, cell: &Weak<QueueCell>) -> bool {
        let mut state = self.state.lock();
        if state.life.is_open() && state.outbox.has_room() && state.window.try_take(mode) {
            return true;
        }
        if !state.blocked.iter().any(|known| Weak::ptr_eq(known, cell)) {
            state.blocked.push(Weak::clone(cell));
        }
        false
    }

    /// Notes a message under its tag and puts it into the outbox.
    pub(crate) fn deliver(
        &self,
        tag: &Name,
        message: &Handed,
        outstanding: Option<(Arc<QueueCell>, UnackedKey)>,
    ) {
        let mut state = self.state.lock();
        let delivery_tag = match outstanding {
            None => state.tags.skip(),
            Some((cell, key)) => {
                state.tags.push(Outstanding { cell, key, origin: Origin::Consumer(tag.clone()) })
            }
        };
        // A closed channel delivers nothing any more; what it has under a tag goes back.
        if state.life.is_open() {
            let consumer_tag = Some(tag.clone());
            let delivered = delivered(&message.held, message.is_redelivered(), delivery_tag);
            state.outbox.deliver(Delivered { consumer_tag, ..delivered });
        }
    }

    // ----- what others call, under no lock

    /// A reply for the channel's consumer of replies. It shows the next tag and does not use it.
    pub(crate) fn deliver_reply(&self, tag: &Name, reply: &Held) {
        {
            let mut state = self.state.lock();
            if state.reply.as_ref().is_none_or(|reply| reply.tag != *tag) {
                return;
            }
            let delivered = delivered(reply, false, state.tags.peek());
            state.outbox.deliver(Delivered { consumer_tag: Some(tag.clone()), ..delivered });
        }
        self.wake();
    }

    /// A consumer has ended because its queue has.
    pub(crate) fn cancelled_by_broker(&self, tag: &Name) {
        if self.remove_consumer(tag).is_some() {
            self.announce_cancel(tag);
        }
    }

    /// Wakes who waits for events. Runs other people's wakers.
    pub(crate) fn wake(&self) {
        let (threads, wakers) = {
            let mut state = self.state.lock();
            (state.waiting.threads, state.waiting.take_wakers())
        };
        if threads > 0 {
            self.changed.notify_all();
        }
        wake_all(wakers);
        self.signal.wake();
    }

    /// The error that closed it, or that it is closed.
    pub(crate) fn check_open(&self) -> Result<()> {
        self.state.lock().life.check_open()
    }

    pub(crate) fn error(&self) -> Option<Error> {
        match &self.state.lock().life {
            Life::Open => None,
            Life::Closed(error) => error.clone(),
        }
    }

    /// Closes it; `None` if it was closed before. What was delivered and not taken is forgotten,
    /// since it goes back to its queue.
    pub(crate) fn close(&self, error: Option<Error>) -> Option<Remains> {
        self.tell_decided();
        let remains = {
            let mut state = self.state.lock();
            if !state.life.is_open() {
                return None;
            }
            state.life = Life::Closed(error.clone());
            let deliveries = state.outbox.take_deliveries();
            if let Some(error) = error {
                state.outbox.push(Event::Closed(error));
            }
            // Buffered settlements never happened. A transaction stays one, so that what a thread
            // is about to publish in it never happens either.
            let buffer = match &mut state.mode {
                Mode::Tx(buffer) => buffer.take(),
                mode @ (Mode::Plain | Mode::Confirm(_)) => {
                    *mode = Mode::Plain;
                    state.unconfirmed.clear();
                    TxBuffer::default()
                }
            };
            state.tags.restore(buffer.settled().cloned());
            let consumers: Vec<_> = std::mem::take(&mut state.consumers).into_values().collect();
            let mut cells: Vec<_> = consumers
                .iter()
                .map(|consumer| &consumer.cell)
                .chain(state.tags.iter().map(|outstanding| &outstanding.cell))
                .cloned()
                .collect();
            // By name, so that the same always happens. Of one name there may be several, of which
            // all but one are deleted.
            cells.sort_unstable_by(|a, b| (&a.name, a.slot()).cmp(&(&b.name, b.slot())));
            cells.dedup_by(|a, b| Arc::ptr_eq(a, b));
            Remains {
                consumers,
                reply_address: state.reply.take().map(|reply| reply.address),
                cells,
                _dropped: (deliveries, buffer),
            }
        };
        self.wake();
        Some(remains)
    }

    /// Takes out what is outstanding of one queue, oldest first. For closing, under that queue's
    /// lock.
    pub(crate) fn take_of(&self, cell: &Arc<QueueCell>) -> Vec<UnackedKey> {
        let taken = {
            let mut state = self.state.lock();
            let (of_cell, others): (Vec<_>, Vec<_>) = state
                .tags
                .take_all()
                .into_iter()
                .partition(|(_, outstanding)| Arc::ptr_eq(&outstanding.cell, cell));
            state.tags.restore(others);
            of_cell
        };
        taken.iter().map(|(_, outstanding)| outstanding.key).collect()
    }

    /// Takes out what is in the outbox of one queue's messages and was not taken, oldest first.
    /// For ending consumers, under that queue's lock; the deliveries are to be dropped outside.
    pub(crate) fn take_untaken_of(
        &self,
        cell: &Arc<QueueCell>,
    ) -> (Vec<UnackedKey>, Vec<Delivered>) {
        let mut keys = Vec::new();
        let mut state = self.state.lock();
        let State { outbox, tags, window, .. } = &mut *state;
        let retracted = outbox.retract(|tag| {
            let is_of_cell = tags.get(tag).is_some_and(|known| Arc::ptr_eq(&known.cell, cell));
            if is_of_cell && let Ok(outstanding) = tags.take(tag) {
                keys.push(outstanding.key);
                window.release(1);
            }
            is_of_cell
        });
        (keys, retracted)
    }

    // ----- consumers

    /// Takes out all consumers, to be ended, in the order of their tags.
    pub(crate) fn take_consumers(&self) -> BTreeMap<Name, ChannelConsumer> {
        std::mem::take(&mut self.state.lock().consumers)
    }

    /// Tells that a consumer has ended, if the client wants to know.
    pub(crate) fn announce_cancel(&self, tag: &Name) {
        if self.wants_cancel {
            let mut state = self.state.lock();
            state.outbox.push(Event::Cancel { consumer_tag: tag.clone() });
        }
        self.wake();
    }

    /// Notes a consumer, and says whether its tag was free. Called under the lock of its queue,
    /// before its first delivery.
    pub(crate) fn add_consumer(&self, tag: &Name, consumer: ChannelConsumer) -> bool {
        match self.state.lock().consumers.entry(tag.clone()) {
            Entry::Vacant(free) => {
                free.insert(consumer);
                true
            }
            Entry::Occupied(_) => false,
        }
    }

    pub(crate) fn remove_consumer(&self, tag: &str) -> Option<ChannelConsumer> {
        self.state.lock().consumers.remove(tag)
    }

    /// Whether a consumer of a queue has this tag. The consumer of replies does not count.
    pub(crate) fn has_consumer(&self, tag: &str) -> bool {
        self.state.lock().consumers.contains_key(tag)
    }

    /// Notes the consumer of replies; the address comes back if there is one already.
    pub(crate) fn set_reply_consumer(&self, tag: &Name, address: Name) -> Result<(), Name> {
        let mut state = self.state.lock();
        if state.reply.is_some() {
            return Err(address);
        }
        state.reply = Some(ReplyConsumer { tag: tag.clone(), address });
        Ok(())
    }

    /// Ends the consumer of replies if this is its tag, and says what its address was.
    pub(crate) fn remove_reply_consumer(&self, tag: &str) -> Option<Name> {
        let mut state = self.state.lock();
        let is_it = state.reply.as_ref().is_some_and(|reply| reply.tag == *tag);
        if is_it { state.reply.take().map(|reply| reply.address) } else { None }
    }

    pub(crate) fn reply_address(&self) -> Option<Name> {
        self.state.lock().reply.as_ref().map(|reply| reply.address.clone())
    }

    #[cfg(fuzzing)]
    pub(crate) fn check_invariants(&self) {
        self.state.lock().tags.check_invariants();
    }

    // ----- events

    /// Takes the oldest event. Queues that found the outbox full are to be resumed.
    pub(crate) fn take_event(&self) -> (Option<Event>, Resumed) {
        self.free(Outbox::take)
    }

    /// Waits for an event. `None` when the time is over, or the channel is closed and empty.
    pub(crate) fn wait_event(&self, until: HostDeadline) -> (Option<Event>, Resumed) {
        let mut state = self.state.lock();
        loop {
            let (event, resumed) = self.free_in(&mut state, Outbox::take);
            if event.is_some() || !state.life.is_open() {
                return (event, resumed);
            }
            let Some(left) = until.left() else { return (None, resumed) };
            state.waiting.threads += 1;
            self.changed.wait_for(&mut state, left);
            state.waiting.threads -= 1;
        }
    }

    /// Takes an event, or has the task woken when there is one.
    pub(crate) fn poll_event(&self, cx: &TaskContext<'_>) -> Poll<(Option<Event>, Resumed)> {
        // Cloned and dropped outside of the lock, since wakers are somebody else's code.
        let waker = cx.waker().clone();
        let (taken, _spare) = {
            let mut state = self.state.lock();
            let (event, resumed) = self.free_in(&mut state, Outbox::take);
            if event.is_some() || !state.life.is_open() {
                (Some((event, resumed)), Registered::Spare(waker))
            } else {
                (None, state.waiting.register(waker))
            }
        };
        taken.map_or(Poll::Pending, Poll::Ready)
    }

    /// When its oldest event arose.
    pub(crate) fn oldest_stamp(&self) -> Option<u64> {
        self.state.lock().outbox.oldest_stamp()
    }

    /// Has publishers look again that wait for a place among the events. Runs other people's
    /// wakers, so no lock may be held.
    pub(crate) fn tell_who_waits_for_room(&self) {
        self.context.room.made();
    }

    /// Does something that may free places among the events, and says who is to go on then.
    fn free<R>(&self, act: impl FnOnce(&mut Outbox) -> R) -> (R, Resumed) {
        self.free_in(&mut self.state.lock(), act)
    }

    fn free_in<R>(&self, state: &mut State, act: impl FnOnce(&mut Outbox) -> R) -> (R, Resumed) {
        let was_full = !state.outbox.has_room();
        let result = act(&mut state.outbox);
        let resumed = if was_full && state.outbox.has_room() {
            let cells = std::mem::take(&mut state.blocked);
            Resumed { cells, room_of: Some(Arc::clone(&self.context)) }
        } else {
            Resumed { cells: Vec::new(), room_of: None }
        };
        (result, resumed)
    }
}

impl Life {
    fn is_open(&self) -> bool {
        match self {
            Self::Open => true,
            Self::Closed(_) => false,
        }
    }

    fn check_open(&self) -> Result<()> {
        match self {
            Self::Open => Ok(()),
            Self::Closed(Some(error)) => Err(error.clone()),
            Self::Closed(None) => Err(Error::closed()),
        }
    }
}

/// Lets queues go on whose consumers have credit again, and publishers that waited for a place
/// among the events. Runs other people's wakers, so no lock may be held.
pub(crate) fn resume(resumed: Resumed) {
    for cell in resumed.cells {
        if let Some(cell) = cell.upgrade() {
            cell.resume();
        }
    }
    if let Some(context) = resumed.room_of {
        context.room.made();
    }
}

fn delivered(held: &Held, redelivered: bool, delivery_tag: u64) -> Delivered {
    let Held::Resident(message) = held;
    Delivered {
        consumer_tag: None,
        delivery_tag: DeliveryTag(delivery_tag),
        redelivered,
        exchange: message.address().exchange.clone(),
        routing_key: message.address().routing_key.clone(),
        message_count: None,
        message: message.clone(),
    }
}
