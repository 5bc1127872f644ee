//! A thread that consumes, and settles in every way there is.

use std::{thread, time::Duration};

use leveret::{Consumer, Delivery, Outcome as Settlement, RecvTimeoutError};

use super::{
    dice::Dice,
    entry::{Entry, Verb},
    history,
    item::{self, Id},
    life::{self, Outcome, Stage},
    look,
    place::{Place, Queue},
    topology::Route,
};

/// How many messages may be in hand beside the one at work.
const HELD_MAX: usize = 8;

/// The longest pause before a retry.
const RETRY_MS_MAX: u64 = 40;

pub(crate) struct Customer<'s, N> {
    stage: &'s Stage,
    names: N,
    number: u16,
    queue: Queue,
    dice: Dice,
    consumer: Consumer,
    held: Vec<Held>,
}

struct Held {
    delivery: Delivery,
    id: Id,
    place: Place,
}

impl<'s> Customer<'s, ()> {
    pub(crate) fn new(
        stage: &'s Stage,
        number: u16,
        queue: Queue,
        dice: Dice,
    ) -> Outcome<Customer<'s, impl FnMut() -> Id + use<>>> {
        let handle = stage.broker.queue(queue.name())?;
        let consumer = handle.consume().prefetch(24).start()?;
        let (names, held) = (stage.names(number), Vec::new());
        Ok(Customer { stage, names, number, queue, dice, consumer, held })
    }
}

impl<N: FnMut() -> Id> Customer<'_, N> {
    pub(crate) fn run(mut self) -> Outcome {
        while !self.stage.is_over() {
            match self.consumer.recv_timeout(Duration::from_millis(10)) {
                Ok(delivery) => self.take(delivery)?,
                Err(RecvTimeoutError::Timeout) => self.ack_held()?,
                Err(RecvTimeoutError::Ended(reason)) => return Err(reason.to_string().into()),
            }
            // Something has to be left when the end comes.
            if self.dice.strikes(if self.queue == Queue::Recent { 40 } else { 4 }) {
                thread::sleep(Duration::from_millis(1));
            }
        }
        self.ack_held()
    }

    fn take(&mut self, delivery: Delivery) -> Outcome {
        let place = look::place(self.queue, &delivery);
        let (id, place) = match item::read(&delivery).and_then(|id| Ok((id, place?))) {
            Ok(known) => known,
            Err(wrong) => {
                self.stage.note(&Entry::Wrong(format!("{wrong} in {}", self.queue.name())));
                delivery.ack()?;
                return Ok(());
            }
        };
        let (consumer, is_redelivered) = (self.number, delivery.is_redelivered());
        self.stage.note(&Entry::Got { consumer, id, place, is_redelivered });
        let held = Held { delivery, id, place };
        match self.dice.below(100) {
            0..56 => self.settle(held, Verb::Ack),
            56..60 => self.ack_for_good(held),
            60..78 => {
                self.held.push(held);
                if self.held.len() > HELD_MAX { self.ack_held() } else { Ok(()) }
            }
            78..84 => self.settle(held, Verb::Requeue),
            84..88 => self.settle(held, Verb::Retry),
            88..95 if self.queue != Queue::Dead => self.settle(held, Verb::Reject),
            88..98 => self.forward(held),
            _ => {
                // It is dropped, and goes back.
                drop(held);
                Ok(())
            }
        }
    }

    fn settle(&mut self, held: Held, verb: Verb) -> Outcome {
        let Held { delivery, id, place } = held;
        self.stage.note(&Entry::Settle { verb, id, place, transaction: None });
        match verb {
            Verb::Ack => delivery.ack()?,
            Verb::Reject => delivery.reject()?,
            Verb::Requeue => delivery.requeue()?,
            Verb::Retry => {
                delivery.retry_in(Duration::from_millis(self.dice.below(RETRY_MS_MAX)))?;
            }
        }
        self.stage.note(&Entry::Settled { verb, id, place });
        Ok(())
    }

    /// Acks, and waits until that is durable.
    fn ack_for_good(&self, held: Held) -> Outcome {
        let Held { delivery, id, place } = held;
        self.stage.note(&Entry::Settle { verb: Verb::Ack, id, place, transaction: None });
        delivery.ack_sync(life::PATIENCE)?;
        self.stage.note(&Entry::Kept { id, place });
        Ok(())
    }

    /// Acks what is in hand, at one blow.
    fn ack_held(&mut self) -> Outcome {
        let mut deliveries = Vec::new();
        let mut acked = Vec::new();
        for Held { delivery, id, place } in self.held.drain(..) {
            self.stage.note(&Entry::Settle { verb: Verb::Ack, id, place, transaction: None });
            deliveries.push(delivery);
            acked.push(Entry::Settled { verb: Verb::Ack, id, place });
        }
        Delivery::ack_all(deliveries)?;
        for entry in &acked {
            self.stage.note(entry);
        }
        Ok(())
    }

    /// Settles a message and publishes another, in one transaction.
    fn forward(&mut self, held: Held) -> Outcome {
        let Held { delivery, id, place } = held;
        let transaction_id = (self.names)();
        let mut transaction = self.stage.broker.transaction();
        let route = if self.dice.strikes(50) { Route::Pair } else { Route::One(Queue::Audit) };
        let (further, queues) = ((self.names)(), route.queues());
        let transaction_of = Some(transaction_id);
        self.stage.note(&Entry::Publish { id: further, queues, transaction: transaction_of });
        let message = item::message(further, &mut self.dice);
        let exchange = self.stage.topology.exchange(route);
        if transaction.publish(exchange, route.key(), message).is_err() {
            self.stage.note(&Entry::Refused(further));
            return Ok(());
        }
        let (verb, settlement) = match self.dice.below(10) {
            0 => (Verb::Requeue, Settlement::Requeue),
            // A letter would move by itself.
            1 | 2 if history::removes(Verb::Reject, place) => {
                (Verb::Reject, Settlement::Reject("no".to_owned()))
            }
            _ => (Verb::Ack, Settlement::Ack),
        };
        self.stage.note(&Entry::Settle { verb, id, place, transaction: transaction_of });
        transaction.settle(delivery, settlement).map_err(|error| error.to_string())?;
        self.stage.note(&Entry::Commit(transaction_id));
        transaction.commit()?;
        self.stage.note(&Entry::Committed(transaction_id));
        Ok(())
    }
}
