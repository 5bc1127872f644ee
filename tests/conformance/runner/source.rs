//! Where cases come from: files, folders of files, and lists of paths.

use std::fs;
use std::path::{Path, PathBuf};

/// One thing to play. The name is that of the file, `area/name`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Case {
    /// The text of a scenario file.
    Scenario { name: String, text: String },
    /// A line of a vector file, and its number, from 1.
    Vector { name: String, number: usize, line: String },
}

impl Case {
    /// The name, from the path.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Scenario { name, .. } | Self::Vector { name, .. } => name,
        }
    }
}

/// A path that cannot be read, or has nothing to play, in words.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unreadable(pub(crate) String);

/// Whether a path may be a list. Lists do not name lists, so that none can name itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lists {
    Allowed,
    Refused,
}

/// The cases behind a path: a scenario `.json`, a vector file `.jsonl`, a folder with either in
/// it, at any depth, or a list `.txt` of such paths, which start at the folder above the list's.
pub(crate) fn cases(path: &Path) -> Result<Vec<Case>, Unreadable> {
    let mut cases = Vec::new();
    add_some(path, Lists::Allowed, &mut cases)?;
    Ok(cases)
}

/// Adds what is behind a path that somebody named: not nothing, or what is misspelt would pass.
fn add_some(path: &Path, lists: Lists, cases: &mut Vec<Case>) -> Result<(), Unreadable> {
    let before = cases.len();
    add(path, lists, cases)?;
    if cases.len() == before { Err(empty(path)) } else { Ok(()) }
}

fn add(path: &Path, lists: Lists, cases: &mut Vec<Case>) -> Result<(), Unreadable> {
    if path.is_dir() {
        return entries(path)?.iter().try_for_each(|entry| add(entry, Lists::Refused, cases));
    }
    let text = fs::read_to_string(path).map_err(|error| unreadable(path, &error.to_string()))?;
    match (extension(path), lists) {
        ("json", _) => cases.push(Case::Scenario { name: name(path), text }),
        ("jsonl", _) => {
            let before = cases.len();
            let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
            cases.extend(lines.map(|(line, number)| Case::Vector {
                name: name(path),
                number,
                line: line.to_owned(),
            }));
            // Also where only the folder around it was named.
            if cases.len() == before {
                return Err(empty(path));
            }
        }
        ("txt", Lists::Allowed) => {
            // The folder above the list's own, also where the path is a bare file name.
            let absolute =
                fs::canonicalize(path).map_err(|error| unreadable(path, &error.to_string()))?;
            let root = absolute.ancestors().nth(2).unwrap_or_else(|| Path::new("/"));
            for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
                add_some(&root.join(line), Lists::Refused, cases)?;
            }
        }
        ("txt", Lists::Refused) => {
            return Err(unreadable(path, "a list cannot name a list"));
        }
        _ => {
            return Err(unreadable(path, "neither .json, .jsonl, .txt nor a folder"));
        }
    }
    Ok(())
}

/// Folders and files to play in a folder, in order of their names.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Unreadable> {
    let failed = |error: std::io::Error| unreadable(folder, &error.to_string());
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() || ["json", "jsonl"].contains(&extension(&path)) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The last folder and the file without its extension, `area/name`.
fn name(path: &Path) -> String {
    let last = |path: &Path| {
        path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let absolute = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let area = absolute.parent().map(last).unwrap_or_default();
    format!("{area}/{}", last(path))
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

fn unreadable(path: &Path, why: &str) -> Unreadable {
    Unreadable(format!("cannot read {}: {why}", path.display()))
}

fn empty(path: &Path) -> Unreadable {
    Unreadable(format!("there is nothing to play in {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(path: &str) -> Result<Vec<Case>, Unreadable> {
        cases(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance").join(path))
    }

    fn names(path: &str) -> Vec<String> {
        let found = recorded(path).expect("the recordings are there");
        found.iter().map(|case| case.name().to_owned()).collect()
    }

    #[test]
    fn a_file_a_folder_and_a_list_name_the_same_scenarios() {
        assert_eq!(names("scenarios/confirm/basic.json"), ["confirm/basic"]);
        let restart = names("scenarios/restart");
        assert_eq!(restart.first().map(String::as_str), Some("restart/bindings_arguments"));
        assert_eq!(names("lists/restart.txt"), restart);
        assert!(names("scenarios").ends_with(&names("scenarios/wire")));
    }

    #[test]
    fn lines_of_vectors_are_numbered() {
        let vectors = recorded("topic/topic_03.jsonl").expect("the recordings are there");
        for (vector, expected) in vectors.iter().zip(1..) {
            let Case::Vector { name, number, .. } = vector else { panic!("{vector:?}") };
            assert_eq!((name.as_str(), *number), ("topic/topic_03", expected));
        }
        assert!(vectors.len() > 16);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for path in ["lists/none.txt", "scenarios/none", "main.rs"] {
            let Err(Unreadable(text)) = recorded(path) else { panic!("{path} was read") };
            assert!(text.contains(path), "{text}");
        }
    }
}
