//! What a ledger says: one line for each thing that is about to be done, or has come about.
//!
//! ```text
//! life 3                      a run begins
//! declared                    exchanges and queues are there
//! publish 3.0.1 mail,audit    is about to be published
//! confirmed 3.0.1             so the broker said
//! refused 3.0.1               the broker did not take it
//! got 4 3.0.1 mail 0          consumer 4 has it, not flagged
//! ack 3.0.1 mail              is about to be acked; so also reject, requeue, retry
//! acked 3.0.1 mail            the call has returned; so also rejected, requeued, retried
//! kept 3.0.1 mail             so has one that waits until that is durable
//! sync 3.0.9                  is about to wait until everything is durable
//! synced 3.0.9                the call has returned
//! publish 3.0.2 mail 3.0.9    the same in a transaction
//! ack 3.0.1 mail 3.0.9
//! commit 3.0.9
//! committed 3.0.9
//! rolledback 3.0.9            in place of these two
//! closed                      the broker was closed in order
//! wrong a message ...         not as it was published
//! failed ...                  something failed that should not
//! ```

use std::{fmt, str::FromStr};

use super::{
    item::Id,
    place::{Place, Queue},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Life(u32),
    Declared,
    Publish { id: Id, queues: Vec<Queue>, transaction: Option<Id> },
    Confirmed(Id),
    Refused(Id),
    Got { consumer: u16, id: Id, place: Place, is_redelivered: bool },
    Settle { verb: Verb, id: Id, place: Place, transaction: Option<Id> },
    Settled { verb: Verb, id: Id, place: Place },
    Kept { id: Id, place: Place },
    Sync(Id),
    Synced(Id),
    Commit(Id),
    Committed(Id),
    RolledBack(Id),
    Closed,
    Wrong(String),
    Failed(String),
}

/// What a consumer does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Ack,
    Reject,
    Requeue,
    Retry,
}

impl Verb {
    const ALL: [Self; 4] = [Self::Ack, Self::Reject, Self::Requeue, Self::Retry];

    fn intent(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Reject => "reject",
            Self::Requeue => "requeue",
            Self::Retry => "retry",
        }
    }

    fn outcome(self) -> &'static str {
        match self {
            Self::Ack => "acked",
            Self::Reject => "rejected",
            Self::Requeue => "requeued",
            Self::Retry => "retried",
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Life(life) => write!(f, "life {life}"),
            Self::Declared => f.write_str("declared"),
            Self::Publish { id, queues, transaction } => {
                let names: Vec<_> = queues.iter().map(|queue| queue.name()).collect();
                write!(f, "publish {id} {}", names.join(","))?;
                within(f, *transaction)
            }
            Self::Confirmed(id) => write!(f, "confirmed {id}"),
            Self::Refused(id) => write!(f, "refused {id}"),
            Self::Got { consumer, id, place, is_redelivered } => {
                write!(f, "got {consumer} {id} {place} {}", u8::from(*is_redelivered))
            }
            Self::Settle { verb, id, place, transaction } => {
                write!(f, "{} {id} {place}", verb.intent())?;
                within(f, *transaction)
            }
            Self::Settled { verb, id, place } => write!(f, "{} {id} {place}", verb.outcome()),
            Self::Kept { id, place } => write!(f, "kept {id} {place}"),
            Self::Sync(id) => write!(f, "sync {id}"),
            Self::Synced(id) => write!(f, "synced {id}"),
            Self::Commit(id) => write!(f, "commit {id}"),
            Self::Committed(id) => write!(f, "committed {id}"),
            Self::RolledBack(id) => write!(f, "rolledback {id}"),
            Self::Closed => f.write_str("closed"),
            Self::Wrong(text) => write!(f, "wrong {}", text.replace('\n', " ")),
            Self::Failed(text) => write!(f, "failed {}", text.replace('\n', " ")),
        }
    }
}

fn within(f: &mut fmt::Formatter<'_>, transaction: Option<Id>) -> fmt::Result {
    transaction.map_or(Ok(()), |id| write!(f, " {id}"))
}

impl FromStr for Entry {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let strange = || format!("{line:?} is no line of a ledger");
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut words = rest.split(' ').filter(|word| !word.is_empty());
        let mut next = || words.next().ok_or_else(strange);
        let entry = match word {
            "life" => Self::Life(next()?.parse().map_err(|_| strange())?),
            "declared" => Self::Declared,
            "publish" => {
                let id = next()?.parse()?;
                let queues = next()?.split(',').map(Queue::named).collect::<Option<_>>();
                let transaction = next().ok().map(str::parse).transpose()?;
                Self::Publish { id, queues: queues.ok_or_else(strange)?, transaction }
            }
            "confirmed" => Self::Confirmed(next()?.parse()?),
            "refused" => Self::Refused(next()?.parse()?),
            "got" => Self::Got {
                consumer: next()?.parse().map_err(|_| strange())?,
                id: next()?.parse()?,
                place: next()?.parse()?,
                is_redelivered: next()? == "1",
            },
            "kept" => Self::Kept { id: next()?.parse()?, place: next()?.parse()? },
            "sync" => Self::Sync(next()?.parse()?),
            "synced" => Self::Synced(next()?.parse()?),
            "commit" => Self::Commit(next()?.parse()?),
            "committed" => Self::Committed(next()?.parse()?),
            "rolledback" => Self::RolledBack(next()?.parse()?),
            "closed" => Self::Closed,
            "wrong" => return Ok(Self::Wrong(rest.to_owned())),
            "failed" => return Ok(Self::Failed(rest.to_owned())),
            word => {
                if let Some(verb) = Verb::ALL.into_iter().find(|verb| verb.intent() == word) {
                    let (id, place) = (next()?.parse()?, next()?.parse()?);
                    let transaction = next().ok().map(str::parse).transpose()?;
                    Self::Settle { verb, id, place, transaction }
                } else {
                    let verb = Verb::ALL.into_iter().find(|verb| verb.outcome() == word);
                    let verb = verb.ok_or_else(strange)?;
                    Self::Settled { verb, id: next()?.parse()?, place: next()?.parse()? }
                }
            }
        };
        if next().is_ok() { Err(strange()) } else { Ok(entry) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for line in [
            "life 3",
            "declared",
            "publish 3.0.1 mail,audit",
            "publish 3.0.2 votes 3.0.9",
            "confirmed 3.0.1",
            "refused 3.0.1",
            "got 4 3.0.1 dead/mail 1",
            "ack 3.0.1 mail 3.0.9",
            "reject 3.0.1 mail",
            "rejected 3.0.1 mail",
            "retried 3.0.1 recent",
            "kept 3.0.1 dead/mail",
            "sync 3.0.9",
            "synced 3.0.9",
            "commit 3.0.9",
            "committed 3.0.9",
            "rolledback 3.0.9",
            "closed",
            "wrong message 3.0.1 has another sum",
            "failed the store failed: no",
        ] {
            let entry = line.parse::<Entry>();
            assert_eq!(entry.map(|entry| entry.to_string()).as_deref(), Ok(line));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for line in ["", "publish", "publish 3.0.1 nowhere", "got 4 3.0.1 mail", "acks 3.0.1 mail"]
        {
            assert!(line.parse::<Entry>().is_err(), "{line}");
        }
    }
}
