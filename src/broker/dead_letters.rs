//! Dead letters on their way: from the queue where they died to where its dead letters go.
//!
//! They leave in the order of their deaths, one thread at a time for each queue. Until its targets
//! have it, a message counts for the queue it died in, as *moving*; so it is never in neither. What
//! it causes there, deaths of others perhaps, is done by the same thread afterwards and not within,
//! however long a chain of queues is.

use std::{cell::RefCell, collections::VecDeque, mem, sync::Arc};

use super::{
    aftermath::Aftermath,
    bounds,
    cell::QueueCell,
    intake::Intake,
    publish::{self, Source},
    vhost_state::VhostState,
};
use crate::{
    engine::{
        dead_letter::{self, Death},
        definition::DeadLetterStrategy,
        queue::{Burial, Dead, Held},
    },
    shield::shielded,
    sync::thread_local,
};

/// So many letters leave as one step.
const BURIED_AT_ONCE: usize = 256;

/// The dead letters of one queue that nobody has taken away yet.
#[derive(Debug, Default)]
pub(crate) struct DeadLetters {
    waiting: Vec<Dead>,
    /// Whether a thread is at it, which takes what comes meanwhile, too.
    is_attended: bool,
}

impl DeadLetters {
    /// Empties the list. Says whether anybody has to attend to it.
    #[inline]
    pub(super) fn add(&mut self, dead: &mut Vec<Dead>) -> bool {
        self.waiting.append(dead);
        !self.waiting.is_empty() && !self.is_attended
    }
}

thread_local! {
    /// Queues that this thread has yet to attend to; there is a list while it attends to one.
    static NEXT: RefCell<Option<VecDeque<Arc<QueueCell>>>> = RefCell::default();
}

/// Does something as one step: what dies in it is taken away afterwards. No lock may be held.
pub(crate) fn after<R>(act: impl FnOnce() -> R) -> R {
    let begun = NEXT.try_with(|next| {
        let mut next = next.borrow_mut();
        let is_first = next.is_none();
        if is_first {
            *next = Some(VecDeque::new());
        }
        is_first
    });
    let _burials = matches!(begun, Ok(true)).then(|| Burials);
    act()
}

/// Has this thread take away what has died, also when something panics.
struct Burials;

impl Drop for Burials {
    fn drop(&mut self) {
        bury_listed();
    }
}

/// Takes away the dead letters of a queue, and those of others that they lead to. No lock may be
/// held.
pub(crate) fn bury(cell: &Arc<QueueCell>) {
    let is_within = NEXT.try_with(|next| match &mut *next.borrow_mut() {
        Some(queues) => {
            queues.push_back(Arc::clone(cell));
            true
        }
        none => {
            *none = Some(VecDeque::new());
            false
        }
    });
    // A thread that is ending keeps no list.
    if matches!(is_within, Ok(true)) {
        return;
    }
    cell.bury_all();
    bury_listed();
}

/// Attends to what is on the list, and what comes to be there, and ends it.
fn bury_listed() {
    let next = || NEXT.try_with(|next| next.borrow_mut().as_mut()?.pop_front()).ok().flatten();
    while let Some(cell) = next() {
        cell.bury_all();
    }
    let _ = NEXT.try_with(RefCell::take);
}

impl QueueCell {
    /// Nothing here panics: a letter that nobody attends to any more would wait for ever.
    fn bury_all(self: &Arc<Self>) {
        let mut dead = VecDeque::from(self.attend());
        while !dead.is_empty() {
            let some = dead.len().min(BURIED_AT_ONCE);
            let mut bury = || {
                let bury = |dead: Dead| (self.bury_one(&dead), dead);
                let buried: Vec<_> = dead.drain(..some).map(bury).collect();
                let is_over = self.note_buried(&buried, &mut dead);
                (buried, is_over)
            };
            // In a store, too, a letter is never in neither place.
            let (buried, is_over) = match &self.context().journal {
                Some(journal) => journal.step(bury).0,
                None => bury(),
            };
            if is_over {
                self.retire();
            }
            for (_, dead) in buried {
                // The destructor of a message is somebody's code.
                let _ = shielded(|| drop(dead));
            }
        }
    }

