//! Files and functions that a reader can take in.

use crate::{finding::Finding, functions::functions, project::Source};

/// A function beyond this has more than one job.
const BODY_LINES_MAX: usize = 100;

/// A file beyond this, tests included, holds more than one noun.
const FILE_LINES_MAX: usize = 600;

/// The width that rustfmt holds for code; it leaves comments and strings alone.
const COLUMNS_MAX: usize = 100;

pub(crate) fn too_long(sources: &[&Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            let text = format!("{lines} lines, more than {FILE_LINES_MAX}");
            findings.push(Finding::new(&source.path, 1, text));
        }
        for function in functions(&source.code) {
            if function.body_lines > BODY_LINES_MAX {
                let (name, lines) = (function.name, function.body_lines);
                let text = format!("`{name}` has {lines} lines, more than {BODY_LINES_MAX}");
                findings.push(Finding::new(&source.path, function.line, text));
            }
        }
    }
    findings
}

pub(crate) fn too_wide(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        for (index, line) in source.text.lines().enumerate() {
            let columns = line.chars().count();
            if columns > COLUMNS_MAX {
                let text = format!("{columns} columns, more than {COLUMNS_MAX}");
                findings.push(Finding::new(&source.path, index + 1, text));
            }
        }
    }
    findings
}

fn function_of(lines: usize) -> String {
    format!("\nfn f() {{\n{}}}\n", "    a();\n".repeat(lines))
}

#[test]
fn long_functions_are_found() {
    let check = |lines| too_long(&[&Source::new("src/a.rs", &function_of(lines))]);
    assert!(check(BODY_LINES_MAX).is_empty());
    assert_eq!(check(BODY_LINES_MAX + 1)[0].line, 2);
}

#[test]
fn long_files_are_found() {
    let check = |lines| too_long(&[&Source::new("src/a.rs", &"\n".repeat(lines))]);
    assert!(check(FILE_LINES_MAX).is_empty());
    assert_eq!(check(FILE_LINES_MAX + 1).len(), 1);
}

#[test]
fn wide_lines_are_found() {
    let check = |columns| too_wide(&[Source::new("a.rs", &format!("\n//{}", "é".repeat(columns)))]);
    assert!(check(COLUMNS_MAX - 2).is_empty());
    assert_eq!(check(COLUMNS_MAX - 1)[0].line, 2);
}
