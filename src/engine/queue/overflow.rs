//! What a queue does at its declared bounds.

use super::{
    Dead, Effects, Fate, Held, NoRoom, QueueCore, Reason, Recipient, Refused, limit::Limit,
};
use crate::engine::definition::Overflow;

impl<C: Recipient> QueueCore<C> {
    /// Notes how much is left of declared bounds after something has happened.
    #[inline]
    pub(crate) fn look(&mut self) {
        if let Some(options) = &mut self.options
            && let Some(limit) = &mut options.limit
        {
            limit.look(self.ready.len());
        }
    }

    /// Whether there may be more room by declared bounds than when this was asked last.
    pub(crate) fn has_made_room(&mut self) -> bool {
        let limit = self.options.as_mut().and_then(|options| options.limit.as_mut());
        limit.is_some_and(Limit::take_has_left)
    }

    /// Refuses a message for which a declared bound leaves no room, whoever could take it at once.
    pub(super) fn admit(&mut self, held: Held, effects: &mut Effects) -> Result<Held, Refused> {
        let Some(options) = &self.options else { return Ok(held) };
        let Some(limit) = &options.limit else { return Ok(held) };
        if limit.overflow == Overflow::DropHead {
            return Ok(held);
        }
        let Some(bound) = limit.passed_by(self.ready.len(), held.body_bytes()) else {
            return Ok(held);
        };
        self.counts.refused += 1;
        let is_buried = limit.overflow == Overflow::RejectPublishDlx && options.has_dead_letters;
        let fate = if is_buried {
            let (held, reason) = (held.clone(), Reason::MaxLen);
            effects.dead.push(Dead { held, reason, cause: None, stamp: None });
            Fate::DeadLettered
        } else {
            Fate::Returned
        };
        Err(Refused::Full(Box::new(NoRoom { held, bound, fate })))
    }

    /// Has the first in line go until the declared bounds are kept, if that is how they are.
    pub(super) fn make_way(&mut self, effects: &mut Effects) {
        let drops = |queue: &Self| {
            let limit = queue.options.as_ref().and_then(|options| options.limit.as_ref());
            limit.is_some_and(|limit| limit.drops_head(queue.ready.len()))
        };
        let deaths = effects.dead.len();
        while drops(self)
            && let Some(entry) = self.pop_ready()
        {
            self.die(entry, Reason::MaxLen, effects);
        }
        // As in `RabbitMQ`, where what one step of a quorum queue leads to is done last first.
        if self.is_quorum()
            && let Some(dead) = effects.dead.get_mut(deaths..)
        {
            dead.reverse();
        }
    }
}
