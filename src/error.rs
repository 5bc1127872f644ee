//! What can go wrong, and what AMQP calls it.
//!
//! One table, [`ErrorKind::class`], maps every case to its reply code and scope. The text of an
//! error is the one that `RabbitMQ` sends for the same mistake.

use std::{fmt, path::PathBuf, sync::Arc};

use crate::{EndReason, Name, Value};

/// Leveret's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong: one pointer, cheap to clone.
///
/// The text names the entity, the argument, what was expected and what was found. An error of the
/// handle tier never closes anything; in the channel tier it closes what [`scope`](Self::scope)
/// says.
///
/// # Examples
///
/// ```
/// use leveret::{Broker, Entity, ErrorKind};
///
/// let error = Broker::new().queue("nowhere").unwrap_err();
/// assert!(error.is_not_found());
/// assert!(matches!(error.kind(), ErrorKind::NotFound { entity: Entity::Queue, .. }));
/// assert_eq!(error.to_string(), "no queue 'nowhere' in vhost '/'");
/// assert_eq!(error.reply_text(), "NOT_FOUND - no queue 'nowhere' in vhost '/'");
/// assert_eq!(error.reply_code().as_u16(), 404);
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    /// Where it happened, which most texts name.
    vhost: Name,
}

/// The cases of [`Error`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Nobody may do this to this entity.
    #[non_exhaustive]
    AccessRefused {
        /// The kind of the entity.
        entity: Entity,
        /// Its name.
        name: Name,
        /// Why not.
        reason: Denial,
    },
    /// There is one of this name already.
    #[non_exhaustive]
    AlreadyExists {
        /// The kind of the entity.
        entity: Entity,
        /// Its name.
        name: Name,
    },
    /// The broker, connection or channel is closed.
    Closed,
    /// A consumer has ended. Where the broker was closed, it is [`Closed`](Self::Closed) instead.
    #[non_exhaustive]
    ConsumerEnded {
        /// Why it has ended.
        reason: EndReason,
    },
    /// Every queue that a message reached had no room by a bound of its own, and at least one has
    /// sent a copy where its dead letters go.
    #[non_exhaustive]
    DeadLettered {
        /// The argument of the queue that sets the bound.
        limit: &'static str,
    },
    /// Direct reply-to was not used as it has to be.
    DirectReply(DirectReplyFault),
    /// A channel has a consumer of this tag already.
    #[non_exhaustive]
    DuplicateConsumerTag {
        /// The tag.
        consumer_tag: Name,
    },
    /// A handle of another virtual host or broker was given where one of this is needed.
    #[non_exhaustive]
    Foreign {
        /// The kind of the entity.
        entity: Entity,
        /// Its name.
        name: Name,
    },
    /// It does not fit now. Trying again later makes sense.
    #[non_exhaustive]
    Full {
        /// The bound that was met: a field of [`Limits`](crate::Limits), or the argument of a
        /// queue.
        limit: &'static str,
    },
    /// It is used by consumers or bindings.
    #[non_exhaustive]
    InUse {
        /// The kind of the entity.
        entity: Entity,
        /// Its name.
        name: Name,
    },
    /// An argument has a type or value that it must not have.
    #[non_exhaustive]
    InvalidArgument {
        /// The kind of the entity it was given for.
        entity: Entity,
        /// The name of that entity.
        name: Name,
        /// The argument.
        argument: Name,
        /// The whole text, which says what is wrong with it.
        text: String,
    },
    /// A property of a message is not acceptable.
    #[non_exhaustive]
    InvalidMessage {
        /// The property, by its AMQP name; for a header, the name of the header.
        property: &'static str,
        /// The whole text, which says what is wrong with it.
        text: String,
    },
    /// A name is not acceptable.
    #[non_exhaustive]
    InvalidName {
        /// What it was to name; for a routing key, the message or binding that it was for.
        entity: Entity,
        /// Its first 255 bytes at most.
        name: Name,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A delivery was unsettled for longer than its queue or consumer grants, and has gone back to
    /// the queue.
    #[non_exhaustive]
    Lapsed {
        /// The queue.
        queue: Name,
    },
    /// A size or a count is beyond its bound.
    #[non_exhaustive]
    LimitExceeded {
        /// The bound: a field of [`Limits`](crate::Limits).
        limit: &'static str,
        /// Its value.
        max: u64,
        /// What it would have come to.
        found: u64,
    },
    /// It belongs to another connection, or was declared as exclusive.
    #[non_exhaustive]
    Locked {
        /// The kind of the entity.
        entity: Entity,
        /// Its name.
        name: Name,
    },
    /// It exists with other settings.
    #[non_exhaustive]
    Mismatch {
        /// The kind of the entity.
        entity: Entity,
        /// Its name.
        name: Name,
        /// The first setting that differs.
        argument: Name,
        /// What exists; `None` if it was declared without.
        expected: Option<Value>,
        /// What was asked for; `None` if it was not given.
        found: Option<Value>,
    },
    /// A channel has declared no queue yet, so there is none that an empty name could mean.
    NoPreviousQueue,
    /// A request reached only queues that nobody serves.
    NoResponder,
    /// A queue has messages.
    #[non_exhaustive]
    NotEmpty {
        /// The queue.
        queue: Name,
    },
    /// There is no such entity.
    #[non_exhaustive]
    NotFound {
        /// Its kind.
        entity: Entity,
        /// Its name.
        name: Name,
    },
    /// `RabbitMQ` does not implement this, and neither does leveret.
    #[non_exhaustive]
    NotImplemented {
        /// The argument that asks for it, as in `immediate=true`.
        what: String,
    },
    /// Nothing happened within the time given.
    Timeout,
    /// A queue had no room, by a bound of its own, for a message of a transaction on a channel. All
    /// the rest of it has happened.
    PartialCommit,
    /// Nothing can be got from a quorum queue that has a single active consumer.
    #[non_exhaustive]
    SingleActive {
        /// The queue.
        queue: Name,
    },
    /// What was to outlive the process could not be written, and from then on nothing can. What is
    /// in memory can still be consumed.
    #[non_exhaustive]
    StoreFailed {
        /// What the operating system or the storage engine says.
        text: String,
    },
    /// A broker with a store could not be opened, or a store not salvaged. Nothing was created or
    /// changed, unless it was the host that failed on the way, or data is damaged: then there is a
    /// copy of it in the directory, as it was, for `Broker::salvage`.
    #[non_exhaustive]
    StoreUnusable {
        /// The directory, or the file in it.
        path: PathBuf,
        /// What is wrong with it.
        fault: StoreFault,
        /// The whole text.
        text: String,
    },
    /// A thread could not be started.
    #[non_exhaustive]
    Thread {
        /// What the operating system says.
        text: String,
    },
    /// No delivery is outstanding under this tag.
    #[non_exhaustive]
    UnknownDelivery {
        /// The tag.
        delivery_tag: u64,
    },
    /// There is no such kind of exchange.
    #[non_exhaustive]
    UnknownExchangeType {
        /// What was asked for.
        kind: Name,
    },
    /// A mandatory message reached nobody.
    Unroutable,
    /// A channel or consumer is not in the mode that this needs.
    #[non_exhaustive]
    WrongMode {
        /// What is wrong.
        reason: &'static str,
    },
}

