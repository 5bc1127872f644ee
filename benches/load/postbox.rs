//! The channel that programs write themselves: a deque in a mutex, and a condition to wait for.
#![allow(clippy::disallowed_types, reason = "a rival is built like the programs it stands for")]

use std::collections::VecDeque;

use leveret::Message;
use parking_lot::{Condvar, Mutex};

/// Carries messages from one thread to another.
#[derive(Debug, Default)]
pub(crate) struct Postbox {
    messages: Mutex<VecDeque<Message>>,
    has_message: Condvar,
}

impl Postbox {
    pub(crate) fn send(&self, message: Message) {
        self.messages.lock().push_back(message);
        self.has_message.notify_one();
    }

    /// Waits for the next message.
    pub(crate) fn recv(&self) -> Message {
        let mut messages = self.messages.lock();
        loop {
            if let Some(message) = messages.pop_front() {
                return message;
            }
            self.has_message.wait(&mut messages);
        }
    }
}
