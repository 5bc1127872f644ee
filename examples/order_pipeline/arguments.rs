//! What the command line says.

pub(crate) const USAGE: &str = "usage: order_pipeline [--orders N] [--seed S]";

/// What to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) orders: u32,
    pub(crate) seed: u64,
}

/// Parses the arguments; `None` means that somebody asks for help.
pub(crate) fn parse(
    mut arguments: impl Iterator<Item = String>,
) -> Result<Option<Settings>, String> {
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
