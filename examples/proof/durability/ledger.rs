//! The file that a life writes to, of which nothing is lost when it is killed.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use super::entry::Entry;

/// A ledger to write to. Threads share it.
#[derive(Debug)]
pub(crate) struct Ledger(File);

impl Ledger {
    /// Goes on with what is there.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut options = File::options();
        options.append(true).create(true).open(path).map(Self)
    }

    /// Adds a line, with one write: the lines of several threads stand in the order of these.
    pub(crate) fn note(&self, entry: &Entry) {
        let line = format!("{entry}\n");
        (&self.0)
            .write_all(line.as_bytes())
            .expect("a ledger that cannot be written proves nothing");
    }
}

/// What stands in a ledger. A line without an end was not written.
pub(crate) fn read(path: &Path) -> Result<Vec<Entry>, String> {
    let text = fs::read_to_string(path);
    let text = text.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    parse(&text)
}

pub(crate) fn parse(text: &str) -> Result<Vec<Entry>, String> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(str::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_line_counts_as_none() {
        let entries = parse("life 1\nconfirmed 1.0.1\nconfirmed 1.0.1");
        assert_eq!(entries.map(|entries| entries.len()), Ok(2));
        assert_eq!(parse("conf"), Ok(Vec::new()));
    }
}
