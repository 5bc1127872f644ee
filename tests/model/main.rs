//! Random programs on the channel tier, compared step by step with a reference that is too simple
//! to be wrong; and time that passes at once or little by little.

mod closing;
mod expiry;
mod play;

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
        }
        play.end();
    }
}
