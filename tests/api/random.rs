//! Random numbers from a seed.

use std::hash::{BuildHasher, RandomState};

/// `SplitMix64`: small, and good enough to mix up threads.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Another seed in each run, printed so that a failure can be looked into. Set the variable
    /// `SEED` to use one again.
    pub(crate) fn seeded() -> Self {
        let given = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one(0));
        eprintln!("SEED={seed}");
        Self(seed)
    }

    /// Another sequence that depends on the seed.
    pub(crate) fn split(&mut self) -> Self {
        Self(self.next())
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
