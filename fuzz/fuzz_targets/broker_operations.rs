//! Programs on a broker. Half of them are on two connections with two channels each, and it
//! answers, delivers and counts as a reference does that is too simple to be wrong. The others are
//! on queues with all kinds of options, where laws hold after every step.
#![no_main]

use features::Features;
use leveret::fuzzing::{check_broker, check_channel};
use libfuzzer_sys::fuzz_target;
use play::{Play, Step};

// The tests of the crate play the same programs.
#[path = "../../tests/model/features/mod.rs"]
mod features;
#[path = "../../tests/model/play/mod.rs"]
mod play;

/// Longer programs make no new case, but slow ones: the reference looks through everything.
const STEPS_MAX: usize = 300;

/// From this first byte on, the others are a program on queues with options. The reference's
/// programs lose nothing by that: of their first byte this bit has no meaning.
const FEATURES: u8 = 0x80;

fuzz_target!(|program: &[u8]| {
    if let Some((FEATURES.., program)) = program.split_first() {
        return Features::play(program, check_broker, check_channel);
    }
    let mut play = Play::new();
    for step in program.as_chunks().0.iter().take(STEPS_MAX) {
        play.step(Step::decode(*step));
        play.inspect(check_broker, check_channel);
    }
    play.end();
});
