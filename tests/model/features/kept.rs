//! Queues: declared, deleted, declared again, and looked into.

use std::time::Duration;

use leveret::{Browsed, Message, Queue, QueueStats};

use super::{
    Features,
    options::{NAMES, Options},
    publishing::number,
};

/// A queue that there is or was.
pub(crate) struct Kept {
    pub(crate) queue: Queue,
    pub(crate) slot: usize,
    pub(crate) options: Options,
    /// As of the end of the step before.
    pub(crate) last: QueueStats,
    /// When something came in last, at the latest.
    pub(crate) came: Duration,
    pub(crate) is_gone: bool,
}

impl Kept {
    /// When a message that is in here ends, at the latest.
    pub(crate) fn end_of(&self, message: &Message, published: Duration) -> Option<Duration> {
        let ttl = self.options.ttl();
        if message.header("x-death").is_some() {
            // Another life: it came in when something came in last, or before.
            return ttl.map(|ttl| self.came + ttl);
        }
        let own = message.expiration().map(|text| Duration::from_millis(text.parse().unwrap()));
        ttl.into_iter().chain(own).min().map(|lasts| published + lasts)
    }

    /// What would be handed out next; nothing if it is deleted.
    pub(crate) fn browse(&self) -> Vec<Browsed> {
        self.queue.browse(1_000).unwrap_or_default()
    }
}

impl Features {
    /// The queue that a slot has, and which one it is.
    pub(crate) fn there(&self, slot: usize) -> Option<(usize, Queue)> {
        let at = self.slots[slot]?;
        Some((at, self.kept[at].queue.clone()))
    }

    pub(crate) fn declare(&mut self, slot: usize) {
        let options = self.options[slot];
        let queue = options.declare(&self.broker, slot).unwrap();
        if let Some(grave) = options.grave() {
            for to in 0..NAMES.len() {
                self.leads[slot][to] |= grave.leads_to(to).unwrap_or(true);
            }
        }
        self.slots[slot] = Some(self.kept.len());
        let (last, came) = (QueueStats::default(), Duration::ZERO);
        self.kept.push(Kept { queue, slot, options, last, came, is_gone: false });
        self.has_moved = true;
    }

    pub(crate) fn declare_again(&mut self, slot: usize, at: usize, byte: u8) {
        let Some((kept, queue)) = self.there(slot) else {
            if let Some(place) = self.options[slot].0.get_mut(at) {
                *place = byte;
            }
            return self.declare(slot);
        };
        let before = queue.stats();
        let again = self.options[slot].declare(&self.broker, slot).unwrap();
        assert_eq!(again.stats(), before, "declared again, nothing changes");
        let mut other = self.kept[kept].options;
        if let Some(place) = other.0.get_mut(at) {
            *place = byte;
        }
        if let Err(error) = other.declare(&self.broker, slot) {
            assert!(error.is_mismatch(), "{error}");
        }
    }

    pub(crate) fn delete(&mut self, slot: usize) {
        let Some((kept, queue)) = self.there(slot) else { return };
        let ready = queue.stats().ready;
        let told = queue.delete().unwrap();
        assert!(told <= ready, "{told} of {ready}");
        self.note_gone(kept);
    }

    pub(crate) fn note_gone(&mut self, kept: usize) {
        self.has_moved = true;
        let Kept { slot, is_gone, .. } = &mut self.kept[kept];
        *is_gone = true;
        if self.slots[*slot] == Some(kept) {
            self.slots[*slot] = None;
        }
    }

    pub(crate) fn pause(&self, slot: usize, resume: bool) {
        let Some((_, queue)) = self.there(slot) else { return };
        if resume { queue.resume() } else { queue.pause() }.unwrap();
        assert_eq!(queue.stats().is_paused, !resume);
    }

    pub(crate) fn purge(&self, slot: usize, most: u64) {
        let Some((kept, queue)) = self.there(slot) else { return };
        let before = numbers(&self.kept[kept].browse());
        let came = queue.stats().enqueued;
        let purged = queue.purge_first(most).unwrap();
        let after = numbers(&self.kept[kept].browse());
        assert!(purged <= most, "{purged} of {most}");
        if queue.stats().enqueued > came {
            // What was first then had expired, and its letter has come back here.
            return;
        }
        assert!(before.ends_with(&after), "{before:?} became {after:?}");
        let left = u64::try_from(before.len() - after.len()).unwrap();
        assert!(left <= purged, "{left} of {purged} were seen");
    }
}

pub(crate) fn numbers(seen: &[Browsed]) -> Vec<u32> {
    seen.iter().map(|of| number(&of.message)).collect()
}
