//! What the guide names as evidence is there: tests, recorded scenarios, paths; and each promise
//! has its line.
//!
//! A code span `a/b.rs::c` means a test `c` in that file, below `src` or below the root. In the
//! rules, `area/name` means a recorded scenario, which the gate has to require; under a heading
//! that says "not yet" it has to be one that the gate does not require, so that the page is mended
//! when a feature becomes effective.

use crate::{
    finding::Finding,
    project::{Project, Source, Text},
};

/// Where the guide lives.
const GUIDE: &str = "src/guide/";

/// The page of the rules and promises.
const RULES: &str = "src/guide/semantics.md";

const SCENARIOS: &str = "tests/conformance/scenarios/";

/// The lists of scenarios that have to pass.
const REQUIRED: [&str; 5] = [
    "tests/conformance/lists/core.txt",
    "tests/conformance/lists/further.txt",
    "tests/conformance/lists/queue-features.txt",
    "tests/conformance/lists/further-features.txt",
    "tests/conformance/lists/restart.txt",
];

/// Folders that a page may point into.
const FOLDERS: [&str; 6] = [".ci/", "benches/", "examples/", "fuzz/", "src/", "tests/"];

/// How many promises there are, numbered from 1.
const PROMISES: usize = 22;

/// Checks the pages of the guide and the README.
pub(crate) fn check(project: &Project) -> Vec<Finding> {
    let mut findings = Vec::new();
    for page in project.texts.iter().filter(|text| is_page(text)) {
        for span in spans(&page.text) {
            if let Some(fault) = fault(project, page, &span) {
                findings.push(Finding::new(&page.path, span.line, fault));
            }
        }
    }
    if let Some(rules) = text(project, RULES) {
        findings.extend(missing_promises(rules));
    }
    findings
}

fn is_page(text: &Text) -> bool {
    text.path == "README.md" || text.path.starts_with(GUIDE)
}

fn text<'p>(project: &'p Project, path: &str) -> Option<&'p Text> {
    project.texts.iter().find(|text| text.path == path)
}

/// What stands between two backticks.
struct Span<'t> {
    line: usize,
    text: &'t str,
    /// Whether the heading above says that something does not work yet.
    is_not_yet: bool,
}

fn spans(page: &str) -> Vec<Span<'_>> {
    let mut spans = Vec::new();
    let (mut is_code, mut is_not_yet) = (false, false);
    for (index, line) in page.lines().enumerate() {
        if line.starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            if line.starts_with('#') {
                is_not_yet = line.contains("not yet");
            }
            // Every second piece is inside a pair.
            let inside = line.split('`').skip(1).step_by(2);
            spans.extend(inside.map(|text| Span { line: index + 1, text, is_not_yet }));
        }
    }
    spans
}

fn fault(project: &Project, page: &Text, span: &Span<'_>) -> Option<String> {
    let Span { text, is_not_yet, .. } = span;
    if let Some((file, name)) = text.split_once(".rs::") {
        let (in_src, in_root) = (format!("src/{file}.rs"), format!("{file}.rs"));
        let mut sources = project.sources.iter();
        return match sources.find(|source| source.path == in_src || source.path == in_root) {
            None => Some(format!("`{text}` is named, but there is no such file")),
            Some(source) if !has_test(source, name) => {
                Some(format!("`{text}` is named, but the file has no such test"))
            }
            Some(_) => None,
        };
    }
    if let Some(path) = scenario(project, text).filter(|_| page.path == RULES) {
        if !project.texts.iter().any(|text| text.path == path) {
            return Some(format!("`{text}` is named, but there is no such scenario"));
        }
        return match (is_required(project, text), is_not_yet) {
            (false, false) => Some(format!("`{text}` is named, but nothing requires it to pass")),
            (true, true) => Some(format!("`{text}` passes, so this is effective")),
            (true, false) | (false, true) => None,
        };
    }
    let is_path = FOLDERS.iter().any(|folder| text.starts_with(folder));
    let exists = || project.paths().iter().any(|path| is_at(path, text));
    (is_path && !exists()).then(|| format!("`{text}` is named, but there is nothing"))
}

