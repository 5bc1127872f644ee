//! Ways of doing wrong, which the proofs have to find out.
//!
//! Each is a build of its own, with `--cfg leveret_sabotage="..."`, that only `.ci/sabotage` makes:
//! no program can ask for one. In every other build there is only what is [honest].

#[cfg(leveret_sabotage = "early-confirms")]
mod early_confirms;
#[cfg_attr(
    any(
        leveret_sabotage = "early-confirms",
        leveret_sabotage = "lost-acks",
        leveret_sabotage = "skip-sync",
    ),
    allow(dead_code, reason = "something is done wrong instead")
)]
mod honest;
#[cfg(leveret_sabotage = "lost-acks")]
mod lost_acks;
#[cfg(leveret_sabotage = "skip-sync")]
mod skip_sync;

#[cfg(leveret_sabotage = "early-confirms")]
pub(super) use self::early_confirms::begin_commit;
#[cfg(not(leveret_sabotage = "early-confirms"))]
pub(super) use self::honest::begin_commit;
#[cfg(not(leveret_sabotage = "skip-sync"))]
pub(super) use self::honest::sync_data;
#[cfg(not(leveret_sabotage = "lost-acks"))]
pub(super) use self::honest::takes_in_settlement;
#[cfg(leveret_sabotage = "lost-acks")]
pub(super) use self::lost_acks::takes_in_settlement;
#[cfg(leveret_sabotage = "skip-sync")]
pub(super) use self::skip_sync::sync_data;
