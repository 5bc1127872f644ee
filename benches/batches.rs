//! What a message costs that is published, received and acked with 31 others, beside a channel that
//! carries them one by one and one that carries vectors.

mod driver;
mod load;

use driver::{Driver, side};
use load::batch;

fn main() {
    let mut driver = Driver::new();
    driver.compare(
        "batches of 32",
        (batch::SIZE, 1),
        [
            side("channel, one by one", batch::channel()),
            side("channel of vectors", batch::channel_of_vectors()),
            side("leveret", batch::leveret()),
        ],
    );
    driver.finish();
}
