//! What confirms, headers, large bodies and the flag for persistence add to a message on its way
//! through one thread.

mod driver;
mod load;

use driver::{Driver, side};
use load::{hand_over, options};

fn main() {
    let mut driver = Driver::new();
    driver.compare(
        "options",
        (1, 1),
        [
            side("channel", hand_over::channel(1)),
            side("leveret", options::plain()),
            side("shared bodies of 16 KiB", options::shared_body()),
            side("persistent", options::persistent()),
            side("confirms", options::with_confirms()),
            side("two headers", options::with_headers()),
        ],
    );
    driver.finish();
}
