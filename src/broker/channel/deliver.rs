//! The methods by which messages are received and settled.

use std::sync::Arc;

use super::{Channel, direct_reply, full};
use crate::{
    DirectReplyFault, Entity, Error, ErrorKind, Name, Result,
    broker::{
        bounds,
        channel_state::{self, ChannelConsumer, Mode, Outstanding},
        connection_state,
        event::Delivered,
        method::{Ack, Consume, Get, Nack, Qos, Recover, Reject},
        outlet::{ChannelOutlet, Outlet},
        refusal,
        reply::{self, ReplySlot},
        tx::TxSettlement,
    },
    engine::{
        definition::ConsumerArguments,
        queue::{AckMode, ConsumerTerms, Settlement, Sharing},
    },
};

/// How the tags begin that the broker gives to consumers.
const GENERATED_TAG_PREFIX: &str = "amq.ctag-";

#[expect(clippy::needless_pass_by_value, reason = "all methods take their arguments alike")]
impl Channel {
    /// Bounds how many deliveries may be unsettled.
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
            if of.global {
                self.memory.lock().has_window = limit.is_some();
                channel_state::resume(self.state.set_window(limit));
            } else {
                self.memory.lock().prefetch = limit;
            }
            Ok(())
        })
    }

    /// Starts a consumer and answers with its tag, a generated one if it was empty. Messages come
    /// as [`Event::Deliver`].
    ///
    /// # Errors
    ///
    /// `NotFound`, `NoPreviousQueue`, `Locked`, `AccessRefused` (exclusive use),
    /// `DuplicateConsumerTag`, `InvalidArgument`, `Closed`.
    pub fn basic_consume(&self, of: Consume<'_>) -> Result<Name> {
        self.run(|| {
            self.vhost().check_open()?;
            if of.queue == reply::PSEUDO_QUEUE {
                return self.consume_replies(&of);
            }
            let cell = self.queue(of.queue)?;
            let tag = self.new_tag(of.consumer_tag)?;
            let vhost = self.vhost();
            vhost.check_table(&of.arguments)?;
            let queue_type = cell.definition.parsed.queue_type;
            let arguments = ConsumerArguments::parse(queue_type, &of.arguments)
                .map_err(|invalid| refusal::consumer_argument(&cell.name, invalid, &vhost.name))?;
            let terms = ConsumerTerms {
                mode: ack_mode(of.auto_ack),
                sharing: if of.exclusive { Sharing::Exclusive } else { Sharing::Shared },
                priority: arguments.priority,
                prefetch: self.memory.lock().prefetch,
            };
            let outlet = Outlet::Channel(ChannelOutlet {
                channel: Arc::clone(&self.state),
                tag: tag.clone(),
                cell: Arc::downgrade(&cell),
            });
            let noted = Arc::clone(&cell);
            let started = |id| self.state.add_consumer(&tag, ChannelConsumer { cell: noted, id });
            cell.consume(terms, outlet, started)
                .map_err(|refused| refusal::consume(refused, &cell, vhost))?;
            // Closing ends the consumers that it finds; one that came too late ends itself.
            vhost.check_open().inspect_err(|_| {
                if let Some(ChannelConsumer { cell, id }) = self.state.remove_consumer(&tag) {
                    self.state.end_consumer(&cell, id);
                }
            })?;
            Ok(tag.clone())
        })
    }

    /// Ends a consumer. What it was delivered stays outstanding. It is no error if there is none.
    ///
    /// # Errors
    ///
    /// `Closed`, or the error that closed the channel.
    pub fn basic_cancel(&self, consumer_tag: &str) -> Result<()> {
        self.run(|| {
            if let Some(address) = self.state.remove_reply_consumer(consumer_tag) {
                drop(self.vhost().replies.remove(&address));
            }
            if let Some(ChannelConsumer { cell, id }) = self.state.remove_consumer(consumer_tag) {
                cell.withdraw(&[id], Settlement::Requeue, Vec::new);
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
            let Some((message, key, ready)) = cell.get(ack_mode(of.auto_ack)) else {
                return Ok(None);
            };
            let outstanding = key.map(|key| (Arc::clone(&cell), key));
            Ok(Some(self.state.push_got(&message, outstanding, ready)))
        })
    }

    /// Settles deliveries as done.
    ///
    /// # Errors
    ///
    /// `UnknownDelivery` if the tag is not outstanding, whatever lower ones are.
    pub fn basic_ack(&self, of: Ack) -> Result<()> {
        self.run(|| self.settle(self.state.take(of.delivery_tag, of.multiple)?, Settlement::Accept))
    }

    /// Settles deliveries as not done.
    ///
    /// # Errors
    ///
    /// `UnknownDelivery` if the tag is not outstanding, whatever lower ones are.
    pub fn basic_nack(&self, of: Nack) -> Result<()> {
        let settlement = not_done(of.requeue);
        self.run(|| self.settle(self.state.take(of.delivery_tag, of.multiple)?, settlement))
    }

    /// Settles a delivery as not done.
    ///
    /// # Errors
    ///
    /// `UnknownDelivery` if the tag is not outstanding.
    pub fn basic_reject(&self, of: Reject) -> Result<()> {
        let settlement = not_done(of.requeue);
        self.run(|| self.settle(self.state.take(of.delivery_tag, false)?, settlement))
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
            let taken = self.state.take_all();
            connection_state::settle(&self.state, &taken, Settlement::Requeue);
            Ok(())
        })
    }

    fn settle(&self, taken: Vec<(u64, Outstanding)>, settlement: Settlement) -> Result<()> {
        let most = self.vhost().context.limits.transaction_steps;
        let not_buffered = self.state.with_mode(|mode| match mode {
            Mode::Tx(buffer) if buffer.len() < most => {
                buffer.settlements.push(TxSettlement { settlement, taken });
                Ok(None)
            }
            Mode::Tx(_) => Err(taken),
            Mode::Plain | Mode::Confirm(_) => Ok(Some(taken)),
        });
        match not_buffered {
            Ok(None) => Ok(()),
            Ok(Some(taken)) => {
                connection_state::settle(&self.state, &taken, settlement);
                Ok(())
            }
            Err(taken) => {
                self.state.restore(taken);
                Err(full("transaction_steps"))
            }
        }
    }

    fn consume_replies(&self, of: &Consume<'_>) -> Result<Name> {
        if !of.auto_ack {
            return Err(direct_reply(DirectReplyFault::NeedsAutoAck));
        }
        let tag = self.new_tag(of.consumer_tag)?;
        let vhost = self.vhost();
        let address = vhost.generated_name(reply::ADDRESS_PREFIX);
        self.state
            .set_reply_consumer(&tag, address.clone())
            .map_err(|_| direct_reply(DirectReplyFault::AlreadyConsuming))?;
        let slot = ReplySlot::Channel(Arc::downgrade(&self.state), tag.clone());
        vhost.replies.insert(address, Arc::new(slot));
        Ok(tag)
    }

    fn new_tag(&self, asked: &str) -> Result<Name> {
        if asked.is_empty() {
            return Ok(self.vhost().generated_name(GENERATED_TAG_PREFIX));
        }
        bounds::check_name(Entity::Consumer, asked)?;
        if self.state.has_consumer(asked) {
            let kind = ErrorKind::DuplicateConsumerTag { consumer_tag: Name::from(asked) };
            return Err(Error::plain(kind));
        }
        Ok(Name::from(asked))
    }
}

fn ack_mode(auto_ack: bool) -> AckMode {
    if auto_ack { AckMode::Auto } else { AckMode::Manual }
}

fn not_done(requeue: bool) -> Settlement {
    if requeue { Settlement::Requeue } else { Settlement::Reject }
}