/// What an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Entity {
    /// A binding.
    Binding,
    /// A channel.
    Channel,
    /// A connection.
    Connection,
    /// A consumer.
    Consumer,
    /// An exchange.
    Exchange,
    /// A message.
    Message,
    /// A queue.
    Queue,
    /// A virtual host.
    VirtualHost,
}

/// Why nobody may do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Denial {
    /// The default exchange can neither be declared nor bound nor deleted.
    DefaultExchange,
    /// A consumer uses the queue exclusively, or asked to while others use it.
    ExclusiveUse,
    /// An internal exchange takes messages from other exchanges only.
    Internal,
    /// Only the broker gives names that begin with `amq.`.
    Reserved,
    /// The default virtual host and the predeclared exchanges stay.
    System,
}

/// How direct reply-to was misused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DirectReplyFault {
    /// The channel consumes replies already.
    AlreadyConsuming,
    /// Replies are consumed with automatic acknowledgement only.
    NeedsAutoAck,
    /// A request names the pseudo queue, but its channel does not consume replies.
    NoConsumer,
}

/// What is wrong with a store that cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreFault {
    /// Something is not as it was written, or is missing. The text says what and where.
    Damaged,
    /// The directory holds something that no store has written.
    Foreign,
    /// There is too little space to open it.
    Full,
    /// The host failed.
    Io,
    /// Another broker has it open, in this process or in another one.
    Locked,
    /// There is no such directory.
    Missing,
    /// A later version of this crate has written it.
    Newer,
    /// The path leads to something else than a directory.
    NotADirectory,
    /// It is where a store is to be salvaged to, and there is something in it already.
    Occupied,
    /// It may be read and not written.
    ReadOnly,
    /// It may not be read.
    Unreadable,
}

