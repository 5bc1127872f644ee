//! The methods by which messages are received and settled.

use std::sync::Arc;

use super::{Channel, direct_reply};
use crate::{
    DirectReplyFault, Entity, Error, ErrorKind, Name, Result,
    broker::{
        bounds,
        cell::QueueCell,
        channel_state::{self, ChannelConsumer, Outstanding},
        connection_state,
        event::{Delivered, DeliveryTag},
        membership::Succession,
        method::{Ack, Consume, Get, Nack, Qos, Recover, Reject},
        outlet::{ChannelOutlet, Outlet},
        refusal,
        reply::{self, ReplySlot},
    },
    engine::{
        definition::{ConsumerArguments, QueueType},
        entity::Endpoint,
        queue::{AckMode, ConsumerTerms, Custody, Settlement, Sharing},
    },
};

/// How the tags begin that the broker gives to consumers.
const GENERATED_TAG_PREFIX: &str = "amq.ctag-";

#[expect(clippy::needless_pass_by_value, reason = "all methods take their arguments alike")]
impl Channel {
    /// Bounds how many deliveries may be unsettled: of the channel as a whole if it is `global`,
    /// of each consumer that starts later if not. The latter also lifts the bound of the channel.
    ///
    /// A bound of the channel where there was none counts all that is unsettled, what was got
    /// included; settling what was got gives none of it back, as in `RabbitMQ`.
    ///
    /// # Errors
    ///
    /// `NotImplemented` if `prefetch_size` is not zero.
    pub fn basic_qos(&self, of: Qos) -> Result<()> {
        self.run(|| {
            if of.prefetch_size != 0 {
                let size = of.prefetch_size;
                return Err(Error::not_implemented(format!("prefetch_size!=0 ({size})")));
            }
            let limit = (of.prefetch_count > 0).then_some(u32::from(of.prefetch_count));
            let window = if of.global {
                limit
            } else {
                self.memory.lock().prefetch = limit;
                None
            };
            channel_state::resume(self.state.set_window(window));
            Ok(())
        })
    }

    /// Starts a consumer and answers with its tag, a generated one if it was empty. Messages come
    /// as [`Event::Deliver`](crate::Event::Deliver).
    ///
    /// # Errors
    ///
    /// `NotFound`, `NoPreviousQueue`, `Locked`, `AccessRefused` (exclusive use),
    /// `DuplicateConsumerTag`, `InvalidArgument`, `Closed`.
    pub fn basic_consume(&self, of: Consume<'_>) -> Result<Name> {
        self.run(|| {
            let queue = self.queue_name(of.queue)?;
            // A tag in use closes the connection, so it is looked at before anything else.
            let tag = self.new_tag(of.consumer_tag)?;
            if queue == reply::PSEUDO_QUEUE {
                return self.consume_replies(tag, of.auto_ack);
            }
            let vhost = self.vhost();
            let cell = vhost.queue(&queue, Some(self.owner()))?;
            vhost.check_arguments(&of.arguments, Entity::Consumer, &Endpoint::Queue(queue))?;
            let queue_type = cell.definition.parsed.queue_type;
            let arguments = ConsumerArguments::parse(queue_type, &of.arguments)
                .map_err(|invalid| refusal::consumer_argument(&cell.name, invalid, &vhost.name))?;
            let is_shared = queue_type == QueueType::Quorum || !of.exclusive;
            if queue_type == QueueType::Quorum && self.state.has_window() {
                let queue = Endpoint::Queue(cell.name.clone()).in_vhost(&vhost.name);
                return Err(Error::not_implemented(format!("{queue} does not support global qos")));
            }
            let terms = ConsumerTerms {
                mode: ack_mode(of.auto_ack),
                custody: Custody::Queue,
                sharing: if is_shared { Sharing::Shared } else { Sharing::Exclusive },
                priority: arguments.priority,
                prefetch: self.memory.lock().prefetch,
                timeout: arguments.timeout(),
            };
            let outlet = Outlet::Channel(ChannelOutlet {
                channel: Arc::clone(&self.state),
                tag: tag.clone(),
                cell: Arc::downgrade(&cell),
            });
            let noted = Arc::clone(&cell);
            let mut is_noted = false;
            let started = |id| {
                is_noted = self.state.add_consumer(&tag, ChannelConsumer { cell: noted, id });
            };
            cell.begin_use();
            let id = cell
                .consume(terms, outlet, Succession::Beside, started)
                .map_err(|refused| refusal::consume(refused, &cell, vhost))?;
            // Another thread has begun to use the tag meanwhile.
            if !is_noted {
                cell.withdraw(&[id], Settlement::Requeue, Vec::new);
                return Err(duplicate_tag(&tag));
            }
            // Closed by another thread meanwhile: whoever closed it may not have seen the consumer.
            if let Err(closed) = self.state.check_open() {
                self.end_consumer(&tag);
                return Err(closed);
            }
            // The same for the broker, whose close waits for deliveries that nobody would take.
            vhost.check_open().inspect_err(|_| connection_state::end_consumers_of(&self.state))?;
            Ok(tag.clone())
        })
    }

