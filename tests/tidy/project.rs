//! The files of the project, read once.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::mask::mask;

/// Where text is looked for, below the root of the project.
const FOLDERS: [&str; 6] = [".ci", "benches", "examples", "fuzz", "src", "tests"];

/// Folders that hold what programs wrote, not people.
const GENERATED: [&str; 5] = ["artifacts", "corpus", "proptest-regressions", "seeds", "target"];

/// A Rust file, and the same text seen in two ways.
pub(crate) struct Source {
    /// Relative to the root of the project, with `/` on every system.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with comments and the insides of literals blanked; same lines and columns.
    pub(crate) code: String,
    /// The text with everything but comments blanked; same lines and columns.
    pub(crate) comments: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let (code, comments) = mask(text);
        Self { path: path.to_owned(), text: text.to_owned(), code, comments }
    }
}

/// Any other text file.
pub(crate) struct Text {
    pub(crate) path: String,
    pub(crate) text: String,
}

pub(crate) struct Project {
    pub(crate) sources: Vec<Source>,
    pub(crate) texts: Vec<Text>,
}

impl Project {
    /// Reads every text file that people wrote.
    pub(crate) fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = Vec::new();
        for entry in entries(root) {
            // In a second work tree `.git` is a file; it belongs to git.
            if entry.is_file() && !entry.ends_with(".git") {
                files.push(entry);
            }
        }
        for folder in FOLDERS {
            collect(&root.join(folder), &mut files);
        }
        let mut project = Self { sources: Vec::new(), texts: Vec::new() };
        for file in files {
            // What is not UTF-8 is no text, and what is gone meanwhile was temporary.
            let Ok(text) = fs::read_to_string(&file) else { continue };
            let path = file.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            if file.extension().is_some_and(|extension| extension == "rs") {
                project.sources.push(Source::new(&path, &text));
            } else {
                project.texts.push(Text { path, text });
            }
        }
        assert!(
            project.sources.iter().any(|source| source.path == "src/lib.rs"),
            "the walk over the project found no src/lib.rs"
        );
        project
    }

    /// The Rust files whose path begins so.
    pub(crate) fn sources_in(&self, prefix: &str) -> Vec<&Source> {
        self.sources.iter().filter(|source| source.path.starts_with(prefix)).collect()
    }

    pub(crate) fn paths(&self) -> Vec<&str> {
        let sources = self.sources.iter().map(|source| source.path.as_str());
        sources.chain(self.texts.iter().map(|text| text.path.as_str())).collect()
    }
}

/// The files below a folder, sorted; a folder that is not there (a published package lacks some)
/// has none.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in entries(folder) {
        if !entry.is_dir() {
            files.push(entry);
        } else if !GENERATED.iter().any(|name| entry.ends_with(name)) {
            collect(&entry, files);
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}
