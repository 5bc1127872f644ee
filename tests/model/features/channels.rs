//! The channel tier: publishing in three modes, consuming, getting, and settling by numbers.

use std::collections::{BTreeMap, BTreeSet};

use leveret::{
    Ack, Channel, Connection, Consume, Delivered, DeliveryTag, ErrorKind, Event, Get, Nack,
    Publish, Recover, Reject, Table,
};

use super::{
    Features,
    hands::pick,
    options::{NAMES, Place},
    publishing::number,
    step::{Address, How, Make},
};

const CONFIRMS: usize = 0;
const TRANSACTS: usize = 2;

/// A channel, and what is known of it.
pub(crate) struct Line {
    pub(crate) channel: Channel,
    /// Tags of deliveries that are not settled.
    outstanding: BTreeSet<u64>,
    /// Those whose settlement waits for the commit.
    settled: BTreeSet<u64>,
    pending: Vec<Pending>,
    unconfirmed: BTreeSet<u64>,
    /// Consumers by tag: their queue, and whether they ack automatically.
    consumers: BTreeMap<String, (usize, bool)>,
}

/// A publish that waits for the commit.
struct Pending {
    number: u32,
    place: Place,
    /// Whether it goes to the queue that a slot has then.
    slots: Vec<bool>,
}

impl Line {
    pub(crate) fn open(connection: &Connection, nth: usize) -> Self {
        let channel = connection.open_channel().unwrap();
        match nth {
            CONFIRMS => channel.confirm_select().unwrap(),
            TRANSACTS => channel.tx_select().unwrap(),
            _ => {}
        }
        Self {
            channel,
            outstanding: BTreeSet::new(),
            settled: BTreeSet::new(),
            pending: Vec::new(),
            unconfirmed: BTreeSet::new(),
            consumers: BTreeMap::new(),
        }
    }

    /// How many messages wait for the commit.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Each publish is confirmed or not exactly once.
    fn confirmed(&mut self, tag: u64, multiple: bool) {
        if multiple {
            let later = self.unconfirmed.split_off(&(tag + 1));
            let confirmed = std::mem::replace(&mut self.unconfirmed, later);
            assert!(confirmed.contains(&tag), "{tag} waits for a confirm: {confirmed:?}");
        } else {
            assert!(self.unconfirmed.remove(&tag), "{tag} waits for a confirm");
        }
    }
}

impl Features {
    pub(crate) fn close_channel(&mut self, nth: usize) {
        self.lines[nth].channel.close();
        self.lines[nth] = Line::open(&self.connection, nth);
    }

    pub(crate) fn publish_by_channel(&mut self, nth: usize, to: Address, make: Make) {
        let message = self.message(Some(to), make);
        let body = number(&message);
        let keys = to.keys();
        let mandatory = !make.body_bytes.is_multiple_of(2);
        let (exchange, routing_key) = (to.place.name(), keys[0]);
        let publish = Publish { exchange, routing_key, mandatory, immediate: false };
        let told = self.lines[nth].channel.basic_publish(publish, message).unwrap();
        assert_eq!(told.is_some(), nth == CONFIRMS);
        if let Some(DeliveryTag(tag)) = told {
            assert!(self.lines[nth].unconfirmed.insert(tag), "{tag} is new");
        }
        if nth == TRANSACTS {
            let is_reached =
                |slot: usize| self.slots[slot].is_some() && to.place.leads_to(slot, &keys);
            let slots = (0..NAMES.len()).map(is_reached).collect();
            self.lines[nth].pending.push(Pending { number: body, place: to.place, slots });
        } else {
            self.expect(to, 1);
            self.published.count(to.place, 1);
        }
    }

    pub(crate) fn commit_channel(&mut self, rollback: bool) {
        let now = self.time.elapsed();
        let line = &mut self.lines[TRANSACTS];
        let pending = std::mem::take(&mut line.pending);
        let settled = std::mem::take(&mut line.settled);
        if rollback {
            line.channel.tx_rollback().unwrap();
            line.outstanding.extend(settled);
            return;
        }
        for Pending { number, place, slots } in pending {
            self.published.note(number, now);
            self.published.count(place, 1);
            let slots = slots.into_iter().zip(&self.slots).map(|(is, there)| is && there.is_some());
            let expected = self.expected.as_mut().unwrap();
            expected.iter_mut().zip(slots).for_each(|(copies, is)| *copies += u64::from(is));
        }
        if let Err(error) = line.channel.tx_commit() {
            assert!(matches!(error.kind(), ErrorKind::PartialCommit), "{error}");
        }
    }

