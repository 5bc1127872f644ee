//! What was taken up and is not written.

use std::collections::{HashSet, VecDeque};

use foldhash::fast::RandomState;

use super::{
    batch::{Batch, Content, Group, Note, Notes},
    bodies::Bodies,
    ledger::Changes,
    plan::Commit,
    position::Position,
    record::{ItemId, Serial},
};

/// Batches are put together up to so many bytes, for the sake of many small ones that come while
/// there is no space. Larger ones are not moved any more.
const TOGETHER_BYTES_MAX: usize = 64 * 1_024;

/// Batches in the order in which they were taken up. One is kept until all of it is done with.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Each has a group that is not done with.
    batches: VecDeque<Batch>,
    /// So many groups of the first one are done with.
    done: usize,
    /// Where the last group is that was taken up, whatever has become of it.
    last: Position,
}

/// What nobody needs any more. It is dropped, or used for something else, without a lock.
#[derive(Debug, Default)]
pub(super) struct Finished {
    pub(super) batches: Vec<Batch>,
    /// The long bodies of groups whose batch is needed still.
    pub(super) bodies: Bodies,
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// All up to there was told in groups that were taken up.
    pub(super) fn last(&self) -> Position {
        self.last
    }

    /// The groups, each with what it was told.
    pub(super) fn groups(&self) -> impl DoubleEndedIterator<Item = (&Group, Notes<'_>)> {
        self.parts().flat_map(|(batch, from)| batch.groups_from(from))
    }

    /// What all groups count for.
    pub(super) fn bytes(&self) -> u64 {
        self.groups().map(|(group, _)| group.bytes).sum()
    }

    /// About how many notes there are, if they are short.
    pub(super) fn notes_min(&self) -> usize {
        self.batches.iter().map(Batch::notes_min).sum()
    }

    /// Takes up a batch, and gives back one that is of use no more.
    pub(super) fn take_up(&mut self, batch: Batch) -> Batch {
        self.last = batch.last;
        if batch.groups.is_empty() {
            return batch;
        }
        match self.batches.back_mut() {
            Some(last) if last.note_bytes() + batch.note_bytes() <= TOGETHER_BYTES_MAX => {
                last.join(batch)
            }
            Some(_) | None => {
                self.batches.push_back(batch);
                Batch::default()
            }
        }
    }

    /// The first groups are done with.
    pub(super) fn finish(&mut self, groups: usize) -> Finished {
        let mut finished = Finished::default();
        let mut from = self.done;
        self.done += groups;
        while let Some(first) = self.batches.front_mut() {
            let Some(done) = self.done.checked_sub(first.groups.len()) else {
                finished.bodies = first.take_bodies(from..self.done);
                break;
            };
            (from, self.done) = (0, done);
            finished.batches.extend(self.batches.pop_front());
        }
        finished
    }

