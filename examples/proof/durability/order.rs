//! Whether messages come in the order in which they were published.

use std::collections::HashMap;

use super::item::Id;

/// What was seen so far in one place.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// The greatest life.
    life: u32,
    /// The last of each thread.
    last: HashMap<u16, Id>,
}

impl Order {
    /// Adds the next one. What one thread published stands in the order of its numbers, and what
    /// was published in one life before all of a later one. Says what is wrong.
    pub(crate) fn add(&mut self, id: Id) -> Result<(), String> {
        let earlier = self.last.insert(id.thread, id);
        match earlier {
            Some(earlier) if earlier >= id => return Err(format!("{id} comes after {earlier}")),
            _ => {}
        }
        if id.life < self.life {
            return Err(format!("{id} comes after some of life {}", self.life));
        }
        self.life = id.life;
        Ok(())
    }
}
