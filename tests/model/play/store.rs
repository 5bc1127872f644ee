//! A queue of the reference: messages in order, and one list of consumers that have turns.

/// A message in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Its place in the order of the queue.
    pub(crate) place: u64,
    /// What was published.
    pub(crate) content: u32,
    pub(crate) redelivered: bool,
    pub(crate) holder: Holder,
}

/// Who has a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Consumer(usize),
    Getter,
    Queue,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Consumer {
    pub(crate) channel: usize,
    pub(crate) tag: u8,
    pub(crate) auto_ack: bool,
    pub(crate) exclusive: bool,
    pub(crate) priority: i8,
    pub(crate) prefetch: u16,
    pub(crate) standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It waits until something is settled, because of its own prefetch.
    Full,
    Gone,
    /// It has turns, or waits for its channel.
    Present,
}

/// What has happened to messages, as a queue tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) ready: u64,
    pub(crate) unacked: u64,
    pub(crate) consumers: u64,
    pub(crate) enqueued: u64,
    pub(crate) acked: u64,
    pub(crate) auto_acked: u64,
    pub(crate) rejected: u64,
    pub(crate) purged: u64,
    pub(crate) deleted: u64,
}

/// How a delivery ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Ack,
    Reject,
    Requeue,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Store {
    pub(crate) name: usize,
    /// The connection that it belongs to.
    pub(crate) owner: Option<usize>,
    /// Those that are not gone, in order.
    pub(crate) messages: Vec<Message>,
    pub(crate) consumers: Vec<Consumer>,
    /// Who takes part, next turn first.
    pub(crate) turns: Vec<usize>,
    /// Whom its channel refused, in that order.
    pub(crate) refused: Vec<usize>,
    /// Without what can be counted at any moment.
    gone: Counts,
}

impl Store {
    pub(crate) fn new(name: usize, owner: Option<usize>) -> Self {
        Self { name, owner, ..Self::default() }
    }

    pub(crate) fn push(&mut self, content: u32) {
        let place = self.gone.enqueued;
        self.gone.enqueued += 1;
        self.messages.push(Message { place, content, redelivered: false, holder: Holder::Queue });
    }

    pub(crate) fn head(&mut self) -> Option<&mut Message> {
        self.messages.iter_mut().find(|message| message.holder == Holder::Queue)
    }

    /// Hands out the head: for good, if nothing is to be settled.
    pub(crate) fn hand_out(&mut self, holder: Holder, auto_ack: bool) -> Option<Message> {
        let head = self.head()?;
        head.holder = holder;
        let message = head.clone();
        if auto_ack {
            self.messages.retain(|other| other.place != message.place);
            self.gone.auto_acked += 1;
        }
        Some(message)
    }

    pub(crate) fn settle(&mut self, place: u64, end: End) {
        let found = self.messages.iter_mut().find(|message| message.place == place);
        let Some(message) = found.filter(|message| message.holder != Holder::Queue) else { return };
        let holder = std::mem::replace(&mut message.holder, Holder::Queue);
        message.redelivered = true;
        match end {
            End::Ack => self.gone.acked += 1,
            End::Reject => self.gone.rejected += 1,
            End::Requeue => {}
        }
        if end != End::Requeue {
            self.messages.retain(|message| message.place != place);
        }
        if let Holder::Consumer(consumer) = holder
            && self.consumers[consumer].standing == Standing::Full
        {
            self.consumers[consumer].standing = Standing::Present;
            self.turns.push(consumer);
        }
    }

    pub(crate) fn purge(&mut self) -> u64 {
        let before = self.messages.len();
        self.messages.retain(|message| message.holder != Holder::Queue);
        let purged = (before - self.messages.len()) as u64;
        self.gone.purged += purged;
        purged
    }

    /// The consumers that were there, oldest first.
    pub(crate) fn delete(&mut self) -> Vec<Consumer> {
        self.gone.deleted += self.messages.len() as u64;
        self.messages.clear();
        self.turns.clear();
        self.refused.clear();
        let present: Vec<Consumer> = self.present().cloned().collect();
        self.consumers.iter_mut().for_each(|consumer| consumer.standing = Standing::Gone);
        present
    }

    pub(crate) fn remove_consumer(&mut self, consumer: usize) {
        self.consumers[consumer].standing = Standing::Gone;
        self.turns.retain(|other| *other != consumer);
        self.refused.retain(|other| *other != consumer);
    }

    pub(crate) fn present(&self) -> impl Iterator<Item = &Consumer> {
        self.consumers.iter().filter(|consumer| consumer.standing != Standing::Gone)
    }

    /// Takes out of the line whose turn it is: the first of the highest priority.
    pub(crate) fn take_turn(&mut self) -> Option<usize> {
        let highest = self.turns.iter().map(|of| self.consumers[*of].priority).max()?;
        let at = self.turns.iter().position(|of| self.consumers[*of].priority == highest)?;
        Some(self.turns.remove(at))
    }

    pub(crate) fn has_room(&self, consumer: usize) -> bool {
        let Consumer { auto_ack, prefetch, .. } = self.consumers[consumer];
        let holder = Holder::Consumer(consumer);
        let held = self.messages.iter().filter(|message| message.holder == holder).count();
        auto_ack || prefetch == 0 || held < usize::from(prefetch)
    }

    pub(crate) fn counts(&self) -> Counts {
        let ready = self.messages.iter().filter(|message| message.holder == Holder::Queue).count();
        Counts {
            ready: ready as u64,
            unacked: (self.messages.len() - ready) as u64,
            consumers: self.present().count() as u64,
            ..self.gone
        }
    }
}
