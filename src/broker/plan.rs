//! Where the messages of a batch go, decided before any of them does.

use std::sync::Arc;

use super::{
    cell::QueueCell,
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

impl Plan {
    /// Begins a run of messages that go where was found.
    pub(crate) fn start_run(&mut self, vhost: &VhostState, found: &mut Found, goes_on: bool) {
        let queues = found.queues(vhost).to_vec();
        self.runs.push(Run { messages: 0, queues, replies: found.take_replies() });
        self.goes_on = goes_on;
    }

    /// Adds a message to the run, and says to how many queues it goes; `None` if nobody at all
    /// takes it.
    pub(crate) fn extend_run(&mut self) -> Option<usize> {
        let run = self.runs.last_mut().expect("a run was begun");
        run.messages += 1;
        let is_taken = !run.replies.is_empty() || !run.queues.is_empty();
        is_taken.then_some(run.queues.len())
    }

    /// Has those who wait for replies keep room for all of them.
    pub(crate) fn keep_reply_room(&mut self) -> Result<(), PublishReason> {
        self.runs.iter_mut().try_for_each(|run| run.replies.keep_room(run.messages))
    }

    /// Empties the vector into the queues, with one lock for each of them, and says how many
    /// copies were taken.
    pub(crate) fn enqueue(self, label: &Label, messages: &mut Vec<Message>) -> u32 {
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
        by_queue.into_iter().map(|(cell, batch)| cell.enqueue_all(batch.into_iter())).sum()
    }
}
