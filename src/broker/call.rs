//! Requests that wait for their reply, over direct reply-to.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use super::{
    exchange::{Exchange, Routed},
    patience, publish,
    publish_error::{PublishError, PublishReason},
    reply::{self, ReplySlot},
    vhost_state::VhostState,
    waiting::{Registered, Waiting, wake_all},
};
use crate::{
    Error, ErrorKind, Message, Name,
    clock::HostDeadline,
    engine::queue::Held,
    sync::{Condvar, Mutex, Rank},
};

/// A reply to come: to be waited for, or awaited. Dropping it gives up waiting, and a reply that
/// comes later is dropped.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use leveret::{Broker, Message};
///
/// let broker = Broker::new();
/// let requests = broker.declare_queue("shout").declare()?;
/// let server = requests.consume().start()?;
/// let pending = broker.default_exchange().request("shout", Message::new("hello"))?;
///
/// let request = server.recv()?;
/// request.reply(Message::new("HELLO"))?;
/// request.ack()?;
/// assert_eq!(pending.wait(Duration::from_secs(10))?.text(), Some("HELLO"));
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it gives up waiting for the reply"]
pub struct PendingReply {
    call: Arc<Call>,
    address: Name,
    vhost: Arc<VhostState>,
}

/// Why a call has no reply.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The broker is closed, or closed while the call waited.
    #[error("the broker is closed")]
    Closed,
    /// There is no room now. Trying again later makes sense.
    #[error("no room now, the bound is '{limit}'")]
    #[non_exhaustive]
    Full {
        /// The bound that was met: a field of [`Limits`](crate::Limits).
        limit: &'static str,
    },
    /// It reached only queues without a consumer, and so was not sent.
    #[error("nobody serves the queues that it reaches")]
    NoResponder,
    /// The request is not acceptable as it is.
    #[error("{0}")]
    Refused(Error),
    /// No reply came in time. The request may have been handled nevertheless.
    #[error("no reply came in time")]
    Timeout,
    /// It reached no queue.
    #[error("no queue was reached")]
    Unroutable,
}

/// Where the reply to one call arrives.
#[derive(Debug)]
pub(crate) struct Call {
    state: Mutex<State>,
    changed: Condvar,
    /// A hint for those who look again and again; nothing hangs on it.
    is_over: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    outcome: Option<Result<Held, Ended>>,
    waiting: Waiting,
}

/// The broker closed while the call waited.
#[derive(Clone, Copy, Debug)]
struct Ended;

impl Call {
    fn new() -> Self {
        let state = Mutex::new(Rank::Outlet, State::default());
        Self { state, changed: Condvar::default(), is_over: AtomicBool::new(false) }
    }

    /// The reply has come. A second one is dropped.
    pub(crate) fn complete(&self, reply: &Held) {
        self.finish(Ok(reply.clone()));
    }

    /// No reply can come any more.
    pub(crate) fn end(&self) {
        self.finish(Err(Ended));
    }

    fn finish(&self, outcome: Result<Held, Ended>) {
        let (late, wakers) = {
            let mut state = self.state.lock();
            let late = if state.outcome.is_some() {
                Some(outcome)
            } else {
                state.outcome = Some(outcome);
                None
            };
            (late, state.waiting.take_wakers())
        };
        self.is_over.store(true, Ordering::Relaxed);
        drop(late);
        self.changed.notify_all();
        wake_all(wakers);
    }
}

impl PendingReply {
    pub(crate) fn new(exchange: &Exchange, key: &str, request: Message) -> Result<Self, CallError> {
        let vhost = exchange.vhost().state();
        let address = vhost.generated_name(reply::ADDRESS_PREFIX);
        let call = Arc::new(Call::new());
        if vhost.replies.len() >= vhost.context.limits.calls {
            return Err(CallError::Full { limit: "calls" });
        }
        vhost.replies.insert(address.clone(), Arc::new(ReplySlot::Call(Arc::clone(&call))));
        let pending = Self { call, address, vhost: Arc::clone(vhost) };
        let request = match request.correlation_id() {
            Some(_) => request,
            None => request.with_correlation_id(&*pending.address),
        };
        let request = request.with_reply_to(&*pending.address);
        publish::with_found(|found| {
            exchange.route(key, &request, found)?;
            let queues = found.queues(vhost);
            if queues.is_empty() {
                return Err(CallError::Unroutable);
            }
            if queues.iter().all(|queue| queue.consumer_count() == 0) {
                return Err(CallError::NoResponder);
            }
            exchange.enqueue::<Routed>(key, request, found)?;
            Ok::<_, CallError>(())
        })?;
        Ok(pending)
    }

    /// Waits for the reply, at most so long in the host's time.
    ///
    /// # Errors
    ///
    /// `Timeout`, `Closed`.
    pub fn wait(self, within: Duration) -> Result<Message, CallError> {
        let until = HostDeadline::within(within);
        patience::watch(until.leisure(), || self.call.is_over.load(Ordering::Relaxed));
        let mut state = self.call.state.lock();
        loop {
            if let Some(outcome) = state.outcome.take() {
                drop(state);
                return message(outcome);
            }
            let Some(left) = until.left() else { return Err(CallError::Timeout) };
            self.call.changed.wait_for(&mut state, left);
        }
    }
}

impl Future for PendingReply {
    type Output = Result<Message, CallError>;

    /// Must not be polled again after it was ready.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Cloned and dropped outside of the lock, since wakers are somebody else's code.
        let waker = cx.waker().clone();
        let (outcome, _spare) = {
            let mut state = self.call.state.lock();
            match state.outcome.take() {
                None => (None, state.waiting.register(waker)),
                outcome => (outcome, Registered::Spare(waker)),
            }
        };
        outcome.map_or(Poll::Pending, |outcome| Poll::Ready(message(outcome)))
    }
}

impl Drop for PendingReply {
    fn drop(&mut self) {
        drop(self.vhost.replies.remove(&self.address));
    }
}

impl fmt::Debug for PendingReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingReply").field("address", &self.address).finish_non_exhaustive()
    }
}

fn message(outcome: Result<Held, Ended>) -> Result<Message, CallError> {
    match outcome {
        Ok(Held::Resident(message)) => Ok(message),
        Err(Ended) => Err(CallError::Closed),
    }
}

impl From<PublishReason> for CallError {
    fn from(reason: PublishReason) -> Self {
        match reason {
            PublishReason::Closed => Self::Closed,
            PublishReason::DeadLettered { limit } => {
                Self::Refused(Error::plain(ErrorKind::DeadLettered { limit }))
            }
            PublishReason::Full { limit } => Self::Full { limit },
            PublishReason::Refused(error) => Self::Refused(error),
            PublishReason::Unroutable => Self::Unroutable,
        }
    }
}

impl From<PublishError> for CallError {
    fn from(error: PublishError) -> Self {
        error.into_parts().0.into()
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Closed => Self::closed(),
            CallError::Full { limit } => Self::plain(ErrorKind::Full { limit }),
            CallError::NoResponder => Self::plain(ErrorKind::NoResponder),
            CallError::Refused(error) => error,
            CallError::Timeout => Self::plain(ErrorKind::Timeout),
            CallError::Unroutable => Self::plain(ErrorKind::Unroutable),
        }
    }
}
