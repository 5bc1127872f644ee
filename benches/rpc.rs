//! How long a call takes to a server in another thread, beside a pair of channels for requests and
//! replies, and beside what programs write themselves.

mod driver;
mod load;

use driver::{Driver, latency};
use load::{round_trip, rpc};

fn main() {
    let mut driver = Driver::new();
    driver.compare(
        "call",
        (1, 1),
        [
            latency("channel", round_trip::channel()),
            latency("mutex and condition", round_trip::postbox()),
            latency("leveret", rpc::leveret()),
        ],
    );
    driver.finish();
}
