//! AMQP semantics inside your own process: an embedded message broker.
//!
//! A [`Broker`] holds *exchanges*, *queues* and the *bindings* between them. Messages are published
//! to an exchange with a routing key; the exchange's bindings decide which queues get a copy; each
//! queue keeps its messages in order and hands them to consumers, who settle every one of them: ack
//! (done), reject (given up) or requeue (back to its place, to be tried again).
//!
//! ```
//! use leveret::{Broker, Message};
//!
//! # fn main() -> leveret::Result<()> {
//! let broker = Broker::new();
//! let orders = broker.declare_exchange("orders").topic().declare()?;
//! let mail = broker.declare_queue("mail").declare()?;
//! orders.bind(&mail, "order.*")?;
//!
//! let routed = orders.publish("order.created", Message::new("order 1"))?;
//! assert_eq!(routed.queues, 1);
//!
//! let consumer = mail.consume().prefetch(10).start()?;
//! let order = consumer.recv()?;
//! assert_eq!(order.text(), Some("order 1"));
//! order.ack()?;
//! # Ok(())
//! # }
//! ```
//!
//! # The nouns
//!
//! | | |
//! |---|---|
//! | [`Broker`], [`VirtualHost`] | What everything lives in. |
//! | [`Exchange`], [`Queue`], [`Binding`] | Handles to what was declared: cheap clones. |
//! | [`Message`], [`Body`], [`Table`], [`Value`] | What travels: bytes, properties, headers. |
//! | [`Consumer`], [`Delivery`], [`Acker`] | Receiving, and the duty to settle. |
//! | [`Workers`], [`Outcome`] | Threads that serve a queue with a handler. |
//! | [`Subscription`] | A consumer with a temporary queue and bindings of its own. |
//! | [`Publisher`], [`Confirm`], [`Receipt`] | Publishing with proof. |
//! | [`DelayedRetry`], [`Overflow`] | What becomes of what fails, and of what is too much. |
//! | [`QueueStats`], [`Browsed`], [`Latency`] | What a queue shows. |
//! | [`Transaction`] | Publishes and settlements that happen together. |
//! | [`Exchange::call`], [`Delivery::reply`] | Requests and replies. |
//! | [`Durability`], [`RecoveryReport`] | What outlives the process. |
//! | [`Limits`] | The bound of every buffer. |
//! | [`ManualClock`] | Time for tests. |
//! | [`Error`], [`ErrorKind`] | What went wrong, with AMQP's reply code and text. |
//!
//! # Two tiers
//!
//! The *handle tier* above is for Rust programs: an error never closes anything, a [`Delivery`]
//! that is dropped goes back to its queue, and what AMQP decides at run time (settling twice, using
//! a closed channel) does not compile.
//!
//! The *channel tier* is AMQP 0-9-1 method by method, for code that is ported and for comparing
//! with other brokers: a [`Connection`] has [`Channel`]s, methods take structs with every field of
//! the protocol ([`QueueDeclare`], [`Publish`], [`Consume`], …), what the broker sends comes as an
//! [`Event`], and an error closes the channel or the connection as [`Error::scope`] says.
//!
//! Both work on the same exchanges and queues of a virtual host, at the same time.
//!
//! # Waiting
//!
//! Publishing never waits: at a bound it hands the message back in a [`PublishError`]. Only methods
//! that receive, or that take a [`Duration`](std::time::Duration), wait, in the host's time.
//! [`Consumer`] shows the forms: [`recv`](Consumer::recv) blocks,
//! [`recv_timeout`](Consumer::recv_timeout) blocks for so long, [`try_recv`](Consumer::try_recv)
//! does not block, [`poll_recv`](Consumer::poll_recv) is for tasks of any async runtime, and
//! [`ready`](Consumer::ready) for `select!` of crossbeam-channel.
//!
//! # Features
//!
//! | Feature | Adds |
//! |---|---|
//! | `json` | [`Message::json`](Message) and `parse_json`, over serde. Off by default. |
//! | `persist` | `Broker::open`: durable queues in a directory, over sled. Off by default. |
//!
//! Without `persist`, or in a broker that was not given a directory, everything is in memory:
//! `durable` and persistent messages are compared and shown, and gone with the process.
//! [`guide::semantics`] says what outlives it otherwise, and which promises a store keeps.
//!
//! # Further reading
//!
//! - [`guide::semantics`]: every rule where this crate follows `RabbitMQ` or differs, the promises
//!   it makes, and which test shows them.
//! - [`guide::performance`]: what a message costs, what makes it dearer, and how to choose
//!   prefetch, batches and the allocator.
//! - [`guide::architecture`]: the layers, the path of a message, the order of locks, every file.
//! - [`guide::decisions`]: what was chosen, and instead of what.
//! - `examples/` in the repository: whole programs.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]

mod broker;
mod clock;
mod engine;
mod error;
mod error_text;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod guide;
mod message;
mod name;
mod shield;
#[cfg(all(feature = "persist", not(loom)))]
mod store;
#[cfg_attr(not(loom), expect(clippy::disallowed_types, reason = "the one place for locks"))]
mod sync;
mod time;

pub use broker::{
    Ack, Acker, Binding, BindingKey, Broker, BrokerBuilder, Browsed, CallError, Channel, ChannelId,
    CloseReport, CommitError, Confirm, ConfirmError, ConfirmReport, ConnectOptions, Connection,
    Consume, Consumer, ConsumerBuilder, ConsumerStats, DelayedRetry, Delivered, Delivery,
    DeliveryTag, Destination, Durability, EndReason, Event, Exchange, ExchangeBind,
    ExchangeBuilder, ExchangeDeclare, ExchangeDelete, ExchangeStats, Flow, Get, IntoIter, Iter,
    Limits, Nack, NackReason, Outcome, Overflow, PendingReply, Publish, PublishError,
    PublishReason, Publisher, PublisherBuilder, Qos, Queue, QueueBind, QueueBuilder, QueueDeclare,
    QueueDeclared, QueueDelete, QueueStats, Receipt, Recover, RecoveryReport, RecvError,
    RecvTimeoutError, Reject, Returned, Routed, SettleError, StoreStats, Subscription, Transaction,
    TryRecvError, VirtualHost, Workers, WorkersReport,
};
pub use clock::ManualClock;
pub use engine::{queue::Latency, routing::ExchangeKind};
pub use error::{
    Denial, DirectReplyFault, Entity, Error, ErrorKind, ReplyCode, Result, Scope, StoreFault,
};
#[cfg(feature = "json")]
pub use message::JsonError;
pub use message::{Body, Message, Table, TableIter, Value};
pub use name::Name;
#[cfg(all(feature = "persist", not(loom)))]
pub use store::salvage::report::SalvageReport;

/// Compiles the programs in the README, one of which needs a store, and runs the other.
#[cfg(all(doctest, feature = "persist"))]
mod readme {
    #![doc = include_str!("../README.md")]
}
