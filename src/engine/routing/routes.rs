//! Where one message goes: the result of routing, and the memory that routing works in.

use std::mem;

use super::topic::Walk;

/// A place that messages are routed to: a queue, or another exchange.
///
/// It is a number, so that finding it costs nothing but noting it. Invariant: targets alive at the
/// same time have different slots, so that two targets are the same if their slots are.
pub(crate) trait Target: Copy {
    /// A small number; memory of the size of the largest one is kept per [`Routes`].
    fn slot(self) -> usize;
}

/// The targets of one message, each once, in the order found.
///
/// It is made once and used for many messages, so that routing does not allocate.
#[derive(Debug)]
pub(crate) struct Routes<T> {
    pub(super) reached: Reached<T>,
    /// What the walk through a topic trie works in.
    pub(super) walk: Walk,
    /// Where headers are put in order, as indexes into their table.
    pub(super) header_order: Vec<u32>,
}

/// The targets themselves, apart from the memory that routers work in.
#[derive(Debug)]
pub(super) struct Reached<T> {
    targets: Vec<T>,
    /// By slot: the epoch in which the target was last reached.
    ///
    /// Small numbers, so that the stamps of many targets stay in the nearest cache.
    stamps: Vec<u16>,
    /// The current message. Invariant: above every stamp of a former message, and never 0.
    epoch: u16,
    /// How often a target was pushed, also one that was there already.
    offered: u64,
}

impl<T> Default for Routes<T> {
    fn default() -> Self {
        let reached = Reached { targets: Vec::new(), stamps: Vec::new(), epoch: 1, offered: 0 };
        Self { reached, walk: Walk::default(), header_order: Vec::new() }
    }
}

impl<T: Target> Routes<T> {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Forgets all targets, for the next message.
    pub(crate) fn clear(&mut self) {
        let reached = &mut self.reached;
        reached.targets.clear();
        reached.epoch = reached.epoch.checked_add(1).unwrap_or_else(|| {
            reached.stamps.fill(0);
            1
        });
    }

    /// Adds a target, unless it was reached since the last `clear`; says whether it was added.
    pub(crate) fn push(&mut self, target: &T) -> bool {
        self.reached.push(*target)
    }

    /// Notes that the target with this slot is reached, without adding it; says whether it was not
    /// before.
    pub(crate) fn mark(&mut self, slot: usize) -> bool {
        self.reached.mark(slot)
    }

    /// The targets found so far.
    pub(crate) fn as_slice(&self) -> &[T] {
        &self.reached.targets
    }

    /// Empties the list. What was on it stays marked.
    pub(crate) fn forget(&mut self) {
        self.reached.targets.clear();
    }

    /// How often a target was pushed since the beginning of all time: whether a binding matched is
    /// told by the difference, even if it leads to where another one has led.
    pub(crate) fn offered(&self) -> u64 {
        self.reached.offered
    }
}

impl<T: Target> Reached<T> {
    /// Adds a target, unless it was reached since the last `clear`; says whether it was added.
    #[inline]
    pub(super) fn push(&mut self, target: T) -> bool {
        self.offered += 1;
        let is_new = self.mark(target.slot());
        if is_new {
            self.targets.push(target);
        }
        is_new
    }

    /// Adds many that differ, with slots below `slots`.
    pub(super) fn push_all(&mut self, targets: &[T], slots: usize) {
        self.offered += targets.len() as u64;
        if self.stamps.len() < slots {
            self.stamps.resize(slots, 0);
        }
        let (epoch, stamps) = (self.epoch, self.stamps.as_mut_slice());
        // Mostly none of them was reached, and then they are marked and copied as a whole.
        let known = targets.iter().position(|target| {
            let stamp = stamps.get_mut(target.slot()).expect("the stamps reach up to the slots");
            mem::replace(stamp, epoch) == epoch
        });
        let (new, rest) = targets.split_at(known.unwrap_or(targets.len()));
        self.targets.extend_from_slice(new);
        for &target in rest {
            if self.mark(target.slot()) {
                self.targets.push(target);
            }
        }
    }

    #[inline]
    fn mark(&mut self, slot: usize) -> bool {
        match self.stamps.get_mut(slot) {
            Some(stamp) => mem::replace(stamp, self.epoch) != self.epoch,
            None => self.mark_first(slot),
        }
    }

    /// Marks a slot that no message has reached before.
    #[cold]
    fn mark_first(&mut self, slot: usize) -> bool {
        self.stamps.resize(slot + 1, 0);
        self.mark(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_added_once_until_cleared() {
        let mut routes = Routes::new();
        assert!(routes.push(&7_usize) && !routes.as_slice().is_empty());
        assert!(routes.push(&0));
        assert!(!routes.push(&7));
        assert_eq!(routes.as_slice(), [7, 0]);
        routes.clear();
        assert!(routes.as_slice().is_empty());
        assert!(routes.push(&7));
        assert!(!routes.push(&7));
    }

    #[test]
    fn targets_that_are_forgotten_stay_reached() {
        let mut routes = Routes::new();
        assert!(routes.mark(5));
        routes.push(&7_usize);
        assert_eq!(routes.as_slice(), [7], "what is only marked is no target");
        routes.forget();
        assert!(routes.as_slice().is_empty());
        assert!(!routes.push(&5) && !routes.push(&7));
        routes.clear();
        assert!(routes.push(&5) && routes.mark(7));
    }

    #[test]
    fn stamps_do_not_survive_the_end_of_the_epochs() {
        let mut routes = Routes::new();
        routes.push(&3_usize);
        routes.reached.epoch = u16::MAX;
        routes.clear();
        // The first epoch comes again, in which slot 3 was stamped.
        assert_eq!(routes.reached.epoch, 1);
        assert!(routes.push(&3));
    }
}
