//! How long two threads take that wait for each other's messages, beside two channels and beside
//! what programs write themselves.

mod driver;
mod load;

use driver::{Driver, latency};
use load::round_trip;

fn main() {
    let mut driver = Driver::new();
    driver.compare(
        "round trip",
        (1, 1),
        [
            latency("channel", round_trip::channel()),
            latency("mutex and condition", round_trip::postbox()),
            latency("leveret", round_trip::leveret()),
        ],
    );
    driver.finish();
}