/// What an error closes in the channel tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "AMQP 0-9-1 knows these two and is finished")]
pub enum Scope {
    /// The channel.
    Channel,
    /// The connection with all its channels.
    Connection,
}

/// A reply code of AMQP 0-9-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyCode(u16);

impl ReplyCode {
    /// 312: a mandatory message reached no queue. Sent with a return.
    pub const NO_ROUTE: Self = Self(312);
    /// 320: the broker closes.
    pub const CONNECTION_FORCED: Self = Self(320);
    /// 403: nobody may do this.
    pub const ACCESS_REFUSED: Self = Self(403);
    /// 404: there is no such entity.
    pub const NOT_FOUND: Self = Self(404);
    /// 405: the entity belongs to another connection.
    pub const RESOURCE_LOCKED: Self = Self(405);
    /// 406: something else has to hold first.
    pub const PRECONDITION_FAILED: Self = Self(406);
    /// 503: a method that makes no sense.
    pub const COMMAND_INVALID: Self = Self(503);
    /// 506: there is no room now.
    pub const RESOURCE_ERROR: Self = Self(506);
    /// 530: not allowed here.
    pub const NOT_ALLOWED: Self = Self(530);
    /// 540: not implemented.
    pub const NOT_IMPLEMENTED: Self = Self(540);
    /// 541: the broker itself failed.
    pub const INTERNAL_ERROR: Self = Self(541);

    /// The number.
    #[must_use]
    pub const fn as_u16(self) -> u16 {
        self.0
    }

    /// The name that begins a reply text, such as `NOT_FOUND`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NO_ROUTE => "NO_ROUTE",
            Self::CONNECTION_FORCED => "CONNECTION_FORCED",
            Self::ACCESS_REFUSED => "ACCESS_REFUSED",
            Self::NOT_FOUND => "NOT_FOUND",
            Self::RESOURCE_LOCKED => "RESOURCE_LOCKED",
            Self::PRECONDITION_FAILED => "PRECONDITION_FAILED",
            Self::COMMAND_INVALID => "COMMAND_INVALID",
            Self::RESOURCE_ERROR => "RESOURCE_ERROR",
            Self::NOT_ALLOWED => "NOT_ALLOWED",
            Self::NOT_IMPLEMENTED => "NOT_IMPLEMENTED",
            Self::INTERNAL_ERROR => "INTERNAL_ERROR",
            Self(_) => "UNKNOWN",
        }
    }
}

/// A reply text travels in a short string; `RabbitMQ` cuts it to this many bytes and adds dots.
const REPLY_TEXT_BYTES_MAX: usize = 255;

impl Error {
    pub(crate) fn new(kind: ErrorKind, vhost: &Name) -> Self {
        Self(Arc::new(Inner { kind, vhost: vhost.clone() }))
    }

    /// An error that no virtual host has to do with.
    pub(crate) fn plain(kind: ErrorKind) -> Self {
        Self(Arc::new(Inner { kind, vhost: Name::default() }))
    }

    /// What went wrong, and the virtual host that its text names.
    pub(crate) fn parts(&self) -> (&ErrorKind, &Name) {
        (&self.0.kind, &self.0.vhost)
    }

    pub(crate) fn closed() -> Self {
        Self::plain(ErrorKind::Closed)
    }

    /// Whoever receives finds that the consumer has ended.
    pub(crate) fn consumer_ended(reason: EndReason) -> Self {
        match reason {
            EndReason::BrokerClosed => Self::closed(),
            EndReason::Cancelled
            | EndReason::QueueDeleted
            | EndReason::Superseded
            | EndReason::TimedOut => Self::plain(ErrorKind::ConsumerEnded { reason }),
        }
    }

