//! Who consumes from a queue, and whose turn it is.
//!
//! Consumers of equal priority are served in turn; one of lower priority only while all above it
//! lack credit. A consumer that turns out to have no credit leaves the round (it is *parked*) and
//! joins it again at the end when credit comes back, as RabbitMQ does it. So a turn costs the same
//! with one consumer and with ten thousand.
//!
//! With a single active consumer only that one ever joins the round. The first to register is
//! active; when it goes, the highest priority follows, and among equals the longest waiting. The
//! one that follows is chosen at once and joins the round when something sets it going.

use std::{collections::VecDeque, num::NonZeroU64, time::Duration};

use slab::Slab;

use super::{recipient::Recipient, unacked::Newest};

/// Whether a queue hands anything out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Paused,
    Running,
}

/// Whether what is delivered stays unacked until it is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AckMode {
    /// The delivery itself settles it: AMQP's `no-ack`.
    Auto,
    /// Someone has to settle it.
    Manual,
}

impl AckMode {
    /// Who has a message that is delivered in this mode: nobody brings back what is settled.
    pub(super) fn custody(self, asked: Custody) -> Custody {
        match self {
            Self::Auto => Custody::Holder,
            Self::Manual => asked,
        }
    }
}

/// Who has a message while it is handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Custody {
    /// Whoever received it, who brings it along when it goes back.
    Holder,
    /// The queue keeps it too: whoever received it settles by number.
    Queue,
}

/// Whether others may consume beside a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    Exclusive,
    Shared,
}

/// What is told of a consumer when it registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConsumerTerms {
    pub(crate) mode: AckMode,
    pub(crate) custody: Custody,
    pub(crate) sharing: Sharing,
    /// Higher is served first.
    pub(crate) priority: i32,
    /// How many deliveries may be unacked at a time; `None` is unlimited.
    pub(crate) prefetch: Option<u32>,
    /// How long a delivery may be unsettled; `None` for as long as the queue grants.
    pub(crate) timeout: Option<Duration>,
}

/// How a delivery of a consumer has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Accepted,
    /// Given up, or dropped because the consumer lagged behind.
    Rejected,
    Returned,
}

/// What a consumer was handed, and what became of it. What needs no settling does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConsumerCounts {
    pub(crate) unacked: u64,
    pub(crate) acked: u64,
    pub(crate) rejected: u64,
    pub(crate) returned: u64,
}

impl ConsumerTerms {
    /// How many deliveries may be unacked at a time: more than there is memory for, if that is
    /// unlimited.
    fn most(&self) -> u32 {
        match self.mode {
            AckMode::Auto => u32::MAX,
            AckMode::Manual => self.prefetch.unwrap_or(u32::MAX),
        }
    }
}

/// Names a consumer of a queue. Invariant: `serial` is never used twice in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ConsumerId {
    slot: usize,
    serial: NonZeroU64,
}

/// The queue is in exclusive use, or has consumers and was asked for exclusive use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InExclusiveUse;

#[derive(Debug)]
struct Consumer<C> {
    terms: ConsumerTerms,
    serial: NonZeroU64,
    /// How many more deliveries may be unacked. Invariant: as many less than `terms.most` as the
    /// queue has handed it and were not settled.
    room: u32,
    /// Where the chain of its hand-outs ends.
    newest: Newest,
    acked: u64,
    rejected: u64,
    returned: u64,
    standing: Standing,
    recipient: C,
}

/// Whether a consumer takes turns. Invariant: its slot is in exactly one level of the round if it
/// does, otherwise in none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It has become the single active consumer, and nothing has set it going since.
    Chosen,
    /// Its own prefetch is used up.
    Full,
    InRound,
    /// Shared credit was refused. The number says when: who was parked first joins again first.
    NoCredit(u64),
    /// Another one is the single active consumer.
    Standby,
}

impl<C> Consumer<C> {
    fn has_room(&self) -> bool {
        self.room > 0
    }
}

/// Whose turn it is, and how that consumer takes a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) consumer: ConsumerId,
    pub(crate) mode: AckMode,
    pub(crate) custody: Custody,
}

/// The consumers of equal priority that may have credit, next turn first.
#[derive(Debug)]
struct Level {
    priority: i32,
    turns: VecDeque<usize>,
}

