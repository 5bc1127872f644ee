//! What the command line says.

use std::ffi::OsString;

/// What to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) orders: u32,
    pub(crate) seed: u64,
}

/// Parses the arguments; `None` means that somebody asks for help.
pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Option<Settings>, String> {
    // No option and no number has anything but Unicode in it, so what has is refused as it looks.
    let mut arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
    let mut settings = Settings { orders: 5_000, seed: 1 };
    while let Some(argument) = arguments.next() {
        let (option, value) = match argument.split_once('=') {
            Some((option, value)) => (option, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        let mut number = || {
            let value = value.clone().or_else(|| arguments.next());
            value.ok_or_else(|| format!("{option} needs a number"))
        };
        match option {
            "--orders" => settings.orders = whole(option, &number()?)?,
            "--seed" => settings.seed = whole(option, &number()?)?,
            "--help" | "-h" => return Ok(None),
            _ => return Err(format!("unknown argument {argument}")),
        }
    }
    Ok(Some(settings))
}

fn whole<T: std::str::FromStr>(option: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{option} {value} is not a number that fits"))
}
