//! What a dead letter looks like: the history of its deaths, and where it may not go again.
//!
//! The header `x-death` has one entry for each queue and reason, the latest death first; another
//! death of the same kind counts up. `x-first-death-*` tell of the very first one. The rules are
//! those of `RabbitMQ`, but for the order of three and more entries, which it turns around at each
//! death: see [the guide](crate::guide::semantics).

use super::queue::Reason;
use crate::{Message, Name, Table, Value, message::Label};

const X_DEATH: &str = "x-death";
const CC: &str = "CC";
/// What a handler says about a message that it gives up: a table, with a text under `error`.
const X_EXCEPTION: &str = "x-exception";

/// How and where a message died, and where it goes from there.
#[derive(Clone, Debug)]
pub(crate) struct Death<'d> {
    pub(crate) queue: &'d Name,
    pub(crate) reason: Reason,
    /// Seconds since the beginning of 1970.
    pub(crate) at: u64,
    /// The dead-letter exchange.
    pub(crate) exchange: &'d Name,
    /// The key that dead letters of the queue get in place of their own.
    pub(crate) key: Option<&'d Name>,
    /// What whoever rejected it says about that.
    pub(crate) cause: Option<&'d str>,
}

/// Makes the dead letter of a message. Its keys beyond the first are forgotten if it gets another.
pub(crate) fn letter(message: &Message, death: &Death<'_>) -> Message {
    let mut headers = message.headers().cloned().unwrap_or_default();
    note_death(&mut headers, message, death);
    // A cause of an earlier death is none of this one.
    headers.remove(X_EXCEPTION);
    if let Some(cause) = death.cause {
        headers.insert(X_EXCEPTION, Table::from([("error", cause)]));
    }
    let mut letter = message.clone().with_headers(headers);
    letter.clear_expiration();
    if death.key.is_some() {
        letter.remove_header(CC);
        letter.set_blind_keys(Vec::new());
    }
    let key = death.key.unwrap_or_else(|| &message.address().routing_key);
    letter.put_label(&Label::new(death.exchange.clone(), key.clone()));
    letter
}

/// Whether a dead letter would go round by itself: it has been in this queue, and nobody has
/// rejected it since. One that was rejected just now goes anywhere.
pub(crate) fn is_cycle(letter: &Message, reason: Reason, queue: &str) -> bool {
    if reason == Reason::Rejected {
        return false;
    }
    let Some(Value::Array(deaths)) = letter.header(X_DEATH) else { return false };
    let is_here = |death: &Value| text(death, "queue") == Some(queue.as_bytes());
    let Some(last) = deaths.iter().position(is_here) else { return false };
    // What is no table was put there by somebody, who takes part in the cycle then.
    let is_automatic =
        |death: &Value| death.as_table().is_some() && text(death, "reason") != Some(b"rejected");
    deaths.iter().take(last + 1).all(is_automatic)
}

fn note_death(headers: &mut Table, message: &Message, death: &Death<'_>) {
    let (queue, reason) = (death.queue.as_str(), death.reason.as_str());
    let entry = entry(message, death);
    let deaths = match headers.remove(X_DEATH) {
        None => {
            headers.insert("x-first-death-reason", reason);
            headers.insert("x-first-death-queue", queue);
            let exchange = message.address().exchange.as_str();
            headers.insert("x-first-death-exchange", exchange);
            vec![entry.into()]
        }
        Some(Value::Array(former)) => {
            let mut former = grouped(former);
            let is_same = |of: &Table| is_of(of, queue.as_bytes(), reason.as_bytes());
            let latest = match former.iter().position(is_same) {
                None => entry,
                Some(at) => counted_up(former.remove(at)),
            };
            std::iter::once(latest).chain(former).map(Value::from).collect()
        }
        // Nothing that a broker wrote: it starts anew.
        Some(_) => vec![entry.into()],
    };
    headers.insert(X_DEATH, Value::Array(deaths));
}

/// The entry of a first death of its kind.
fn entry(message: &Message, death: &Death<'_>) -> Table {
    let address = message.address();
    let copies = message.header(CC).and_then(Value::as_array).unwrap_or_default();
    let copies = copies.iter().filter(|key| matches!(key, Value::Str(_))).cloned();
    let keys = std::iter::once(Value::from(address.routing_key.as_str())).chain(copies);
    let mut entry = Table::from([("count", Value::I64(1))]);
    entry.insert("exchange", address.exchange.as_str());
    entry.insert("queue", death.queue.as_str());
    entry.insert("reason", death.reason.as_str());
    entry.insert("routing-keys", Value::Array(keys.collect()));
    entry.insert("time", Value::Timestamp(death.at));
    if let Some(expiration) = message.expiration() {
        entry.insert("original-expiration", expiration);
    }
    entry
}

