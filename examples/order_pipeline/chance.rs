//! Accidents that a seed decides.

/// Decides what goes wrong, by seed, order and attempt: threads and time have no say in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chance {
    seed: u64,
}

/// What may go wrong; each accident is independent of the others.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Accident {
    Busy,
    NoAnswer,
    Panic,
    Poison,
    SoldOut,
}

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Whether it happens, so many times in a thousand.
    pub(crate) fn strikes(
        self,
        accident: Accident,
        order: u64,
        attempt: u32,
        per_mille: u64,
    ) -> bool {
        let salts = [accident as u64, order, u64::from(attempt)];
        let dice = salts.into_iter().fold(self.seed, |state, salt| scramble(state ^ salt));
        dice % 1_000 < per_mille
    }
}

/// Spreads every bit over all of them, as the output function of `SplitMix64` does (Steele, Lea
/// and Flood, "Fast splittable pseudorandom number generators", 2014).
fn scramble(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
