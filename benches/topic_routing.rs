//! What it costs to find where a message of a topic exchange goes, beside comparing its key with
//! one pattern after the other, and beside a published matcher.
//!
//! Each key matches one pattern of many, and no two keys in a row are the same.

mod driver;
mod load;

use driver::{Driver, side};
use load::{pattern, topic};

/// Different keys, which are published in turn.
const KEYS: usize = 1 << 16;

fn main() {
    let mut driver = Driver::new();
    for patterns in [10, 1_000, 10_000] {
        let keys = || pattern::selective_keys(patterns, KEYS);
        let set = pattern::selective(patterns);
        driver.compare(
            &format!("topic, {patterns} patterns"),
            (1, 1),
            [
                side("one by one", topic::linear(&set, keys())),
                side("mqtt-topic-engine", topic::published(&set, keys())),
                side("leveret", topic::leveret(&set, keys())),
                side("leveret, nothing matches", topic::unmatched(keys())),
            ],
        );
    }
    driver.finish();
}
