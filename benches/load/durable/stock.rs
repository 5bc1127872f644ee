//! Many persistent messages that nobody takes: what they take on a disk, and how long it takes
//! until the first of them is delivered after a start.

use std::{
    hint::black_box,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::{Folder, Leveret, Load, RawLog, Way, fill, leveret::Open, raw_log};

/// A folder whose size has not changed for so long is in order.
const QUIET: Duration = Duration::from_secs(1);

/// So long it is waited for at most.
const QUIET_WITHIN: Duration = Duration::from_secs(10);

/// A stock in a folder, with nobody at work in it.
pub(crate) struct Stock(Folder);

impl Stock {
    pub(crate) fn of_leveret(load: Load, messages: u64, folder: &Path) -> Self {
        let mut way = Leveret::open(load, Folder::new_in(folder));
        fill(&mut way, messages, load.in_flight);
        Self(way.close())
    }

    /// Also what is written, without space that is only held ready.
    pub(crate) fn of_raw_log(load: Load, messages: u64, folder: &Path) -> (Self, u64) {
        let mut way = RawLog::create(load, Folder::new_in(folder));
        fill(&mut way, messages, load.in_flight);
        let bytes = way.written_bytes();
        (Self(way.close()), bytes)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    /// From the opening of a broker to the first delivery, which is given back.
    pub(crate) fn first_of_leveret(&self, load: Load) -> Duration {
        let begun = Instant::now();
        let open = Open::new(self.0.path(), load.level);
        let delivery = open.consumer().recv().expect("the queue is there");
        black_box(delivery.body());
        let took = begun.elapsed();
        drop(delivery);
        drop(open);
        took
    }

    /// From the opening of the log to its first message.
    pub(crate) fn first_of_raw_log(&self) -> Duration {
        let begun = Instant::now();
        let mut recovered = raw_log::recover(self.0.path()).expect("it can be read");
        black_box(recovered.take().expect("there is one").body());
        begun.elapsed()
    }

    /// How much a raw log has of what it was given.
    pub(crate) fn count_of_raw_log(&self) -> usize {
        raw_log::recover(self.0.path()).expect("it can be read").messages()
    }

    /// What the folder takes once a broker's consumer has taken all.
    pub(crate) fn bytes_when_drained(self, load: Load, messages: u64) -> u64 {
        let mut way = Leveret::open(load, self.0);
        for _ in 0..messages {
            way.finish_one();
        }
        settled_bytes(&way)
    }
}

/// What the folder of a broker takes after so many messages have gone through it, while so many
/// others wait in it.
pub(crate) fn churned_bytes(load: Load, waiting: u64, messages: u64, folder: &Path) -> u64 {
    let mut way = Leveret::open(load, Folder::new_in(folder));
    fill(&mut way, waiting, load.in_flight);
    super::pass(&mut way, messages, load.in_flight);
    settled_bytes(&way)
}

/// The size once all is written and it does not change any more.
fn settled_bytes(way: &Leveret) -> u64 {
    way.sync();
    let folder = way.folder();
    let begun = Instant::now();
    let (mut bytes, mut since) = (folder.bytes(), Instant::now());
    while since.elapsed() < QUIET && begun.elapsed() < QUIET_WITHIN {
        thread::sleep(QUIET / 10);
        let now = folder.bytes();
        if now != bytes {
            (bytes, since) = (now, Instant::now());
        }
    }
    bytes
}
