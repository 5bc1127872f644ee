//! What a disk is to keep: P15 to P17. A disk's figures depend on the disk, so they are held
//! against a raw log on the same one: one file, one checksum, one sync for all that has gathered.
//!
//! - **P15**: persistent messages are published with confirms, so many of them unconfirmed, and one
//!   consumer acks as many; the queue keeps its depth. The time is that for one message, so a
//!   throughput of 0.5 is a cost of 2. Processor time is that of all threads. Also with the level
//!   `Process`, beside the same log without syncs.
//! - **P16**: a million messages wait. From the opening to the first delivery, within 0.4 s or
//!   three times what it takes to read the log: one of the two is enough.
//! - **P17**: what the directory takes with a million messages, when they are drained, and after a
//!   hundred times the live data has gone through it. *Live* is what the log takes for as many
//!   messages; what the directory may take whatever is in it is [`CONSTANT_BYTES`].

use std::path::PathBuf;

use leveret::Durability;

use crate::{
    figure::Unit::{Bytes, Mebibytes, Micros, Millis},
    folder,
    load::{
        durable::{self, Load, Passed, folder::beside_program, stock},
        stopwatch::percentile,
    },
    rounds::{Figures, Side, count, interleave, nanos},
    row::{Reading, Row},
    scale::Scale,
};

use super::Concern;

const RAW: &str = "raw log";
const RAW_UNSYNCED: &str = "raw log without syncs";

const STOCK: u64 = 1_000_000;

/// How many messages go through for each that waits.
const CHURN_TIMES: u64 = 100;

/// A reserve for full disks of 4 MiB, and 32 MiB from which on a database is written anew.
const CONSTANT_BYTES: f64 = 36.0 * 1_048_576.0;

const LIVE_TIMES_MAX: f64 = 4.0;

/// What a record of the raw log takes beside the body.
const RECORD_BYTES: f64 = 37.0;

pub(crate) fn all() -> Vec<Concern> {
    vec![
        synced_1(),
        synced_100(),
        synced_1000(),
        large_1(),
        large_100(),
        large_1000(),
        unsynced_100(),
        unsynced_1000(),
        recovery(),
        space(),
        churn(),
    ]
}

fn synced_1() -> Concern {
    let figures = |scale| passing(scale, Load::small(1), 2_000);
    Concern { id: "P15", figures, rows: rows("64 B, 1 in flight", RAW, Some(goals(0.5, 0.55))) }
}

fn synced_100() -> Concern {
    let figures = |scale| passing(scale, Load::small(100), 50_000);
    Concern { id: "P15", figures, rows: rows("64 B, 100 in flight", RAW, Some(goals(0.5, 0.55))) }
}

fn synced_1000() -> Concern {
    let figures = |scale| passing(scale, Load::small(1_000), 300_000);
    Concern {
        id: "P15",
        figures,
        rows: rows("64 B, 1 000 in flight", RAW, Some(goals(0.65, 0.75))),
    }
}

fn large_1() -> Concern {
    let figures = |scale| passing(scale, Load::small(1).with_body(1_024), 2_000);
    Concern { id: "P15", figures, rows: rows("1 KiB, 1 in flight", RAW, Some(goals(0.5, 0.55))) }
}

fn large_100() -> Concern {
    let figures = |scale| passing(scale, Load::small(100).with_body(1_024), 50_000);
    Concern { id: "P15", figures, rows: rows("1 KiB, 100 in flight", RAW, Some(goals(0.5, 0.55))) }
}

fn large_1000() -> Concern {
    let figures = |scale| passing(scale, Load::small(1_000).with_body(1_024), 100_000);
    Concern {
        id: "P15",
        figures,
        rows: rows("1 KiB, 1 000 in flight", RAW, Some(goals(0.65, 0.75))),
    }
}

fn unsynced_100() -> Concern {
    let figures = |scale| passing(scale, Load::small(100).at(Durability::Process), 100_000);
    let rows = rows("`Process`, 64 B, 100 in flight", RAW_UNSYNCED, None);
    Concern { id: "P15", figures, rows }
}

fn unsynced_1000() -> Concern {
    let figures = |scale| passing(scale, Load::small(1_000).at(Durability::Process), 300_000);
    let rows = rows("`Process`, 64 B, 1 000 in flight", RAW_UNSYNCED, None);
    Concern { id: "P15", figures, rows }
}

