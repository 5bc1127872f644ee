//! Connections of the channel tier.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use super::{
    bounds,
    channel::Channel,
    channel_state,
    connection_state::{CancelNotify, ConnectionState},
    event::{ChannelId, Event},
    lease::Lease,
};
use crate::{Error, Name, Result, clock::HostDeadline};

/// Who connects, and what it understands.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// use leveret::{Broker, ConnectOptions, Message, Publish};
///
/// let connection = Broker::new().connect(ConnectOptions::default().user("anna"))?;
/// let channel = connection.open_channel()?;
/// let message = Message::new("hello").with_user_id("bert");
/// assert!(channel.basic_publish(Publish::default(), message).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ConnectOptions {
    pub(crate) user: Name,
    pub(crate) cancel_notify: CancelNotify,
}

impl ConnectOptions {
    /// The user that a message's `user_id` is checked against; `guest` by default.
    pub fn user(mut self, name: &str) -> Self {
        self.user = Name::from(name);
        self
    }

    /// Does not send [`Event::Cancel`].
    pub fn without_cancel_notify(mut self) -> Self {
        self.cancel_notify = CancelNotify::Silent;
        self
    }
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self { user: Name::from(bounds::DEFAULT_USER), cancel_notify: CancelNotify::Wanted }
    }
}

/// Owns channels and exclusive queues.
///
/// Dropping it closes it, as a lost socket would: unacked deliveries go back to their places, and
/// exclusive queues are deleted. Its channels are closed then, too.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// use leveret::{Broker, ConnectOptions, QueueDeclare};
///
/// let broker = Broker::new();
/// let connection = broker.connect(ConnectOptions::default())?;
/// let channel = connection.open_channel()?;
/// let of = QueueDeclare { queue: "mine", exclusive: true, ..QueueDeclare::default() };
/// channel.queue_declare(of)?;
/// connection.close();
/// assert!(broker.queue("mine").unwrap_err().is_not_found());
/// # Ok(())
/// # }
/// ```
pub struct Connection {
    state: Arc<ConnectionState>,
    lease: Lease,
}

impl Connection {
    pub(crate) fn new(state: Arc<ConnectionState>, lease: Lease) -> Self {
        Self { state, lease }
    }

    /// Opens a channel, under the lowest number that is free.
    ///
    /// # Errors
    ///
    /// `Closed`, or the error that closed the connection; `LimitExceeded` beyond
    /// [`Limits::channels`](crate::Limits::channels).
    pub fn open_channel(&self) -> Result<Channel> {
        let channel = self.state.open_channel()?;
        Ok(Channel::new(channel, Arc::clone(&self.state), self.lease.clone()))
    }

    /// Takes the next event of any channel, in the order in which they arose, if there is one.
    /// Number 0 stands for the connection itself.
    #[must_use]
    pub fn try_event(&self) -> Option<(ChannelId, Event)> {
        while let Some(channel) = self.state.channel_with_oldest_event() {
            let (event, resumed) = channel.take_event();
            channel_state::resume(resumed);
            // Another thread may have taken it in between.
            if let Some(event) = event {
                return Some((channel.id, event));
            }
        }
        self.state.take_announcement().map(|error| (ChannelId(0), Event::Closed(error)))
    }

    /// Waits for the next event of any channel, at most so long (`Duration::MAX`: for ever).
    /// `None` when the time is over, or once the connection is closed and all events are taken.
    #[must_use]
    pub fn next_event(&self, within: Duration) -> Option<(ChannelId, Event)> {
        let until = HostDeadline::within(within);
        loop {
            let seen = self.state.signal.wakes();
            let is_over = self.state.is_over();
            if let Some(event) = self.try_event() {
                return Some(event);
            }
            if is_over || !self.state.signal.wait(seen, until) {
                return None;
            }
        }
    }

    /// Waits as a task; `Ready(None)` once the connection is closed and all events are taken.
    /// Cancel-safe: an event leaves only with `Ready`.
    #[must_use = "an event that is ready has been taken"]
    pub fn poll_event(&self, cx: &mut Context<'_>) -> Poll<Option<(ChannelId, Event)>> {
        loop {
            let seen = self.state.signal.wakes();
            let is_over = self.state.is_over();
            if let Some(event) = self.try_event() {
                return Poll::Ready(Some(event));
            }
            if is_over {
                return Poll::Ready(None);
            }
            if self.state.signal.register(seen, cx.waker().clone()) {
                return Poll::Pending;
            }
        }
    }

    /// Closes it in good order. Idempotent.
    pub fn close(&self) {
        self.state.close(None);
    }

    /// The error that closed it; `None` if it is open or was closed in good order.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        self.state.error()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("user", &self.state.user).finish_non_exhaustive()
    }
}
