//! Showing that the store keeps what it promises, by chance that can be repeated.

mod crashes;
mod damages;
pub(crate) mod dice;
mod faults;
mod history;
mod life;
mod model;
mod program;
pub(crate) mod scratch;
mod wrecks;
