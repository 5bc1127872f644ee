//! The words of a routing key, taken apart eight bytes at a time.
//!
//! Most words are short. Such a word is two numbers, and is found and compared without a look at
//! its text.

/// A word of a routing key or a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyWord<'k> {
    Long(&'k str),
    Short(ShortWord),
}

/// A word of a few bytes with a dot behind it, then zeros. Since no word has a dot in it, words
/// that differ are different numbers, whatever zeros they end with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ShortWord {
    head: u64,
    tail: u64,
}

/// The words of a routing key in turn; the same as [`words`](super::pattern::words) says.
#[derive(Debug)]
pub(super) struct KeyWords<'k> {
    key: &'k str,
    /// The bytes of the words to come; `None` if there is none, not even an empty one.
    rest: Option<&'k [u8]>,
    /// The last eight bytes of the key, the first in the lowest place. If there are fewer, they
    /// are in the highest places.
    last: u64,
}

impl ShortWord {
    /// How many bytes a word has at most, beside the dot.
    const LENGTH_MAX: usize = 15;
}

impl<'k> KeyWord<'k> {
    /// A single word, without dots.
    pub(super) fn of(word: &'k str) -> Self {
        if word.len() > ShortWord::LENGTH_MAX {
            return Self::Long(word);
        }
        let bytes = word.bytes().chain([b'.']).rev();
        let both = bytes.fold(0, |both: u128, byte| both << 8 | u128::from(byte));
        let half = |half| u64::try_from(half & u128::from(u64::MAX)).expect("it has 64 bits");
        Self::Short(ShortWord { head: half(both), tail: half(both >> 64) })
    }
}

impl<'k> KeyWords<'k> {
    pub(super) fn new(key: &'k str) -> Self {
        let bytes = key.as_bytes();
        let last = match bytes.last_chunk() {
            Some(last) => u64::from_le_bytes(*last),
            None => bytes.iter().fold(0, |last, &byte| last >> 8 | u64::from(byte) << 56),
        };
        Self { key, rest: (!key.is_empty()).then_some(bytes), last }
    }

    /// Takes the first word of the rest.
    #[expect(clippy::inline_always, reason = "words in registers cost half of those in memory")]
    #[inline(always)]
    fn take_word(&mut self, rest: &'k [u8]) -> KeyWord<'k> {
        let head = self.eight(rest);
        let dots = dots(head);
        if dots != 0 {
            self.rest = rest.get(before(dots) + 1..);
            return KeyWord::Short(ShortWord { head: head & up_to(dots), tail: 0 });
        }
        let tail = self.eight(rest.get(8..).unwrap_or_default());
        let dots = self::dots(tail);
        if dots != 0 {
            self.rest = rest.get(8 + before(dots) + 1..);
            return KeyWord::Short(ShortWord { head, tail: tail & up_to(dots) });
        }
        self.take_long_word(rest)
    }

    #[cold]
    fn take_long_word(&mut self, rest: &'k [u8]) -> KeyWord<'k> {
        let end = rest.iter().position(|&byte| byte == b'.').unwrap_or(rest.len());
        self.rest = rest.get(end + 1..);
        let start = self.key.len() - rest.len();
        let word = self.key.get(start..start + end);
        KeyWord::Long(word.expect("a dot is no part of another character"))
    }

    /// The first eight bytes of the rest, the first of them in the lowest place. If there are
    /// fewer, a dot and zeros follow.
    #[inline]
    fn eight(&self, rest: &[u8]) -> u64 {
        if let Some(first) = rest.first_chunk() {
            return u64::from_le_bytes(*first);
        }
        let bits = 8 * rest.len();
        // In two steps, since all 64 bits cannot be shifted out at once.
        (self.last >> 1 >> (63 - bits)) | (u64::from(b'.') << bits)
    }
}

impl<'k> Iterator for KeyWords<'k> {
    type Item = KeyWord<'k>;

    #[expect(clippy::inline_always, reason = "words in registers cost half of those in memory")]
    #[inline(always)]
    fn next(&mut self) -> Option<KeyWord<'k>> {
        let rest = self.rest?;
        Some(self.take_word(rest))
    }
}

/// Marks dots among eight bytes by the highest bit of each: surely the first one, and perhaps bytes
/// after it that are none.
#[inline]
fn dots(eight: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const DOTS: u64 = u64::from_ne_bytes([b'.'; 8]);
    // A dot becomes zero, and borrows when one is taken away.
    let zero_if_dot = eight ^ DOTS;
    zero_if_dot.wrapping_sub(ONES) & !zero_if_dot & (ONES << 7)
}

/// How many bytes come before the first dot.
#[inline]
fn before(dots: u64) -> usize {
    (dots.trailing_zeros() / 8) as usize
}

/// All bits up to the first dot, and those of the dot.
#[inline]
fn up_to(dots: u64) -> u64 {
    dots ^ dots.wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::pattern::words, *};

    #[track_caller]
    fn check(key: &str) {
        let expected: Vec<_> = words(key).map(KeyWord::of).collect();
        let found: Vec<_> = KeyWords::new(key).take(key.len() + 2).collect();
        assert_eq!(found, expected, "{key:?}");
    }

    proptest! {
        #[test]
        fn a_key_has_the_words_between_its_dots(
            words in prop::collection::vec("[ab\0é/-]{0,20}", 0..6)
        ) {
            check(&words.join("."));
        }

        #[test]
        fn words_are_equal_if_their_texts_are(one in "[a\0]{0,18}", other in "[a\0]{0,18}") {
            prop_assert_eq!(KeyWord::of(&one) == KeyWord::of(&other), one == other);
        }
    }

    #[test]
    fn words_end_anywhere() {
        for before in 0..20 {
            for length in 0..20 {
                for after in 0..20 {
                    let [before, word, after] = [before, length, after].map(|n| "x".repeat(n));
                    check(&word);
                    check(&format!("{before}.{word}"));
                    check(&format!("{before}.{word}.{after}"));
                }
            }
        }
    }

    #[test]
    fn words_up_to_fifteen_bytes_are_short() {
        assert!(matches!(KeyWord::of(&"x".repeat(15)), KeyWord::Short(_)));
        assert_eq!(KeyWord::of(&"x".repeat(16)), KeyWord::Long("xxxxxxxxxxxxxxxx"));
    }
}
