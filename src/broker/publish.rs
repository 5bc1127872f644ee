//! The way of a message: checked, routed, and put into each queue it goes to.
//!
//! Nothing here waits, and nothing is half done: every check comes before the first queue takes
//! the message. Routing works in memory that each thread keeps, so it allocates nothing; nor does
//! publishing, unless somebody else holds the message too: all queues share it as it is.

use std::{cell::Cell, sync::Arc};

use super::{
    bounds,
    cell::QueueCell,
    exchange_cell::{ExchangeCell, Target},
    memo::{self, Memo, Place},
    publish_error::PublishReason,
    reply::{self, Replies},
    vhost_state::VhostState,
};
use crate::{
    Denial, Entity, Error, ErrorKind, Message, Name, Table,
    engine::{queue::Held, routing::Routes},
    sync::thread_local,
};

/// Where a message is published to.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// The exchange without a name, to which every queue is bound by its own name.
    Default,
    Exchange(Arc<ExchangeCell>),
}

/// Where one message goes, and the memory to find that out.
#[derive(Debug)]
pub(crate) struct Found {
    /// What has been found, unless it is remembered.
    pub(crate) queues: Vec<Arc<QueueCell>>,
    /// Who waits for it as a direct reply. On a channel replies count as unroutable, as they do in
    /// `RabbitMQ`.
    pub(crate) replies: Replies,
    routes: Routes<Target>,
    /// What routing has reached and not looked at. Empty between messages.
    reached: Vec<Target>,
    memo: Memo,
    /// Where the queues are remembered. Then there are no replies.
    remembered: Option<Place>,
}

impl Source {
    pub(crate) fn name(&self) -> Name {
        match self {
            Self::Default => Name::default(),
            Self::Exchange(exchange) => exchange.name.clone(),
        }
    }

    /// The exchange that bindings start from; none start from the default one.
    pub(crate) fn target(&self) -> Option<Target> {
        match self {
            Self::Default => None,
            Self::Exchange(exchange) => Some(Target::Exchange(Arc::clone(exchange))),
        }
    }

    /// Whether a key is the address of a reply here.
    fn is_reply(&self, key: &str) -> bool {
        matches!(self, Self::Default) && reply::is_address(key)
    }

    /// What distinguishes it from other exchanges; the default one has nothing.
    fn slot(&self) -> Option<usize> {
        match self {
            Self::Default => None,
            Self::Exchange(exchange) => Some(exchange.slot()),
        }
    }

    /// Messages are not published to internal exchanges.
    pub(crate) fn check_accepts(&self, vhost: &VhostState) -> Result<(), Error> {
        match self {
            Self::Exchange(exchange) if exchange.definition.internal => {
                let kind = ErrorKind::AccessRefused {
                    entity: Entity::Exchange,
                    name: exchange.name.clone(),
                    reason: Denial::Internal,
                };
                Err(Error::new(kind, &vhost.name))
            }
            Self::Exchange(_) | Self::Default => Ok(()),
        }
    }
}

/// A message as queues get it: without its BCC header, and with where it was published.
pub(crate) fn held(mut message: Message, exchange: Name, routing_key: Name) -> Held {
    if message.headers().is_some() {
        message.remove_header(bounds::BCC);
    }
    Held::Resident(message.addressed(exchange, routing_key))
}

impl Found {
    fn new() -> Self {
        Self {
            queues: Vec::new(),
            replies: Replies::default(),
            routes: Routes::new(),
            reached: Vec::new(),
            memo: Memo::default(),
            remembered: None,
        }
    }

    /// The queues that take the message.
    pub(crate) fn queues(&self) -> &[Arc<QueueCell>] {
        match self.remembered {
            Some(place) => self.memo.queues(place),
            None => &self.queues,
        }
    }

    /// The routing key, to be kept with the message.
    pub(crate) fn name_of(&self, key: &str) -> Name {
        match self.remembered {
            Some(place) => self.memo.key(place).clone(),
            None => Name::from(key),
        }
    }

    /// Puts a message into the queues that were found, and says how many took it: not those that
    /// have been deleted since.
    pub(crate) fn enqueue(&mut self, held: Held) -> u32 {
        if !self.replies.is_empty() {
            self.take_replies().deliver(&held);
        }
        let Some((last, others)) = self.queues().split_last() else { return 0 };
        let mut queues = 0;
        for cell in others {
            queues += u32::from(cell.enqueue(held.clone()).is_ok());
        }
        queues + u32::from(last.enqueue(held).is_ok())
    }

    /// Has those who wait for it as a reply keep room for one.
    pub(crate) fn keep_reply_room(&mut self) -> Result<(), PublishReason> {
        if self.replies.is_empty() { Ok(()) } else { self.replies.keep_room(1) }
    }

    /// Takes out who waits for it as a reply.
    pub(crate) fn take_replies(&mut self) -> Replies {
        std::mem::take(&mut self.replies)
    }

