//! What a message costs when 100 queues are busy and many more are there, each with a consumer.

mod driver;
mod load;

use driver::{Driver, side};
use load::many_queues;

/// Enough for the two threads that poll to start and end beside it.
const MESSAGES: u64 = 20_000;

fn main() {
    let mut driver = Driver::new();
    driver.compare(
        "100 busy queues",
        (MESSAGES, 1),
        [
            side("of 100", many_queues::leveret(many_queues::BUSY)),
            side("of 10 000", many_queues::leveret(10_000)),
        ],
    );
    driver.finish();
}
