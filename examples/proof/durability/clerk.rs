//! A thread at a channel of AMQP: it publishes with confirms or in transactions, and settles many
//! deliveries at a time.

use std::{collections::BTreeMap, time::Duration};

use leveret::{
    Ack, Channel, ConnectOptions, Connection, Consume, Delivered, DeliveryTag, Event, Message,
    Nack, Publish, PublishReason, Qos, Reject,
};

use super::{
    dice::Dice,
    entry::{Entry, Verb},
    history,
    item::{self, Id},
    life::{Outcome, Stage},
    look,
    place::{Place, Queue},
    topology::{self, Route},
};

/// How many deliveries may be in hand.
const HELD_MAX: u16 = 24;

/// How many publishes may be unconfirmed.
const WINDOW: usize = 48;

/// How a channel publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Confirms,
    Transactions,
}

pub(crate) struct Clerk<'s, N> {
    stage: &'s Stage,
    names: N,
    number: u16,
    manner: Manner,
    dice: Dice,
    connection: Connection,
    channel: Channel,
    /// The oldest first.
    held: Vec<Held>,
    /// What is not confirmed yet.
    open: BTreeMap<u64, Id>,
}

/// A delivery that is in hand.
#[derive(Clone, Copy, Debug)]
struct Held {
    tag: DeliveryTag,
    id: Id,
    place: Place,
}

impl<'s> Clerk<'s, ()> {
    pub(crate) fn new(
        stage: &'s Stage,
        number: u16,
        manner: Manner,
        dice: Dice,
    ) -> Outcome<Clerk<'s, impl FnMut() -> Id + use<>>> {
        let connection = stage.broker.connect(ConnectOptions::default())?;
        let channel = connection.open_channel()?;
        channel.basic_qos(Qos { prefetch_count: HELD_MAX / 2, ..Qos::default() })?;
        match manner {
            Manner::Confirms => channel.confirm_select()?,
            Manner::Transactions => channel.tx_select()?,
        }
        let queues = match manner {
            Manner::Confirms => [Queue::Stock, Queue::Votes],
            Manner::Transactions => [Queue::Audit, Queue::Mail],
        };
        for queue in queues {
            let (queue, consumer_tag) = (queue.name(), queue.name());
            channel.basic_consume(Consume { queue, consumer_tag, ..Consume::default() })?;
        }
        let (names, held, open) = (stage.names(number), Vec::new(), BTreeMap::new());
        Ok(Clerk { stage, names, number, manner, dice, connection, channel, held, open })
    }
}

