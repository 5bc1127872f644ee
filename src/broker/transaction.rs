//! Transactions of the handle tier.
//!
//! A message draws its bytes when it joins, so a commit finds room in memory whatever others do.

use std::sync::Arc;

use super::{
    bounds,
    cell::QueueCell,
    dead_letters,
    delivery::Delivery,
    exchange::{Exchange, Routed},
    intake::Intake,
    journal::Position,
    outcome::Outcome,
    publish::{self, Source},
    publish_error::{PublishError, PublishReason},
    reply::Replies,
    room::ByteRoom,
    tx,
    vhost::VirtualHost,
};
use crate::{Entity, Error, Message, Result};

/// Publishes and settlements that take effect together at [`commit`](Self::commit).
///
/// Each queue shows them in order. Until then its messages count for
/// [`Limits::memory_bytes`](crate::Limits::memory_bytes) as if they were in their queues, once if
/// they reach none. Dropping the transaction rolls it back: its messages are gone, its deliveries
/// go back to their places.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// use leveret::{Broker, Message};
///
/// let broker = Broker::new();
/// let orders = broker.declare_queue("orders").declare()?;
/// let invoices = broker.declare_queue("invoices").declare()?;
/// orders.send(Message::new("order 1"))?;
///
/// let order = orders.get()?.expect("it is there");
/// let mut transaction = broker.transaction();
/// transaction.publish(&broker.default_exchange(), "invoices", Message::new("invoice 1"))?;
/// transaction.ack(order)?;
/// assert_eq!((orders.stats().unacked, invoices.stats().ready), (1, 0));
/// transaction.commit()?;
/// assert_eq!((orders.stats().unacked, invoices.stats().ready), (0, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping a transaction rolls it back"]
pub struct Transaction {
    vhost: VirtualHost,
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Publish {
        source: Source,
        /// It has its label.
        message: Message,
        queues: Vec<Arc<QueueCell>>,
        replies: Replies,
        /// Drawn until the queues have drawn theirs.
        room: ByteRoom,
    },
    Settle(Delivery, Outcome),
}

/// A commit that did not happen. The transaction can be tried again or rolled back; dropping the
/// error rolls it back.
#[derive(Debug, thiserror::Error)]
#[error("not committed: {error}")]
pub struct CommitError {
    #[source]
    error: Error,
    transaction: Box<Transaction>,
}

/// A settlement that a transaction did not take. The delivery is in here; dropped, it goes back to
/// its place.
#[derive(Debug, thiserror::Error)]
#[error("not settled: {error}")]
pub struct SettleError {
    #[source]
    error: Error,
    delivery: Delivery,
}

impl Transaction {
    pub(crate) fn new(vhost: VirtualHost) -> Self {
        Self { vhost, steps: Vec::new() }
    }

    /// Publishes at the commit. Where the message goes is decided now.
    ///
    /// # Errors
    ///
    /// As [`Exchange::publish`]; `Refused` also if the exchange is of another virtual host, or
    /// beyond [`Limits::transaction_steps`](crate::Limits::transaction_steps). The transaction is
    /// unchanged then.
    pub fn publish(
        &mut self,
        exchange: &Exchange,
        key: &str,
        mut message: Message,
    ) -> Result<Routed, PublishError> {
        if let Some(error) = self.refusal(exchange) {
            return Err(PublishError::new(error, message));
        }
        publish::with_found(|found| {
            if let Err(reason) = exchange.route(key, &message, found) {
                return Err(PublishError::new(reason, message));
            }
            message.put_label(&found.label(exchange.source(), key));
            let vhost = self.vhost.state();
            if let Err(reason) = vhost.check_store(&message, found) {
                return Err(PublishError::new(reason, message));
            }
            let queues = found.queues(vhost).to_vec();
            let bytes = tx::waiting_bytes(message.bytes(), queues.len());
            let Some(room) = ByteRoom::draw(&vhost.context, bytes) else {
                return Err(PublishError::new(PublishReason::NO_MEMORY, message));
            };
            let queues_found = u32::try_from(queues.len()).unwrap_or(u32::MAX);
            let routed = Routed { queues: queues_found, refused: 0 };
            let replies = found.take_replies();
            let source = exchange.source().clone();
            self.steps.push(Step::Publish { source, message, queues, replies, room });
            Ok(routed)
        })
    }

