//! What the command line says.

use std::{ffi::OsString, path::PathBuf};

/// What to count.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// A path, which need not be Unicode; `-` is the standard input.
    pub(crate) file: PathBuf,
    pub(crate) bindings: Vec<String>,
}

/// Parses the arguments; the error is a text for people.
pub(crate) fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Request, String> {
    let file = PathBuf::from(arguments.next().ok_or("there is no file to read")?);
    let bindings = arguments.map(|argument| {
        // What is published has a key of Unicode, so nothing else could match.
        argument
            .into_string()
            .map_err(|binding| format!("the binding {} is not Unicode", binding.display()))
    });
    let bindings = bindings.collect::<Result<Vec<_>, _>>()?;
    if bindings.is_empty() {
        return Err("there is no binding to count for".to_owned());
    }
    Ok(Request { file, bindings })
}
