//! The methods by which messages are published: at once, with confirms, or in a transaction.

use super::{Channel, direct_reply, full};
use crate::{
    DirectReplyFault, Entity, Error, ErrorKind, Message, Name, Result,
    broker::{
        bounds,
        channel_state::{Begun, Mode},
        connection_state, dead_letters,
        event::DeliveryTag,
        intake::Intake,
        journal::Position,
        method::Publish,
        publish::{self, Found, Source},
        publish_error::{PublishError, PublishReason},
        reply::{self, Replies},
        room::{ByteRoom, EventRoom},
        tx::{self, Mandatory, TxBuffer, TxOutline, TxPublish, TxSettlement},
        unblocking,
    },
    engine::queue::{Held, Settlement},
};

impl Channel {
    /// Numbers what is published from now on, and confirms it with
    /// [`Event::Ack`](crate::Event::Ack) or [`Event::Nack`](crate::Event::Nack).
    ///
    /// # Errors
    ///
    /// `WrongMode` on a transactional channel.
    pub fn confirm_select(&self) -> Result<()> {
        self.run(|| {
            self.state.with_mode(|mode| match mode {
                Mode::Plain => {
                    *mode = Mode::Confirm(1);
                    Ok(())
                }
                Mode::Confirm(_) => Ok(()),
                Mode::Tx(_) => Err(wrong_mode("cannot switch from tx to confirm mode")),
            })
        })
    }

    /// Collects what is published and settled from now on until `tx_commit`.
    ///
    /// # Errors
    ///
    /// `WrongMode` on a channel with confirms.
    pub fn tx_select(&self) -> Result<()> {
        self.run(|| {
            self.state.with_mode(|mode| match mode {
                Mode::Plain => {
                    *mode = Mode::Tx(TxBuffer::default());
                    Ok(())
                }
                Mode::Confirm(_) => Err(wrong_mode("cannot switch from confirm to tx mode")),
                Mode::Tx(_) => Ok(()),
            })
        })
    }

    /// Makes it happen: first the acks, then the publishes, then what is requeued or discarded, all
    /// of them in order. Messages that are to be returned are returned now.
    ///
    /// # Errors
    ///
    /// `WrongMode` if the channel is not transactional. `PartialCommit` closes the channel: a queue
    /// with [`Overflow::RejectPublish`](crate::Overflow::RejectPublish) had no room for one of the
    /// messages; all the rest has happened. `Full` changes nothing: the returns do not fit among
    /// the untaken events of this channel. The transaction can be tried again when events have been
    /// taken, or rolled back.
    pub fn tx_commit(&self) -> Result<()> {
        self.run(|| {
            let vhost = self.vhost();
            let (mut buffer, places) = self.take_tx()?;
            // Acks overtake what else waits for a queue of `RabbitMQ`.
            let (acks, others): (Vec<_>, Vec<_>) = buffer
                .take_settlements()
                .into_iter()
                .partition(|of| of.settlement == Settlement::Accept);
            let mut is_whole = true;
            let apply = || {
                self.settle_all(acks);
                publish::with_found(|found| {
                    for publish in buffer.publishes.drain(..) {
                        let TxPublish { source, held, queues, mandatory, room } = publish;
                        let cells = queues.iter().filter_map(|queue| vhost.routed_queue(queue));
                        cells.for_each(|cell| found.add(cell));
                        let intake = found.enqueue_within(held.clone());
                        self.count(&source, &held, mandatory, &intake);
                        is_whole &= !intake.fails_commit();
                        found.clear();
                        drop(room);
                    }
                });
                drop(places);
                self.settle_all(others);
            };
            let position = dead_letters::after(|| match &vhost.context.journal {
                None => {
                    apply();
                    Position::NONE
                }
                Some(journal) => journal.step(apply).1,
            });
            vhost.context.await_durable_or_full(position)?;
            if is_whole { Ok(()) } else { Err(Error::plain(ErrorKind::PartialCommit)) }
        })
    }

    /// Forgets it: messages are gone, deliveries are outstanding again.
    ///
    /// # Errors
    ///
    /// `WrongMode` if the channel is not transactional.
    pub fn tx_rollback(&self) -> Result<()> {
        self.run(|| self.state.roll_back().map(drop))
    }

