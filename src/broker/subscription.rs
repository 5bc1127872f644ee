//! Subscriptions: a consumer, a queue and bindings of one's own.

use std::{ops::Deref, sync::Arc};

use super::{
    binding::BindingKey,
    bounds,
    cell::QueueCell,
    consumer::{Consumer, Iter},
    delivery::Delivery,
    exchange::Exchange,
    mailbox::Lag,
    publish::Source,
    refusal,
    vhost_state::VhostState,
};
use crate::{Result, engine::entity::Endpoint};

/// A consumer with a temporary queue and bindings of its own, which go when it is dropped.
///
/// Its deliveries are acked when they are received. Publishers never wait for a subscriber: one
/// that lags behind by more than
/// [`Limits::subscription_messages`](crate::Limits::subscription_messages) loses the oldest.
///
/// Like a consumer, it does not keep its broker open.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// use leveret::{Broker, Message};
///
/// let broker = Broker::new();
/// let logs = broker.declare_exchange("logs").topic().declare()?;
/// let bad = logs.subscribe("*.error")?;
/// bad.also("*.fatal")?;
/// logs.publish("kernel.fatal", Message::new("disk on fire"))?;
/// assert_eq!(bad.recv()?.text(), Some("disk on fire"));
/// assert_eq!(bad.lost(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping the subscription ends it"]
pub struct Subscription {
    consumer: Consumer,
    queue: Arc<QueueCell>,
    exchange: Source,
    vhost: Arc<VhostState>,
}

impl Subscription {
    pub(crate) fn new(exchange: &Exchange, key: BindingKey) -> Result<Self> {
        let vhost = exchange.vhost();
        let most = vhost.state().context.limits.subscription_messages;
        bounds::check_limit("subscription_messages", u64::from(most), 1)?;
        let queue = vhost.temporary_queue()?;
        let consumer = queue.consume().unlimited().auto_ack().lag(Lag::AtMost(most)).start()?;
        let subscription = Self {
            consumer,
            queue: Arc::clone(queue.cell()),
            exchange: exchange.source().clone(),
            vhost: Arc::clone(vhost.state()),
        };
        subscription.also(key)?;
        Ok(subscription)
    }

    /// Adds a binding.
    ///
    /// # Errors
    ///
    /// As [`Exchange::bind`].
    pub fn also(&self, key: impl Into<BindingKey>) -> Result<()> {
        let BindingKey { key, arguments } = key.into();
        let to = Endpoint::Queue(self.queue.name.clone());
        let source = self.exchange.name();
        let ends = self.exchange.target();
        let actor = self.queue.definition.owner;
        self.vhost
            .bind(&source, to.clone(), &key, &arguments, actor, ends.as_slice())
            .map_err(|error| refusal::of_binding(error, &source, &to, &self.vhost.name))
    }

    /// How many messages it has lost by lagging.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.consumer.lost()
    }
}

impl Deref for Subscription {
    type Target = Consumer;

    fn deref(&self) -> &Consumer {
        &self.consumer
    }
}

impl<'c> IntoIterator for &'c Subscription {
    type Item = Delivery;
    type IntoIter = Iter<'c>;

    fn into_iter(self) -> Iter<'c> {
        self.consumer.iter()
    }
}
