//! Topic patterns and the keys that match them.

/// A prime, so that keys that follow each other match patterns far apart.
const STRIDE: usize = 7_919;

/// Words that dense keys and patterns are made of, and how many a key has.
const DENSE_WORDS: u32 = 6;
const DENSE_KEY_WORDS: usize = 4;

/// Of ten words of a dense pattern so many are stars.
const DENSE_STARS: u32 = 4;

/// Words of a key that the patterns of [`hashes`] have to work on.
const LONG_KEY_WORDS: usize = 24;

/// Patterns of which each key matches one, in four shapes by turns.
pub(crate) fn selective(patterns: usize) -> Vec<String> {
    (0..patterns)
        .map(|nth| match nth % 4 {
            0 => format!("eu.{nth}.orders.*"),
            1 => format!("*.{nth}.orders.created"),
            2 => format!("eu.{nth}.#"),
            _ => format!("eu.*.orders.{nth}"),
        })
        .collect()
}

/// So many different keys for [`selective`] patterns. With more of them than any cache of keys
/// would hold, each comes as if for the first time.
pub(crate) fn selective_keys(patterns: usize, keys: usize) -> Vec<String> {
    (0..keys)
        .map(|turn| {
            let nth = turn * STRIDE % patterns;
            match nth % 4 {
                0 => format!("eu.{nth}.orders.turn{turn}"),
                1 => format!("us{turn}.{nth}.orders.created"),
                2 => format!("eu.{nth}.returns.turn{turn}"),
                _ => format!("eu.turn{turn}.orders.{nth}"),
            }
        })
        .collect()
}

/// Patterns of which each key matches one in sixteen.
pub(crate) fn dense(patterns: usize) -> Vec<String> {
    let mut dice = Dice(1);
    (0..patterns)
        .map(|_| {
            let word = |dice: &mut Dice| {
                if dice.roll(10) < DENSE_STARS { "*".to_owned() } else { dense_word(dice) }
            };
            sentence((0..DENSE_KEY_WORDS).map(|_| word(&mut dice)))
        })
        .collect()
}

pub(crate) fn dense_keys(keys: usize) -> Vec<String> {
    let mut dice = Dice(2);
    (0..keys).map(|_| sentence((0..DENSE_KEY_WORDS).map(|_| dense_word(&mut dice)))).collect()
}

/// Patterns with many `#`, which leave it open what each of them stands for.
pub(crate) fn hashes(patterns: usize) -> Vec<String> {
    let word = |number: usize| ["a", "b", "c"][number % 3];
    (0..patterns)
        .map(|nth| {
            let [first, second, third] = [nth, nth / 3, nth / 9].map(word);
            format!("#.{first}.#.{second}.#.{third}.#")
        })
        .collect()
}

/// Keys of [`LONG_KEY_WORDS`] words for [`hashes`].
pub(crate) fn long_keys(keys: usize) -> Vec<String> {
    let mut dice = Dice(3);
    let letter = |dice: &mut Dice| ["a", "b", "c"][dice.roll(3) as usize].to_owned();
    (0..keys).map(|_| sentence((0..LONG_KEY_WORDS).map(|_| letter(&mut dice)))).collect()
}

fn dense_word(dice: &mut Dice) -> String {
    format!("w{}", dice.roll(DENSE_WORDS))
}

fn sentence(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(".")
}

/// Numbers that look random and are the same in every run: Knuth's MMIX generator.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as u32 % sides
    }
}