/// One entry for each queue and reason, as publishers of a header of their own may not have it.
fn grouped(deaths: Vec<Value>) -> Vec<Table> {
    let mut groups: Vec<(Table, i64)> = Vec::new();
    for death in deaths {
        let Value::Table(death) = death else { continue };
        let is_same = |(of, _): &&mut (Table, i64)| {
            of.get("queue") == death.get("queue") && of.get("reason") == death.get("reason")
        };
        match groups.iter_mut().find(is_same) {
            Some((_, count)) => *count += 1,
            None => groups.push((death, 1)),
        }
    }
    let counted = |(mut death, count): (Table, i64)| {
        // A single entry is taken as it is.
        if count > 1 && death.get("count").is_none() {
            death.insert("count", Value::I64(count));
        }
        death
    };
    groups.into_iter().map(counted).collect()
}

fn counted_up(mut death: Table) -> Table {
    let count = death.get("count").and_then(Value::as_i64).unwrap_or_default();
    death.insert("count", Value::I64(count.saturating_add(1)));
    death
}

fn is_of(death: &Table, queue: &[u8], reason: &[u8]) -> bool {
    bytes(death.get("queue")) == Some(queue) && bytes(death.get("reason")) == Some(reason)
}

fn text<'v>(death: &'v Value, name: &str) -> Option<&'v [u8]> {
    bytes(death.as_table()?.get(name))
}

fn bytes(value: Option<&Value>) -> Option<&[u8]> {
    match value? {
        Value::Str(bytes) => Some(bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Dies in a queue, and shows what `x-death` says: queue, reason and count of each entry.
    fn die(message: &Message, queue: &str, reason: Reason) -> Message {
        let (queue, exchange) = (Name::from(queue), Name::from("dead"));
        let death =
            Death { queue: &queue, reason, at: 0, exchange: &exchange, key: None, cause: None };
        letter(message, &death)
    }

    fn deaths(message: &Message) -> Vec<(String, String, i64)> {
        let entries = message.header(X_DEATH).and_then(Value::as_array).unwrap_or_default();
        let show = |entry: &Value| {
            let text = |name| String::from_utf8(text(entry, name).unwrap().to_vec()).unwrap();
            let count = entry.as_table().unwrap().get("count").and_then(Value::as_i64).unwrap();
            (text("queue"), text("reason"), count)
        };
        entries.iter().map(show).collect()
    }

    fn entry(queue: &str, reason: &str, count: i64) -> (String, String, i64) {
        (queue.to_owned(), reason.to_owned(), count)
    }

    #[test]
    fn the_latest_death_comes_first() {
        let mut message = Message::new("");
        for queue in ["a", "b", "c", "d"] {
            message = die(&message, queue, Reason::Expired);
        }
        message = die(&message, "b", Reason::Expired);
        let expected = [("b", 2), ("d", 1), ("c", 1), ("a", 1)];
        assert_eq!(deaths(&message), expected.map(|(queue, count)| entry(queue, "expired", count)));
        assert_eq!(message.header("x-first-death-queue"), Some(&"a".into()));
    }

    #[test]
    fn what_no_broker_wrote_is_passed_over() {
        let odd =
            Value::Array(vec!["text".into(), Value::Void, Table::from([("queue", "q")]).into()]);
        let message = die(&Message::new("").with_header(X_DEATH, odd), "q", Reason::MaxLen);
        let entries = message.header(X_DEATH).and_then(Value::as_array).unwrap();
        assert_eq!(entries.len(), 2, "the new one, and the table: {entries:?}");
        let counts = [Value::from("many"), Value::Void, Value::from(1.5)];
        for count in counts {
            let mut forged = Table::from([("queue", "q"), ("reason", "maxlen")]);
            forged.insert("count", count);
            let forged = Value::Array(vec![forged.into()]);
            let message = die(&Message::new("").with_header(X_DEATH, forged), "q", Reason::MaxLen);
            assert_eq!(deaths(&message), [entry("q", "maxlen", 1)]);
        }
    }

    #[test]
    fn nobody_may_go_round_without_a_rejection() {
        let once = die(&Message::new(""), "a", Reason::Expired);
        assert!(is_cycle(&once, Reason::Expired, "a"));
        assert!(!is_cycle(&once, Reason::Expired, "b"));
        assert!(!is_cycle(&once, Reason::Rejected, "a"), "one that was rejected just now");
        let rejected_since = die(&once, "b", Reason::Rejected);
        let again = die(&rejected_since, "c", Reason::Expired);
        assert!(!is_cycle(&again, Reason::Expired, "a"), "somebody has rejected it in between");
        assert!(is_cycle(&again, Reason::Expired, "c"));
    }

    #[test]
    fn a_cause_is_of_one_death() {
        let (queue, exchange) = (Name::from("q"), Name::from("dead"));
        let cause = Some("no such order");
        let reason = Reason::Rejected;
        let death = Death { queue: &queue, reason, at: 0, exchange: &exchange, key: None, cause };
        let message = letter(&Message::new(""), &death);
        let told = message.header(X_EXCEPTION).and_then(Value::as_table).unwrap();
        assert_eq!(told.get("error"), Some(&"no such order".into()));
        assert_eq!(die(&message, "r", Reason::Expired).header(X_EXCEPTION), None);
    }
}