    /// Settles at the commit.
    ///
    /// # Errors
    ///
    /// `LimitExceeded` beyond [`Limits::transaction_steps`](crate::Limits::transaction_steps);
    /// `Foreign` for a delivery of another virtual host. The transaction is unchanged then, and the
    /// delivery is in the error.
    pub fn settle(&mut self, delivery: Delivery, outcome: Outcome) -> Result<(), SettleError> {
        if let Some(error) = delivery.foreign_to(self.vhost.state()) {
            return Err(SettleError { error, delivery });
        }
        if let Err(error) = self.check_length() {
            return Err(SettleError { error, delivery });
        }
        self.steps.push(Step::Settle(delivery, outcome));
        Ok(())
    }

    /// Acks at the commit.
    ///
    /// # Errors
    ///
    /// As [`settle`](Self::settle).
    pub fn ack(&mut self, delivery: Delivery) -> Result<(), SettleError> {
        self.settle(delivery, Outcome::Ack)
    }

    /// Makes it all happen, or nothing.
    ///
    /// # Errors
    ///
    /// `Closed`; `NotFound` if the virtual host is deleted; `Full` if there are replies in it for a
    /// channel whose untaken events leave no room for them. The error has the transaction.
    ///
    /// With a store it waits until all is durable. `StoreFailed`, or `Full` for the disk, then says
    /// that this did not come about: in memory it has all happened, and the transaction in the
    /// error is empty.
    pub fn commit(mut self) -> Result<(), CommitError> {
        match self.keep_places() {
            Ok(()) => {
                let vhost = self.vhost.clone();
                let position = self.apply();
                vhost
                    .state()
                    .context
                    .await_durable_or_full(position)
                    .map_err(|error| CommitError { error, transaction: Box::new(Self::new(vhost)) })
            }
            Err(error) => Err(CommitError { error, transaction: Box::new(self) }),
        }
    }

    /// Gives up and hands back what it held, in order.
    #[must_use]
    pub fn rollback(self) -> (Vec<Message>, Vec<Delivery>) {
        let (mut messages, mut deliveries) = (Vec::new(), Vec::new());
        for step in self.steps {
            match step {
                Step::Publish { message, .. } => messages.push(message),
                Step::Settle(delivery, _) => deliveries.push(delivery),
            }
        }
        (messages, deliveries)
    }

    /// What a publish to an exchange is refused with before anything is asked of the exchange.
    fn refusal(&self, exchange: &Exchange) -> Option<Error> {
        let foreign = self.vhost.foreign(exchange.vhost(), Entity::Exchange, exchange.name());
        foreign.or_else(|| self.check_length().err())
    }

    fn check_length(&self) -> Result<()> {
        let max = self.vhost.state().context.limits.transaction_steps;
        bounds::check_limit("transaction_steps", max as u64, self.steps.len() as u64 + 1)
    }

    /// Keeps places for the replies in it among the events of their channels.
    fn keep_places(&mut self) -> Result<()> {
        self.vhost.state().check_publishing()?;
        if let Some(journal) = &self.vhost.state().context.journal {
            journal.check_works()?;
        }
        for step in &mut self.steps {
            if let Step::Publish { replies, .. } = step {
                replies.keep_room(1)?;
            }
        }
        Ok(())
    }

    /// Bounds that queues declare stop nothing here: it all happens.
    fn apply(self) -> Position {
        let context = Arc::clone(&self.vhost.state().context);
        dead_letters::after(|| match &context.journal {
            None => {
                self.apply_steps();
                Position::NONE
            }
            Some(journal) => journal.step(|| self.apply_steps()).1,
        })
    }

    fn apply_steps(self) {
        for step in self.steps {
            match step {
                Step::Publish { source, message, queues, replies, room } => {
                    let held = publish::held(message);
                    replies.deliver(&held);
                    let mut intake = Intake::default();
                    for cell in &queues {
                        intake.add(cell, cell.enqueue_anyway(held.clone()));
                    }
                    self.vhost.state().tally(&source).count(&intake);
                    drop(room);
                }
                Step::Settle(delivery, outcome) => {
                    // Closed in the middle means that the broker has taken the delivery back.
                    let _ = delivery.settle(outcome);
                }
            }
        }
    }
}

impl CommitError {
    /// Why it did not happen.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// The transaction, unchanged.
    pub fn into_transaction(self) -> Transaction {
        *self.transaction
    }
}

impl SettleError {
    /// Why it was not taken.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// The delivery, as it was.
    pub fn into_delivery(self) -> Delivery {
        self.delivery
    }
}

impl From<SettleError> for Error {
    fn from(error: SettleError) -> Self {
        error.error
    }
}

impl From<CommitError> for Error {
    fn from(error: CommitError) -> Self {
        error.error
    }
}