    /// Ends a consumer. What it was delivered stays outstanding. It is no error if there is none.
    ///
    /// If it was the single active consumer of its queue, another one becomes that, and is not
    /// served before something comes or returns to the queue, as in `RabbitMQ`.
    ///
    /// # Errors
    ///
    /// `Closed`, or the error that closed the channel.
    pub fn basic_cancel(&self, consumer_tag: &str) -> Result<()> {
        self.run(|| {
            // The consumer of replies may have the tag of another one, and goes first.
            if let Some(address) = self.state.remove_reply_consumer(consumer_tag) {
                self.vhost().forget_reply_address(&address);
            } else if let Some(ChannelConsumer { cell, id }) =
                self.state.remove_consumer(consumer_tag)
            {
                // As `delivery/sac_cancel_backlog_then_ack` and its neighbours record it, the
                // successor of a single active consumer is chosen and what is ready stays where it
                // is. A publish, a new consumer, a requeue or the close of a channel with a part in
                // the queue sets the successor going; an ack or a get does not.
                cell.cancel(id);
                // Closed by another thread meanwhile, which may not have seen the consumer.
                if self.state.check_open().is_err() {
                    cell.withdraw(&[], Settlement::Requeue, || self.state.take_of(&cell));
                }
            }
            Ok(())
        })
    }

    /// Takes the oldest message of a queue, if it has any.
    ///
    /// # Errors
    ///
    /// `NotFound`, `NoPreviousQueue`, `Locked`, `Closed`.
    pub fn basic_get(&self, of: Get<'_>) -> Result<Option<Delivered>> {
        self.run(|| {
            self.vhost().check_open()?;
            let cell = self.queue(of.queue)?;
            check_gettable(&cell, &self.vhost().name)?;
            cell.begin_use();
            let Some((message, key, ready)) = cell.get(ack_mode(of.auto_ack), Custody::Queue)
            else {
                cell.check_readable()?;
                return Ok(None);
            };
            let outstanding = key.map(|key| (Arc::clone(&cell), key));
            let got = self.state.push_got(&message, outstanding, ready);
            // Closed by another thread meanwhile: whoever closed it may not have seen the message.
            if let Err(closed) = self.state.check_open() {
                cell.withdraw(&[], Settlement::Requeue, || self.state.take_of(&cell));
                return Err(closed);
            }
            Ok(Some(got))
        })
    }

    /// Settles deliveries as done.
    ///
    /// # Errors
    ///
    /// `UnknownDelivery` if the tag is not outstanding, whatever lower ones are.
    pub fn basic_ack(&self, of: Ack) -> Result<()> {
        self.settle(of.delivery_tag, of.multiple, Settlement::Accept)
    }

