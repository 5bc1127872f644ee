//! Publishing on the handle tier, by every method there is.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use leveret::{Exchange, Message, PublishError, PublishReason, Value};

use super::{
    Features,
    hands::{Hand, outcome, pick},
    options::{FANOUT, NAMES, Place, TOPIC},
    step::{Address, How, Make, Way},
};

/// A body, which is there for as long as anybody has the message.
pub(crate) struct Token(Vec<u8>);

struct Owner(Arc<Token>);

/// What was published so far.
#[derive(Default)]
pub(crate) struct Published {
    /// When each body was, by its number; of a transaction, when it was committed.
    at: BTreeMap<u32, Duration>,
    next: u32,
    /// Messages that each exchange took; the default one, the fanout, the topic exchange.
    pub(crate) by_place: [u64; 3],
    /// Copies that passed no exchange.
    pub(crate) sent: u64,
}

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0.0
    }
}

impl Published {
    pub(crate) fn at(&self, number: u32) -> Duration {
        self.at[&number]
    }

    pub(crate) fn note(&mut self, number: u32, now: Duration) {
        self.at.insert(number, now);
    }

    pub(crate) fn count(&mut self, place: Place, messages: u64) {
        self.by_place[place as usize] += messages;
    }
}

impl Features {
    pub(crate) fn exchange(&self, place: Place) -> Exchange {
        match place {
            Place::Default => self.broker.default_exchange(),
            Place::Fanout => self.broker.exchange(FANOUT).unwrap(),
            Place::Topic => self.broker.exchange(TOPIC).unwrap(),
        }
    }

    /// A message with a body of its own. Only exchanges see further keys.
    pub(crate) fn message(&mut self, to: Option<Address>, make: Make) -> Message {
        let number = self.published.next;
        self.published.next += 1;
        self.published.note(number, self.time.elapsed());
        let mut bytes = number.to_be_bytes().to_vec();
        bytes.resize(make.body_bytes, 0);
        let token = Arc::new(Token(bytes));
        self.bodies.push((number, Arc::downgrade(&token)));
        let mut message = Message::new(Bytes::from_owner(Owner(token)));
        if let Some(expiration) = make.expiration {
            message = message.expires_in(expiration);
        }
        if let Some(priority) = make.priority {
            message = message.with_priority(priority);
        }
        let Some(to) = to else { return message };
        for (header, slot) in [("CC", to.copy), ("BCC", to.blind)] {
            if let Some(slot) = slot {
                message = message.with_header(header, Value::Array(vec![NAMES[slot].into()]));
            }
        }
        message
    }

    /// Which slots so many messages get to, and how many copies that is.
    pub(crate) fn expect(&mut self, to: Address, messages: u64) -> u64 {
        let keys = to.keys();
        let is_reached = |slot: usize| self.slots[slot].is_some() && to.place.leads_to(slot, &keys);
        let reached: Vec<_> = (0..NAMES.len()).map(is_reached).collect();
        let copies = reached.iter().filter(|is_reached| **is_reached).count() as u64 * messages;
        if let Some(expected) = &mut self.expected {
            let all = expected.iter_mut().zip(reached);
            all.for_each(|(copies, is_reached)| *copies += u64::from(is_reached) * messages);
        }
        copies
    }

    pub(crate) fn publish(&mut self, way: Way, to: Address, make: Make) {
        match way {
            Way::Batch => return self.publish_batch(to, make),
            Way::Channel(nth) => return self.publish_by_channel(nth, to, make),
            Way::Send => return self.send(to, make),
            Way::Confirmed | Way::Mandatory | Way::Plain => {}
        }
        let copies = self.expect(to, 1);
        let message = self.message(Some(to), make);
        let (exchange, key) = (self.exchange(to.place), to.keys()[0]);
        let result = match way {
            Way::Mandatory => exchange.publish_mandatory(key, message).map(Some),
            Way::Confirmed => {
                let confirm = self.publishers[to.place as usize].publish(key, message);
                confirm.map(|confirm| {
                    let receipt = confirm.wait();
                    assert!(copies > 0 || receipt.is_ok(), "nobody was there to refuse it");
                    None
                })
            }
            _ => exchange.publish(key, message).map(Some),
        };
        match result {
            Ok(routed) => {
                self.published.count(to.place, 1);
                if let Some(routed) = routed {
                    assert_eq!(u64::from(routed.queues + routed.refused), copies, "{routed:?}");
                }
                assert!(copies > 0 || way != Way::Mandatory, "mandatory, and nobody has it");
            }
            Err(error) => check_refusal(&error, copies),
        }
    }

    fn send(&mut self, to: Address, make: Make) {
        let Some((_, queue)) = self.there(to.slot) else { return };
        let message = self.message(None, make);
        self.expect(Address { place: Place::Default, copy: None, blind: None, ..to }, 1);
        match queue.send(message) {
            Ok(()) => self.published.sent += 1,
            Err(error) => check_refusal(&error, 1),
        }
    }

    fn publish_batch(&mut self, to: Address, make: Make) {
        let count = 1 + u64::from(make.priority.unwrap_or_default());
        let copies = self.expect(to, count);
        let mut messages: Vec<_> = (0..count).map(|_| self.message(Some(to), make)).collect();
        match self.exchange(to.place).publish_batch(to.keys()[0], &mut messages) {
            Ok(routed) => {
                assert!(messages.is_empty());
                assert_eq!(u64::from(routed.queues + routed.refused), copies, "{routed:?}");
                self.published.count(to.place, count);
            }
            Err(reason) => {
                assert_eq!(messages.len() as u64, count, "all come back");
                check_reason(&reason, copies);
            }
        }
    }

    pub(crate) fn transact(
        &mut self,
        to: Address,
        make: Make,
        (settled, how): (usize, How),
        commit: bool,
    ) {
        let mut transaction = self.broker.transaction();
        let exchange = self.exchange(to.place);
        for _ in 0..2 {
            let message = self.message(Some(to), make);
            transaction.publish(&exchange, to.keys()[0], message).unwrap();
        }
        if let Some(hand) = pick(settled, self.hands.len()) {
            let Hand { delivery } = self.hands.remove(hand);
            transaction.settle(delivery, outcome(how)).unwrap();
        }
        if commit {
            self.expect(to, 2);
            self.published.count(to.place, 2);
            transaction.commit().unwrap();
            return;
        }
        let (messages, deliveries) = transaction.rollback();
        assert_eq!(messages.len(), 2);
        for delivery in deliveries {
            self.hold(delivery);
        }
    }

    /// Forgets bodies that nobody has any more, and says how many there are.
    pub(crate) fn count_bodies(&mut self) -> usize {
        self.bodies.retain(|(_, token)| Weak::strong_count(token) > 0);
        self.bodies.len()
    }
}

pub(crate) fn number(message: &Message) -> u32 {
    u32::from_be_bytes(message.body()[..4].try_into().unwrap())
}

fn check_refusal(error: &PublishError, copies: u64) {
    check_reason(error.reason(), copies);
}

/// Nothing is refused but by bounds of queues, or for want of a queue.
fn check_reason(reason: &PublishReason, copies: u64) {
    match reason {
        PublishReason::Full { limit, .. } | PublishReason::DeadLettered { limit, .. } => {
            assert!(copies > 0 && limit.starts_with("x-max-length"), "{limit}");
        }
        PublishReason::Unroutable => assert_eq!(copies, 0),
        other => panic!("nothing leads to {other:?}"),
    }
}
