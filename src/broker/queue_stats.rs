//! What a queue says about itself: counts, its consumers, its messages.

use std::{sync::Arc, time::Duration};

use super::{cell::QueueCell, snapshot::Snapshot, vhost_state::VhostState};
use crate::{
    Message, Name,
    clock::Clock,
    engine::queue::{Flow, Held, Peeked},
};

/// Counts of a queue at one moment; of a virtual host or a broker, the sums over their queues.
///
/// They obey the law of conservation: `enqueued` is the sum of all states (`ready`, `unacked`,
/// `delayed`, `moving`) and of all causes by which messages have gone.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// use leveret::{Broker, Message};
///
/// let queue = Broker::new().declare_queue("tasks").declare()?;
/// for task in ["a", "b", "c"] {
///     queue.send(Message::new(task))?;
/// }
/// let delivery = queue.get()?.expect("three are there");
/// let stats = queue.stats();
/// assert_eq!((stats.enqueued, stats.ready, stats.unacked, stats.acked), (3, 2, 1, 0));
/// delivery.ack()?;
/// assert_eq!(queue.stats().acked, 1);
/// assert!(queue.stats().is_conserved());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStats {
    /// State: messages that wait.
    pub ready: u64,
    /// State: messages that are handed out, also those that wait in the mailbox of a consumer.
    pub unacked: u64,
    /// State: messages that are to be tried again later.
    pub delayed: u64,
    /// State: dead letters that their targets do not have yet.
    pub moving: u64,
    /// Accounted bytes of all of these.
    pub bytes: u64,
    /// Consumers.
    pub consumers: u64,
    /// Whether the queue is [paused](crate::Queue::pause).
    pub is_paused: bool,
    /// How long the oldest message has waited that is first in line, with priorities on any of
    /// their levels; `None` if there is none, or the queue does not
    /// [measure](crate::QueueBuilder::measure_latency) it.
    pub oldest: Option<Duration>,
    /// Messages that ever came in.
    pub enqueued: u64,
    /// Cause: acked.
    pub acked: u64,
    /// Cause: delivered to someone who acks automatically.
    pub auto_acked: u64,
    /// Cause: rejected, with nowhere to go.
    pub rejected: u64,
    /// Cause: went to where the dead letters of the queue go, for whatever reason. What is routed
    /// nowhere by the exchange there is lost, as for every publish.
    pub dead_lettered: u64,
    /// Cause: expired, with nowhere to go.
    pub expired: u64,
    /// Cause: gave way at the declared length of the queue with nowhere to go, or because a
    /// subscriber lagged too far behind.
    pub dropped: u64,
    /// Cause: came back more often than the delivery limit allows, with nowhere to go.
    pub exhausted: u64,
    /// Cause: purged.
    pub purged: u64,
    /// Cause: deleted with the queue.
    pub deleted: u64,
    /// How often a declared bound kept a message out. These never came in.
    pub refused: u64,
    /// How often a message was handed out.
    pub delivered: u64,
    /// How often one came back, seen or not.
    pub returned: u64,
}

/// What a consumer was handed, and what became of it. The numbers add up: what was handed to it is
/// `unacked`, `acked`, `rejected` or `returned`. A consumer of a channel that acks automatically
/// has none of these.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerStats {
    /// Its tag.
    pub tag: Name,
    /// Messages that it has, also those that wait in its mailbox.
    pub unacked: u64,
    /// Messages that were acked, by itself or on receipt.
    pub acked: u64,
    /// Messages that were rejected, or lost because a subscriber lagged too far behind.
    pub rejected: u64,
    /// Messages that went back to the queue, seen or not.
    pub returned: u64,
}

/// A message that was seen in its queue and is still there.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Browsed {
    /// The message.
    pub message: Message,
    /// The exchange that it was published to; empty for the default one.
    pub exchange: Name,
    /// The key that it was published with.
    pub routing_key: Name,
    /// Whether it was handed out before.
    pub is_redelivered: bool,
    /// How many times it was received and given back.
    pub returns: u32,
}

