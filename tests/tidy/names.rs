//! A file is named after the noun that it holds.

use crate::finding::Finding;

/// Names that tell a reader nothing; in the plural too.
const REFUSED: [&str; 5] = ["common", "helper", "manager", "misc", "util"];

pub(crate) fn check(paths: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in paths {
        for part in path.split('/') {
            let stem = part.split('.').next().unwrap_or(part);
            if REFUSED.iter().any(|name| stem == *name || stem.strip_suffix('s') == Some(name)) {
                let text = format!("`{part}` could hold anything; name the noun that it holds");
                findings.push(Finding::new(path, 1, text));
            }
        }
    }
    findings
}

#[test]
fn empty_words_are_refused() {
    for path in ["src/util.rs", "src/utils/mod.rs", "tests/common/mod.rs", "src/helpers.rs"] {
        assert_eq!(check(&[path]).len(), 1, "{path}");
    }
}

#[test]
fn nouns_are_welcome() {
    assert!(check(&["src/name.rs", "src/engine/utility_token.rs"]).is_empty());
}
