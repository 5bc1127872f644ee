//! What is seen of a queue, beside what its reference says.

use std::collections::BTreeMap;

use super::{
    super::{Custody, Handed, Held, Kept, Outward, Staged, UnackedKey},
    CAUSE, Hand, Life, moment,
    reference::{Corpse, Outcome, Sight},
};

/// In which header a quorum queue tells how often a message came back.
const TOLD_RETURNS: &str = "x-delivery-count";

impl Life {
    /// What is seen of a message, and notes its key.
    pub(super) fn sight(
        &mut self,
        handed: Handed,
        key: Option<UnackedKey>,
        custody: Custody,
    ) -> Sight {
        let (message, redelivered) = (number(&handed.held), handed.is_redelivered());
        let (returns, has_lease) = (handed.returns(), handed.has_lease());
        let told_returns = told_returns(&handed.held);
        let hand_out = key.map(|key| {
            assert!(self.hands.iter().all(|known| known.key != key), "{key:?} comes twice");
            let held = (custody == Custody::Holder).then_some(handed.held);
            self.hands.push(Hand { key, custody, held });
            self.hands.len() - 1
        });
        Sight { message, redelivered, returns, told_returns, has_lease, hand_out }
    }

    /// Consumers look at what they were handed.
    pub(super) fn note_received(&mut self) {
        for hand_over in self.received.take() {
            let consumer = self.ids.iter().position(|id| *id == hand_over.consumer);
            let consumer = consumer.expect("it is registered");
            let custody = self.custodies[consumer];
            let sight = self.sight(hand_over.message, hand_over.key, custody);
            self.pushed.push((consumer, sight));
        }
    }

    /// Compares what a step led to, and empties the lists.
    pub(super) fn compare_effects(&mut self, expected: &Outcome) {
        self.note_received();
        let dead: Vec<_> = self.effects.dead.drain(..).collect();
        let abandoned = self.effects.outward.drain(..).filter(|of| *of == Outward::Abandoned);
        let abandoned = abandoned.count();
        let outcome = Outcome {
            pushed: std::mem::take(&mut self.pushed),
            freed: self.effects.freed.drain(..).map(|held| number(&held)).collect(),
            dead: dead
                .iter()
                .map(|dead| Corpse {
                    message: number(&dead.held),
                    reason: dead.reason,
                    cause: dead.cause.as_deref().map(|cause| {
                        assert_eq!(cause, CAUSE, "what was said");
                        CAUSE
                    }),
                    was_in: dead.stamp.is_some(),
                })
                .collect(),
            staged: self.effects.staged.drain(..).map(numbered).collect(),
            abandoned,
        };
        assert_eq!(outcome, *expected, "what the step led to, and what it should have");
        assert!(self.effects.is_quiet(), "nobody asked to be told");
        self.store(outcome.staged);
        for dead in &dead {
            assert_eq!(told_returns(&dead.held), None, "what dies is what was published");
        }
        self.dead.extend(dead);
    }

    /// Does what a store does.
    fn store(&mut self, staged: Vec<Staged<usize>>) {
        for staged in staged {
            match staged {
                Staged::Added(kept, number) => {
                    let former = self.stored.insert(kept.seq, (kept, number));
                    assert_eq!(former, None, "a number is used once");
                }
                Staged::Amended(kept) => {
                    self.stored.get_mut(&kept.seq).expect("what comes back is there").0 = kept;
                }
                Staged::Renumbered(from, to) => {
                    let (kept, number) = self.stored.remove(&from).expect("what moves is there");
                    self.stored.insert(to, (Kept { seq: to, ..kept }, number));
                }
                Staged::Settled(seq) => {
                    assert!(self.stored.remove(&seq).is_some(), "what goes was there");
                }
            }
        }
    }

    pub(super) fn compare_state(&mut self) {
        let Self { core, reference, .. } = self;
        assert_eq!(core.counts(), reference.counts());
        assert_eq!(core.ready_messages(), reference.ready() as u64, "ready");
        assert_eq!(core.unacked_messages(), reference.unacked() as u64, "unacked");
        assert_eq!(core.delayed_messages(), reference.delayed() as u64, "delayed");
        assert_eq!(core.moving_messages(), reference.moving() as u64, "moving");
        assert_eq!(core.bytes(), reference.bytes(), "bytes");
        assert_eq!(core.flow(), reference.flow(), "whether it is paused");
        assert_eq!(core.is_deleted(), reference.is_deleted(), "whether it is deleted");
        let deadline = reference.next_deadline().map(moment);
        assert_eq!(core.next_deadline(), deadline, "when something is due");
        let is_due = reference.idle_end().is_some_and(|end| end <= self.now);
        assert_eq!(core.is_expired(moment(self.now)), is_due, "whether it is expired");
        if !reference.is_deleted() {
            let expected = reference.stored();
            let stored = self.stored.iter().map(|(seq, (kept, number))| {
                let is_told = expected.get(seq).is_some_and(|(kept, _)| kept.is_some());
                (*seq, (is_told.then_some(*kept), *number))
            });
            let stored: BTreeMap<_, _> = stored.collect();
            assert_eq!(stored, expected, "what a store would give back");
        }
        self.compare_consumers();
        self.compare_waiting();
    }

    fn compare_consumers(&self) {
        let Self { core, reference, .. } = self;
        let present: Vec<usize> = reference.present().collect();
        assert_eq!(core.consumer_count(), present.len(), "consumers");
        let ids: Vec<_> = present.iter().map(|of| self.ids[*of]).collect();
        assert_eq!(core.consumer_ids(), ids, "who consumes");
        assert_eq!(core.told_consumers(), reference.told_consumers(), "consumers that are told of");
        for (number, id) in self.ids.iter().enumerate() {
            let expected = present.contains(&number).then(|| reference.counts_of(number));
            assert_eq!(core.consumer_counts(*id), expected, "counts of a consumer");
        }
    }

    fn compare_waiting(&self) {
        let Self { core, reference, .. } = self;
        let visible = core.browse(usize::MAX).into_iter().map(|peeked| {
            assert_eq!(told_returns(&peeked.held), None, "what waits is what was published");
            (number(&peeked.held), peeked.past.is_redelivered(), peeked.past.returns())
        });
        let visible: Vec<_> = visible.collect();
        assert_eq!(visible, reference.visible(), "what waits, and could be handed out");
        let first = core.browse(1).into_iter().map(|peeked| number(&peeked.held));
        assert!(first.eq(visible.iter().take(1).map(|(number, ..)| *number)), "what is first");
        assert_eq!(core.oldest(), reference.oldest().map(moment), "when the oldest came");
        let waits = core.latency().map(|of| (of.count(), of.total(), of.longest()));
        assert_eq!(waits, reference.waits(), "how long messages waited");
    }
}

pub(super) fn number(Held::Resident(message): &Held) -> usize {
    let number = message.message_id().expect("it has a number");
    number.parse().expect("it has a number")
}

fn numbered(staged: Staged) -> Staged<usize> {
    match staged {
        Staged::Added(kept, held) => Staged::Added(kept, number(&held)),
        Staged::Amended(kept) => Staged::Amended(kept),
        Staged::Renumbered(from, to) => Staged::Renumbered(from, to),
        Staged::Settled(seq) => Staged::Settled(seq),
    }
}

fn told_returns(Held::Resident(message): &Held) -> Option<i64> {
    message.header(TOLD_RETURNS)?.as_i64()
}
