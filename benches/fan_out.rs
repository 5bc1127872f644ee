//! What one copy costs when an exchange copies each message to many queues, each with a consumer
//! that acks; beside as many bare channels, each given a clone of the message.

mod driver;
mod load;

use driver::{Driver, side};
use load::fan_out;

fn main() {
    let mut driver = Driver::new();
    for copies in [1, 10, 100] {
        driver.compare(
            &format!("fan out to {copies}"),
            (1, copies),
            [
                side("channels", fan_out::channels(copies)),
                side("leveret", fan_out::leveret(copies)),
            ],
        );
    }
    driver.finish();
}