    /// Settles deliveries as not done.
    ///
    /// # Errors
    ///
    /// `UnknownDelivery` if the tag is not outstanding, whatever lower ones are.
    pub fn basic_nack(&self, of: Nack) -> Result<()> {
        let settlement = if of.requeue { Settlement::Requeue } else { Settlement::Reject };
        self.settle(of.delivery_tag, of.multiple, settlement)
    }

    /// Settles a delivery as not done.
    ///
    /// # Errors
    ///
    /// `UnknownDelivery` if the tag is not outstanding.
    pub fn basic_reject(&self, of: Reject) -> Result<()> {
        let settlement = if of.requeue { Settlement::Fail } else { Settlement::Reject };
        self.settle(of.delivery_tag, false, settlement)
    }

    /// Puts back all that is outstanding.
    ///
    /// # Errors
    ///
    /// `NotImplemented` if `requeue` is false, as in `RabbitMQ`.
    pub fn basic_recover(&self, of: Recover) -> Result<()> {
        self.run(|| {
            if !of.requeue {
                return Err(Error::not_implemented("requeue=false"));
            }
            self.settle_taken(&self.state.take_all(), Settlement::Requeue);
            Ok(())
        })
    }

    fn end_consumer(&self, tag: &str) {
        if let Some(ChannelConsumer { cell, id }) = self.state.remove_consumer(tag) {
            cell.withdraw(&[id], Settlement::Requeue, Vec::new);
        }
    }

    fn settle(&self, tag: DeliveryTag, multiple: bool, settlement: Settlement) -> Result<()> {
        self.run(|| {
            let tx_steps_max = self.vhost().context.limits.transaction_steps;
            let taken = self.state.settle(tag, multiple, settlement, tx_steps_max)?;
            self.settle_taken(&taken, settlement);
            Ok(())
        })
    }

    /// Where nothing was taken, as where a transaction keeps it for its commit, no credit comes
    /// back: queues that were refused some keep their places.
    fn settle_taken(&self, taken: &[(u64, Outstanding)], settlement: Settlement) {
        if !taken.is_empty() {
            connection_state::settle(&self.state, taken, settlement);
        }
    }

    fn consume_replies(&self, tag: Name, auto_ack: bool) -> Result<Name> {
        if !auto_ack {
            return Err(direct_reply(DirectReplyFault::NeedsAutoAck));
        }
        let vhost = self.vhost();
        let address = vhost.generated_name(reply::ADDRESS_PREFIX);
        self.state
            .set_reply_consumer(&tag, address.clone())
            .map_err(|_| direct_reply(DirectReplyFault::AlreadyConsuming))?;
        let slot = ReplySlot::Channel(Arc::downgrade(&self.state), tag.clone());
        vhost.replies.insert(address.clone(), Arc::new(slot));
        // Closed by another thread meanwhile: whoever closed it may not have seen the address.
        self.state.check_open().inspect_err(|_| drop(vhost.replies.remove(&address)))?;
        Ok(tag)
    }

    fn new_tag(&self, asked: &str) -> Result<Name> {
        if asked.is_empty() {
            return Ok(self.vhost().generated_name(GENERATED_TAG_PREFIX));
        }
        bounds::check_name(Entity::Consumer, asked)?;
        if self.state.has_consumer(asked) {
            return Err(duplicate_tag(asked));
        }
        Ok(Name::from(asked))
    }
}

/// Quorum queues of `RabbitMQ` with a single active consumer give nothing to others.
fn check_gettable(cell: &QueueCell, vhost: &Name) -> Result<()> {
    let parsed = &cell.definition.parsed;
    if parsed.queue_type == QueueType::Quorum && parsed.single_active_consumer {
        let kind = ErrorKind::SingleActive { queue: cell.name.clone() };
        return Err(Error::new(kind, vhost));
    }
    Ok(())
}

fn duplicate_tag(tag: &str) -> Error {
    Error::plain(ErrorKind::DuplicateConsumerTag { consumer_tag: Name::from(tag) })
}

fn ack_mode(auto_ack: bool) -> AckMode {
    if auto_ack { AckMode::Auto } else { AckMode::Manual }
}
