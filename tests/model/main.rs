//! Random programs on the channel tier, compared step by step with a reference that is too simple
//! to be wrong; laws that hold on both tiers, whatever queues are declared with; and time that
//! passes at once or little by little.

mod closing;
mod expiry;
mod features;
mod play;

use features::Features;
use leveret::{Broker, Channel};
use play::{Play, Step};
use proptest::{collection, prelude::*};

proptest! {
    #[test]
    fn a_broker_does_what_its_reference_does(
        program in collection::vec(any::<[u8; 5]>().prop_map(Step::decode), 0..150),
    ) {
        let mut play = Play::new();
        for step in program {
            play.step(step);
            play.inspect(check_broker, check_channel);
        }
        play.end();
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_000,
        max_shrink_iters: 300,
        ..ProptestConfig::default()
    })]

    #[test]
    fn laws_hold_whatever_queues_are_declared_with(
        program in collection::vec(any::<u8>(), 24..24 + 5 * 120),
    ) {
        Features::play(&program, check_broker, check_channel);
    }
}

/// What its queues hold is drawn from the budget.
fn check_broker(broker: &Broker) {
    let queues = ["a", "b"].into_iter().filter_map(|name| broker.queue(name).ok());
    let bytes: u64 = queues.map(|queue| queue.stats().bytes).sum();
    assert!(bytes <= broker.memory_bytes(), "{bytes} bytes");
}

fn check_channel(channel: &Channel) {
    assert!(channel.error().is_none(), "what a step has closed is open again");
}