impl QueueStats {
    /// Whether every message that came in is somewhere, or gone for exactly one cause.
    #[must_use]
    pub fn is_conserved(&self) -> bool {
        self.enqueued == self.held() + self.gone()
    }

    /// How many messages are there, in whatever state.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.ready + self.unacked + self.delayed + self.moving
    }

    /// How many messages have gone, for whatever cause.
    #[must_use]
    pub fn gone(&self) -> u64 {
        let causes = [
            self.acked,
            self.auto_acked,
            self.rejected,
            self.dead_lettered,
            self.expired,
            self.dropped,
            self.exhausted,
            self.purged,
            self.deleted,
        ];
        causes.iter().sum()
    }

    /// Adds those of another queue.
    pub(crate) fn add(&mut self, other: &Self) {
        self.ready += other.ready;
        self.unacked += other.unacked;
        self.delayed += other.delayed;
        self.moving += other.moving;
        self.bytes += other.bytes;
        self.consumers += other.consumers;
        self.oldest = self.oldest.max(other.oldest);
        self.enqueued += other.enqueued;
        self.acked += other.acked;
        self.auto_acked += other.auto_acked;
        self.rejected += other.rejected;
        self.dead_lettered += other.dead_lettered;
        self.expired += other.expired;
        self.dropped += other.dropped;
        self.exhausted += other.exhausted;
        self.purged += other.purged;
        self.deleted += other.deleted;
        self.refused += other.refused;
        self.delivered += other.delivered;
        self.returned += other.returned;
    }
}

impl Snapshot {
    /// How many messages are there, in whatever state.
    pub(crate) fn held(&self) -> u64 {
        self.ready + self.unacked + self.delayed + self.moving
    }

    pub(crate) fn stats(&self, clock: &Clock) -> QueueStats {
        let counts = &self.counts;
        QueueStats {
            ready: self.ready,
            unacked: self.unacked,
            delayed: self.delayed,
            moving: self.moving,
            bytes: self.bytes,
            consumers: self.consumers as u64,
            is_paused: self.flow == Flow::Paused,
            oldest: self.oldest.map(|came| clock.now().since(came)),
            enqueued: counts.enqueued,
            acked: counts.acked,
            auto_acked: counts.auto_acked,
            rejected: counts.rejected,
            dead_lettered: counts.dead_lettered,
            expired: counts.expired,
            dropped: counts.dropped,
            exhausted: counts.exhausted,
            purged: counts.purged,
            deleted: counts.deleted,
            refused: counts.refused,
            delivered: counts.delivered,
            returned: counts.returned,
        }
    }
}

impl QueueCell {
    /// Its consumers, oldest first, with what they were handed.
    pub(crate) fn consumer_stats(self: &Arc<Self>) -> Vec<ConsumerStats> {
        self.with(|core, _| {
            let ids = core.consumer_ids();
            let stats = ids.into_iter().filter_map(|id| {
                let counts = core.consumer_counts(id)?;
                let tag = core.recipient(id)?.tag().clone();
                Some(ConsumerStats {
                    tag,
                    unacked: counts.unacked,
                    acked: counts.acked,
                    rejected: counts.rejected,
                    returned: counts.returned,
                })
            });
            stats.collect()
        })
    }
}

impl From<Peeked> for Browsed {
    fn from(Peeked { held: Held::Resident(message), past, .. }: Peeked) -> Self {
        let address = message.address();
        Self {
            exchange: address.exchange.clone(),
            routing_key: address.routing_key.clone(),
            is_redelivered: past.is_redelivered(),
            returns: past.returns(),
            message,
        }
    }
}

impl QueueCell {
    pub(crate) fn stats(self: &Arc<Self>) -> QueueStats {
        self.snapshot().stats(&self.context().clock)
    }
}

impl VhostState {
    /// The sums over all queues that there are or were.
    pub(crate) fn stats(&self) -> QueueStats {
        let mut sum = self.former.stats();
        self.all_queues().iter().for_each(|cell| sum.add(&cell.stats()));
        sum
    }
}
