//! What belongs to the desk and not into the product: reminders, code that was switched off, and
//! paths of one machine.

use crate::{
    finding::Finding,
    paths::tokens,
    project::{Source, Text},
};

/// Reminders. Put together here so that this file does not contain them.
const MARKERS: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];

/// Macros for code that is not finished.
const UNFINISHED: [&str; 3] = ["dbg", "todo", "unimplemented"];

/// Beginnings of paths that exist on one machine only.
const MACHINE_PATHS: [&str; 4] =
    [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("..", "/shared")];

/// So many lines of commented code in a row are no accident of prose.
const COMMENTED_LINES_MIN: usize = 3;

/// Checks Rust files in their comments and macros, other texts as a whole.
pub(crate) fn markers(sources: &[Source], texts: &[Text]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        find_markers(&source.path, &source.comments, &mut findings);
        for pair in tokens(&source.code).windows(2) {
            if UNFINISHED.iter().any(|name| pair[0].is(name)) && pair[1].is("!") {
                let text = format!("`{}!` is for code that is not finished", pair[0].text);
                findings.push(Finding::new(&source.path, pair[0].line, text));
            }
        }
    }
    for text in texts.iter().filter(|text| !text.path.contains("conformance/")) {
        find_markers(&text.path, &text.text, &mut findings);
    }
    findings
}

fn find_markers(path: &str, text: &str, findings: &mut Vec<Finding>) {
    for (index, line) in text.lines().enumerate() {
        let mut words = line.split(|char: char| !char.is_alphanumeric());
        if let Some(marker) = words.find(|word| MARKERS.contains(word)) {
            let text = format!("{marker} is a reminder; do it, or write down why not");
            findings.push(Finding::new(path, index + 1, text));
        }
    }
}

/// Runs of comment lines that look like code. Documentation is not looked at: it holds examples.
pub(crate) fn commented_code(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        let mut run = 0;
        for (index, line) in source.comments.lines().chain([""]).enumerate() {
            if is_commented_code(line) {
                run += 1;
                continue;
            }
            if run >= COMMENTED_LINES_MIN {
                let text = format!("{run} lines of code are commented out; git remembers them");
                findings.push(Finding::new(&source.path, index + 1 - run, text));
            }
            run = 0;
        }
    }
    findings
}

fn is_commented_code(line: &str) -> bool {
    let Some(inside) = line.trim().strip_prefix("//") else { return false };
    if inside.starts_with(['/', '!']) {
        return false;
    }
    let inside = inside.trim();
    let opens = ["let ", "fn ", "pub ", "use ", "impl ", "mod ", "match ", "if let ", "#["];
    let closes = [";", "{", "}", "},", "),", "=>"];
    opens.iter().any(|start| inside.starts_with(start))
        || closes.iter().any(|end| inside.ends_with(end))
}

/// Whole texts, strings and data included.
pub(crate) fn machine_paths(sources: &[Source], texts: &[Text]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let sources = sources.iter().map(|source| (&source.path, &source.text));
    for (path, text) in sources.chain(texts.iter().map(|text| (&text.path, &text.text))) {
        for (index, line) in text.lines().enumerate() {
            if let Some(machine) = MACHINE_PATHS.iter().find(|machine| stands_alone(line, machine))
            {
                let text = format!("`{machine}` exists on one machine only");
                findings.push(Finding::new(path, index + 1, text));
            }
        }
    }
    findings
}

/// Whether the path stands in the line, and not as the middle of a longer one.
fn stands_alone(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        !line[..at].ends_with(|before: char| before.is_alphanumeric() || "_-*.}$".contains(before))
    })
}

#[track_caller]
fn lines(rule: impl Fn(&[Source]) -> Vec<Finding>, text: &str) -> Vec<usize> {
    rule(&[Source::new("src/a.rs", text)]).iter().map(|finding| finding.line).collect()
}

#[test]
fn reminders_are_found() {
    let rule = |sources: &[Source]| markers(sources, &[]);
    for marker in MARKERS {
        assert_eq!(lines(rule, &format!("a\n// {marker}: later\n")), [2], "{marker}");
        let text = Text { path: "README.md".to_owned(), text: format!("({marker})") };
        assert_eq!(markers(&[], &[text]).len(), 1, "{marker}");
    }
    assert!(
        lines(rule, &format!("// {}S\nconst A: &str = \"{}\";", MARKERS[0], MARKERS[0])).is_empty()
    );
}

#[test]
fn unfinished_macros_are_found() {
    let rule = |sources: &[Source]| markers(sources, &[]);
    assert_eq!(lines(rule, "fn f() {\n    dbg!(1);\n    todo!()\n}"), [2, 3]);
    assert!(lines(rule, "/// `dbg!`\nfn f(todo: u8) {}").is_empty());
}

#[test]
fn commented_code_is_found() {
    assert_eq!(lines(commented_code, "a\n// let a = 1;\n// if a > 0 {\n//     b();\n// }\nc"), [2]);
    assert_eq!(lines(commented_code, "// use a;\n// use b;\n// use c;"), [1]);
}

#[test]
fn prose_and_examples_are_not() {
    assert!(lines(commented_code, "// One;\n// two;\n// and three.\n").is_empty());
    assert!(
        lines(commented_code, "/// let a = 1;\n/// let b = 2;\n/// a();\nfn f() {}").is_empty()
    );
    assert!(lines(commented_code, "//! a();\n//! b();\n//! c();\n").is_empty());
}

#[test]
fn machine_paths_are_found() {
    let rule = |sources: &[Source]| machine_paths(sources, &[]);
    for machine in MACHINE_PATHS {
        assert_eq!(lines(rule, &format!("a\nconst A: &str = \"{machine}b\";")), [2], "{machine}");
        assert!(lines(rule, &format!("// a{machine}b")).is_empty(), "{machine}");
    }
}
