//! The map of the crate names every file, and no file that is not there.

use std::collections::BTreeSet;

use crate::{finding::Finding, project::Project};

/// The map. Files stand in it by their path below `src`, those of one folder together if wished:
/// `engine/routing/{mod,topic}.rs`.
const MAP: &str = "src/guide/architecture.md";

/// Checks the map, once there is one.
pub(crate) fn check(project: &Project) -> Vec<Finding> {
    let Some(map) = project.texts.iter().find(|text| text.path == MAP) else { return Vec::new() };
    let files: Vec<&str> = project.paths();
    compare(&map.text, &files)
}

fn compare(map: &str, files: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut named = BTreeSet::new();
    for (index, line) in map.lines().enumerate() {
        for path in line.split(is_separator).flat_map(rust_files) {
            let in_src = format!("src/{path}");
            if let Some(file) = files.iter().find(|file| **file == in_src || **file == path) {
                named.insert(*file);
            } else {
                let text = format!("`{path}` is named, but there is no such file");
                findings.push(Finding::new(MAP, index + 1, text));
            }
        }
    }
    for file in files {
        let is_module = file.starts_with("src/") && is_rust(file);
        if is_module && !named.contains(file) {
            findings.push(Finding::new(file, 1, format!("is not named in {MAP}")));
        }
    }
    findings
}

fn is_separator(char: char) -> bool {
    char.is_whitespace() || "`'\"()[]|*<>".contains(char)
}

fn is_rust(path: &str) -> bool {
    path.strip_suffix(".rs").is_some()
}

/// The paths of Rust files in one word: none, one, or a group in braces.
fn rust_files(word: &str) -> Vec<String> {
    let word = word.trim_end_matches([',', ';', ':', '.', '!', '?']);
    if !is_rust(word) || word.contains("://") {
        return Vec::new();
    }
    let Some((before, rest)) = word.split_once('{') else { return vec![word.to_owned()] };
    let Some((names, after)) = rest.split_once('}') else { return vec![word.to_owned()] };
    names.split(',').map(|name| format!("{before}{name}{after}")).collect()
}

#[track_caller]
fn texts(map: &str, files: &[&str]) -> Vec<String> {
    compare(map, files).iter().map(Finding::to_string).collect()
}

#[test]
fn a_complete_map_is_accepted() {
    let files =
        ["src/lib.rs", "src/a/mod.rs", "src/a/b.rs", "src/guide/architecture.md", "tests/c.rs"];
    assert!(texts("`lib.rs`, then a/{mod,b}.rs; see (tests/c.rs).", &files).is_empty());
}

#[test]
fn a_missing_module_is_found() {
    let found = texts("`lib.rs`", &["src/lib.rs", "src/a.rs", "tests/b.rs"]);
    assert_eq!(found, ["src/a.rs:1: is not named in src/guide/architecture.md"]);
}

#[test]
fn a_stale_name_is_found() {
    let found = texts("`lib.rs`\n`a/{b,c}.rs`", &["src/lib.rs", "src/a/b.rs"]);
    let expected = "src/guide/architecture.md:2: `a/c.rs` is named, but there is no such file";
    assert_eq!(found, [expected]);
}
