//! The levels of durability that can be asked for.

use std::{fmt, str::FromStr};

use leveret::Durability;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Process,
    Power,
}

impl Level {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Power => "power",
        }
    }

    pub(crate) fn durability(self) -> Durability {
        match self {
            Self::Process => Durability::Process,
            Self::Power => Durability::Power,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let level = [Self::Process, Self::Power].into_iter().find(|level| level.name() == text);
        level.ok_or_else(|| format!("{text:?} is no level: process and power are"))
    }
}