    /// The queue has been deleted, and its last letter is there.
    fn retire(self: &Arc<Self>) {
        self.tell_ending();
        if let Some(vhost) = self.vhost() {
            vhost.former.retire(self);
        }
        // It may have been counted there since its virtual host was deleted.
        self.context().former.retire(self);
    }

    fn bury_one(&self, dead: &Dead) -> Burial {
        self.vhost().map_or(Burial::NoExchange, |vhost| vhost.bury(self, dead))
    }

    /// Takes out what is there, unless another thread is at it.
    fn attend(&self) -> Vec<Dead> {
        let mut state = self.untold();
        if state.dead.is_attended {
            return Vec::new();
        }
        let dead = mem::take(&mut state.dead.waiting);
        state.dead.is_attended = !dead.is_empty();
        dead
    }

    /// Notes what has become of dead letters, and adds what has come meanwhile. Says whether the
    /// queue has been deleted and these were the last.
    fn note_buried(self: &Arc<Self>, buried: &[(Burial, Dead)], dead: &mut VecDeque<Dead>) -> bool {
        let (mut after, mut is_over) = (Aftermath::default(), false);
        self.with_aftermath(&mut after, |core, effects| {
            for (burial, dead) in buried {
                core.buried(dead, *burial, effects);
            }
        });
        {
            let mut state = self.untold();
            dead.extend(mem::take(&mut state.dead.waiting));
            state.dead.is_attended = !dead.is_empty();
            if state.core.is_deleted() && state.core.moving_messages() == 0 {
                // Nothing else will ask for what it draws of the broker's memory.
                state.leave(self.context());
                after.made_room = true;
                is_over = true;
            }
        }
        // Wakers are somebody's code.
        let _ = shielded(|| after.run(self));
        is_over
    }
}

impl VhostState {
    /// Publishes a dead letter. The exchange is looked up at each death.
    fn bury(&self, cell: &QueueCell, dead: &Dead) -> Burial {
        let parsed = &cell.definition.parsed;
        let Some(name) = &parsed.dead_letter_exchange else { return Burial::NoExchange };
        let source = match name.as_str() {
            "" => Source::Default,
            name => match self.exchange(name) {
                Ok(exchange) => Source::Exchange(exchange),
                Err(_) => return Burial::NoExchange,
            },
        };
        let Held::Resident(message) = &dead.held;
        let read = if message.is_outline() {
            let read = dead.seq().and_then(|seq| cell.stored_message(seq));
            let Some(read) = read else { return Burial::NoExchange };
            Some(read)
        } else {
            None
        };
        let message = read.as_ref().unwrap_or(message);
        let death = Death {
            queue: &cell.name,
            reason: dead.reason,
            at: self.context.clock.unix_seconds(),
            exchange: name,
            key: parsed.dead_letter_routing_key.as_ref(),
            cause: dead.cause.as_deref(),
        };
        let letter = dead_letter::letter(message, &death);
        publish::with_found(|found| {
            found.note_use();
            let mut further_keys = bounds::further_keys(&letter);
            further_keys.extend_from_slice(letter.blind_keys());
            let key = letter.address().routing_key.clone();
            if self.search(&source, &key, &further_keys, letter.headers(), found).is_err() {
                return Burial::NoExchange;
            }
            let is_open =
                |queue: &&Arc<QueueCell>| !dead_letter::is_cycle(&letter, dead.reason, &queue.name);
            let queues: Vec<_> = found.queues(self).iter().filter(is_open).cloned().collect();
            let held = Held::Resident(letter.clone());
            let mut intake = Intake::default();
            for queue in &queues {
                // Who has no room by a bound of its own has said what it does then. A waker that
                // panics is woken when the message is in.
                let taken = shielded(|| match parsed.dead_letter_strategy {
                    DeadLetterStrategy::AtMostOnce => queue.enqueue(held.clone()),
                    DeadLetterStrategy::AtLeastOnce => queue.enqueue_anyway(held.clone()),
                });
                intake.add(queue, taken.unwrap_or(Ok(())));
            }
            self.tally(&source).count(&intake);
            Burial::Routed
        })
    }
}
