//! A thread that publishes in every way there is, and notes what is confirmed.

use std::{collections::VecDeque, thread, time::Duration};

use leveret::{Confirm, PublishReason, Publisher, Receipt};

use super::{
    dice::Dice,
    entry::Entry,
    item::{self, Id},
    life::{Outcome, Stage},
    place::Queue,
    topology::{self, Route},
};

/// How many publishes may be unconfirmed.
const WINDOW: u64 = 24;

pub(crate) struct Producer<'s, N> {
    stage: &'s Stage,
    names: N,
    dice: Dice,
    single: Publisher,
    pair: Publisher,
    trio: Publisher,
    /// What is not confirmed yet, the oldest first, and by how many queues it should be.
    open: VecDeque<(Vec<Id>, u32, Confirm)>,
}

impl<'s> Producer<'s, ()> {
    pub(crate) fn new(
        stage: &'s Stage,
        thread: u16,
        dice: Dice,
    ) -> Outcome<Producer<'s, impl FnMut() -> Id + use<>>> {
        let publisher = |route| stage.topology.exchange(route).publisher().mandatory().open();
        Ok(Producer {
            stage,
            names: stage.names(thread),
            dice,
            single: publisher(Route::One(Queue::Mail))?,
            pair: publisher(Route::Pair)?,
            trio: publisher(Route::Trio)?,
            open: VecDeque::new(),
        })
    }
}

impl<N: FnMut() -> Id> Producer<'_, N> {
    pub(crate) fn run(mut self) -> Outcome {
        while !self.stage.is_over() {
            if self.stage.is_crowded() {
                self.wait_until_open_are(0)?;
                thread::sleep(Duration::from_millis(1));
                continue;
            }
            match self.dice.below(100) {
                0..45 => {
                    let route = topology::any_queue(&mut self.dice);
                    self.publish(route, 1)?;
                }
                45..60 => self.publish(Route::Pair, 1)?,
                60..75 => self.publish(Route::Trio, 1)?,
                75..85 => {
                    let (route, messages) =
                        (topology::any_route(&mut self.dice), 2 + self.dice.below(15));
                    self.publish(route, messages)?;
                }
                _ => self.transact()?,
            }
            let most = self.dice.below(WINDOW);
            self.wait_until_open_are(most)?;
        }
        self.wait_until_open_are(0)
    }

    /// Publishes one message, or several as a batch.
    fn publish(&mut self, route: Route, messages: u64) -> Outcome {
        let queues = route.queues();
        let (mut ids, mut batch) = (Vec::new(), Vec::new());
        for _ in 0..messages {
            let id = (self.names)();
            let intent = Entry::Publish { id, queues: queues.clone(), transaction: None };
            self.stage.note(&intent);
            ids.push(id);
            batch.push(item::message(id, &mut self.dice));
        }
        let publisher = match route {
            Route::One(_) => &self.single,
            Route::Pair => &self.pair,
            Route::Trio => &self.trio,
        };
        let outcome = match batch.pop() {
            Some(message) if batch.is_empty() => {
                publisher.publish(route.key(), message).map_err(|error| error.into_parts().0)
            }
            last => {
                batch.extend(last);
                publisher.publish_batch(route.key(), &mut batch)
            }
        };
        match outcome {
            Ok(confirm) => {
                let copies = u32::try_from(queues.len() * ids.len())?;
                self.open.push_back((ids, copies, confirm));
                Ok(())
            }
            Err(reason) => self.refused(&ids, reason),
        }
    }

    /// Publishes several messages at once, to several queues.
    fn transact(&mut self) -> Outcome {
        let transaction_id = (self.names)();
        let mut transaction = self.stage.broker.transaction();
        let mut ids = Vec::new();
        for _ in 0..2 + self.dice.below(4) {
            let (id, route) = ((self.names)(), topology::any_route(&mut self.dice));
            let transaction_id = Some(transaction_id);
            let queues = route.queues();
            self.stage.note(&Entry::Publish { id, queues, transaction: transaction_id });
            ids.push(id);
            let message = item::message(id, &mut self.dice);
            let exchange = self.stage.topology.exchange(route);
            if let Err(error) = transaction.publish(exchange, route.key(), message) {
                return self.refused(&ids, error.into_parts().0);
            }
        }
        self.stage.note(&Entry::Commit(transaction_id));
        transaction.commit()?;
        self.stage.note(&Entry::Committed(transaction_id));
        Ok(())
    }

    /// Wants of room are part of life.
    fn refused(&mut self, ids: &[Id], reason: PublishReason) -> Outcome {
        for id in ids {
            self.stage.note(&Entry::Refused(*id));
        }
        match reason {
            PublishReason::Full { .. } => self.wait_until_open_are(0),
            reason => Err(reason.to_string().into()),
        }
    }

    fn wait_until_open_are(&mut self, most: u64) -> Outcome {
        while self.open.len() as u64 > most {
            let Some((ids, copies, confirm)) = self.open.pop_front() else { break };
            let Receipt { queues, level, .. } = confirm.wait()?;
            if (queues, level) != (copies, self.stage.level) {
                let first = ids.first().map(ToString::to_string).unwrap_or_default();
                let text = format!("{first} was confirmed by {queues} queues at {level:?}");
                return Err(text.into());
            }
            for id in ids {
                self.stage.note(&Entry::Confirmed(id));
            }
        }
        Ok(())
    }
}