    /// Takes out what a commit has written of it, and what has no sense after that. It has written
    /// nothing of groups that add something.
    pub(super) fn strip(&mut self, commit: &Commit) {
        let Some(Changes { ended, settled, .. }) = &commit.changes else { return };
        let ended: HashSet<Serial, RandomState> = ended.iter().map(|(queue, _)| *queue).collect();
        let settled: HashSet<ItemId, RandomState> = settled.iter().map(|(id, _)| *id).collect();
        let is_over = |id: &ItemId| settled.contains(id) || ended.contains(&id.queue);
        let is_left = |note: &Note<'_>| match note {
            Note::Amended(id, _) | Note::Moved(id, _) | Note::Settled(id) => !is_over(id),
            Note::Ended(queue) => !ended.contains(queue),
            Note::Entity(..) | Note::Message { .. } => true,
        };
        let mut from = std::mem::take(&mut self.done);
        for batch in &mut self.batches {
            batch.retain(from, is_left);
            from = 0;
        }
    }

    /// Looks for a message as it was told last; if it has moved since, for what it was called then.
    pub(super) fn find(&self, sought: &mut ItemId) -> Option<Content<'_>> {
        if self.has_moved() {
            self.parts().rev().find_map(|(batch, from)| batch.find_back(from, sought))
        } else {
            self.parts().find_map(|(batch, from)| batch.find(from, *sought))
        }
    }

    /// Whether it says of messages that they have moved.
    pub(super) fn has_moved(&self) -> bool {
        self.batches.iter().any(Batch::has_moved)
    }

    /// The batches, each with the number of its groups that are done with.
    fn parts(&self) -> impl DoubleEndedIterator<Item = (&Batch, usize)> {
        let done = |at| if at == 0 { self.done } else { 0 };
        self.batches.iter().enumerate().map(move |(at, batch)| (batch, done(at)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::Index};

    use super::*;
    use crate::{
        Message,
        store::record::{Amendment, MessageRecord, Record},
    };

    /// What a group is told: of each message how long its body is and in how many places it is, and
    /// of how many items that they are gone.
    type Told = (Vec<(usize, usize)>, usize);

    fn told() -> impl Strategy<Value = Told> {
        let bytes = prop_oneof![0_usize..100, 3_900_usize..4_200];
        (vec((bytes, 1_usize..4), 0..3), 0_usize..3)
    }

    /// The records of a group, the ids of which are its own.
    fn records(at: u64, (messages, gone): &Told) -> Vec<Record> {
        let mut seqs = (at * 100..).map(|seq| ItemId { queue: 1, seq });
        let mut records = Vec::new();
        for (bytes, places) in messages {
            let message = Message::new(vec![1; *bytes]);
            for id in seqs.by_ref().take(*places) {
                let (state, message) = (Amendment::default(), message.clone());
                records.push(Record::Message(MessageRecord { id, state, message }));
            }
        }
        records.extend(seqs.take(*gone).map(Record::Settled));
        records
    }

    /// A batch of these groups, some of which come late. Nothing is told at the place behind it.
    fn batch(groups: &[(u64, Told)], late: &[Index]) -> Batch {
        let mut order: Vec<_> = groups.iter().collect();
        for late in late {
            if !order.is_empty() {
                let one = order.remove(late.index(order.len()));
                order.push(one);
            }
        }
        let mut batch = Batch::default();
        for (at, told) in order {
            batch.add(Position(*at), |to| to.records(&records(*at, told)));
        }
        batch.put_in_order();
        batch.last = Position(groups.last().map_or(0, |(at, _)| at + 1));
        batch
    }

    /// What there is, with how long each body is.
    fn seen<'b>(groups: impl Iterator<Item = Notes<'b>>) -> Vec<(ItemId, Option<usize>)> {
        let seen = groups.flatten().map(|note| match note {
            Note::Message { id, content, .. } => (id, Some(body_bytes(content))),
            Note::Settled(id) => (id, None),
            _ => panic!("nobody told of anything else"),
        });
        seen.collect()
    }

    fn expected(groups: &[(u64, Told)]) -> Vec<(ItemId, Option<usize>)> {
        let told = groups.iter().flat_map(|(at, told)| records(*at, told));
        let told = told.map(|record| match record {
            Record::Message(told) => (told.id, Some(told.message.body().len())),
            Record::Settled(id) => (id, None),
            _ => panic!("nobody told of anything else"),
        });
        told.collect()
    }

    fn body_bytes(content: Content<'_>) -> usize {
        content.excerpt().message().unwrap().body().len()
    }

    fn notes(backlog: &Backlog) -> Vec<(ItemId, Option<usize>)> {
        seen(backlog.groups().map(|(_, notes)| notes))
    }

    proptest! {
        #[test]
        fn groups_are_taken_in_the_order_of_their_places(
            batches in vec((vec(told(), 0..20), vec(any::<Index>(), 0..4), any::<Index>()), 1..8),
        ) {
            let (mut backlog, mut left, mut next) = (Backlog::default(), Vec::new(), 1);
            for (groups, late, share) in batches {
                let groups: Vec<_> = (next..).zip(groups).collect();
                let last = groups.last().map_or(Position(next), |(at, _)| Position(at + 1));
                let mut taken = batch(&groups, &late);
                taken.last = last;
                next = last.0 + 1;
                let bytes = backlog.bytes() + taken.bytes();
                let _spare = backlog.take_up(taken);
                left.extend(groups);
                prop_assert_eq!(backlog.last(), last);
                prop_assert_eq!(backlog.bytes(), bytes);
                prop_assert_eq!(notes(&backlog), expected(&left));
                for (id, body) in expected(&left) {
                    prop_assert_eq!(backlog.find(&mut id.clone()).map(body_bytes), body);
                }
                // What is written is from the first group on, up to any of them.
                let groups = backlog.groups().count();
                let share = share.index(groups + 1);
                let end = backlog.groups().nth(share).map_or(last, |(group, _)| group.before());
                let done = left.iter().take_while(|(at, _)| *at <= end.0).count();
                let finished = expected(&left[..done]);
                prop_assert_eq!(
                    seen(backlog.groups().take(share).map(|(_, notes)| notes)), finished.clone());
                left.drain(..done);
                backlog.finish(share);
                prop_assert_eq!(notes(&backlog), expected(&left));
                prop_assert_eq!(backlog.is_empty(), share == groups);
                for (id, _) in finished {
                    prop_assert!(backlog.find(&mut id.clone()).is_none());
                }
            }
        }
    }

    fn id(seq: u64) -> ItemId {
        ItemId { queue: 1, seq }
    }

    fn backlog_of(groups: &[&dyn Fn(&mut crate::store::Told)]) -> Backlog {
        let (mut backlog, mut batch) = (Backlog::default(), Batch::default());
        for (at, tell) in (1..).zip(groups) {
            batch.add(Position(at), tell);
        }
        backlog.take_up(batch);
        backlog
    }

    #[test]
    fn a_message_that_has_moved_is_found_under_its_last_place() {
        let message = Message::new("a");
        let backlog = backlog_of(&[
            &|told| told.message(id(1), Amendment::default(), &message),
            &|told| told.moved(id(1), 5),
            &|told| told.moved(id(5), 2),
        ]);
        let found = backlog.find(&mut id(2)).unwrap();
        assert_eq!(found.excerpt().message().unwrap(), message);
    }

    #[test]
    fn of_one_that_was_written_before_it_moved_it_is_known_where_it_was() {
        let backlog = backlog_of(&[&|told| told.moved(id(1), 5), &|told| told.moved(id(5), 2)]);
        let mut sought = id(2);
        assert!(backlog.find(&mut sought).is_none());
        assert_eq!(sought, id(1));
    }

    #[test]
    fn long_bodies_go_with_their_groups() {
        let bodies: Vec<_> = (0..3).map(|_| bytes::Bytes::from(vec![7; 5_000])).collect();
        let messages: Vec<_> = bodies.iter().map(|body| Message::new(body.clone())).collect();
        let tell = |told: &mut crate::store::Told| {
            told.message(id(1), Amendment::default(), &messages[0]);
            told.message(id(2), Amendment::default(), &messages[1]);
        };
        let mut backlog =
            backlog_of(&[&tell, &|told| told.message(id(3), Amendment::default(), &messages[2])]);
        drop(messages);
        let are_unique = || bodies.iter().map(bytes::Bytes::is_unique).collect::<Vec<_>>();
        assert_eq!(are_unique(), [false, false, false]);
        drop(backlog.finish(1));
        assert_eq!(are_unique(), [true, true, false]);
        assert_eq!(backlog.find(&mut id(3)).map(body_bytes), Some(5_000));
    }
}
