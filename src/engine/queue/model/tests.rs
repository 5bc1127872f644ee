//! Random lives.

use proptest::{collection, prelude::*};

use super::*;

proptest! {
    #[test]
    fn a_queue_lives_as_its_reference_does(
        config in any::<u8>(),
        program in collection::vec(any::<[u8; 4]>().prop_map(Step::decode), 0..250),
    ) {
        let mut life = Life::new(config);
        for step in program {
            life.step(step);
        }
        life.end();
    }
}
