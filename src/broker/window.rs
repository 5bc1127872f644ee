//! What a publisher has published and what nobody has confirmed yet.

use std::collections::VecDeque;

use super::{context::Context, journal::Position};
use crate::{
    Result,
    clock::HostDeadline,
    sync::{Mutex, Rank},
};

/// The unconfirmed messages of one publisher.
#[derive(Debug)]
pub(crate) struct Window {
    max: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Positions that are not known to be durable, with how many messages each is for.
    open: VecDeque<(Position, u64)>,
    /// The sum of these.
    messages: u64,
    /// Confirmed, and refused, since the last report.
    acked: u64,
    nacked: u64,
}

/// Counts of what was decided since the last report, and of what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tallied {
    pub(crate) acked: u64,
    pub(crate) nacked: u64,
    pub(crate) pending: u64,
}

impl Window {
    pub(crate) fn new(max: u32) -> Self {
        Self { max: max.into(), state: Mutex::new(Rank::Signal, State::default()) }
    }

    /// Whether so many messages more may be unconfirmed. One batch is let in whatever its size if
    /// nothing else is.
    pub(crate) fn has_room(&self, messages: u64, context: &Context) -> bool {
        let mut state = self.state.lock();
        // Who has decided on what is looked at only when it matters.
        if state.messages + messages > self.max {
            state.look(context);
        }
        state.messages == 0 || state.messages + messages <= self.max
    }

    /// Counts messages that wait for the disk.
    pub(crate) fn open(&self, position: Position, messages: u64) {
        let mut state = self.state.lock();
        state.messages += messages;
        state.open.push_back((position, messages));
    }

    /// Counts messages that are decided.
    pub(crate) fn acked(&self, messages: u64) {
        self.state.lock().acked += messages;
    }

    pub(crate) fn nacked(&self, messages: u64) {
        self.state.lock().nacked += messages;
    }

    /// Waits for what is open now, and reports.
    pub(crate) fn settle(&self, context: &Context, until: HostDeadline) -> Tallied {
        let newest = self.state.lock().open.iter().map(|(position, _)| *position).max();
        if let Some(newest) = newest {
            // What comes of it is looked at below.
            let _decided: Option<Result<()>> = context.await_durable(newest, until);
        }
        let mut state = self.state.lock();
        state.look(context);
        let State { messages, acked, nacked, .. } = &mut *state;
        Tallied { acked: std::mem::take(acked), nacked: std::mem::take(nacked), pending: *messages }
    }
}

impl State {
    /// Counts what has been decided.
    fn look(&mut self, context: &Context) {
        while let Some((position, messages)) = self.open.front().copied()
            && let Some(decided) = context.poll_durable(position)
        {
            self.open.pop_front();
            self.messages -= messages;
            match decided {
                Ok(()) => self.acked += messages,
                Err(_) => self.nacked += messages,
            }
        }
    }
}