    pub(crate) fn not_found(entity: Entity, name: impl Into<Name>, vhost: &Name) -> Self {
        Self::new(ErrorKind::NotFound { entity, name: name.into() }, vhost)
    }

    pub(crate) fn not_implemented(what: impl Into<String>) -> Self {
        Self::plain(ErrorKind::NotImplemented { what: what.into() })
    }

    /// Which case it is.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// What AMQP calls it.
    #[must_use]
    pub fn reply_code(&self) -> ReplyCode {
        self.0.kind.class().0
    }

    /// What it closes in the channel tier. ([`Full`](ErrorKind::Full) and
    /// [`StoreFailed`](ErrorKind::StoreFailed) close nothing.)
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.0.kind.class().1
    }

    /// The text that `RabbitMQ` sends, such as `NOT_FOUND - no queue 'q' in vhost '/'`. At most
    /// 255 bytes: a longer one is cut and ends with three dots.
    #[must_use]
    pub fn reply_text(&self) -> String {
        let mut text = format!("{} - {self}", self.reply_code().name());
        if text.len() > REPLY_TEXT_BYTES_MAX {
            text.truncate(text.floor_char_boundary(REPLY_TEXT_BYTES_MAX - 3));
            text.push_str("...");
        }
        text
    }

    /// Whether the broker, connection or channel is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.kind(), ErrorKind::Closed)
    }

    /// Whether trying again later makes sense.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self.kind(), ErrorKind::Full { .. })
    }

    /// Whether the entity exists with other settings.
    #[must_use]
    pub fn is_mismatch(&self) -> bool {
        matches!(self.kind(), ErrorKind::Mismatch { .. })
    }

    /// Whether there is no such entity.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self.kind(), ErrorKind::NotFound { .. } | ErrorKind::NoPreviousQueue)
    }
}

impl ErrorKind {
    /// The table: code and scope of each case, as `RabbitMQ` has them.
    fn class(&self) -> (ReplyCode, Scope) {
        use Scope::{Channel, Connection};
        match self {
            Self::AccessRefused { .. } => (ReplyCode::ACCESS_REFUSED, Channel),
            Self::AlreadyExists { .. }
            | Self::ConsumerEnded { .. }
            | Self::DirectReply(_)
            | Self::Foreign { .. }
            | Self::InUse { .. }
            | Self::InvalidArgument { .. }
            | Self::InvalidMessage { .. }
            | Self::InvalidName { .. }
            | Self::Lapsed { .. }
            | Self::NoResponder
            | Self::Thread { .. }
            | Self::LimitExceeded { .. }
            | Self::Mismatch { .. }
            | Self::NotEmpty { .. }
            | Self::PartialCommit
            | Self::Timeout
            | Self::UnknownDelivery { .. }
            | Self::WrongMode { .. } => (ReplyCode::PRECONDITION_FAILED, Channel),
            Self::Closed => (ReplyCode::CONNECTION_FORCED, Connection),
            Self::DuplicateConsumerTag { .. } => (ReplyCode::NOT_ALLOWED, Connection),
            Self::DeadLettered { .. } | Self::Full { .. } => (ReplyCode::RESOURCE_ERROR, Channel),
            Self::Locked { .. } | Self::SingleActive { .. } => {
                (ReplyCode::RESOURCE_LOCKED, Channel)
            }
            Self::NoPreviousQueue | Self::NotFound { .. } => (ReplyCode::NOT_FOUND, Channel),
            Self::NotImplemented { .. } => (ReplyCode::NOT_IMPLEMENTED, Connection),
            Self::UnknownExchangeType { .. } => (ReplyCode::COMMAND_INVALID, Connection),
            Self::StoreFailed { .. } | Self::StoreUnusable { .. } => {
                (ReplyCode::INTERNAL_ERROR, Connection)
            }
            Self::Unroutable => (ReplyCode::NO_ROUTE, Channel),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Error").field(&self.0.kind).field(&self.to_string()).finish()
    }
}

impl std::error::Error for Error {}

// An error is passed through every `?` of every call, so it stays one pointer.
const _: () = assert!(size_of::<Error>() <= 24 && size_of::<Result<()>>() <= 24);
