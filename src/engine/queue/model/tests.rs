//! Random lives.

use proptest::{collection, prelude::*};

use super::*;

/// How many lives are played: in debug builds about as many as half a minute has room for.
/// `QUEUE_LIVES` asks for others.
fn lives() -> u32 {
    let asked = std::env::var("QUEUE_LIVES").ok();
    asked.map_or(20_000, |asked| asked.parse().expect("QUEUE_LIVES is a number"))
}

/// Mostly short ones, since what is wrong is seen soon; a long one now and then.
fn program() -> impl Strategy<Value = Vec<Step>> {
    let step = || any::<[u8; 4]>().prop_map(Step::decode);
    prop_oneof![
        19 => collection::vec(step(), 0..40),
        1 => collection::vec(step(), 0..200),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(lives()))]

    #[test]
    fn a_queue_lives_as_its_reference_does(
        config in any::<[u8; CONFIG_BYTES]>(),
        program in program(),
    ) {
        let mut life = Life::new(config);
        for step in program {
            life.step(step);
        }
        life.end();
    }
}