/// The consumers of one queue.
#[derive(Debug)]
pub(crate) struct Consumers<C> {
    slots: Slab<Consumer<C>>,
    /// The serial number of the latest consumer, and zero before the first.
    serial: u64,
    /// How often a consumer was parked.
    parkings: u64,
    /// Invariant: how many consumers have as much as their own prefetch allows.
    full: usize,
    /// Invariant: descending priorities, each once.
    round: Vec<Level>,
    exclusive: Option<ConsumerId>,
    selection: Selection,
    flow: Flow,
}

/// Which consumers take part in the round.
#[derive(Debug)]
enum Selection {
    All,
    SingleActive(Option<ConsumerId>),
}

impl<C: Recipient> Consumers<C> {
    pub(crate) fn new() -> Self {
        Self {
            slots: Slab::new(),
            serial: 0,
            parkings: 0,
            full: 0,
            round: Vec::new(),
            exclusive: None,
            selection: Selection::All,
            flow: Flow::Running,
        }
    }

    pub(super) fn set_flow(&mut self, flow: Flow) {
        self.flow = flow;
    }

    pub(super) fn flow(&self) -> Flow {
        self.flow
    }

    /// Lets one consumer at a time be active. Takes effect for consumers that register from now
    /// on: a queue is configured before it is consumed from.
    pub(crate) fn select_single_active(&mut self) {
        debug_assert!(self.slots.is_empty(), "configured before the first consumer");
        self.selection = Selection::SingleActive(None);
    }

    /// Registers a consumer, last in its round.
    ///
    /// # Errors
    ///
    /// [`InExclusiveUse`] if another consumer is exclusive, or this one asks to be and is not the
    /// first, or asks to be on a queue with a single active consumer.
    pub(crate) fn add(
        &mut self,
        terms: ConsumerTerms,
        recipient: C,
    ) -> Result<ConsumerId, InExclusiveUse> {
        let asks_exclusive = terms.sharing == Sharing::Exclusive;
        let single_active = matches!(self.selection, Selection::SingleActive(_));
        if self.exclusive.is_some() || asks_exclusive && (single_active || !self.slots.is_empty()) {
            return Err(InExclusiveUse);
        }
        self.serial += 1;
        let serial = NonZeroU64::new(self.serial).expect("it counts from one");
        let consumer = Consumer {
            terms,
            serial,
            room: terms.most(),
            newest: Newest::NOTHING,
            acked: 0,
            rejected: 0,
            returned: 0,
            standing: Standing::Standby,
            recipient,
        };
        let slot = self.slots.insert(consumer);
        let id = ConsumerId { slot, serial };
        if asks_exclusive {
            self.exclusive = Some(id);
        }
        match &mut self.selection {
            Selection::All => self.join_round(slot),
            Selection::SingleActive(active @ None) => {
                *active = Some(id);
                self.join_round(slot);
            }
            Selection::SingleActive(Some(_)) => {}
        }
        Ok(id)
    }

    /// Takes a consumer off the queue; `None` if it is not there any more.
    pub(crate) fn remove(&mut self, id: ConsumerId) -> Option<C> {
        self.get(id)?;
        self.leave_round(id.slot);
        let consumer = self.slots.remove(id.slot);
        self.full -= usize::from(!consumer.has_room());
        if self.exclusive == Some(id) {
            self.exclusive = None;
        }
        if let Selection::SingleActive(active) = &mut self.selection
            && *active == Some(id)
        {
            *active = successor(&self.slots);
            let next = active.and_then(|next| self.slots.get_mut(next.slot));
            if let Some(next) = next {
                next.standing = Standing::Chosen;
            }
        }
        Some(consumer.recipient)
    }

    /// Lets the single active consumer take its turns, and says whether it was only chosen.
    #[inline]
    pub(crate) fn set_going(&mut self) -> bool {
        let Selection::SingleActive(Some(active)) = self.selection else { return false };
        let is_chosen =
            self.get(active).is_some_and(|consumer| consumer.standing == Standing::Chosen);
        if is_chosen {
            self.join_round(active.slot);
        }
        is_chosen
    }

    /// Takes all consumers off the queue, oldest first.
    pub(crate) fn remove_all(&mut self) -> Vec<C> {
        self.round.clear();
        self.full = 0;
        self.exclusive = None;
        if let Selection::SingleActive(active) = &mut self.selection {
            *active = None;
        }
        let mut consumers: Vec<_> = self.slots.drain().collect();
        consumers.sort_unstable_by_key(|consumer| consumer.serial);
        consumers.into_iter().map(|consumer| consumer.recipient).collect()
    }

