//! The thread that writes, and what it shares.
#![allow(clippy::disallowed_types, reason = "a rival is built like the programs it stands for")]

use std::{
    mem,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use parking_lot::{Condvar, Mutex};

use super::{
    format::{FRAME_BYTES, Seq, seal},
    segments::Segments,
};

/// Ends its thread when it is dropped, once all is written.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    gathered: Mutex<Gathered>,
    /// For the thread that writes.
    has_come: Condvar,
    /// The last message that is durable.
    durable: AtomicU64,
    written_bytes: AtomicU64,
    /// Nobody tells of progress while it is held, so whoever holds it misses nothing.
    turn: Mutex<()>,
    is_written: Condvar,
}

/// What the next group is made of.
#[derive(Debug, Default)]
struct Gathered {
    /// A frame, of which the beginning is filled in when it is taken. Empty before the first.
    frame: Vec<u8>,
    newest: Seq,
    oldest: Seq,
    is_awaited: bool,
    ends: bool,
}

impl Writer {
    /// With or without a sync after each group.
    pub(super) fn start(folder: &Path, syncs: bool) -> Self {
        let mut segments = Segments::create(folder, syncs).expect("there is space");
        let shared = Arc::new(Shared::default());
        let its = Arc::clone(&shared);
        let thread = Some(thread::spawn(move || its.write_all(&mut segments)));
        Self { shared, thread }
    }

    /// Adds a message, the oldest that is unacked being another or the same.
    pub(super) fn append(&self, seq: Seq, oldest: Seq, write: impl FnOnce(&mut Vec<u8>)) {
        let mut gathered = self.shared.gathered.lock();
        if gathered.frame.is_empty() {
            gathered.frame.resize(FRAME_BYTES, 0);
        }
        write(&mut gathered.frame);
        (gathered.newest, gathered.oldest) = (seq, oldest);
        let wakes = mem::take(&mut gathered.is_awaited);
        drop(gathered);
        if wakes {
            self.shared.has_come.notify_one();
        }
    }

    pub(super) fn durable(&self) -> Seq {
        self.shared.durable.load(Ordering::Acquire)
    }

    pub(super) fn wait(&self, seq: Seq) {
        if self.durable() >= seq {
            return;
        }
        let mut turn = self.shared.turn.lock();
        while self.durable() < seq {
            self.shared.is_written.wait(&mut turn);
        }
    }

    pub(super) fn written_bytes(&self) -> u64 {
        self.shared.written_bytes.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn write_all(&self, segments: &mut Segments) {
        let mut frame = Vec::new();
        let mut number = 0;
        while let Some((newest, oldest)) = self.take(&mut frame) {
            number += 1;
            seal(&mut frame, number);
            segments.append(&frame, newest, oldest).expect("the disk takes it");
            self.written_bytes.fetch_add(frame.len() as u64, Ordering::Relaxed);
            self.durable.store(newest, Ordering::Release);
            drop(self.turn.lock());
            self.is_written.notify_all();
        }
    }

    /// Waits for a group; none at the end.
    fn take(&self, frame: &mut Vec<u8>) -> Option<(Seq, Seq)> {
        frame.clear();
        let mut gathered = self.gathered.lock();
        while gathered.frame.is_empty() {
            if gathered.ends {
                return None;
            }
            gathered.is_awaited = true;
            self.has_come.wait(&mut gathered);
        }
        mem::swap(frame, &mut gathered.frame);
        Some((gathered.newest, gathered.oldest))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.gathered.lock().ends = true;
        self.shared.has_come.notify_one();
        if let Some(thread) = self.thread.take() {
            // What it has to say it has said.
            let _ = thread.join();
        }
    }
}
