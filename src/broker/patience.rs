//! How long a thread looks again before it goes to sleep.
//!
//! To be woken takes a thread some microseconds, and whoever wakes it has to ask the system to do
//! so. Where the other side is at work on another processor just now, what is waited for comes
//! sooner than that: so a thread looks again for about as long as a wake-up takes. Where the other
//! side waits for this very processor, looking is a waste, and letting it go first brings more than
//! one message at a time. Each thread learns from its last waits which of the two it is. Now and
//! then one that has to share its processor sleeps at once, so that the system may wake it where it
//! is in nobody's way.

#[cfg(not(loom))]
use std::{cell::Cell, hint, thread};

use crate::clock::Leisure;

/// How often a thread looks: on processors of today this takes five to ten microseconds.
#[cfg(not(loom))]
const LOOKS_MAX: u32 = 200;

/// A thread that has looked in vain so many times in a row does without from now on.
#[cfg(not(loom))]
const VAIN_MAX: u32 = 4;

/// After so many waits it sleeps at once, and then looks once more.
#[cfg(not(loom))]
const WAITS_MAX: u32 = 32;

/// How often a thread lets others go first before it sleeps. With several turns it mostly comes
/// back to more than one message, and nobody has to wake it.
#[cfg(not(loom))]
const TURNS: u32 = 4;

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
    /// It does not look, but lets others go first.
    Resigned { waits: u32 },
}

/// Where from, to all appearance.
#[cfg(not(loom))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    /// This very processor, on which the other side had to wait for its turn. Looking was a waste.
    FromHere,
    FromElsewhere,
}

/// Looks whether something has come, for a while, and says whether it has. Sleeping is the
/// caller's business.
#[cfg(not(loom))]
pub(crate) fn watch(leisure: Leisure, has_come: impl Fn() -> bool) -> bool {
    if leisure == Leisure::Nothing {
        return false;
    }
    let mood = MOOD.get();
    let give_way = || if leisure == Leisure::Plenty { make_way(&has_come) } else { None };
    let came = match mood {
        Mood::Hopeful { .. } => look(&has_come).or_else(give_way),
        Mood::Resigned { waits } if waits < WAITS_MAX => give_way(),
        Mood::Resigned { .. } => None,
    };
    MOOD.set(mood.after(came));
    came.is_some()
}

/// In models a thread that looks again and again is a run without an end.
#[cfg(loom)]
pub(crate) fn watch(_: Leisure, _: impl Fn() -> bool) -> bool {
    false
}

#[cfg(not(loom))]
fn look(has_come: &impl Fn() -> bool) -> Option<Came> {
    for _ in 0..LOOKS_MAX {
        if has_come() {
            return Some(Came::FromElsewhere);
        }
        hint::spin_loop();
    }
    None
}

/// Lets others go first, who may wait for this very processor.
#[cfg(not(loom))]
fn make_way(has_come: &impl Fn() -> bool) -> Option<Came> {
    let turn = (0..TURNS).find(|_| {
        thread::yield_now();
        has_come()
    });
    turn.map(|turn| if turn == 0 { Came::FromHere } else { Came::FromElsewhere })
}

#[cfg(not(loom))]
impl Mood {
    fn after(self, came: Option<Came>) -> Self {
        match (self, came) {
            (_, Some(Came::FromElsewhere)) => Self::Hopeful { vain: 0 },
            (Self::Hopeful { vain }, _) if vain + 1 < VAIN_MAX => Self::Hopeful { vain: vain + 1 },
            (Self::Hopeful { .. }, _) => Self::Resigned { waits: 0 },
            (Self::Resigned { waits }, _) if waits < WAITS_MAX => {
                Self::Resigned { waits: waits + 1 }
            }
            // It has slept: the system may have woken it where it is not in the other's way. One
            // more look in vain, and it is resigned again.
            (Self::Resigned { .. }, _) => Self::Hopeful { vain: VAIN_MAX - 1 },
        }
    }
}

#[cfg(all(test, not(loom)))]
#[allow(clippy::disallowed_methods, reason = "each test has a thread of its own, with its mood")]
mod tests {
    use super::*;

    /// How often a thread looks in so many waits, if nothing ever comes.
    fn looks_in_vain(waits: u32) -> u32 {
        looks_with(Leisure::Plenty, waits)
    }

    fn looks_with(leisure: Leisure, waits: u32) -> u32 {
        let looks = Cell::new(0);
        for _ in 0..waits {
            assert!(!watch(leisure, || {
                looks.set(looks.get() + 1);
                false
            }));
        }
        looks.get()
    }

    #[test]
    fn who_looks_in_vain_does_so_seldom() {
        thread::spawn(|| {
            let (full, turns) = (LOOKS_MAX + TURNS, TURNS);
            assert_eq!(looks_in_vain(VAIN_MAX), VAIN_MAX * full);
            let round = WAITS_MAX * turns + full;
            assert_eq!(looks_in_vain(10 * (WAITS_MAX + 2)), 10 * round, "one sleep, one look");
        })
        .join()
        .unwrap();
    }

    /// A turn of others may take longer than the whole wait.
    #[test]
    fn who_has_little_time_makes_no_way() {
        thread::spawn(|| {
            assert_eq!(looks_with(Leisure::Nothing, 10), 0);
            assert_eq!(looks_with(Leisure::Moment, VAIN_MAX), VAIN_MAX * LOOKS_MAX);
            assert_eq!(looks_with(Leisure::Moment, WAITS_MAX), 0);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn what_comes_from_elsewhere_makes_hopeful_again() {
        let resigned = Mood::Resigned { waits: 3 };
        assert_eq!(resigned.after(Some(Came::FromElsewhere)), Mood::Hopeful { vain: 0 });
        assert_eq!(resigned.after(Some(Came::FromHere)), Mood::Resigned { waits: 4 });
        assert_eq!(
            Mood::Hopeful { vain: 1 }.after(Some(Came::FromHere)),
            Mood::Hopeful { vain: 2 }
        );
        thread::spawn(|| {
            looks_in_vain(VAIN_MAX + 1);
            let turns = Cell::new(0);
            assert!(
                watch(Leisure::Plenty, || turns.replace(turns.get() + 1) == 1),
                "in the second turn"
            );
            assert_eq!(looks_in_vain(1), LOOKS_MAX + TURNS);
        })
        .join()
        .unwrap();
    }
}
