//! Where messages can be.

use std::{fmt, str::FromStr};

/// A queue of the workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Queue {
    /// What is rejected in it is gone.
    Audit,
    /// Where dead letters go.
    Dead,
    /// Its dead letters are what was rejected.
    Mail,
    /// It has little room, and what gives way dies.
    Recent,
    /// As `Mail`.
    Stock,
    /// A quorum queue with a delivery limit.
    Votes,
}

impl Queue {
    pub(crate) const ALL: [Self; 6] =
        [Self::Audit, Self::Dead, Self::Mail, Self::Recent, Self::Stock, Self::Votes];

    /// Those that are published to.
    pub(crate) const OPEN: [Self; 5] =
        [Self::Audit, Self::Mail, Self::Recent, Self::Stock, Self::Votes];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Dead => "dead",
            Self::Mail => "mail",
            Self::Recent => "recent",
            Self::Stock => "stock",
            Self::Votes => "votes",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|queue| queue.name() == name)
    }

    /// Whether what dies in it goes to `Dead`.
    pub(crate) fn has_letters(self) -> bool {
        !matches!(self, Self::Audit | Self::Dead)
    }

    /// Whether messages die in it that nobody rejected.
    pub(crate) fn gives_way(self) -> bool {
        matches!(self, Self::Recent | Self::Votes)
    }

    /// Whether a message that comes back returns to its place.
    pub(crate) fn keeps_places(self) -> bool {
        !matches!(self, Self::Dead | Self::Votes)
    }
}

/// The queue that a message was published to, or the dead letters of that queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Place {
    Home(Queue),
    Letter(Queue),
}

impl Place {
    /// The queue that the message was published to.
    pub(crate) fn home(self) -> Queue {
        match self {
            Self::Home(queue) | Self::Letter(queue) => queue,
        }
    }

    /// Whether messages stand here in the order in which they were published.
    pub(crate) fn is_ordered(self, is_redelivered: bool) -> bool {
        match self {
            Self::Home(queue) => queue.keeps_places() || !is_redelivered && queue != Queue::Dead,
            Self::Letter(_) => false,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Home(queue) => f.write_str(queue.name()),
            Self::Letter(queue) => write!(f, "dead/{}", queue.name()),
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let place = match text.strip_prefix("dead/") {
            Some(of) => Queue::named(of).map(Self::Letter),
            None => Queue::named(text).map(Self::Home),
        };
        place.ok_or_else(|| format!("{text:?} is no place"))
    }
}
