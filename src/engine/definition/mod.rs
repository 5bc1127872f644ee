//! What exchanges, queues and consumers are declared to be: arguments, their validity, and
//! whether a declaration fits what exists.
//!
//! A declaration is what a client says; a definition is a declaration found valid. The rules, the
//! order in which they are checked, and the texts of errors are those of `RabbitMQ` 3.10.

mod arguments;
mod consumer;
mod exchange;
mod fault;
mod mismatch;
mod queue;
mod queue_type;
mod reader;
mod retry;

pub(crate) use arguments::{DeadLetterStrategy, Overflow, QueueArguments, QueueMode};
pub(crate) use consumer::ConsumerArguments;
pub(crate) use exchange::{ExchangeDeclaration, ExchangeDefinition};
pub(crate) use fault::InvalidArgument;
pub(crate) use mismatch::Mismatch;
pub(crate) use queue::{InvalidQueue, QueueDeclaration, QueueDefaults, QueueDefinition};
pub(crate) use queue_type::QueueType;
pub(crate) use retry::{Retried, RetryPolicy};
