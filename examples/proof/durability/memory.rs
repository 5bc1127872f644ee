//! How much memory a broker may use for messages.

use std::str::FromStr;

use leveret::Limits;

use super::dice::Dice;

/// Far less than the queues may hold: most bodies are on disk only.
const SCARCE_BYTES: u64 = 1_024 * 1_024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    Ample,
    Scarce,
}

impl Memory {
    pub(crate) fn any(dice: &mut Dice) -> Self {
        if dice.strikes(40) { Self::Scarce } else { Self::Ample }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ample => "ample",
            Self::Scarce => "scarce",
        }
    }

    pub(crate) fn limits(self) -> Limits {
        let mut limits = Limits::default();
        match self {
            Self::Ample => {}
            Self::Scarce => limits.memory_bytes = SCARCE_BYTES,
        }
        limits
    }
}

impl FromStr for Memory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let memory = [Self::Ample, Self::Scarce].into_iter().find(|memory| memory.name() == text);
        memory.ok_or_else(|| format!("{text:?} is no memory"))
    }
}