    /// Publishes a message and answers with its number in confirm mode. Never waits. What is
    /// mandatory and reaches no queue comes back as [`Event::Return`](crate::Event::Return).
    ///
    /// # Errors
    ///
    /// `Full` leaves the channel open. Of memory, and of the events of the channel that a reply
    /// goes to, [`Event::Unblocked`](crate::Event::Unblocked) tells when there may be room again;
    /// in confirm mode these are a nack instead. The confirm and the return that a publish may
    /// cause need places among the untaken events of this channel, where taking events makes room.
    /// `Refused` has closed the channel or the connection. The message is in the error.
    pub fn basic_publish(
        &self,
        of: Publish<'_>,
        message: Message,
    ) -> Result<Option<DeliveryTag>, PublishError> {
        if let Err(error) = self.state.check_open() {
            return Err(PublishError::new(PublishReason::Refused(error), message));
        }
        publish::with_found(|found| self.publish(of, message, found)).map_err(|(error, message)| {
            self.fail(&error);
            PublishError::new(error, message)
        })
    }

    fn publish(
        &self,
        of: Publish<'_>,
        mut message: Message,
        found: &mut Found,
    ) -> Result<Option<DeliveryTag>, (Error, Message)> {
        let vhost = self.vhost();
        let at = vhost.stamp.read();
        let source = match self.check_publish(of, &mut message) {
            Ok(source) => source,
            Err(error) => return Err((error, message)),
        };
        let limits = &vhost.context.limits;
        let checked =
            bounds::check_message(&message, limits, &self.connection.user).and_then(|()| {
                vhost.route_from(&source, source.origin(at, of.routing_key), &message, found)
            });
        if let Err(error) = checked {
            return Err((error, message));
        }
        let label = found.label(&source, of.routing_key);
        message.put_label(&label);
        found.remember(vhost, &source, label);
        let mandatory = if of.mandatory { Mandatory::Yes } else { Mandatory::No };
        match self.state.begin_publish(mandatory) {
            Some(Begun::Tx) => self.buffer(source, message, mandatory, found),
            Some(Begun::Now { is_confirmed, mut room }) => {
                let room = if is_confirmed { room.as_mut() } else { None };
                self.publish_now(message, (&source, mandatory), room, found)
            }
            None => Err((full("events"), message)),
        }
    }

    /// Checks what does not depend on the message alone, and gives a request its reply address.
    fn check_publish(&self, of: Publish<'_>, message: &mut Message) -> Result<Source> {
        let vhost = self.vhost();
        if of.immediate {
            return Err(Error::not_implemented("immediate=true"));
        }
        if !vhost.is_publishing() {
            return Err(Error::closed());
        }
        let source = match of.exchange {
            "" => Source::Default,
            name => Source::Exchange(vhost.exchange(name)?),
        };
        source.check_accepts(vhost)?;
        bounds::check_name(Entity::Message, of.routing_key)?;
        if message.reply_to() == Some(reply::PSEUDO_QUEUE) {
            let address = self
                .state
                .reply_address()
                .ok_or_else(|| direct_reply(DirectReplyFault::NoConsumer))?;
            message.set_reply_to(address);
        }
        Ok(source)
    }

    fn publish_now(
        &self,
        message: Message,
        (source, mandatory): (&Source, Mandatory),
        confirm: Option<&mut EventRoom>,
        found: &mut Found,
    ) -> Result<Option<DeliveryTag>, (Error, Message)> {
        let (bytes, is_persistent) = (message.bytes(), message.is_persistent());
        let check = |found: &mut Found| {
            self.vhost().check_room(bytes, is_persistent, found)?;
            self.vhost().check_store(&message, found)
        };
        if let Err(reason) = check(found) {
            if let Some(room) = confirm
                && let Some(number) = self.state.refuse(room)
            {
                return Ok(Some(number));
            }
            let error = self.no_room(reason, || check(found).is_ok());
            return Err((error, message));
        }
        let held = publish::held(message);
        // A channel of `RabbitMQ` takes its replies in when it has done what it is at: if it
        // replies to itself, it returns and confirms first what goes to no queue.
        let late = if found.queue_count() == 0 { found.take_replies() } else { Replies::default() };
        let intake = found.enqueue(held.clone());
        self.count(source, &held, mandatory, &intake);
        let number = confirm.and_then(|room| match intake.refused() {
            0 => self.state.confirm(intake.position, room),
            _ => self.state.refuse(room),
        });
        late.deliver(&held);
        Ok(number)
    }