impl<N: FnMut() -> Id> Clerk<'_, N> {
    pub(crate) fn run(mut self) -> Outcome {
        while !self.stage.is_over() {
            while let Some(event) = self.channel.next_event(Duration::from_millis(2)) {
                self.meet(event)?;
                if self.dice.strikes(10) {
                    break;
                }
            }
            match self.manner {
                Manner::Confirms => {
                    self.settle_some()?;
                    self.publish_some()?;
                }
                Manner::Transactions => self.transact()?,
            }
        }
        // What is in hand goes back.
        self.connection.close();
        Ok(())
    }

    fn meet(&mut self, event: Event) -> Outcome {
        match event {
            Event::Deliver(delivered) => self.take(&delivered),
            Event::Ack { delivery_tag, multiple } => {
                for id in self.taken_out(delivery_tag, multiple) {
                    self.stage.note(&Entry::Confirmed(id));
                }
                Ok(())
            }
            // There was no room. Nobody knows how far it got, which is what is known of it already.
            Event::Nack { delivery_tag, multiple } => {
                self.taken_out(delivery_tag, multiple);
                Ok(())
            }
            Event::Unblocked => Ok(()),
            other => Err(format!("a channel got {other:?}").into()),
        }
    }

    /// What a confirm speaks of.
    fn taken_out(&mut self, DeliveryTag(tag): DeliveryTag, multiple: bool) -> Vec<Id> {
        if multiple {
            let later = self.open.split_off(&(tag + 1));
            std::mem::replace(&mut self.open, later).into_values().collect()
        } else {
            self.open.remove(&tag).into_iter().collect()
        }
    }

    fn take(&mut self, delivered: &Delivered) -> Outcome {
        let (tag, message) = (delivered.delivery_tag, &delivered.message);
        let queue = delivered.consumer_tag.as_ref().and_then(|tag| Queue::named(tag));
        let queue = queue.ok_or("a delivery for nobody")?;
        let place = look::place(queue, message);
        match item::read(message).and_then(|id| Ok((id, place?))) {
            Ok((id, place)) => {
                let (consumer, is_redelivered) = (self.number, delivered.redelivered);
                self.stage.note(&Entry::Got { consumer, id, place, is_redelivered });
                self.held.push(Held { tag, id, place });
                Ok(())
            }
            Err(wrong) => {
                self.stage.note(&Entry::Wrong(format!("{wrong} in {}", queue.name())));
                Ok(self.channel.basic_ack(Ack { delivery_tag: tag, multiple: false })?)
            }
        }
    }

    /// Settles what is in hand up to somewhere, or only what is there.
    fn settle_some(&mut self) -> Outcome {
        let Some(last) = self.dice.index(self.held.len()) else { return Ok(()) };
        let (verb, multiple) = match self.dice.below(100) {
            0..65 => (Verb::Ack, true),
            65..75 => (Verb::Ack, false),
            75..82 => (Verb::Requeue, true),
            82..88 => (Verb::Requeue, false),
            88..94 => (Verb::Reject, true),
            _ => (Verb::Reject, false),
        };
        let first = if multiple { 0 } else { last };
        let (delivery_tag, requeue) = (self.held[last].tag, verb == Verb::Requeue);
        let settled: Vec<_> = self.held.drain(first..=last).collect();
        for Held { id, place, .. } in settled.iter().copied() {
            self.stage.note(&Entry::Settle { verb, id, place, transaction: None });
        }
        match verb {
            Verb::Ack => self.channel.basic_ack(Ack { delivery_tag, multiple })?,
            _ if multiple => self.channel.basic_nack(Nack { delivery_tag, multiple, requeue })?,
            _ => self.channel.basic_reject(Reject { delivery_tag, requeue })?,
        }
        for Held { id, place, .. } in settled {
            self.stage.note(&Entry::Settled { verb, id, place });
        }
        Ok(())
    }

    fn publish_some(&mut self) -> Outcome {
        let most = self.dice.below(6);
        for _ in 0..most {
            if self.open.len() >= WINDOW || self.stage.is_crowded() {
                break;
            }
            let (id, message, route) = self.next_message(None);
            match self.channel.basic_publish(publish(route), message) {
                Ok(Some(DeliveryTag(tag))) => drop(self.open.insert(tag, id)),
                Ok(None) => return Err(format!("{id} has no number").into()),
                Err(error) => return Err(error.to_string().into()),
            }
        }
        Ok(())
    }

    /// Publishes and settles some, all at once or not at all.
    fn transact(&mut self) -> Outcome {
        let transaction_id = (self.names)();
        let mut is_empty = !self.publish_in(transaction_id)?;
        let mut settled = Vec::new();
        if let Some(last) = self.dice.index(self.held.len()) {
            is_empty = false;
            let delivery_tag = self.held[last].tag;
            let through: Vec<_> = self.held.drain(..=last).collect();
            self.intend(transaction_id, Verb::Ack, &through);
            self.channel.basic_ack(Ack { delivery_tag, multiple: true })?;
            settled.extend(through);
            settled.extend(self.give_back_in(transaction_id)?);
        }
        if is_empty {
            return Ok(());
        }
        if self.dice.strikes(15) {
            self.channel.tx_rollback()?;
            self.stage.note(&Entry::RolledBack(transaction_id));
            self.held.extend(settled);
            self.held.sort_unstable_by_key(|held| held.tag);
            return Ok(());
        }
        self.stage.note(&Entry::Commit(transaction_id));
        self.channel.tx_commit()?;
        self.stage.note(&Entry::Committed(transaction_id));
        Ok(())
    }

    /// Says whether it has published anything.
    fn publish_in(&mut self, transaction: Id) -> Outcome<bool> {
        let most = if self.stage.is_crowded() { 0 } else { self.dice.below(4) };
        let mut has_published = false;
        for _ in 0..most {
            let (id, message, route) = self.next_message(Some(transaction));
            match self.channel.basic_publish(publish(route), message) {
                Ok(_) => has_published = true,
                Err(error) => {
                    self.stage.note(&Entry::Refused(id));
                    match error.into_parts().0 {
                        PublishReason::Full { .. } => break,
                        reason => return Err(reason.to_string().into()),
                    }
                }
            }
        }
        Ok(has_published)
    }

    /// Puts a delivery back, or has it gone, where it leaves no letter: letters move by themselves.
    fn give_back_in(&mut self, transaction: Id) -> Outcome<Option<Held>> {
        if self.held.is_empty() || !self.dice.strikes(40) {
            return Ok(None);
        }
        let held = self.held.remove(0);
        let rejects = history::removes(Verb::Reject, held.place) && self.dice.strikes(50);
        let verb = if rejects { Verb::Reject } else { Verb::Requeue };
        self.intend(transaction, verb, &[held]);
        self.channel.basic_reject(Reject { delivery_tag: held.tag, requeue: !rejects })?;
        Ok(Some(held))
    }

    fn intend(&self, transaction: Id, verb: Verb, of: &[Held]) {
        for Held { id, place, .. } in of.iter().copied() {
            let transaction = Some(transaction);
            self.stage.note(&Entry::Settle { verb, id, place, transaction });
        }
    }

    fn next_message(&mut self, transaction: Option<Id>) -> (Id, Message, Route) {
        let (id, route) = ((self.names)(), topology::any_route(&mut self.dice));
        self.stage.note(&Entry::Publish { id, queues: route.queues(), transaction });
        (id, item::message(id, &mut self.dice), route)
    }
}

fn publish(route: Route) -> Publish<'static> {
    let exchange = route.exchange();
    Publish { exchange, routing_key: route.key(), mandatory: true, ..Publish::default() }
}
