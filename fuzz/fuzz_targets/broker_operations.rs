//! Programs on two connections with two channels each: a broker answers, delivers and counts as a
//! reference does that is too simple to be wrong.
#![no_main]

use libfuzzer_sys::fuzz_target;
use play::{Play, Step};

// The tests of the crate play the same programs.
#[path = "../../tests/model/play/mod.rs"]
mod play;

/// Longer programs make no new case, but slow ones: the reference looks through everything.
const STEPS_MAX: usize = 300;

fuzz_target!(|program: &[u8]| {
    let mut play = Play::new();
    for step in program.as_chunks().0.iter().take(STEPS_MAX) {
        play.step(Step::decode(*step));
        play.inspect(leveret::fuzzing::check_broker, leveret::fuzzing::check_channel);
    }
    play.end();
});