    /// The error for want of room, of which the channel is told when there is some again.
    fn no_room(&self, reason: PublishReason, is_there_again: impl FnOnce() -> bool) -> Error {
        unblocking::tell_when_there_is_room(&self.vhost().context, &self.state);
        if is_there_again() {
            // It has come back before anyone listened.
            self.state.unblock();
        }
        reason.into()
    }

    /// Keeps a publish for the commit. Where it goes is decided now. A direct reply is delivered
    /// now, too, as in `RabbitMQ`, whatever becomes of the transaction.
    fn buffer(
        &self,
        source: Source,
        message: Message,
        mandatory: Mandatory,
        found: &mut Found,
    ) -> Result<Option<DeliveryTag>, (Error, Message)> {
        let context = &self.vhost().context;
        let most = context.limits.transaction_steps;
        let has_room = self.state.with_mode(|mode| match mode {
            Mode::Tx(buffer) => buffer.len() < most,
            Mode::Confirm(_) | Mode::Plain => false,
        });
        if !has_room {
            return Err((full("transaction_steps"), message));
        }
        let bytes = tx::waiting_bytes(message.bytes(), found.queue_count());
        if let Err(reason) = found.keep_reply_room(1) {
            return Err((self.no_room(reason, || found.keep_reply_room(1).is_ok()), message));
        }
        let Some(room) = ByteRoom::draw(context, bytes) else {
            let is_there_again = || context.has_room(bytes);
            let error = self.no_room(PublishReason::NO_MEMORY, is_there_again);
            return Err((error, message));
        };
        let queues = found.queues(self.vhost()).iter().map(|cell| cell.name.clone()).collect();
        let held = publish::held(message);
        let publish = TxPublish { source, held: held.clone(), queues, mandatory, room };
        let late = self.state.with_mode(|mode| match mode {
            Mode::Tx(buffer) => {
                buffer.publish(publish);
                None
            }
            Mode::Confirm(_) | Mode::Plain => Some(publish),
        });
        // Closed by another thread in between: a transaction that is not committed never was.
        if late.is_some() {
            return Ok(None);
        }
        found.take_replies().deliver(&held);
        Ok(None)
    }

    fn settle_all(&self, settlements: Vec<TxSettlement>) {
        for TxSettlement { settlement, taken } in settlements {
            connection_state::settle(&self.state, &taken, settlement);
        }
    }

    /// Takes out the transaction once places are kept for all events that its commit causes.
    fn take_tx(&self) -> Result<(TxBuffer, EventRoom)> {
        loop {
            let outline = self.state.outline_tx()?;
            let places = self.keep_places(&outline)?;
            if let Some(buffer) = self.state.take_tx(&outline)? {
                return Ok((buffer, places));
            }
        }
    }

    /// Keeps places for what a commit returns. A return is one more event than there are places for
    /// if its last queue is deleted from now on.
    fn keep_places(&self, outline: &TxOutline) -> Result<EventRoom> {
        let has_queue = |queue: &Name| self.vhost().routed_queue(queue).is_some();
        let returns = outline.mandatory.iter().filter(|queues| !queues.iter().any(has_queue));
        let returns = EventRoom::keep(&self.state, returns.count());
        returns.ok_or_else(|| full("events"))
    }

    /// Counts what was put into queues. If there are none and it is mandatory, it comes back.
    fn count(&self, source: &Source, held: &Held, mandatory: Mandatory, intake: &Intake) {
        self.vhost().tally(source).count(intake);
        if !intake.has_reached() && mandatory == Mandatory::Yes {
            self.state.send_back(held);
        }
    }
}

fn wrong_mode(reason: &'static str) -> Error {
    Error::plain(ErrorKind::WrongMode { reason })
}
