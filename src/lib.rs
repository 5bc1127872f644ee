//! AMQP semantics inside your own process.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]

mod broker;
mod clock;
mod engine;
mod error;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod message;
mod name;
#[cfg_attr(not(loom), expect(clippy::disallowed_types, reason = "the one place for locks"))]
mod sync;
mod time;

pub use broker::{
    Ack, Acker, Binding, BindingKey, Broker, BrokerBuilder, CallError, Channel, ChannelId,
    CloseReport, CommitError, Confirm, ConfirmError, ConfirmReport, ConnectOptions, Connection,
    Consume, Consumer, ConsumerBuilder, Delivered, Delivery, DeliveryTag, Destination, Durability,
    EndReason, Event, Exchange, ExchangeBind, ExchangeBuilder, ExchangeDeclare, ExchangeDelete,
    Flow, Get, IntoIter, Iter, Limits, Nack, NackReason, Outcome, Overflow, PendingReply, Publish,
    PublishError, PublishReason, Publisher, PublisherBuilder, Qos, Queue, QueueBind, QueueBuilder,
    QueueDeclare, QueueDeclared, QueueDelete, QueueStats, Receipt, Recover, RecvError,
    RecvTimeoutError, Reject, Returned, Routed, Subscription, Transaction, TryRecvError,
    VirtualHost, Workers, WorkersReport,
};
pub use clock::ManualClock;
pub use engine::routing::ExchangeKind;
pub use error::{Denial, DirectReplyFault, Entity, Error, ErrorKind, ReplyCode, Result, Scope};
#[cfg(feature = "json")]
pub use message::JsonError;
pub use message::{Body, Message, Table, TableIter, Value};
pub use name::Name;
