//! What is held: P9, and the memory part of P10.
//!
//! *Live heap* is what was asked for and not freed, counted by the allocator; what an allocator
//! adds to each block shows in the resident memory, which the kernel tells. Both are compared with
//! what they were before the first message.
//!
//! - **P9**: so many messages with bodies of 64 bytes wait in one queue, which stays after they
//!   are drained. An allocator may give memory back with a delay (mimalloc's is a second), and
//!   only when it is called; so a little goes through the queue from time to time, until the memory
//!   is back or three seconds have passed.
//! - **P10, idle**: the broker, 10 000 queues and their consumers, by the number of queues.
#![allow(clippy::disallowed_methods, reason = "an allocator takes real time to give memory back")]

use std::{thread, time::Duration};

use crate::{
    figure::Unit::{Bytes, Mebibytes},
    heap::Heap,
    load::{backlog::Backlog, many_queues},
    machine::resident_bytes,
    rounds::{Figures, count},
    row::Row,
};

use super::Concern;

const MEBIBYTE: f64 = 1_048_576.0;

/// What the resident memory may keep.
const KEPT_MAX: f64 = 64.0 * MEBIBYTE;

/// What goes through the drained queue before each look at it, and how many looks there are.
const AFTERWARDS: u64 = 1_000;
const LOOKS_MAX: usize = 15;

const MOMENT: Duration = Duration::from_millis(200);

/// Queues that have nothing to do.
const IDLE: usize = 10_000;

pub(crate) fn million() -> Concern {
    Concern { id: "P9", figures: |_| vec![measure(1_000_000)], rows: rows("1 million") }
}

pub(crate) fn ten_millions() -> Concern {
    Concern { id: "P9", figures: |_| vec![measure(10_000_000)], rows: rows("10 million") }
}

fn rows(messages: &str) -> Vec<Row> {
    vec![
        Row::new(format!("live heap per message, {messages} queued"), Bytes, |side| side[0])
            .beside("RabbitMQ's 1 039 B")
            .at_most(240.0)
            .stretch(160.0),
        Row::new(format!("live heap after draining {messages}"), Mebibytes, |side| side[1])
            .beside("before")
            .at_most(MEBIBYTE),
        Row::new(format!("resident, {messages} queued"), Mebibytes, |side| side[2])
            .beside("before"),
        Row::new(format!("resident after draining {messages} (mimalloc)"), Mebibytes, |side| {
            side[3]
        })
        .beside("before")
        .at_most(KEPT_MAX)
        .judged_with(Heap::Mimalloc),
    ]
}

/// Live bytes per message and after draining, resident bytes when full and after draining.
fn measure(messages: u64) -> Vec<f64> {
    leveret_heap::count();
    let backlog = Backlog::new();
    // What a thread and a queue set up with their first messages is no message's.
    backlog.fill(AFTERWARDS);
    backlog.drain(AFTERWARDS);
    let (live, resident) = (live_bytes(), resident());
    backlog.fill(messages);
    let full = (live_bytes() - live, self::resident() - resident);
    backlog.drain(messages);
    let mut looks = 0;
    while looks < LOOKS_MAX && self::resident() - resident > KEPT_MAX {
        looks += 1;
        thread::sleep(MOMENT);
        backlog.fill(AFTERWARDS);
        backlog.drain(AFTERWARDS);
    }
    let drained = (live_bytes() - live, self::resident() - resident);
    vec![full.0 / count(messages), drained.0, full.1, drained.1]
}

pub(crate) fn idle_queues() -> Concern {
    Concern {
        id: "P10",
        figures: |_| {
            leveret_heap::count();
            let before = live_bytes();
            let furnished = many_queues::furnish(IDLE);
            let figures: Figures = vec![vec![(live_bytes() - before) / count(IDLE as u64)]];
            drop(furnished);
            figures
        },
        rows: vec![
            Row::new("an idle queue with its consumer, live heap", Bytes, |side| side[0])
                .at_most(4_096.0),
        ],
    }
}

#[expect(clippy::cast_precision_loss, reason = "no heap has 2^52 bytes")]
fn live_bytes() -> f64 {
    leveret_heap::live_bytes() as f64
}

/// Not a number where the kernel does not tell; the row is not read then.
fn resident() -> f64 {
    resident_bytes().unwrap_or(f64::NAN)
}