    pub(crate) fn get_by_channel(&mut self, nth: usize, slot: usize, auto_ack: bool) {
        let Some((kept, _)) = self.there(slot) else { return };
        let seen = self.kept[kept].browse();
        let get = Get { queue: NAMES[slot], auto_ack };
        // A queue with options of its own may not be got from by a channel.
        let Ok(got) = self.lines[nth].channel.basic_get(get) else { return };
        let Some(Delivered { delivery_tag, message, .. }) = got else { return };
        assert_eq!(number(&message), number(&seen[0].message), "what is browsed first is got");
        self.check_alive(kept, &message, self.time.elapsed());
        if !auto_ack {
            self.lines[nth].outstanding.insert(delivery_tag.0);
        }
    }

    pub(crate) fn consume_by_channel(
        &mut self,
        nth: usize,
        slot: usize,
        auto_ack: bool,
        timeout: u8,
    ) {
        let Some((kept, _)) = self.there(slot) else { return };
        let tag = format!("c{}", self.next_tag);
        self.next_tag += 1;
        let mut arguments = Table::from([("x-priority", i32::from(timeout / 128))]);
        if let 1..5 = timeout % 16 {
            arguments.insert("x-consumer-timeout", i32::from(timeout % 16) * 10);
        }
        let line = &mut self.lines[nth];
        line.consumers.insert(tag.clone(), (kept, auto_ack));
        // Only so much comes of it that there are laws to be asked for afterwards.
        let _ = line.channel.basic_consume(Consume {
            queue: NAMES[slot],
            consumer_tag: &tag,
            auto_ack,
            exclusive: false,
            no_local: false,
            arguments,
        });
    }

    pub(crate) fn settle_by_channel(&mut self, nth: usize, at: usize, how: How, multiple: bool) {
        let line = &mut self.lines[nth];
        let Some(at) = pick(at, line.outstanding.len()) else { return };
        let tag = *line.outstanding.iter().nth(at).unwrap();
        let (delivery_tag, channel) = (DeliveryTag(tag), &line.channel);
        let (mut is_all, mut is_multiple) = (false, multiple);
        let nack = |requeue| channel.basic_nack(Nack { delivery_tag, multiple, requeue });
        let done = match how {
            How::Ack => channel.basic_ack(Ack { delivery_tag, multiple }),
            How::Drop => {
                is_all = true;
                channel.basic_recover(Recover { requeue: true })
            }
            How::Extend => {
                is_multiple = false;
                channel.basic_reject(Reject { delivery_tag, requeue: multiple })
            }
            How::Reject | How::RejectBecause => nack(false),
            How::Requeue | How::RetryIn(_) => nack(true),
        };
        // One whose time was over is not there any more, which closes the channel.
        if done.is_err() {
            return;
        }
        let settled = match (is_all, is_multiple) {
            (true, _) => std::mem::take(&mut line.outstanding),
            (false, true) => {
                let later = line.outstanding.split_off(&(tag + 1));
                std::mem::replace(&mut line.outstanding, later)
            }
            (false, false) => {
                line.outstanding.remove(&tag);
                BTreeSet::from([tag])
            }
        };
        if nth == TRANSACTS && !is_all {
            line.settled.extend(settled);
        }
    }

    /// Takes all events, and opens again what was closed by an error.
    pub(crate) fn take_events(&mut self) {
        for nth in 0..self.lines.len() {
            while let Some(event) = self.lines[nth].channel.try_event() {
                self.take_event(nth, event);
            }
            if self.lines[nth].channel.error().is_some() {
                self.lines[nth] = Line::open(&self.connection, nth);
            }
            assert!(self.lines[nth].unconfirmed.is_empty(), "it is decided when it returns");
        }
    }

    fn take_event(&mut self, nth: usize, event: Event) {
        let line = &mut self.lines[nth];
        match event {
            Event::Ack { delivery_tag, multiple } | Event::Nack { delivery_tag, multiple } => {
                line.confirmed(delivery_tag.0, multiple);
            }
            Event::Cancel { consumer_tag } => {
                line.consumers.remove(consumer_tag.as_str());
            }
            Event::Deliver(delivered) => {
                let tag = delivered.consumer_tag.expect("it has a consumer");
                let (kept, auto_ack) = line.consumers[tag.as_str()];
                if !auto_ack {
                    assert!(line.outstanding.insert(delivered.delivery_tag.0), "it is new");
                }
                let message = &delivered.message;
                let is_new = self.published.at(number(message)) > self.began;
                if !is_new && message.header("x-death").is_none() && !self.is_at_once(kept, message)
                {
                    self.check_alive(kept, message, self.began);
                }
            }
            Event::Closed(_) | Event::Return(_) | Event::Unblocked => {}
            other => panic!("nothing leads to {other:?}"),
        }
    }

    /// Whether it came and went in this step, when it may have no time at all.
    fn is_at_once(&self, kept: usize, message: &leveret::Message) -> bool {
        let published = self.published.at(number(message));
        published == self.began && self.kept[kept].end_of(message, published) == Some(published)
    }
}