/// Whether a path is what is named, or lies below it.
fn is_at(path: &str, named: &str) -> bool {
    let rest = path.strip_prefix(named.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Where a scenario lies, if the span has the form of one: the name of an area, a slash, a name.
fn scenario(project: &Project, text: &str) -> Option<String> {
    let (area, name) = text.split_once('/')?;
    let is_name = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_';
    let folder = format!("{SCENARIOS}{area}/");
    let has_form = !name.is_empty() && name.chars().all(is_name);
    let is_there = project.texts.iter().any(|text| text.path.starts_with(&folder));
    (has_form && is_there).then(|| format!("{folder}{name}.json"))
}

fn is_required(project: &Project, scenario: &str) -> bool {
    let line = format!("scenarios/{scenario}.json");
    let is_on = |list: &&str| {
        text(project, list).is_some_and(|list| list.text.lines().any(|listed| listed == line))
    };
    REQUIRED.iter().any(is_on)
}

/// Whether a file has a function of this name under `#[test]`.
fn has_test(source: &Source, name: &str) -> bool {
    let lines: Vec<&str> = source.code.lines().map(str::trim).collect();
    let start = format!("fn {name}(");
    let mut starts = lines.iter().enumerate().filter(|(_, line)| line.starts_with(&start));
    starts.any(|(at, _)| {
        let above = lines[..at].iter().rev();
        // Comments are blank in masked code.
        let mut attributes = above.take_while(|line| line.is_empty() || line.starts_with("#["));
        attributes.any(|line| *line == "#[test]")
    })
}

/// Each promise has a line of the table, in order.
fn missing_promises(rules: &Text) -> Vec<Finding> {
    let rows = rules.text.lines().enumerate().filter_map(|(index, line)| {
        let number = line.strip_prefix("| C")?.split(' ').next()?;
        Some((index + 1, number.parse::<usize>().ok()?))
    });
    let mut expected = 1;
    let mut findings = Vec::new();
    for (line, number) in rows {
        if number != expected {
            let text = format!("C{number} stands where C{expected} is expected");
            findings.push(Finding::new(RULES, line, text));
        }
        expected = number + 1;
    }
    if expected <= PROMISES {
        findings.push(Finding::new(RULES, 1, format!("C{expected} has no line")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A project with one page of rules, three scenarios of which one waits for a feature and one
    /// is on no list, and one test.
    fn project(page: &str) -> Project {
        let text = |path: &str, text: &str| Text { path: path.to_owned(), text: text.to_owned() };
        let promises: Vec<String> = (1..=PROMISES).map(|number| format!("| C{number} |")).collect();
        let code = "#[test]\n/// Why.\nfn a_fact() {}\n\nfn a_step() {}\n";
        Project {
            sources: vec![Source::new("src/a/b.rs", code), Source::new("tests/c.rs", code)],
            texts: vec![
                text(RULES, &format!("{page}\n{}\n", promises.join("\n"))),
                text("tests/conformance/scenarios/area/one.json", "{}"),
                text("tests/conformance/scenarios/area/two.json", "{}"),
                text("tests/conformance/scenarios/area/lone.json", "{}"),
                text(REQUIRED[0], "scenarios/area/one.json\n"),
                text(REQUIRED[1], ""),
                text(REQUIRED[2], ""),
                text(REQUIRED[3], ""),
            ],
        }
    }

    #[track_caller]
    fn check_page(page: &str, expected: &[&str]) {
        let found: Vec<String> =
            check(&project(page)).iter().map(|finding| finding.text.clone()).collect();
        assert_eq!(found, expected, "{page}");
    }

    #[test]
    fn what_is_there_may_be_named() {
        check_page("`a/b.rs::a_fact`, `tests/c.rs::a_fact`, `tests/conformance`", &[]);
        check_page("`area/one`", &[]);
        check_page("`and/or`, `a::b`, `area/One`, `x-queue-type`", &[]);
        check_page("# Not yet\n# This is not yet effective\n`area/two`", &[]);
        check_page("```text\n`area/three`\n```", &[]);
    }

    #[test]
    fn tests_have_to_exist() {
        check_page("`a/d.rs::e`", &["`a/d.rs::e` is named, but there is no such file"]);
        let expected = "`a/b.rs::a_step` is named, but the file has no such test";
        check_page("`a/b.rs::a_step`", &[expected]);
        let expected = "`a/b.rs::a_fac` is named, but the file has no such test";
        check_page("`a/b.rs::a_fac`", &[expected]);
    }

    #[test]
    fn scenarios_have_to_exist_and_to_pass() {
        check_page("`area/three`", &["`area/three` is named, but there is no such scenario"]);
        check_page("`area/two`", &["`area/two` is named, but nothing requires it to pass"]);
        check_page("`area/lone`", &["`area/lone` is named, but nothing requires it to pass"]);
        let page = "# Accepted, not yet effective\n`area/one`";
        check_page(page, &["`area/one` passes, so this is effective"]);
    }

    #[test]
    fn paths_have_to_exist() {
        check_page("`tests/conf`", &["`tests/conf` is named, but there is nothing"]);
    }

    #[test]
    fn promises_have_no_gap() {
        let mut whole = project("");
        whole.texts[0].text = whole.texts[0].text.replace("| C7 |\n", "");
        let found = check(&whole);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].text, "C8 stands where C7 is expected");
        whole.texts[0].text = whole.texts[0].text.replace("| C22 |\n", "");
        assert_eq!(check(&whole)[1].text, "C22 has no line");
    }
}
