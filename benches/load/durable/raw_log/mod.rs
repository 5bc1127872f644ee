//! The least that a broker has to do for a message to outlive a power cut: encode it, append it to
//! a file whose space is there already, and have the host sync the data.
//!
//! One thread writes. While a sync is under way what comes gathers, and all of it is the next
//! group, which gets one checksum, one write and one sync. Acks go with the next message's group
//! and wake nobody. A segment whose messages are all acked is used again; nothing is ever copied.

mod format;
mod recovery;
mod segments;
mod writer;

use std::{collections::VecDeque, hint::black_box};

use leveret::{Durability, Message};

use self::{
    format::{Record, Seq},
    writer::Writer,
};
use super::{Folder, Load, Way};

pub(super) use self::recovery::recover;

/// One queue in a log. What is dropped last is what it is in.
pub(crate) struct RawLog {
    load: Load,
    writer: Writer,
    next: Seq,
    /// What was published and not acked, in memory as with any broker.
    ready: VecDeque<(Seq, Message)>,
    /// What is to be told with the next message.
    acked: Vec<Seq>,
    folder: Folder,
}

impl RawLog {
    /// Begins one in an empty folder.
    pub(super) fn create(load: Load, folder: Folder) -> Self {
        let writer = Writer::start(folder.path(), load.level == Durability::Power);
        Self { load, writer, next: 1, ready: VecDeque::new(), acked: Vec::new(), folder }
    }

    /// What was written, of which a part may have been overwritten.
    pub(super) fn written_bytes(&self) -> u64 {
        self.writer.written_bytes()
    }

    /// Writes everything and gives the folder back.
    pub(super) fn close(self) -> Folder {
        let Self { writer, folder, .. } = self;
        drop(writer);
        folder
    }
}

impl Way for RawLog {
    type Confirm = Seq;

    fn publish(&mut self) -> Seq {
        let message = self.load.message();
        let seq = self.next;
        self.next += 1;
        let oldest = self.ready.front().map_or(seq, |(seq, _)| *seq);
        self.writer.append(seq, oldest, |bytes| {
            for acked in self.acked.drain(..) {
                Record::Acked(acked).write(bytes);
            }
            Record::Message(seq, message.body()).write(bytes);
        });
        self.ready.push_back((seq, message));
        seq
    }

    fn wait(&mut self, confirm: Seq) {
        self.writer.wait(confirm);
    }

    fn is_confirmed(&mut self, confirm: &mut Seq) -> bool {
        self.writer.durable() >= *confirm
    }

    fn finish_one(&mut self) {
        let (seq, message) = self.ready.pop_front().expect("the queue keeps its depth");
        black_box(message.body());
        self.acked.push(seq);
    }
}