    /// Finds the consumer whose turn it is among those with credit, takes that credit, and ends
    /// the turn.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Turn> {
        if self.flow == Flow::Paused {
            return None;
        }
        for level in &mut self.round {
            while let Some(&slot) = level.turns.front() {
                let consumer =
                    self.slots.get_mut(slot).expect("the round names registered consumers");
                let mode = consumer.terms.mode;
                if !consumer.has_room() {
                    consumer.standing = Standing::Full;
                } else if consumer.recipient.try_take(mode) {
                    if level.turns.len() > 1 {
                        level.turns.rotate_left(1);
                    }
                    if mode == AckMode::Manual {
                        consumer.room -= 1;
                        self.full += usize::from(!consumer.has_room());
                    }
                    let custody = consumer.terms.custody;
                    let consumer = ConsumerId { slot, serial: consumer.serial };
                    return Some(Turn { consumer, mode, custody });
                } else {
                    consumer.standing = Standing::NoCredit(self.parkings);
                    self.parkings += 1;
                }
                level.turns.pop_front();
            }
        }
        None
    }

    /// So many of a consumer's deliveries are settled. Does nothing if the consumer is gone.
    #[inline]
    pub(super) fn settled(&mut self, id: ConsumerId, count: u32, ending: Ending) {
        let Some(consumer) = self.slots.get_mut(id.slot) else { return };
        if consumer.serial != id.serial {
            return;
        }
        self.full -= usize::from(!consumer.has_room());
        consumer.room += count;
        match ending {
            Ending::Accepted => consumer.acked += u64::from(count),
            Ending::Rejected => consumer.rejected += u64::from(count),
            Ending::Returned => consumer.returned += u64::from(count),
        }
        if consumer.standing == Standing::Full {
            self.join_round(id.slot);
        }
    }

    /// Shared credit has come back: every consumer that was refused it joins the round.
    pub(crate) fn resume(&mut self) {
        let mut parked: Vec<_> = self
            .slots
            .iter()
            .filter_map(|(slot, consumer)| match consumer.standing {
                Standing::NoCredit(parked_at) => Some((parked_at, slot)),
                Standing::Chosen | Standing::Full | Standing::InRound | Standing::Standby => None,
            })
            .collect();
        parked.sort_unstable();
        for (_, slot) in parked {
            self.join_round(slot);
        }
    }

    /// Whether a consumer has as much as its own prefetch allows.
    #[inline]
    pub(crate) fn anyone_is_full(&self) -> bool {
        self.full > 0
    }

    /// Whether a consumer has less than its own prefetch allows.
    #[inline]
    pub(crate) fn has_room(&self, id: ConsumerId) -> bool {
        self.get(id).is_some_and(Consumer::has_room)
    }

    /// How many of them do not stand by.
    pub(super) fn taking_part(&self) -> usize {
        match self.selection {
            Selection::All => self.slots.len(),
            Selection::SingleActive(active) => usize::from(active.is_some()),
        }
    }

    pub(super) fn has(&self, id: ConsumerId) -> bool {
        self.get(id).is_some()
    }

    /// How long its deliveries may be unsettled, if it says so itself.
    pub(super) fn timeout(&self, id: ConsumerId) -> Option<Duration> {
        self.get(id)?.terms.timeout
    }

    pub(super) fn counts(&self, id: ConsumerId) -> Option<ConsumerCounts> {
        let consumer = self.get(id)?;
        Some(ConsumerCounts {
            unacked: u64::from(consumer.terms.most() - consumer.room),
            acked: consumer.acked,
            rejected: consumer.rejected,
            returned: consumer.returned,
        })
    }

    pub(crate) fn recipient(&mut self, id: ConsumerId) -> Option<&mut C> {
        self.get_mut(id).map(|consumer| &mut consumer.recipient)
    }

    /// What a message needs of the consumer whose turn it is.
    #[inline]
    pub(crate) fn on_turn(&mut self, turn: Turn) -> (&mut Newest, &mut C) {
        let consumer = self.slots.get_mut(turn.consumer.slot);
        let consumer = consumer.expect("a turn is of a registered consumer");
        debug_assert_eq!(consumer.serial, turn.consumer.serial, "it is this one's turn");
        (&mut consumer.newest, &mut consumer.recipient)
    }

    /// The end of the chain of its hand-outs.
    pub(crate) fn newest(&mut self, id: ConsumerId) -> Option<&mut Newest> {
        self.get_mut(id).map(|consumer| &mut consumer.newest)
    }

    /// All of them, oldest first.
    pub(crate) fn ids(&self) -> Vec<ConsumerId> {
        let id =
            |(slot, consumer): (usize, &Consumer<C>)| ConsumerId { slot, serial: consumer.serial };
        let mut ids: Vec<_> = self.slots.iter().map(id).collect();
        ids.sort_unstable_by_key(|id| id.serial);
        ids
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether the round is empty, so that nothing can be delivered before something changes.
    pub(crate) fn all_parked(&self) -> bool {
        self.round.iter().all(|level| level.turns.is_empty())
    }

    /// Checks everything that this type promises itself, given the true number of hand-outs.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn check_invariants(&self, unacked_of: impl Fn(ConsumerId, Newest) -> u32) {
        assert!(self.round.is_sorted_by(|a, b| a.priority > b.priority), "priorities descend");
        for (slot, consumer) in &self.slots {
            let id = ConsumerId { slot, serial: consumer.serial };
            let turns = self
                .round
                .iter()
                .flat_map(|level| level.turns.iter().map(move |turn| (level.priority, *turn)))
                .filter(|(priority, turn)| *turn == id.slot && *priority == consumer.terms.priority)
                .count();
            let in_round = consumer.standing == Standing::InRound;
            assert_eq!(turns, usize::from(in_round), "{id:?} has the turns it believes");
            let has_waited = consumer.standing == Standing::Full;
            assert!(!(has_waited && consumer.has_room()), "{id:?} joins as soon as it has room");
            let unacked = unacked_of(id, consumer.newest);
            let counted = consumer.terms.most() - consumer.room;
            assert_eq!(counted, unacked, "{id:?} counts its hand-outs");
            if let Selection::SingleActive(active) = self.selection {
                let is_standby = consumer.standing == Standing::Standby;
                assert_eq!(is_standby, active != Some(id), "only the active one has turns");
            } else {
                let takes_part = !matches!(consumer.standing, Standing::Chosen | Standing::Standby);
                assert!(takes_part, "everyone takes part");
            }
        }
        let full = self.slots.iter().filter(|(_, consumer)| !consumer.has_room()).count();
        assert_eq!(self.full, full, "how many are full");
        let turns: usize = self.round.iter().map(|level| level.turns.len()).sum();
        let standings = self.slots.iter().map(|(_, consumer)| consumer.standing);
        let in_round = standings.filter(|standing| *standing == Standing::InRound).count();
        assert_eq!(turns, in_round, "the round names registered consumers only");
        if let Selection::SingleActive(None) = self.selection {
            assert!(self.slots.is_empty(), "someone is active while anyone is there");
        }
    }

    fn get(&self, id: ConsumerId) -> Option<&Consumer<C>> {
        self.slots.get(id.slot).filter(|consumer| consumer.serial == id.serial)
    }

    fn get_mut(&mut self, id: ConsumerId) -> Option<&mut Consumer<C>> {
        self.slots.get_mut(id.slot).filter(|consumer| consumer.serial == id.serial)
    }

    fn join_round(&mut self, slot: usize) {
        let Some(consumer) = self.slots.get_mut(slot) else { return };
        consumer.standing = Standing::InRound;
        let priority = consumer.terms.priority;
        match self.round.binary_search_by(|level| priority.cmp(&level.priority)) {
            Ok(at) => {
                if let Some(level) = self.round.get_mut(at) {
                    level.turns.push_back(slot);
                }
            }
            Err(at) => self.round.insert(at, Level { priority, turns: VecDeque::from([slot]) }),
        }
    }

    fn leave_round(&mut self, slot: usize) {
        let Some(consumer) = self.slots.get(slot) else { return };
        let priority = consumer.terms.priority;
        let Ok(at) = self.round.binary_search_by(|level| priority.cmp(&level.priority)) else {
            return;
        };
        if let Some(level) = self.round.get_mut(at) {
            level.turns.retain(|turn| *turn != slot);
        }
        let others = self
            .slots
            .iter()
            .any(|(other, consumer)| other != slot && consumer.terms.priority == priority);
        if !others {
            self.round.remove(at);
        }
    }
}

/// Who becomes active when the active consumer has gone.
fn successor<C>(slots: &Slab<Consumer<C>>) -> Option<ConsumerId> {
    slots
        .iter()
        .min_by_key(|(_, consumer)| (std::cmp::Reverse(consumer.terms.priority), consumer.serial))
        .map(|(slot, consumer)| ConsumerId { slot, serial: consumer.serial })
}
