//! What a message costs on its way through a direct exchange and one queue to its consumer and
//! back as an ack, beside a bare channel that carries the same messages: in one thread, between
//! two, and between two publishers and two consumers.

mod driver;
mod load;

use driver::{Driver, side};
use load::{crossing, crossing::Backlog, crowd, hand_over};

fn main() {
    let mut driver = Driver::new();
    for (name, burst) in [("one thread, 1 under way", 1), ("one thread, 100 under way", 100)] {
        driver.compare(
            name,
            (burst, 1),
            [
                side("channel", hand_over::channel(burst)),
                side("leveret", hand_over::leveret(burst)),
            ],
        );
    }
    for (name, backlog) in [
        ("two threads, 1 024 under way", Backlog::Bounded),
        ("two threads, no bound", Backlog::Unlimited),
    ] {
        driver.compare(
            name,
            (1, 1),
            [
                side("channel", crossing::channel(backlog)),
                side("leveret", crossing::leveret(backlog)),
            ],
        );
    }
    driver.compare(
        "two publishers, two consumers",
        (2, 1),
        [side("channel", crowd::channel()), side("leveret", crowd::leveret())],
    );
    driver.finish();
}
