//! What holds after every step, whatever happened.

use std::{collections::BTreeSet, time::Duration};

use leveret::{ConsumerStats, QueueStats};

use super::{
    Features,
    kept::numbers,
    options::{Grave, NAMES, Place},
    publishing::number,
};

impl Features {
    pub(crate) fn check(&mut self, what: &str) {
        // What is due at this very moment waits for the clock, or for anybody who looks.
        self.time.advance(Duration::ZERO);
        self.take_events();
        self.takers.retain(|taker| taker.consumer.end().is_none());
        let stats: Vec<_> = self.kept.iter().map(|kept| kept.queue.stats()).collect();
        for (kept, stats) in self.kept.iter().zip(&stats) {
            check_counts(stats, &kept.last, what);
        }
        let seen = self.browse_all(what, &stats);
        self.check_sum(&stats, what);
        self.check_exchanges(&stats, what);
        self.check_traffic(&stats, what);
        self.check_consumers(&stats, what);
        self.check_bodies(&stats, &seen, what);
        let now = self.time.elapsed();
        for (kept, stats) in self.kept.iter_mut().zip(stats) {
            if stats.enqueued > kept.last.enqueued {
                kept.came = now;
            }
            kept.last = stats;
        }
    }

    /// Looks into all queues, which changes nothing: what was due has been done.
    fn browse_all(&mut self, what: &str, stats: &[QueueStats]) -> Vec<u32> {
        let gone = (0..self.kept.len()).filter(|at| {
            let kept = &self.kept[*at];
            !kept.is_gone && kept.queue.browse(0).is_err()
        });
        for at in gone.collect::<Vec<_>>() {
            self.note_gone(at);
        }
        let mut seen = Vec::new();
        for kept in self.kept.iter().filter(|kept| !kept.is_gone) {
            seen.extend(numbers(&kept.browse()));
        }
        for (kept, stats) in self.kept.iter().zip(stats) {
            assert_eq!(kept.queue.stats(), *stats, "{what}: looking changes nothing");
            assert!(!kept.is_gone || stats.held() == 0, "{what}: nothing is left: {stats:?}");
        }
        seen
    }

    /// The broker says the sums, which never fall.
    fn check_sum(&mut self, stats: &[QueueStats], what: &str) {
        let broker = self.broker.stats();
        let sum = |of: fn(&QueueStats) -> u64| stats.iter().map(of).sum::<u64>();
        for field in FIELDS {
            assert_eq!(field(&broker), sum(*field), "{what}: the sums are those of the broker");
        }
        check_counts(&broker, &self.last_sum, what);
        let memory = self.broker.memory_bytes();
        assert!(memory >= broker.bytes, "{what}: {memory} for {} bytes", broker.bytes);
        self.last_sum = broker;
    }

    /// What exchanges took was published, or was a dead letter; and queues got nothing else.
    fn check_exchanges(&self, stats: &[QueueStats], what: &str) {
        let places = [Place::Default, Place::Fanout, Place::Topic];
        let mut copies = self.published.sent;
        for place in places {
            let of = self.exchange(place).stats();
            let dead: u64 = self
                .kept
                .iter()
                .zip(stats)
                .filter(|(kept, _)| kept.options.grave().is_some_and(|grave| at(grave) == place))
                .map(|(kept, stats)| letters(kept.options.buries_refused(), stats))
                .sum();
            let published = self.published.by_place[place as usize] + dead;
            assert_eq!(of.published, published, "{what}: what the {place:?} exchange took");
            copies += of.copies;
        }
        let enqueued: u64 = stats.iter().map(|stats| stats.enqueued).sum();
        assert_eq!(enqueued, copies, "{what}: queues got what was routed or sent");
    }

    /// Each queue got what was published to it in this step, and the dead letters that lead to it.
    fn check_traffic(&self, stats: &[QueueStats], what: &str) {
        let Some(published) = self.expected.as_ref().filter(|_| !self.has_moved) else { return };
        let mut due = published.clone();
        for (kept, stats) in self.kept.iter().zip(stats) {
            let Some(grave) = kept.options.grave() else { continue };
            let is_buried = kept.options.buries_refused();
            let dead = letters(is_buried, stats) - letters(is_buried, &kept.last);
            for (slot, due) in due.iter_mut().enumerate().filter(|_| dead > 0) {
                // With keys of their own they lead who knows where.
                let Some(is_reached) = grave.leads_to(slot) else { return };
                *due += u64::from(is_reached && self.slots[slot].is_some()) * dead;
            }
        }
        for (slot, kept) in self.slots.iter().enumerate() {
            let Some(kept) = *kept else { continue };
            let (now, last) = (&stats[kept], &self.kept[kept].last);
            let came = now.enqueued + now.refused - last.enqueued - last.refused;
            let due = due[slot];
            assert!(came <= due, "{what}: {came} came to {slot}, at most {due} could");
            if !self.has_cycles() {
                assert_eq!(came, due, "{what}: nothing was lost on the way to {slot}");
            }
        }
    }