    /// Whether nobody takes the message.
    pub(crate) fn is_empty(&self) -> bool {
        self.queues().is_empty() && self.replies.is_empty()
    }

    /// Forgets all targets, for the next message.
    pub(crate) fn clear(&mut self) {
        if self.remembered.take().is_none() {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.queues.clear();
        self.replies.clear();
        self.routes.clear();
    }
}

impl VhostState {
    /// Finds where a message goes.
    #[inline]
    pub(crate) fn route(
        &self,
        source: &Source,
        key: &str,
        message: &Message,
        found: &mut Found,
    ) -> Result<(), Error> {
        if message.headers().is_some() || source.is_reply(key) {
            return self.search(source, key, message, found);
        }
        let from = memo::From { at: self.stamp.read(), exchange: source.slot(), key };
        let place = Memo::place(from);
        if !found.memo.knows(place, from) {
            self.search(source, key, message, found)?;
            if found.queues.len() > memo::QUEUES_MAX {
                return Ok(());
            }
            found.memo.keep(place, from, &mut found.queues);
            found.forget();
        }
        found.remembered = Some(place);
        Ok(())
    }

    /// Finds where a message goes that nobody remembers.
    fn search(
        &self,
        source: &Source,
        key: &str,
        message: &Message,
        found: &mut Found,
    ) -> Result<(), Error> {
        let further_keys = bounds::further_keys(message);
        let keys = std::iter::once(key).chain(further_keys.iter().map(Name::as_str));
        match source {
            Source::Default => {
                self.route_by_queue_name(keys, found);
                Ok(())
            }
            Source::Exchange(exchange) => {
                self.route_by_bindings(exchange, &keys, message.headers(), found)
            }
        }
    }

    /// Whether everyone who was found has room for a message of so many bytes. Who waits for it
    /// as a reply keeps it.
    pub(crate) fn check_room(&self, bytes: u64, found: &mut Found) -> Result<(), PublishReason> {
        if !self.context.has_room(bytes.saturating_mul(found.queues().len() as u64)) {
            return Err(PublishReason::NO_MEMORY);
        }
        found.keep_reply_room()
    }

    fn route_by_queue_name<'k>(&self, keys: impl Iterator<Item = &'k str>, found: &mut Found) {
        for key in keys {
            if reply::is_address(key) {
                if let Some(slot) = self.replies.find(key) {
                    found.replies.add(slot);
                }
            } else if let Some(cell) = self.routed_queue(key)
                && found.routes.mark(cell.slot())
            {
                found.queues.push(cell);
            }
        }
    }

    /// Walks the graph of exchanges, breadth first. Each is reached once, so cycles end.
    fn route_by_bindings<'k>(
        &self,
        start: &Arc<ExchangeCell>,
        keys: &(impl Iterator<Item = &'k str> + Clone),
        headers: Option<&Table>,
        found: &mut Found,
    ) -> Result<(), Error> {
        let gone = || Error::not_found(Entity::Exchange, start.name.clone(), &self.name);
        let Found { queues, routes, reached, .. } = found;
        routes.mark(start.slot());
        self.visit(start, keys.clone(), headers, routes).ok_or_else(gone)?;
        routes.take_targets(reached);
        while !reached.is_empty() {
            // Turned around, because taking from the end is cheaper than a drain.
            reached.reverse();
            while let Some(target) = reached.pop() {
                match target {
                    Target::Queue(cell) => queues.push(cell),
                    // One that is deleted meanwhile routes nothing.
                    Target::Exchange(exchange) => {
                        let _ = self.visit(&exchange, keys.clone(), headers, routes);
                    }
                }
            }
            routes.take_targets(reached);
        }
        Ok(())
    }

    /// Adds where one exchange leads: its bindings, or its alternate exchange if none matches.
    /// `None` if it is deleted.
    fn visit<'k>(
        &self,
        exchange: &ExchangeCell,
        keys: impl Iterator<Item = &'k str>,
        headers: Option<&Table>,
        routes: &mut Routes<Target>,
    ) -> Option<()> {
        let is_matched = exchange.route(keys, headers, routes).ok()?;
        if !is_matched
            && let Some(alternate) = &exchange.definition.alternate
            && let Ok(alternate) = self.exchange(alternate)
        {
            routes.push(&Target::Exchange(alternate));
        }
        Some(())
    }
}

thread_local! {
    /// Taken out while in use: the destructor of a body may publish in the middle of a publish.
    static KEPT: Cell<Option<Box<Found>>> = Cell::default();
}

/// Runs something with memory to route in.
pub(crate) fn with_found<R>(act: impl FnOnce(&mut Found) -> R) -> R {
    let mut found =
        KEPT.try_with(Cell::take).ok().flatten().unwrap_or_else(|| Box::new(Found::new()));
    let result = act(&mut found);
    found.clear();
    // A thread that is ending keeps nothing.
    let _ = KEPT.try_with(|kept| kept.set(Some(found)));
    result
}
