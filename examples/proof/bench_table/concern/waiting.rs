//! Threads that wait for each other: P5, P11 and P13.
//!
//! - **P5**: a message to another thread and one back, blocking on both sides; the median trip.
//! - **P11**: a request and its reply, by `call` over direct reply-to; the median call. The rivals
//!   are those of P5: a pair of channels, one for requests and one for replies.
//! - **P13**: eight threads publish as fast as they can; of a thousand publishes the slowest. The
//!   rival is leveret itself, without the stuck consumer and the changing bindings.

use crate::{
    figure::Unit::Micros,
    load::{contention, round_trip, rpc},
    rounds::{Side, interleave},
    row::Row,
};

use super::Concern;

/// The rank of the median among a thousand.
const MEDIAN: usize = 500;

/// That of the slowest.
const TAIL: usize = 999;

pub(crate) fn round_trip() -> Concern {
    Concern {
        id: "P5",
        figures: |scale| {
            let trips = scale.share(20_000);
            interleave(
                scale,
                vec![
                    Side::per_mille(MEDIAN, trips, round_trip::leveret()),
                    Side::per_mille(MEDIAN, trips, round_trip::channel()),
                    Side::per_mille(MEDIAN, trips, round_trip::postbox()),
                ],
            )
        },
        rows: vec![
            Row::new("round trip between 2 threads, blocking, p50", Micros, |side| side[0])
                .against("crossbeam unbounded", |side| side[1])
                .at_most(0.6),
            Row::new("round trip between 2 threads, blocking, p50", Micros, |side| side[0])
                .against("Mutex and Condvar", |side| side[2])
                .at_most(1.4)
                .stretch(1.15),
        ],
    }
}

pub(crate) fn calls() -> Concern {
    Concern {
        id: "P11",
        figures: |scale| {
            let calls = scale.share(20_000);
            let sides = vec![
                Side::per_mille(MEDIAN, calls, rpc::leveret()),
                Side::per_mille(MEDIAN, calls, round_trip::channel()),
                Side::per_mille(MEDIAN, calls, round_trip::postbox()),
            ];
            interleave(scale, sides)
        },
        rows: vec![
            Row::new("`call` over direct reply-to, blocking, p50", Micros, |side| side[0])
                .against("crossbeam unbounded", |side| side[1])
                .at_most(0.8),
            Row::new("`call` over direct reply-to, blocking, p50", Micros, |side| side[0])
                .against("Mutex and Condvar", |side| side[2])
                .at_most(1.6),
        ],
    }
}

pub(crate) fn contention() -> Concern {
    Concern {
        id: "P13",
        figures: |scale| {
            let publishes = scale.share(400_000);
            let sides = vec![
                Side::per_mille(TAIL, publishes, contention::disturbed()).whole(),
                Side::per_mille(TAIL, publishes, contention::calm()).whole(),
            ];
            interleave(scale, sides)
        },
        rows: vec![
            Row::new(
                "publish among 8 publishers, a stuck consumer, changing bindings, p99.9",
                Micros,
                |side| side[0],
            )
            .against("8 publishers alone", |side| side[1])
            .at_most(3.0),
        ],
    }
}
