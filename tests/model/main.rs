//! Random programs on the channel tier, compared step by step with a reference that is too simple
//! to be wrong, and what such programs have found.

mod closing;
