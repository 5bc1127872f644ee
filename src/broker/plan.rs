//! Where the messages of a batch go, decided before any of them does.

use std::sync::Arc;

use super::{
    cell::QueueCell,
    entrance,
    intake::Intake,
    publish::{self, Found},
    publish_error::PublishReason,
    reply::Replies,
    vhost_state::VhostState,
};
use crate::{Message, engine::queue::Held, message::Label};

/// The routes of a batch. Messages without headers share one, since they have one key.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    runs: Vec<Run>,
    /// Whether the last run takes further messages without headers.
    pub(crate) goes_on: bool,
}

/// Messages in a row that go to the same places.
#[derive(Debug)]
struct Run {
    messages: usize,
    queues: Vec<Arc<QueueCell>>,
    replies: Replies,
}

/// What has to be known of a batch after it is in its queues.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) count: u64,
    /// How many messages reach nobody.
    pub(crate) unroutable: u64,
    /// The messages, where queues may refuse them.
    pub(crate) kept: Vec<Message>,
}

impl Batch {
    pub(crate) fn of(messages: &[Message], unroutable: u64, may_be_refused: bool) -> Self {
        let kept = if may_be_refused { messages.to_vec() } else { Vec::new() };
        Self { count: messages.len() as u64, unroutable, kept }
    }
}

impl Plan {
    /// Begins a run of messages that go where was found.
    pub(crate) fn start_run(&mut self, vhost: &VhostState, found: &mut Found, goes_on: bool) {
        let queues = found.queues(vhost).to_vec();
        self.runs.push(Run { messages: 0, queues, replies: found.take_replies() });
        self.goes_on = goes_on;
    }

    /// Adds a message to the run, and says to how many queues it goes; `None` if nobody at all
    /// takes it.
    pub(crate) fn extend_run(&mut self, message: &Message) -> Result<Option<usize>, PublishReason> {
        let run = self.runs.last_mut().expect("a run was begun");
        run.messages += 1;
        let is_taken = !run.replies.is_empty() || !run.queues.is_empty();
        entrance::check_store(&run.queues, message)?;
        Ok(is_taken.then_some(run.queues.len()))
    }

    /// How many messages go to no queue.
    pub(crate) fn unroutable(&self) -> u64 {
        let nowhere = self.runs.iter().filter(|run| run.queues.is_empty());
        nowhere.map(|run| run.messages as u64).sum()
    }

    /// Whether a bound that a queue declares may keep any of them out.
    pub(crate) fn may_refuse(&self) -> bool {
        self.runs.iter().flat_map(|run| &run.queues).any(|cell| cell.may_refuse())
    }

    /// Has those who wait for replies keep room for all of them.
    pub(crate) fn keep_reply_room(&mut self) -> Result<(), PublishReason> {
        self.runs.iter_mut().try_for_each(|run| run.replies.keep_room(run.messages))
    }

    /// Empties the vector into the queues, with one lock for each of them, and says what has become
    /// of the messages.
    pub(crate) fn enqueue(self, label: &Label, messages: &mut Vec<Message>) -> Intake {
        let mut by_queue: Vec<(Arc<QueueCell>, Vec<Held>)> = Vec::new();
        let mut drained = messages.drain(..);
        for run in self.runs {
            for mut message in drained.by_ref().take(run.messages) {
                message.put_label(label);
                let held = publish::held(message);
                run.replies.deliver(&held);
                for cell in &run.queues {
                    // The queues of a batch are few, and mostly the same for all of it.
                    match by_queue.iter_mut().find(|(known, _)| Arc::ptr_eq(known, cell)) {
                        Some((_, batch)) => batch.push(held.clone()),
                        None => by_queue.push((Arc::clone(cell), vec![held.clone()])),
                    }
                }
            }
        }
        let cells: Vec<_> = by_queue.iter().map(|(cell, _)| Arc::clone(cell)).collect();
        let is_stored = by_queue
            .iter()
            .all(|(cell, batch)| batch.iter().all(|held| entrance::keeps(cell, held)));
        entrance::enqueue_batches(&cells, || {
            let mut intake = Intake::default().stored_if(is_stored);
            for (cell, batch) in by_queue {
                intake.join(cell.enqueue_all(batch.into_iter()));
            }
            intake
        })
    }
}