    /// Whether dead letters may have to stop because they were somewhere before.
    fn has_cycles(&self) -> bool {
        let mut reached = self.leads.clone();
        for _ in 0..NAMES.len() {
            for (from, middle) in (0..16).map(|pair| (pair / 4, pair % 4)) {
                for to in 0..NAMES.len() {
                    reached[from][to] |= reached[from][middle] && reached[middle][to];
                }
            }
        }
        (0..NAMES.len()).any(|slot| reached[slot][slot])
    }

    fn check_consumers(&self, stats: &[QueueStats], what: &str) {
        for (kept, stats) in self.kept.iter().zip(stats).filter(|(kept, _)| !kept.is_gone) {
            let consumers = kept.queue.consumer_stats();
            let sum = |of: fn(&ConsumerStats) -> u64| consumers.iter().map(of).sum::<u64>();
            assert_eq!(consumers.len() as u64, stats.consumers, "{what}");
            assert!(sum(|of| of.unacked) <= stats.unacked, "{what}: {consumers:?} of {stats:?}");
            assert!(sum(|of| of.acked) <= stats.acked + stats.auto_acked, "{what}: {consumers:?}");
            assert!(sum(|of| of.returned) <= stats.returned, "{what}: {consumers:?} of {stats:?}");
            let handed = sum(|of| of.unacked + of.acked + of.rejected + of.returned);
            assert!(handed <= stats.delivered, "{what}: {consumers:?} of {stats:?}");
            let latency = kept.queue.latency();
            assert_eq!(latency.is_some(), kept.options.measures_latency(), "{what}");
            let measured = latency.map_or(0, |latency| latency.count());
            assert!(measured <= stats.delivered, "{what}: {measured} of {stats:?}");
        }
    }

    /// A body is there as long as somebody has it, and no longer.
    fn check_bodies(&mut self, stats: &[QueueStats], seen: &[u32], what: &str) {
        let held: u64 = stats.iter().map(QueueStats::held).sum();
        let hidden = usize::try_from(held).unwrap() - seen.len();
        let in_hand = self.hands.iter().map(|hand| number(&hand.delivery));
        let visible: BTreeSet<_> = seen.iter().copied().chain(in_hand).collect();
        let pending: usize = self.lines.iter().map(super::channels::Line::pending).sum();
        let most = visible.len() + hidden + pending;
        let there = self.count_bodies();
        assert!(there <= most, "{what}: {there} bodies are there, and at most {most} anywhere");
    }

    /// Lets go of everything: nothing is left, in any count or in memory.
    pub(crate) fn end(mut self) {
        self.hands.clear();
        self.takers.clear();
        self.expected = None;
        self.check("letting go");
        (0..self.lines.len()).for_each(|nth| self.close_channel(nth));
        self.check("closing the channels");
        for slot in 0..NAMES.len() {
            self.delete(slot);
        }
        for kept in &self.kept {
            let stats = kept.queue.stats();
            assert!(stats.is_conserved() && stats.held() == 0, "{stats:?}");
            assert_eq!((stats.bytes, stats.consumers), (0, 0), "{stats:?}");
        }
        assert_eq!(self.broker.memory_bytes(), 0, "nothing is left");
        self.check("deleting the queues");
        self.lines.clear();
        assert_eq!(self.count_bodies(), 0, "nobody has any body");
        assert_eq!(self.time.next_deadline(), None, "nothing is waited for");
    }
}

/// What is counted, and added up by the broker.
const FIELDS: &[fn(&QueueStats) -> u64] = &[
    |of| of.ready,
    |of| of.unacked,
    |of| of.delayed,
    |of| of.bytes,
    |of| of.consumers,
    |of| of.enqueued,
    |of| of.acked,
    |of| of.auto_acked,
    |of| of.rejected,
    |of| of.dead_lettered,
    |of| of.expired,
    |of| of.dropped,
    |of| of.exhausted,
    |of| of.purged,
    |of| of.deleted,
    |of| of.refused,
    |of| of.delivered,
    |of| of.returned,
];

/// How many of them are states, which may fall.
const STATES: usize = 5;

fn check_counts(now: &QueueStats, last: &QueueStats, what: &str) {
    assert!(now.is_conserved(), "{what}: {now:?}");
    assert_eq!(now.moving, 0, "{what}: letters have arrived when the call returns");
    let never_falls = |field: &fn(&QueueStats) -> u64| field(now) >= field(last);
    assert!(FIELDS[STATES..].iter().all(never_falls), "{what}: {last:?} became {now:?}");
}

/// How many letters a queue has written.
fn letters(buries_refused: bool, stats: &QueueStats) -> u64 {
    stats.dead_lettered + if buries_refused { stats.refused } else { 0 }
}

/// Which exchange gets the letters.
fn at(grave: Grave) -> Place {
    match grave {
        Grave::Queue(_) => Place::Default,
        Grave::Fanout => Place::Fanout,
        Grave::Topic => Place::Topic,
        Grave::OwnKey(place) => place,
    }
}
