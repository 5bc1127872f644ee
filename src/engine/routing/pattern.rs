//! The keys of topic bindings, and the plainest way to match one.
//!
//! The router matches many patterns at once by its trie; what is here says what is right, and
//! tests hold the trie to it.

/// The words of a routing key or pattern, which dots separate.
///
/// The empty key has no word, while "." has two empty ones.
pub(super) fn words(key: &str) -> impl DoubleEndedIterator<Item = &str> {
    // An empty key yields one empty word when split, which the filter takes away.
    key.split('.').filter(|word| !(word.is_empty() && key.is_empty()))
}

/// One word of a topic pattern. Only whole words are wildcards: `a*` and `##` are literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum PatternWord<'a> {
    /// `#`: any number of words, also none.
    Hash,
    /// Exactly this word.
    Literal(&'a str),
    /// `*`: exactly one word, which may be empty.
    Star,
}

impl<'a> From<&'a str> for PatternWord<'a> {
    fn from(word: &'a str) -> Self {
        match word {
            "#" => Self::Hash,
            "*" => Self::Star,
            literal => Self::Literal(literal),
        }
    }
}

/// A topic pattern, taken apart.
#[cfg(test)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicPattern<'a>(Vec<PatternWord<'a>>);

#[cfg(test)]
impl<'a> TopicPattern<'a> {
    pub(crate) fn parse(pattern: &'a str) -> Self {
        Self(words(pattern).map(PatternWord::from).collect())
    }

    /// Whether the routing key matches; takes steps in proportion to the product of the lengths.
    pub(crate) fn matches(&self, key: &str) -> bool {
        let key: Vec<&str> = words(key).collect();
        // `matched[n]`: the pattern so far matches the first n words of the key.
        let mut matched = vec![false; key.len() + 1];
        matched.iter_mut().take(1).for_each(|none| *none = true);
        for word in &self.0 {
            matched = match word {
                PatternWord::Hash => {
                    let mut any = false;
                    matched
                        .iter()
                        .map(|&before| {
                            any |= before;
                            any
                        })
                        .collect()
                }
                PatternWord::Literal(literal) => extend(&matched, &key, |word| word == *literal),
                PatternWord::Star => extend(&matched, &key, |_| true),
            };
        }
        matched.last() == Some(&true)
    }
}

/// What is matched after one more word that fits: each match before it, moved on by one word.
#[cfg(test)]
fn extend(matched: &[bool], key: &[&str], fits: impl Fn(&str) -> bool) -> Vec<bool> {
    let moved = matched.iter().zip(key).map(|(&before, word)| before && fits(word));
    std::iter::once(false).chain(moved).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_separate_words() {
        let split = |key| words(key).collect::<Vec<_>>();
        assert_eq!(split(""), [""; 0]);
        assert_eq!(split("a"), ["a"]);
        assert_eq!(split("."), ["", ""]);
        assert_eq!(split("a..b."), ["a", "", "b", ""]);
        assert_eq!(words("a.b").next_back(), Some("b"));
    }

    #[test]
    fn patterns_match_by_whole_words() {
        let cases = [
            ("", "", true),
            ("", "a", false),
            ("", ".", false),
            ("*", "", false),
            ("*", "a", true),
            ("*", "a.b", false),
            ("*.*", ".", true),
            ("#", "", true),
            ("#", "a.b.c", true),
            ("#.#", "", true),
            ("#.*", "", false),
            ("#.*", "a", true),
            ("a.#", "a", true),
            ("a.#.b", "a.b", true),
            ("a.#.b", "a.x.y.b", true),
            ("a.#.b", "a.x.y", false),
            ("#.a.#.a", "a", false),
            ("#.a.#.a", "x.a.y.a", true),
            ("a*", "ab", false),
            ("a*", "a*", true),
            ("##", "a.b", false),
            ("##", "##", true),
            ("a", "A", false),
        ];
        for (pattern, key, expected) in cases {
            assert_eq!(TopicPattern::parse(pattern).matches(key), expected, "{pattern} on {key}");
        }
    }
}
