//! What a broker costs that is opened, furnished with ten entities, and dropped.

mod driver;
mod load;

use driver::{Driver, side};
use load::broker_life;

fn main() {
    let mut driver = Driver::new();
    driver.compare("broker", (1, 1), [side("leveret", broker_life::one())]);
    driver.finish();
}
