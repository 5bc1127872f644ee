//! Keys of topic exchanges, and the rule by which they match.

use arbitrary::Arbitrary;

/// More words than this make no new case, but a slow one: the plain rule is exponential.
const WORDS_MAX: usize = 9;

/// A word of a key or pattern; few different ones, so that they meet.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Word<'a> {
    A,
    Accent,
    B,
    Empty,
    Hash,
    /// Literal, because only the whole word `#` is a wildcard.
    Hashes,
    Star,
    /// Literal for the same reason.
    StarA,
    /// Anything, with or without dots.
    Text(&'a str),
}

impl<'a> Word<'a> {
    fn as_str(self) -> &'a str {
        match self {
            Self::A => "a",
            Self::Accent => "é",
            Self::B => "b",
            Self::Empty => "",
            Self::Hash => "#",
            Self::Hashes => "##",
            Self::Star => "*",
            Self::StarA => "*a",
            Self::Text(text) => text,
        }
    }
}

/// A routing key or the key of a binding.
#[derive(Arbitrary, Clone, Debug)]
pub struct Key<'a>(Vec<Word<'a>>);

impl Key<'_> {
    /// The text of the key, cut after some words.
    pub fn text(&self) -> String {
        let words: Vec<&str> = self.0.iter().map(|word| word.as_str()).collect();
        words.join(".").split('.').take(WORDS_MAX).collect::<Vec<_>>().join(".")
    }
}

/// Whether a pattern matches a routing key: the rule, word by word.
pub fn matches(pattern: &str, key: &str) -> bool {
    words_match(&words(pattern), &words(key))
}

/// The empty key has no words; any other has one more than dots.
fn words(key: &str) -> Vec<&str> {
    if key.is_empty() { Vec::new() } else { key.split('.').collect() }
}

fn words_match(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern, key) {
        ([], key) => key.is_empty(),
        (["#", rest @ ..], key) => (0..=key.len()).any(|some| words_match(rest, &key[some..])),
        ([_, ..], []) => false,
        ([word, rest @ ..], [first, others @ ..]) => {
            (*word == "*" || word == first) && words_match(rest, others)
        }
    }
}
