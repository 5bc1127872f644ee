//! What an exchange has routed: counters that publishers share without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{intake::Intake, publish::Source, vhost_state::VhostState};

/// The counters of one exchange, apart from what publishers read. Plain ones: they order nothing
/// else. A message that goes to one queue, as most do, touches one of them.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Tally {
    to_none: AtomicU64,
    to_one: AtomicU64,
    to_several: AtomicU64,
    /// The copies of the latter.
    copies: AtomicU64,
    refused: AtomicU64,
}

/// What an exchange has routed since it was declared.
///
/// Every message that was published to it counts once, in `published`, and as often as queues took
/// it in `copies`, also by way of exchanges that are bound to it; those count nothing then. What
/// was refused with an error was not published. Dead letters count where they are routed;
/// [`Queue::send`](crate::Queue::send) passes no exchange.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// use leveret::{Broker, Message};
///
/// let broker = Broker::new();
/// let news = broker.declare_exchange("news").fanout().declare()?;
/// news.publish("", Message::new("nobody listens"))?;
/// news.bind(&broker.declare_queue("a").declare()?, "")?;
/// news.bind(&broker.declare_queue("b").declare()?, "")?;
/// news.publish("", Message::new("both listen"))?;
/// let stats = news.stats();
/// assert_eq!((stats.published, stats.copies, stats.unroutable), (2, 2, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExchangeStats {
    /// Messages that were published to it.
    pub published: u64,
    /// Copies that queues took of them.
    pub copies: u64,
    /// Messages that reached no queue.
    pub unroutable: u64,
    /// Copies that queues had no room for by a bound that they declare.
    pub refused: u64,
}

impl Tally {
    /// Counts one message.
    pub(crate) fn count(&self, intake: &Intake) {
        self.count_whole(intake.queues);
        if intake.refused() > 0 {
            add(&self.refused, intake.refused());
        }
    }

    /// Counts one message that so many queues took, and none refused.
    #[inline]
    pub(crate) fn count_whole(&self, queues: u32) {
        match queues {
            1 => add(&self.to_one, 1),
            0 => add(&self.to_none, 1),
            _ => {
                add(&self.to_several, 1);
                add(&self.copies, queues);
            }
        }
    }

    /// Counts messages that were published at once; those that reached nobody are known.
    pub(crate) fn count_all(&self, messages: u64, unroutable: u64, intake: &Intake) {
        self.to_none.fetch_add(unroutable, Ordering::Relaxed);
        self.to_several.fetch_add(messages.saturating_sub(unroutable), Ordering::Relaxed);
        self.copies.fetch_add(intake.queues.into(), Ordering::Relaxed);
        self.refused.fetch_add(intake.refused().into(), Ordering::Relaxed);
    }

    pub(crate) fn stats(&self) -> ExchangeStats {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (none, one, several) = (of(&self.to_none), of(&self.to_one), of(&self.to_several));
        ExchangeStats {
            published: none + one + several,
            copies: one + of(&self.copies),
            unroutable: none,
            refused: of(&self.refused),
        }
    }
}

#[inline]
fn add(counter: &AtomicU64, by: u32) {
    counter.fetch_add(by.into(), Ordering::Relaxed);
}

impl VhostState {
    /// The counters of an exchange.
    #[inline]
    pub(crate) fn tally<'s>(&'s self, source: &'s Source) -> &'s Tally {
        match source {
            Source::Default => &self.default_tally,
            Source::Exchange(exchange) => &exchange.tally,
        }
    }
}
