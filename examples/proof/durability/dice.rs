//! Chance from a seed.

/// Marsaglia's xorshift with the multiplier of Vigna ("An experimental exploration of Marsaglia's
/// xorshift generators, scrambled", 2016).
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        // Never zero, and far apart for seeds that are neighbours.
        let mut dice = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..4 {
            dice.roll();
        }
        dice
    }

    /// Another one, which has nothing to do with this.
    pub(crate) fn split(&self, salt: u64) -> Self {
        Self::new(self.0 ^ salt.wrapping_mul(0xbf58_476d_1ce4_e5b9))
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below the bound, which is not zero.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        (self.roll() >> 16) % bound
    }

    /// One of so many things, if there are any.
    pub(crate) fn index(&mut self, things: usize) -> Option<usize> {
        let things = u64::try_from(things).ok().filter(|things| *things > 0)?;
        usize::try_from(self.below(things)).ok()
    }

    /// Whether it happens, so many times in a hundred.
    pub(crate) fn strikes(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}
