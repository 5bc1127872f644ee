//! Routing as it is written first: one binding after the other.

use leveret::{Message, Value};

/// Topic patterns, split into words beforehand.
pub(crate) struct LinearTopics(Vec<Vec<Word>>);

enum Word {
    Hash,
    Literal(String),
    Star,
}

impl LinearTopics {
    pub(crate) fn new(patterns: &[String]) -> Self {
        Self(patterns.iter().map(|pattern| pattern.split('.').map(Word::new).collect()).collect())
    }

    /// Finds the patterns that a key matches.
    pub(crate) fn find(&self, key: &str, matched: &mut Vec<usize>) {
        matched.clear();
        let words: Vec<&str> = key.split('.').collect();
        for (nth, pattern) in self.0.iter().enumerate() {
            if matches(pattern, &words) {
                matched.push(nth);
            }
        }
    }
}

impl Word {
    fn new(word: &str) -> Self {
        match word {
            "#" => Self::Hash,
            "*" => Self::Star,
            literal => Self::Literal(literal.to_owned()),
        }
    }
}

fn matches(pattern: &[Word], words: &[&str]) -> bool {
    match (pattern, words) {
        ([], []) => true,
        ([Word::Hash, rest @ ..], _) => {
            (0..=words.len()).any(|taken| matches(rest, &words[taken..]))
        }
        ([Word::Star, rest @ ..], [_, words @ ..]) => matches(rest, words),
        ([Word::Literal(literal), rest @ ..], [word, words @ ..]) => {
            literal == word && matches(rest, words)
        }
        ([], [_, ..]) | ([_, ..], []) => false,
    }
}

/// Bindings that each ask for all of some headers.
pub(crate) struct LinearHeaders(Vec<Vec<(String, Value)>>);

impl LinearHeaders {
    pub(crate) fn new(bindings: Vec<Vec<(String, Value)>>) -> Self {
        Self(bindings)
    }

    /// Finds the bindings that a message matches.
    pub(crate) fn find(&self, message: &Message, matched: &mut Vec<usize>) {
        matched.clear();
        for (nth, asked) in self.0.iter().enumerate() {
            if asked.iter().all(|(name, value)| message.header(name) == Some(value)) {
                matched.push(nth);
            }
        }
    }
}
