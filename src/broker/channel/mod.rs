//! The channel tier: AMQP's methods, one for one.

mod declare;
mod deliver;
mod publish;

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use super::{
    cell::QueueCell,
    channel_state::{self, ChannelState},
    connection_state::ConnectionState,
    event::{ChannelId, Event},
    lease::Lease,
    method::Flow,
    vhost_state::VhostState,
};
use crate::{
    DirectReplyFault, Error, ErrorKind, Name, Result, Scope,
    clock::HostDeadline,
    engine::entity::OwnerId,
    sync::{Mutex, Rank},
};

/// A sequence of AMQP methods.
///
/// Each method does what `RabbitMQ` does, with the same errors. An error closes the channel, or
/// the whole connection, as [`Error::scope`] says, and each later call returns that error again;
/// only [`Full`](ErrorKind::Full) closes nothing. Dropping the channel closes it, and what is
/// unacked goes back to its place.
///
/// Besides the errors that a method lists, every method returns `Closed` or the error that closed
/// the channel, and, where it takes names or tables, `InvalidName` and `LimitExceeded`.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// use leveret::{Ack, Broker, ConnectOptions, Get, Message, Publish, QueueDeclare};
///
/// let connection = Broker::new().connect(ConnectOptions::default())?;
/// let channel = connection.open_channel()?;
/// channel.queue_declare(QueueDeclare { queue: "hello", ..QueueDeclare::default() })?;
/// let to = Publish { routing_key: "hello", ..Publish::default() };
/// channel.basic_publish(to, Message::new("world"))?;
///
/// let got = channel.basic_get(Get { queue: "hello", ..Get::default() })?.expect("one is ready");
/// assert_eq!(got.message.text(), Some("world"));
/// channel.basic_ack(Ack { delivery_tag: got.delivery_tag, multiple: false })?;
/// # Ok(())
/// # }
/// ```
pub struct Channel {
    state: Arc<ChannelState>,
    connection: Arc<ConnectionState>,
    memory: Mutex<Memory>,
    /// Keeps the broker open.
    _lease: Lease,
}

/// What a channel remembers between methods and no queue asks for.
#[derive(Debug, Default)]
struct Memory {
    /// The queue that an empty name means.
    last_queue: Option<Name>,
    /// For each consumer started from now on; `None` is unlimited.
    prefetch: Option<u32>,
}

impl Channel {
    pub(crate) fn new(
        state: Arc<ChannelState>,
        connection: Arc<ConnectionState>,
        lease: Lease,
    ) -> Self {
        let memory = Mutex::new(Rank::Broker, Memory::default());
        Self { state, connection, memory, _lease: lease }
    }

    /// Answers whether messages flow, which they always do.
    ///
    /// # Errors
    ///
    /// `NotImplemented` if `active` is false, as in `RabbitMQ`.
    pub fn channel_flow(&self, of: Flow) -> Result<bool> {
        self.run(|| if of.active { Ok(true) } else { Err(Error::not_implemented("active=false")) })
    }

    /// Its number on the connection.
    #[must_use]
    pub fn id(&self) -> ChannelId {
        self.state.id
    }

    /// Takes the oldest event of this channel, if there is one.
    #[must_use]
    pub fn try_event(&self) -> Option<Event> {
        let (event, resumed) = self.state.take_event();
        channel_state::resume(resumed);
        event
    }

    /// Waits for the next event of this channel, at most so long (`Duration::MAX`: for ever).
    /// `None` when the time is over, or once the channel is closed and all its events are taken.
    #[must_use]
    pub fn next_event(&self, within: Duration) -> Option<Event> {
        let (event, resumed) = self.state.wait_event(HostDeadline::within(within));
        channel_state::resume(resumed);
        event
    }

    /// Waits as a task for the next event of this channel; `Ready(None)` once the channel is
    /// closed and all its events are taken. Cancel-safe: an event leaves only with `Ready`.
    #[must_use = "an event that is ready has been taken"]
    pub fn poll_event(&self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.state.poll_event(cx).map(|(event, resumed)| {
            channel_state::resume(resumed);
            event
        })
    }

    /// Closes it in good order. What is unacked goes back to its place. Idempotent.
    pub fn close(&self) {
        self.connection.close_channel(&self.state, None);
    }

    /// The error that closed it; `None` if it is open or was closed in good order.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        self.state.error()
    }

    #[cfg(fuzzing)]
    pub(crate) fn check_invariants(&self) {
        self.state.check_invariants();
    }

    /// Runs a method. An error of it closes what it has to.
    fn run<R>(&self, method: impl FnOnce() -> Result<R>) -> Result<R> {
        self.state.check_open()?;
        method().inspect_err(|error| self.fail(error))
    }

    fn fail(&self, error: &Error) {
        // What is in memory can be consumed also after the store has failed.
        let is_of_store = matches!(error.kind(), ErrorKind::StoreFailed { .. });
        if error.is_full() || error.is_closed() || is_of_store {
            return;
        }
        match error.scope() {
            Scope::Channel => self.connection.close_channel(&self.state, Some(error.clone())),
            Scope::Connection => self.connection.close(Some(error)),
        }
    }

    fn queue(&self, name: &str) -> Result<Arc<QueueCell>> {
        self.vhost().queue(&self.queue_name(name)?, Some(self.owner()))
    }

    /// The empty name means the queue last declared on this channel.
    fn queue_name(&self, name: &str) -> Result<Name> {
        if !name.is_empty() {
            return Ok(Name::from(name));
        }
        let last = self.memory.lock().last_queue.clone();
        last.ok_or_else(|| Error::new(ErrorKind::NoPreviousQueue, &self.vhost().name))
    }

    fn owner(&self) -> OwnerId {
        self.connection.owner
    }

    fn vhost(&self) -> &Arc<VhostState> {
        &self.connection.vhost
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.close();
        self.connection.forget_channel(&self.state);
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("id", &self.id()).finish_non_exhaustive()
    }
}

pub(super) fn full(limit: &'static str) -> Error {
    Error::plain(ErrorKind::Full { limit })
}

pub(super) fn direct_reply(fault: DirectReplyFault) -> Error {
    Error::plain(ErrorKind::DirectReply(fault))
}
