//! What dead letters say about their deaths.

use std::fmt;

use leveret::{Message, Table, Value};

use super::order;

/// A dead letter, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    /// Of the order.
    pub(crate) number: u64,
    pub(crate) death: Death,
}

/// Where and why an order was given up. Sorted by the queue first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Death {
    /// The queue that it died in.
    pub(crate) queue: String,
    /// AMQP's word for how: `rejected`, `delivery_limit`.
    pub(crate) reason: String,
    /// What the handler said, if it was a handler that gave up.
    pub(crate) cause: Option<String>,
}

impl Letter {
    /// Reads the latest death in `x-death`, and what the handler said, in `x-exception`. Nobody but
    /// a handler rejects, and this shop's handlers say why.
    pub(crate) fn read(letter: &Message) -> Result<Self, &'static str> {
        let number = order::number(letter).ok_or("without a number")?;
        let deaths = letter.header("x-death").and_then(Value::as_array).unwrap_or_default();
        let latest = deaths.first().and_then(Value::as_table).ok_or("that never died")?;
        let [queue, reason] = ["queue", "reason"].map(|name| text(latest, name));
        let exception = letter.header("x-exception").and_then(Value::as_table);
        let cause = exception.and_then(|exception| text(exception, "error"));
        let (Some(queue), Some(reason)) = (queue, reason) else { return Err("of unknown origin") };
        if (reason == "rejected") != cause.is_some() {
            return Err("whose cause does not go with its reason");
        }
        Ok(Self { number, death: Death { queue, reason, cause } })
    }
}

impl Death {
    /// Whether the queue gave up by itself, because the order came back too often.
    pub(crate) fn is_by_limit(&self) -> bool {
        self.reason == "delivery_limit"
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.queue, self.reason)?;
        match &self.cause {
            Some(cause) => write!(f, ", {cause}"),
            None => Ok(()),
        }
    }
}

fn text(table: &Table, name: &str) -> Option<String> {
    table.get(name).and_then(Value::as_str).map(str::to_owned)
}
