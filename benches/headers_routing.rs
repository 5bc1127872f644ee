//! What it costs to find where a message of a headers exchange goes, beside evaluating one binding
//! after the other.

mod driver;
mod load;

use driver::{Driver, side};
use load::headers;

/// Of which each message matches one.
const BINDINGS: usize = 1_000;

fn main() {
    let mut driver = Driver::new();
    driver.compare(
        &format!("headers, {BINDINGS} bindings"),
        (1, 1),
        [
            side("one by one", headers::linear(BINDINGS)),
            side("leveret", headers::leveret(BINDINGS)),
        ],
    );
    driver.finish();
}