fn passing(scale: Scale, load: Load, messages: u64) -> Figures {
    let folder = folder();
    let (mut ours, mut rival) = (durable::leveret(load, &folder), durable::raw_log(load, &folder));
    let messages = scale.share(messages);
    let sides = vec![
        Side::several(messages, move |messages| read(ours(messages), messages)),
        Side::several(messages, move |messages| read(rival(messages), messages)),
    ];
    interleave(scale, sides)
}

/// The figures of one side: time, processor time, median and 99 % of the confirms.
fn read(passed: Passed, messages: u64) -> Vec<f64> {
    let Passed { took, worked, latencies } = passed;
    let each = |time| nanos(time) / count(messages);
    let median = nanos(percentile(latencies.clone(), 500));
    vec![each(took), each(worked), median, nanos(percentile(latencies, 990))]
}

/// How much of the rival's throughput is the target and the stretch, as what it costs.
fn goals(target: f64, stretch: f64) -> [f64; 2] {
    [1.0 / target, 1.0 / stretch]
}

fn rows(what: &str, rival: &'static str, goals: Option<[f64; 2]>) -> Vec<Row> {
    let row = |figure: &str, ours: Reading, other: Reading| {
        Row::new(format!("durable, {what}, {figure}"), Micros, ours).against(rival, other)
    };
    let cost = row("each", |side| side[0], |side| side[4]);
    let cost = match goals {
        Some([target, stretch]) => cost.at_most(target).stretch(stretch),
        None => cost,
    };
    vec![
        cost,
        row("processor time", |side| side[1], |side| side[5]),
        row("confirm p50", |side| side[2], |side| side[6]),
        row("confirm p99", |side| side[3], |side| side[7]),
    ]
}

fn recovery() -> Concern {
    let figures = |scale: Scale| {
        let (folder, load) = (folder(), Load::small(1_000));
        let ours = stock::Stock::of_leveret(load, STOCK, &folder);
        let (rival, _) = stock::Stock::of_raw_log(load, STOCK, &folder);
        assert_eq!(rival.count_of_raw_log() as u64, STOCK, "the log has all of them");
        let ours = Side::each(1, move |_| ours.first_of_leveret(load)).whole();
        let rival = Side::each(1, move |_| rival.first_of_raw_log()).whole();
        interleave(scale, vec![ours, rival])
    };
    let what = "from opening a million messages to the first delivery";
    let rows = vec![
        Row::new(what, Millis, |side| side[0]).at_most(0.4e9),
        Row::new(what, Millis, |side| side[0]).against(RAW, |side| side[1]).at_most(3.0),
    ];
    Concern { id: "P16", figures, rows }
}

fn space() -> Concern {
    let figures = |_| {
        let (folder, load) = (folder(), Load::small(1_000));
        let (rival, raw_bytes) = stock::Stock::of_raw_log(load, STOCK, &folder);
        drop(rival);
        let ours = stock::Stock::of_leveret(load, STOCK, &folder);
        let each = |bytes| count(bytes) / count(STOCK);
        let full = each(ours.bytes());
        vec![vec![full, each(raw_bytes), count(ours.bytes_when_drained(load, STOCK))]]
    };
    let rows = vec![
        Row::new("directory, each of a million messages of 64 B", Bytes, |side| side[0])
            .against(RAW, |side| side[1]),
        Row::new("directory after draining the million", Mebibytes, |side| side[2])
            .at_most(CONSTANT_BYTES),
    ];
    Concern { id: "P17", figures, rows }
}

fn churn() -> Concern {
    let figures = |scale: Scale| {
        let (load, live) = (Load::small(1_000), scale.share(100_000));
        let bytes = stock::churned_bytes(load, live, CHURN_TIMES * live, &folder());
        let live_bytes = count(live) * (64.0 + RECORD_BYTES);
        vec![vec![count(bytes), count(bytes) - CONSTANT_BYTES, live_bytes]]
    };
    let rows = vec![
        Row::new("directory after 100 times the live data", Mebibytes, |side| side[0])
            .beside("live data"),
        Row::new("the same without 36 MiB", Mebibytes, |side| side[1])
            .against("live data", |side| side[2])
            .at_most(LIVE_TIMES_MAX),
    ];
    Concern { id: "P17", figures, rows }
}

fn folder() -> PathBuf {
    folder::chosen().map_or_else(beside_program, PathBuf::from)
}
