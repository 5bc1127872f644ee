//! How long a thread looks again before it goes to sleep.
//!
//! To be woken takes a thread some microseconds, and whoever wakes it has to ask the system to do
//! so. Where the other side is at work on another processor just now, what is waited for comes
//! sooner than that: so a thread looks again for about as long as a wake-up takes. Where it is not,
//! that is a waste, so each thread learns from how its last waits ended and mostly sleeps at once
//! then.

#[cfg(not(loom))]
use std::{cell::Cell, hint};

/// How often a thread looks: on processors of today this takes five to ten microseconds.
#[cfg(not(loom))]
const LOOKS_MAX: u32 = 200;

/// A thread that has looked in vain so many times in a row sleeps at once from now on,
#[cfg(not(loom))]
const VAIN_MAX: u32 = 4;

/// but for one wait in so many.
#[cfg(not(loom))]
const SLEEPS_MAX: u32 = 32;

#[cfg(not(loom))]
thread_local! {
    static MOOD: Cell<Mood> = const { Cell::new(Mood::Hopeful { vain: 0 }) };
}

/// What a thread has learnt from its last waits.
#[cfg(not(loom))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    /// It looks.
    Hopeful { vain: u32 },
    /// It sleeps.
    Resigned { sleeps: u32 },
}

/// Looks whether something has come, for a while, and says whether it has. Sleeping is the
/// caller's business.
#[cfg(not(loom))]
pub(crate) fn watch(has_come: impl Fn() -> bool) -> bool {
    let mood = MOOD.get();
    let came = match mood {
        Mood::Hopeful { .. } => look(has_come),
        Mood::Resigned { .. } => false,
    };
    MOOD.set(mood.after(came));
    came
}

/// In models a thread that looks again and again is a run without an end.
#[cfg(loom)]
pub(crate) fn watch(_: impl Fn() -> bool) -> bool {
    false
}

#[cfg(not(loom))]
fn look(has_come: impl Fn() -> bool) -> bool {
    for _ in 0..LOOKS_MAX {
        if has_come() {
            return true;
        }
        hint::spin_loop();
    }
    false
}

#[cfg(not(loom))]
impl Mood {
    fn after(self, came: bool) -> Self {
        match self {
            Self::Hopeful { .. } if came => Self::Hopeful { vain: 0 },
            Self::Hopeful { vain } if vain + 1 < VAIN_MAX => Self::Hopeful { vain: vain + 1 },
            Self::Hopeful { .. } => Self::Resigned { sleeps: 0 },
            // One more look in vain, and it sleeps again.
            Self::Resigned { sleeps } if sleeps + 1 == SLEEPS_MAX => {
                Self::Hopeful { vain: VAIN_MAX - 1 }
            }
            Self::Resigned { sleeps } => Self::Resigned { sleeps: sleeps + 1 },
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// How many of so many waits a thread looks, if nothing ever comes.
    fn looks_in_vain(waits: u32) -> u32 {
        let looks = Cell::new(0);
        for _ in 0..waits {
            let before = looks.get();
            assert!(!watch(|| {
                looks.set(before + 1);
                false
            }));
        }
        looks.get()
    }

    #[test]
    fn who_looks_in_vain_sleeps_most_of_the_time() {
        std::thread::spawn(|| {
            assert_eq!(looks_in_vain(VAIN_MAX), VAIN_MAX);
            assert_eq!(looks_in_vain(SLEEPS_MAX), 0);
            assert_eq!(looks_in_vain(10 * (SLEEPS_MAX + 1)), 10, "one look in so many waits");
            assert_eq!(looks_in_vain(1), 1);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn one_that_comes_makes_hopeful_again() {
        std::thread::spawn(|| {
            looks_in_vain(VAIN_MAX + SLEEPS_MAX);
            assert!(watch(|| true));
            assert_eq!(looks_in_vain(VAIN_MAX + 1), VAIN_MAX);
        })
        .join()
        .unwrap();
    }
}
