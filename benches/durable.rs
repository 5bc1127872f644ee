//! What a persistent message costs whose confirm is waited for, with so many in flight, beside a
//! raw log on the same disk; and how long it takes to open a broker with many messages.
//!
//! The data is beside the program, or where `DURABLE_DIR` says.

mod driver;
mod load;

use std::{env, path::PathBuf, time::Duration};

use driver::{Driver, side};
use leveret::Durability;
use load::durable::{self, Load, Passed, folder::beside_program, stock::Stock};

/// Messages that wait when a broker is opened.
const STOCK: u64 = 100_000;

fn main() {
    let folder = env::var_os("DURABLE_DIR").map_or_else(beside_program, PathBuf::from);
    let mut driver = Driver::new();
    for (name, load) in loads() {
        // A pass ends when all is confirmed, so it is of several windows.
        let at_a_time = 4 * load.in_flight as u64;
        driver.compare(
            &format!("durable, {name}"),
            (at_a_time, 1),
            [
                side("raw log", time_of(durable::raw_log(load, &folder))),
                side("leveret", time_of(durable::leveret(load, &folder))),
            ],
        );
    }
    let load = Load::small(1_000);
    let (log, _) = Stock::of_raw_log(load, STOCK, &folder);
    let store = Stock::of_leveret(load, STOCK, &folder);
    driver.compare(
        "open, 100 000 durable messages",
        (1, 1),
        [
            side("raw log", move |times| (0..times).map(|_| log.first_of_raw_log()).sum()),
            side("leveret", move |times| (0..times).map(|_| store.first_of_leveret(load)).sum()),
        ],
    );
    driver.finish();
}

fn loads() -> [(&'static str, Load); 7] {
    let [one, few, many] = [1, 100, 1_000].map(Load::small);
    [
        ("64 B, 1 in flight", one),
        ("64 B, 100 in flight", few),
        ("64 B, 1 000 in flight", many),
        ("1 KiB, 1 in flight", one.with_body(1_024)),
        ("1 KiB, 100 in flight", few.with_body(1_024)),
        ("1 KiB, 1 000 in flight", many.with_body(1_024)),
        ("Process, 64 B, 1 000 in flight", many.at(Durability::Process)),
    ]
}

fn time_of(mut pass: impl FnMut(u64) -> Passed) -> impl FnMut(u64) -> Duration {
    move |messages| pass(messages).took
}
