//! Messages whose bodies are on disk only.
//!
//! They wait in line like all others. Only what is in memory is handed out, so when one of them
//! comes to be first, what is first in line is read: the caller does that with the queue let go,
//! and brings it back.

use super::{Effects, Held, Outward, QueueCore, Recipient, effect::Bodies, entry::Entry};
use crate::{Message, engine::ids::Seq};

/// So many messages are read at once.
const READ_MESSAGES: usize = 64;

/// Or those of so many bytes together, after the first.
const READ_BYTES: u64 = 256 * 1_024;

/// A message that is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) seq: Seq,
    level: u8,
}

/// Whether somebody has credit for more than was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum More {
    Unwanted,
    Wanted,
}

impl<C: Recipient> QueueCore<C> {
    /// Whether what is first in line has to be read.
    pub(crate) fn is_on_disk(&self) -> bool {
        self.ready.front().is_some_and(Entry::is_on_disk)
    }

    /// What is to be read next: what is first in line, and some behind it.
    pub(crate) fn wanted(&self) -> Vec<Wanted> {
        let (mut bytes, mut wanted) = (0, Vec::new());
        for entry in self.ready.iter().take(READ_MESSAGES).filter(|entry| entry.is_on_disk()) {
            bytes += entry.body_bytes();
            if bytes > READ_BYTES && !wanted.is_empty() {
                break;
            }
            wanted.push(Wanted { seq: entry.stamp.seq, level: self.ready.level_of(&entry.held) });
        }
        wanted
    }

    /// Takes in what was read, as far as it is still there, and hands out what is ready.
    pub(crate) fn read(&mut self, read: Vec<(Wanted, Held)>, effects: &mut Effects) -> More {
        for (Wanted { seq, level }, held) in read {
            let Some(entry) = self.ready.get_mut(level, seq).filter(|entry| entry.is_on_disk())
            else {
                effects.freed.push(held);
                continue;
            };
            let former = entry.stamp.bytes();
            effects.freed.push(entry.page_in(held));
            self.bytes = self.bytes - former + entry.stamp.bytes();
        }
        self.serve(effects);
        if self.wants_bodies() { More::Wanted } else { More::Unwanted }
    }

    /// Whether any message was ever on disk only.
    #[inline]
    fn has_outlines(&self) -> bool {
        self.options.as_ref().is_some_and(|options| options.outline.is_some())
    }

    /// Ends the reading that was asked for.
    pub(crate) fn end_reading(&mut self) {
        if let Some(options) = &mut self.options {
            options.is_reading = false;
        }
    }

    /// Whether somebody has credit for what is first in line, and that has to be read.
    fn wants_bodies(&self) -> bool {
        self.is_on_disk() && !self.consumers.all_parked()
    }

    /// Whether what is first in line has to be read before anything is handed out. Asks for that.
    #[inline]
    pub(super) fn waits_for_body(&mut self, effects: &mut Effects) -> bool {
        if !self.has_outlines() || !self.is_on_disk() {
            return false;
        }
        let is_wanted = self.wants_bodies();
        if let Some(options) = &mut self.options
            && is_wanted
            && !std::mem::replace(&mut options.is_reading, true)
        {
            effects.outward.push(Outward::WantsBodies);
        }
        true
    }

    /// Keeps only the outline of what joins the line, if that is how it is to be.
    pub(super) fn page_out(&mut self, entry: &mut Entry, effects: &mut Effects) {
        let is_stored = entry.stamp.past.is_stored() && !entry.is_on_disk();
        if is_stored && effects.bodies == Bodies::OnDisk {
            let outline = self.outline_of(&entry.held);
            let former = entry.stamp.bytes();
            effects.freed.push(entry.page_out(outline));
            self.bytes = self.bytes - former + entry.stamp.bytes();
        }
    }

    /// What the line keeps of such a message. Those in a row mostly share it.
    fn outline_of(&mut self, held: &Held) -> Held {
        let Held::Resident(message) = held;
        let (mode, priority) = (message.delivery_mode(), message.priority());
        let is_like =
            |outline: &Message| (outline.delivery_mode(), outline.priority()) == (mode, priority);
        let kept = self.options.as_mut().map(|options| &mut options.outline);
        match kept {
            Some(Some(outline)) if is_like(outline) => Held::Resident(outline.clone()),
            kept => {
                let outline = Message::outline(mode, priority);
                if let Some(kept) = kept {
                    *kept = Some(outline.clone());
                }
                Held::Resident(outline)
            }
        }
    }
}
