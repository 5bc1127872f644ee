//! Messages on their way: P1 to P4, P6 and P14.
//!
//! - **P1**: one thread hands over to itself, with one message under way and with a hundred: the
//!   first touches the least memory, the second shows what a queue costs that fills and empties.
//!   Both are held to the target.
//! - **P2**: two threads, at most 1 024 messages between them, prefetch 100.
//! - **P3**: two threads and no bound; then two that publish and two that consume, from one queue.
//!   Rounds are not sliced, since a backlog has to grow.
//! - **P4**: batches of 32 in one thread. A channel is given its messages one by one, 32 under way,
//!   or as vectors, each of them allocated since it travels.
//! - **P6**: a copy in each of 10 or 100 queues, acked in each; the time is that for one copy.
//! - **P14**: P1 with one thing more, beside P1 in the same round. Properties are made for each
//!   message, as programs do.

use crate::{
    figure::Unit::Nanos,
    load::{batch, crossing, crossing::Backlog, crowd, fan_out, hand_over, options},
    rounds::{Side, interleave},
    row::Row,
};

use super::Concern;

const UNBOUNDED: &str = "crossbeam unbounded";

pub(crate) fn one_thread() -> Concern {
    Concern {
        id: "P1",
        figures: |scale| {
            let messages = scale.share(500_000);
            interleave(
                scale,
                vec![
                    Side::each(messages, hand_over::leveret(1)),
                    Side::each(messages, hand_over::channel(1)),
                    Side::each(messages, hand_over::leveret(100)),
                    Side::each(messages, hand_over::channel(100)),
                ],
            )
        },
        rows: vec![
            Row::new("publish, deliver, ack; 1 thread, 1 under way", Nanos, |side| side[0])
                .against(UNBOUNDED, |side| side[1])
                .at_most(1.8)
                .stretch(1.5),
            Row::new("the same, 100 under way", Nanos, |side| side[2])
                .against(UNBOUNDED, |side| side[3])
                .at_most(1.8)
                .stretch(1.5),
        ],
    }
}

pub(crate) fn two_threads() -> Concern {
    Concern {
        id: "P2",
        figures: |scale| {
            let messages = scale.share(500_000);
            interleave(
                scale,
                vec![
                    Side::each(messages, crossing::leveret(Backlog::Bounded)),
                    Side::each(messages, crossing::channel(Backlog::Bounded)),
                ],
            )
        },
        rows: vec![
            Row::new("1 producer, 1 consumer, at most 1 024 under way", Nanos, |side| side[0])
                .against("crossbeam bounded(1024)", |side| side[1])
                .at_most(1.7)
                .stretch(1.4),
        ],
    }
}

pub(crate) fn backlog() -> Concern {
    Concern {
        id: "P3",
        figures: |scale| {
            let messages = scale.share(500_000);
            interleave(
                scale,
                vec![
                    Side::each(messages, crossing::leveret(Backlog::Unlimited)).whole(),
                    Side::each(messages, crossing::channel(Backlog::Unlimited)).whole(),
                ],
            )
        },
        rows: vec![
            Row::new("1 producer, 1 consumer, unlimited backlog", Nanos, |side| side[0])
                .against(UNBOUNDED, |side| side[1])
                .at_most(1.1)
                .stretch(0.8),
        ],
    }
}

pub(crate) fn crowd() -> Concern {
    Concern {
        id: "P3",
        figures: |scale| {
            let messages = scale.share(500_000);
            interleave(
                scale,
                vec![
                    Side::each(messages, crowd::leveret()).whole(),
                    Side::each(messages, crowd::channel()).whole(),
                ],
            )
        },
        rows: vec![
            Row::new("2 producers, 2 consumers, one queue", Nanos, |side| side[0])
                .against(UNBOUNDED, |side| side[1])
                .at_most(1.1)
                .stretch(0.8),
        ],
    }
}

pub(crate) fn batches() -> Concern {
    Concern {
        id: "P4",
        figures: |scale| {
            let messages = scale.share(800_000);
            interleave(
                scale,
                vec![
                    Side::each(messages, batch::leveret()),
                    Side::each(messages, batch::channel()),
                    Side::each(messages, batch::channel_of_vectors()),
                ],
            )
        },
        rows: vec![
            Row::new("batches of 32", Nanos, |side| side[0])
                .against("crossbeam one by one", |side| side[1])
                .at_most(1.0)
                .stretch(0.7),
            Row::new("batches of 32", Nanos, |side| side[0])
                .against("crossbeam of `Vec`s of 32", |side| side[2])
                .at_most(2.0)
                .stretch(1.6),
        ],
    }
}

pub(crate) fn fan_out() -> Concern {
    Concern {
        id: "P6",
        figures: |scale| {
            let (few, many) = (scale.share(50_000), scale.share(5_000));
            interleave(
                scale,
                vec![
                    Side::per(10, few, fan_out::leveret(10)),
                    Side::per(10, few, fan_out::channels(10)),
                    Side::per(100, many, fan_out::leveret(100)),
                    Side::per(100, many, fan_out::channels(100)),
                ],
            )
        },
        rows: vec![
            Row::new("fan-out to 10 queues, each copy", Nanos, |side| side[0])
                .against("10 crossbeam channels", |side| side[1])
                .at_most(1.8)
                .stretch(1.3),
            Row::new("fan-out to 100 queues, each copy", Nanos, |side| side[2])
                .against("100 crossbeam channels", |side| side[3])
                .at_most(1.8)
                .stretch(1.3),
        ],
    }
}

pub(crate) fn options() -> Concern {
    const PLAIN: &str = "P1, leveret";
    Concern {
        id: "P14",
        figures: |scale| {
            let messages = scale.share(300_000);
            let sides = vec![
                Side::each(messages, options::plain()),
                Side::each(messages, options::shared_body()),
                Side::each(messages, options::persistent()),
                Side::each(messages, options::with_confirms()),
                Side::each(messages, options::with_headers()),
            ];
            interleave(scale, sides)
        },
        rows: vec![
            Row::new("shared bodies of 16 KiB", Nanos, |side| side[1])
                .against(PLAIN, |side| side[0])
                .at_most(1.1),
            Row::new("persistent, without a store", Nanos, |side| side[2])
                .against(PLAIN, |side| side[0])
                .at_most(1.1),
            Row::new("confirms, each waited for", Nanos, |side| side[3])
                .against(PLAIN, |side| side[0])
                .at_most(1.5),
            Row::new("two headers", Nanos, |side| side[4]).against(PLAIN, |side| side[0]),
        ],
    }
}
