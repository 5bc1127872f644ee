//! What the command line says.

use std::{ffi::OsString, path::PathBuf};

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) orders: u32,
    pub(crate) seed: u64,
    /// Where the shop is kept, if it is to outlive the process.
    pub(crate) durable: Option<PathBuf>,
}

/// Parses the arguments; `None` means that somebody asks for help.
pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Option<Settings>, String> {
    // No option and no number has anything but Unicode in it, so what has is refused as it looks.
    let mut arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
    let mut settings = Settings { orders: 5_000, seed: 1, durable: None };
    while let Some(argument) = arguments.next() {
        let (option, value) = match argument.split_once('=') {
            Some((option, value)) => (option, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        let mut value = |what: &str| {
            let value = value.clone().or_else(|| arguments.next());
            value.ok_or_else(|| format!("{option} needs {what}"))
        };
        match option {
            "--orders" => settings.orders = whole(option, &value("a number")?)?,
            "--seed" => settings.seed = whole(option, &value("a number")?)?,
            "--durable" => settings.durable = Some(value("a directory")?.into()),
            "--help" | "-h" => return Ok(None),
            _ => return Err(format!("unknown argument {argument}")),
        }
    }
    Ok(Some(settings))
}

fn whole<T: std::str::FromStr>(option: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{option} {value} is not a number that fits"))
}
