//! A channel of a scenario, with what the broker pushed to it and no step has taken yet.

use std::collections::BTreeSet;
use std::time::Duration;

use leveret::{Channel, Delivered, Event, Returned};

use super::json::{Json, Object};
use super::message;

/// How long a confirm may take that a disk has a say in.
const CONFIRMS_MAX: Duration = Duration::from_secs(10);

/// A named channel and its list of pushed things.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) name: String,
    /// Name of the connection the channel belongs to.
    pub(crate) connection: String,
    pub(crate) channel: Channel,
    pending: Vec<Pushed>,
    /// Numbers of publishes which are neither acked nor nacked.
    unconfirmed: BTreeSet<u64>,
}

/// Something the broker sent on its own.
#[derive(Clone, Debug)]
pub(crate) enum Pushed {
    Ack(u64),
    Cancel(String),
    Deliver(Box<Delivered>),
    Nack(u64),
    Return(Box<Returned>),
    /// An event the recordings have no word for.
    Unknown(String),
}

impl Lane {
    /// Takes over a channel just opened.
    pub(crate) fn new(name: &str, connection: &str, channel: Channel) -> Self {
        Self {
            name: name.to_owned(),
            connection: connection.to_owned(),
            channel,
            pending: Vec::new(),
            unconfirmed: BTreeSet::new(),
        }
    }

    /// Notes the number of a publish that awaits its confirm.
    pub(crate) fn expect_confirm(&mut self, number: u64) {
        self.unconfirmed.insert(number);
    }

    /// Moves what the broker has pushed so far into the list.
    pub(crate) fn collect(&mut self) {
        while let Some(event) = self.channel.try_event() {
            self.sort(event);
        }
    }

    fn sort(&mut self, event: Event) {
        match event {
            Event::Ack { delivery_tag, multiple } => {
                self.confirm(delivery_tag.0, multiple, Pushed::Ack);
            }
            Event::Nack { delivery_tag, multiple } => {
                self.confirm(delivery_tag.0, multiple, Pushed::Nack);
            }
            Event::Cancel { consumer_tag } => {
                self.pending.push(Pushed::Cancel(consumer_tag.to_string()));
            }
            Event::Deliver(delivered) => self.pending.push(Pushed::Deliver(delivered)),
            Event::Return(returned) => self.pending.push(Pushed::Return(returned)),
            // Steps learn of the closing through the error itself, and never wait for room.
            Event::Closed(_) => {}
            other => self.pending.push(Pushed::Unknown(format!("{other:?}"))),
        }
    }

    /// Waits for all confirms that are to come, and moves what the broker has pushed into the list.
    pub(crate) fn collect_confirms(&mut self) {
        self.collect();
        while !self.unconfirmed.is_empty()
            && let Some(event) = self.channel.next_event(CONFIRMS_MAX)
        {
            self.sort(event);
        }
    }

    /// How many of the pushed things are wanted.
    pub(crate) fn count(&self, wanted: impl Fn(&Pushed) -> bool) -> usize {
        self.pending.iter().filter(|pushed| wanted(pushed)).count()
    }

    /// Takes the pushed things that are wanted, in the order in which they arrived.
    pub(crate) fn take(&mut self, wanted: impl Fn(&Pushed) -> bool) -> Vec<Pushed> {
        let (taken, left) = std::mem::take(&mut self.pending).into_iter().partition(wanted);
        self.pending = left;
        taken
    }

    /// The publishes which are neither acked nor nacked, in order.
    pub(crate) fn unconfirmed(&self) -> impl ExactSizeIterator<Item = u64> {
        self.unconfirmed.iter().copied()
    }

    /// Writes a confirm down for each publish it speaks of; zero with `multiple` speaks of all.
    fn confirm(&mut self, number: u64, multiple: bool, as_pushed: fn(u64) -> Pushed) {
        let numbers: Vec<u64> = match (multiple, number) {
            (false, _) => vec![number],
            (true, 0) => self.unconfirmed().collect(),
            (true, _) => self.unconfirmed.range(..=number).copied().collect(),
        };
        for number in numbers {
            self.unconfirmed.remove(&number);
            self.pending.push(as_pushed(number));
        }
    }
}

impl Pushed {
    /// Its fields in a list of its own kind.
    pub(crate) fn fields(&self) -> Object {
        match self {
            Self::Ack(number) | Self::Nack(number) => named([("tag", Json::from(*number))]),
            Self::Cancel(tag) => named([("consumer_tag", Json::from(tag.as_str()))]),
            Self::Deliver(delivered) => deliver_fields(delivered),
            Self::Return(returned) => return_fields(returned),
            Self::Unknown(event) => named([("event", Json::from(event.as_str()))]),
        }
    }

    /// Its kind in a list of all kinds.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Ack(_) => "ack",
            Self::Cancel(_) => "cancel",
            Self::Deliver(_) => "deliver",
            Self::Nack(_) => "nack",
            Self::Return(_) => "return",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// Members of an object.
pub(crate) fn named<const N: usize>(members: [(&str, Json); N]) -> Object {
    members.map(|(name, value)| (name.to_owned(), value)).into()
}

/// The fields which a pushed and a fetched message share.
pub(crate) fn delivered_fields(delivered: &Delivered) -> Object {
    let mut fields = named([
        ("delivery_tag", Json::from(delivered.delivery_tag.0)),
        ("redelivered", Json::from(delivered.redelivered)),
        ("exchange", Json::from(&*delivered.exchange)),
        ("routing_key", Json::from(&*delivered.routing_key)),
    ]);
    fields.extend(message::to_json(&delivered.message));
    fields
}

fn deliver_fields(delivered: &Delivered) -> Object {
    let tag = delivered.consumer_tag.as_deref().map_or(Json::Null, Json::from);
    let mut fields = named([("consumer_tag", tag)]);
    fields.extend(delivered_fields(delivered));
    fields
}

fn return_fields(returned: &Returned) -> Object {
    let mut fields = named([
        ("reply_code", Json::from(returned.reply_code.as_u16())),
        ("reply_text", Json::from(&*returned.reply_text)),
        ("exchange", Json::from(&*returned.exchange)),
        ("routing_key", Json::from(&*returned.routing_key)),
    ]);
    fields.extend(message::to_json(&returned.message));
    fields
}
