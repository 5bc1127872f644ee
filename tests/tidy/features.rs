//! A feature adds a module and never a branch: `cfg(feature = …)` stands directly above a `mod` or
//! a `pub use`, and nowhere else.

use crate::{finding::Finding, paths::tokens, project::Source};

/// Checks the files of `src`.
pub(crate) fn check(sources: &[&Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        for line in mentions(source) {
            if !decides_a_module(&source.code, line) {
                let text = "`feature` decides here; put what depends on it into a module";
                findings.push(Finding::new(&source.path, line, text));
            }
        }
    }
    findings
}

/// The lines that ask for a feature: `feature` followed by `=`, as no other code has it.
pub(crate) fn mentions(source: &Source) -> Vec<usize> {
    let tokens = tokens(&source.code);
    let asks = |pair: &&[_]| {
        let [first, second]: &[crate::paths::Token] = pair else { return false };
        first.is("feature") && second.is("=")
    };
    tokens.windows(2).filter(asks).map(|pair| pair[0].line).collect()
}

/// Whether the line is an attribute, and the first line below it that is none opens a module or
/// exports a name.
fn decides_a_module(code: &str, line: usize) -> bool {
    let mut lines = code.lines().skip(line - 1).map(str::trim);
    let is_attribute = lines.next().is_some_and(|line| line.starts_with("#[cfg"));
    let item = lines.find(|line| !line.is_empty() && !line.starts_with("#["));
    let opens = |item: &str| {
        ["mod ", "pub mod ", "pub(crate) mod "].iter().any(|start| item.starts_with(start))
    };
    is_attribute && item.is_some_and(|item| opens(item) || item.starts_with("pub use "))
}

#[track_caller]
fn lines(text: &str) -> Vec<usize> {
    let source = Source::new("src/a.rs", text);
    check(&[&source]).iter().map(|finding| finding.line).collect()
}

#[test]
fn modules_and_exports_may_depend_on_a_feature() {
    for item in ["mod json;", "pub mod json;", "pub(crate) mod json;", "pub use json::A;"] {
        assert!(lines(&format!("#[cfg(feature = \"json\")]\n{item}")).is_empty(), "{item}");
    }
    let documented = "#[cfg(feature = \"json\")]\n\
        #[cfg_attr(docsrs, doc(cfg(feature = \"json\")))]\n\
        // Why.\npub use json::A;";
    assert!(lines(documented).is_empty());
}

#[test]
fn anything_else_may_not() {
    assert_eq!(lines("fn f() {\n    if cfg!(feature = \"json\") {}\n}"), [2]);
    assert_eq!(lines("#[cfg(feature = \"json\")]\nfn f() {}"), [1]);
    assert_eq!(lines("#[cfg(feature = \"json\")]\nuse a::B;"), [1]);
    assert_eq!(lines("#[cfg(all(\n    feature = \"json\",\n))]\nmod json;"), [2]);
    assert_eq!(lines("#[cfg(feature = \"json\")]"), [1]);
}

#[test]
fn the_word_alone_is_no_feature() {
    assert!(lines("/// `cfg(feature = \"a\")`\nfn f(feature: u8) {}").is_empty());
}
