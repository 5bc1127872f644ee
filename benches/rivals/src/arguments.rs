//! The command line.

use std::str::FromStr;

use lapin::uri::{AMQPScheme, AMQPUri};

pub(crate) const USAGE: &str = "\
Compares leveret with other systems that carry messages, and prints a page of Markdown.

usage: leveret-rivals [--quick] [--amqp URI] [--machine TEXT]

  --quick         fewer rounds and messages: within a minute, and noisier
  --amqp URI      where RabbitMQ answers (amqp://guest:guest@127.0.0.1:5672/%2f)
  --machine TEXT  what the page says that it was measured on
";

/// What a new RabbitMQ listens on.
const AMQP: &str = "amqp://guest:guest@127.0.0.1:5672/%2f";

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) is_quick: bool,
    pub(crate) amqp: AMQPUri,
    /// Whether the address was given. It may hold a password, so it is not repeated.
    pub(crate) has_address: bool,
    pub(crate) machine: Option<String>,
}

/// Why there is nothing to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The usage was asked for.
    Help,
    /// What is wrong.
    Mistake(String),
}

impl Arguments {
    pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, Refusal> {
        let mut arguments =
            Self { is_quick: false, amqp: uri(AMQP)?, has_address: false, machine: None };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut value =
                || words.next().ok_or_else(|| Refusal::Mistake(format!("{word} needs a value")));
            match word.as_str() {
                "--quick" => arguments.is_quick = true,
                "--amqp" => {
                    arguments.amqp = uri(&value()?)?;
                    arguments.has_address = true;
                }
                "--machine" => arguments.machine = Some(value()?),
                "-h" | "--help" => return Err(Refusal::Help),
                _ => return Err(Refusal::Mistake(format!("unknown argument: {word}"))),
            }
        }
        Ok(arguments)
    }
}

fn uri(text: &str) -> Result<AMQPUri, Refusal> {
    let uri = AMQPUri::from_str(text)
        .map_err(|reason| Refusal::Mistake(format!("--amqp takes an AMQP URI: {reason}")))?;
    match uri.scheme {
        AMQPScheme::AMQP => Ok(uri),
        AMQPScheme::AMQPS => Err(Refusal::Mistake("--amqp takes no amqps: this has no TLS".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Arguments, Refusal> {
        Arguments::parse(words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn arguments_are_understood() {
        let found = parse(&["--quick", "--amqp", "amqp://localhost:9/%2f", "--machine", "mine"]);
        let found = found.unwrap();
        assert!(found.is_quick && found.has_address);
        assert_eq!(found.amqp.authority.port, 9);
        assert_eq!(found.machine.as_deref(), Some("mine"));
    }

    #[test]
    fn mistakes_are_told() {
        assert_eq!(parse(&["--help"]), Err(Refusal::Help));
        let wrong: [&[&str]; 5] =
            [&["--fast"], &["--amqp"], &["--amqp", "x"], &["--amqp", "amqps://h"], &["--machine"]];
        for words in wrong {
            assert!(matches!(parse(words), Err(Refusal::Mistake(_))), "{words:?}");
        }
    }
}
