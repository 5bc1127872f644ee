//! A queue, whatever happens to it, hands out, keeps and forgets what a reference does that is too
//! simple to be wrong.
#![no_main]

use leveret::fuzzing::queue_life;
use libfuzzer_sys::fuzz_target;

/// Longer programs make no new case, but slow ones: the reference looks through everything.
const PROGRAM_MAX: usize = 2_048;

fuzz_target!(|program: &[u8]| queue_life(&program[..program.len().min(PROGRAM_MAX)]));
