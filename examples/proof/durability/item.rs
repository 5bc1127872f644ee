//! Messages that say who they are, and notice when they are not what they were.

use std::{fmt, str::FromStr};

use leveret::{Message, Value};

use super::dice::Dice;

const CONTENT_TYPE: &str = "application/x-proof";

/// The longest body. With those that wait there are more than the log in front of a store's
/// database keeps, so both are at work.
const BODY_BYTES_MAX: usize = 256 * 1_024;

/// Names a message, or a transaction: who made it, in which life, and as which of its works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id {
    pub(crate) life: u32,
    pub(crate) thread: u16,
    pub(crate) number: u32,
}

impl Id {
    /// What it is as a number.
    fn packed(self) -> u64 {
        u64::from(self.life) << 44 | u64::from(self.thread) << 32 | u64::from(self.number)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.life, self.thread, self.number)
    }
}

impl FromStr for Id {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, '.');
        let mut part = || parts.next().and_then(|part| part.parse::<u32>().ok());
        let id = (|| {
            let (life, thread, number) = (part()?, part()?, part()?);
            Some(Self { life, thread: u16::try_from(thread).ok()?, number })
        })();
        id.ok_or_else(|| format!("{text:?} names no message"))
    }
}

/// Makes the message of that name, as long as chance has it.
pub(crate) fn message(id: Id, dice: &mut Dice) -> Message {
    let bytes = match dice.below(20) {
        0 => 0,
        1 => dice.below(BODY_BYTES_MAX as u64 + 1),
        2..=4 => dice.below(8 * 1_024),
        _ => dice.below(300),
    };
    let body = body(id, usize::try_from(bytes).unwrap_or(BODY_BYTES_MAX));
    let message = Message::new(body.clone())
        .persistent()
        .with_message_id(id.to_string())
        .with_content_type(CONTENT_TYPE)
        .with_header("bytes", i64::try_from(body.len()).unwrap_or(i64::MAX))
        .with_header("sum", sum(&body).cast_signed());
    match priority(id) {
        Some(priority) => message.with_priority(priority),
        None => message,
    }
}

/// Says which message it is, or what is wrong with it.
pub(crate) fn read(message: &Message) -> Result<Id, String> {
    let id: Id = message.message_id().ok_or("a message without a name")?.parse()?;
    let number = |name| message.header(name).and_then(Value::as_i64);
    let body = message.body();
    let start = id.packed().to_be_bytes();
    let shared = start.len().min(body.len());
    let checks = [
        ("length", number("bytes") == i64::try_from(body.len()).ok()),
        ("sum", number("sum") == Some(sum(body).cast_signed())),
        ("start", body.get(..shared) == start.get(..shared)),
        ("content type", message.content_type() == Some(CONTENT_TYPE)),
        ("priority", message.priority() == priority(id)),
        ("mode", message.is_persistent()),
    ];
    match checks.iter().find(|(_, holds)| !holds) {
        Some((what, _)) => Err(format!("message {id} has another {what}")),
        None => Ok(id),
    }
}

/// The queue that a dead letter died in.
pub(crate) fn died_in(letter: &Message) -> Option<&str> {
    let deaths = letter.header("x-death").and_then(Value::as_array)?;
    deaths.first()?.as_table()?.get("queue")?.as_str()
}

fn priority(id: Id) -> Option<u8> {
    u8::try_from(id.number % 16).ok().filter(|priority| *priority < 10)
}

/// Its name, and noise that only it has.
fn body(id: Id, bytes: usize) -> Vec<u8> {
    let mut noise = Dice::new(id.packed());
    let mut body = Vec::with_capacity(bytes + 8);
    body.extend(id.packed().to_be_bytes());
    while body.len() < bytes {
        body.extend(noise.roll().to_be_bytes());
    }
    body.truncate(bytes);
    body
}

/// FNV-1a, eight bytes at a time.
fn sum(body: &[u8]) -> u64 {
    let mut sum = 0xcbf2_9ce4_8422_2325;
    for chunk in body.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        sum = (sum ^ u64::from_be_bytes(word)).wrapping_mul(0x0100_0000_01b3);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Id = Id { life: 3, thread: 1, number: 7 };

    #[test]
    fn messages_know_who_they_are() {
        let mut dice = Dice::new(1);
        for _ in 0..100 {
            assert_eq!(read(&message(ID, &mut dice)), Ok(ID));
        }
        assert_eq!("3.1.7".parse(), Ok(ID));
        assert!("3.1".parse::<Id>().is_err());
    }

    #[test]
    fn messages_that_changed_are_noticed() {
        let made = message(ID, &mut Dice::new(2));
        let mut body = made.body().to_vec();
        body.push(0);
        let longer = Message::new(body).with_headers(made.headers().cloned().unwrap_or_default());
        let other = Id { number: 8, ..ID };
        for changed in [
            longer.with_message_id(ID.to_string()),
            made.clone().with_message_id(other.to_string()),
            made.clone().with_priority(11),
            made.clone().with_content_type("text/plain"),
            made.clone().with_header("sum", 0),
            made.with_delivery_mode(1),
        ] {
            assert!(read(&changed).is_err(), "{changed:?}");
        }
    }
}
