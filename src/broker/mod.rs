//! The broker around the engine: locks, threads, waiting, and the handles that programs hold.
//!
//! Two tiers share one core. The handle tier (`Broker`, `Exchange`, `Queue`, `Consumer`, …) is for
//! Rust programs; the channel tier (`Connection`, `Channel`) is AMQP 0-9-1 method by method. Both
//! are thin over queue cells, exchange cells and the publish path.

mod acks;
mod aftermath;
mod binding;
mod bounds;
mod broker_state;
mod budget;
mod builder;
mod call;
mod cell;
mod changing;
mod channel;
mod channel_state;
mod confirm;
mod confirming;
mod connection;
mod connection_state;
mod consumer;
mod consumer_builder;
mod context;
mod dead_letters;
mod delayed_retry;
mod delivery;
mod directory;
mod entrance;
mod event;
mod exchange;
mod exchange_builder;
mod exchange_cell;
mod former;
mod intake;
#[cfg(all(feature = "persist", not(loom)))]
mod journal;
#[cfg(not(all(feature = "persist", not(loom))))]
#[path = "journal_absent.rs"]
mod journal;
mod keeping;
mod lapse;
mod lease;
mod limits;
mod mailbox;
mod membership;
mod memo;
mod method;
mod milliseconds;
#[cfg(all(test, loom))]
mod models;
mod outbox;
mod outcome;
mod outlet;
mod paging;
mod patience;
mod plan;
mod progress;
mod publish;
mod publish_error;
mod publisher;
mod queue;
mod queue_builder;
mod queue_stats;
mod receiving;
mod recovery_report;
mod refusal;
mod registry;
mod reply;
mod room;
mod snapshot;
mod store_stats;
mod subscription;
mod tally;
mod timers;
mod transaction;
mod tx;
mod unblocking;
mod vhost;
mod vhost_state;
mod waiting;
mod window;
mod workers;

pub(crate) use self::timers::Timers;
pub use self::{
    binding::{Binding, BindingKey, Destination},
    broker_state::CloseReport,
    builder::{Broker, BrokerBuilder},
    call::{CallError, PendingReply},
    channel::Channel,
    confirm::{Confirm, ConfirmError, Durability, NackReason, Receipt},
    connection::{ConnectOptions, Connection},
    consumer::{Consumer, EndReason, IntoIter, Iter, RecvError, RecvTimeoutError, TryRecvError},
    consumer_builder::ConsumerBuilder,
    delayed_retry::DelayedRetry,
    delivery::{Acker, Delivery},
    event::{ChannelId, Delivered, DeliveryTag, Event, Returned},
    exchange::{Exchange, Routed},
    exchange_builder::ExchangeBuilder,
    limits::Limits,
    method::{
        Ack, Consume, ExchangeBind, ExchangeDeclare, ExchangeDelete, Flow, Get, Nack, Publish, Qos,
        QueueBind, QueueDeclare, QueueDeclared, QueueDelete, Recover, Reject,
    },
    outcome::Outcome,
    publish_error::{PublishError, PublishReason},
    publisher::{ConfirmReport, Publisher, PublisherBuilder},
    queue::Queue,
    queue_builder::{Overflow, QueueBuilder},
    queue_stats::{Browsed, ConsumerStats, QueueStats},
    recovery_report::RecoveryReport,
    store_stats::StoreStats,
    subscription::Subscription,
    tally::ExchangeStats,
    transaction::{CommitError, SettleError, Transaction},
    vhost::VirtualHost,
    workers::{Workers, WorkersReport},
};
