//! Brokers and queues in numbers: P10 and P12.
//!
//! - **P10**: two threads poll the consumers of 10 000 queues, of which 100 are busy; the same 100
//!   queues alone are the rival. A throughput of 0.8 is a cost of 1.25.
//! - **P12**: a broker is opened, five exchanges and five queues declared, each queue bound, and
//!   everything dropped. Then 1 000 brokers live at once in two threads, and each has to deliver;
//!   the time is that for one of them.

use crate::{
    figure::Unit::{Micros, Nanos},
    load::{broker_life, many_queues},
    rounds::{Side, interleave},
    row::Row,
};

use super::Concern;

pub(crate) fn many_queues() -> Concern {
    Concern {
        id: "P10",
        figures: |scale| {
            let messages = scale.share(200_000);
            let sides = vec![
                Side::each(messages, many_queues::leveret(10_000)),
                Side::each(messages, many_queues::leveret(many_queues::BUSY)),
            ];
            interleave(scale, sides)
        },
        rows: vec![
            Row::new("10 000 queues with consumers, 100 busy", Nanos, |side| side[0])
                .against("100 queues alone", |side| side[1])
                .at_most(1.25),
        ],
    }
}

pub(crate) fn brokers() -> Concern {
    Concern {
        id: "P12",
        figures: |scale| {
            let at_once = broker_life::MANY as u64;
            let sides = vec![
                Side::each(scale.share(2_000), broker_life::one()),
                Side::each(at_once, broker_life::many()).whole(),
            ];
            interleave(scale, sides)
        },
        rows: vec![
            Row::new("open a broker, declare 10 entities, drop it", Micros, |side| side[0])
                .at_most(50_000.0),
            Row::new("1 000 brokers at once in 2 threads, each used", Micros, |side| side[1])
                .beside("that none fails")
                .at_most(f64::INFINITY),
        ],
    }
}
