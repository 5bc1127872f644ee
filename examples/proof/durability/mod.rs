//! What the proofs of durability share: one workload, its ledger, and one checker.
//!
//! A *life* is one run of the workload over a store, until somebody ends it. It says in its
//! ledger, which is kept elsewhere, what it is about to do and what has come of it. After that the
//! queues are *looked* at, and the *history* that the ledger tells says what has to be there, what
//! may be, and what must not.

// Each of the programs uses a part.
#![allow(dead_code)]
#![allow(clippy::disallowed_methods, reason = "the programs live and die in real time")]

pub(crate) mod audit;
pub(crate) mod clerk;
pub(crate) mod customer;
pub(crate) mod dice;
pub(crate) mod drain;
pub(crate) mod entry;
pub(crate) mod history;
pub(crate) mod item;
pub(crate) mod ledger;
pub(crate) mod level;
pub(crate) mod life;
pub(crate) mod look;
pub(crate) mod memory;
pub(crate) mod order;
pub(crate) mod place;
pub(crate) mod producer;
pub(crate) mod slot;
pub(crate) mod topology;
pub(crate) mod verdict;
