//! The way of a message: checked, routed, and put into each queue it goes to.
//!
//! Nothing here waits, and nothing is half done: every check comes before the first queue takes
//! the message. Routing works in memory that each thread keeps, so it allocates nothing; the one
//! allocation of a publish is the envelope that all queues share.

use std::{cell::Cell, sync::Arc};

use super::{
    bounds,
    cell::QueueCell,
    exchange_cell::{ExchangeCell, Target},
    memo::{self, Memo, Place, Stamped},
    publish_error::{PublishError, PublishReason},
    reply::{self, Replies},
    vhost_state::VhostState,
};
use crate::{
    Denial, Entity, Error, ErrorKind, Message, Name, Table,
    engine::{queue::Held, routing::Routes},
    message::Envelope,
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
    pub(crate) queues: Vec<Arc<QueueCell>>,
    /// Who waits for it as a direct reply. On a channel replies count as unroutable, as they do in
    /// `RabbitMQ`.
    pub(crate) replies: Replies,
    routes: Routes<Target>,
    /// What routing has reached and not looked at. Empty between messages.
    reached: Vec<Target>,
    memo: Memo,
    /// Where the queues are remembered afterwards, and in which state of the topology they were
    /// found. Invariant: while it is there, nobody takes them out.
    kept: Option<(Place, Stamped)>,
}

/// A message that has been checked, with all the keys it is routed by.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) message: Message,
    /// From the CC and BCC headers.
    further_keys: Vec<Name>,
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

impl Checked {
    /// Checks a message. Until it is made an envelope of, it stays as it was given, so that it can
    /// be given back.
    pub(crate) fn new(
        message: Message,
        vhost: &VhostState,
        user: &str,
    ) -> Result<Self, (Error, Message)> {
        if let Err(error) = bounds::check_message(&message, &vhost.context.limits, user) {
            return Err((error, message));
        }
        let further_keys = bounds::further_keys(&message);
        Ok(Self { message, further_keys })
    }

    /// One that was checked before, and routed.
    pub(crate) fn again(message: Message) -> Self {
        Self { message, further_keys: Vec::new() }
    }

    pub(crate) fn has_further_keys(&self) -> bool {
        !self.further_keys.is_empty()
    }

    /// The bytes that it will count for in each queue.
    pub(crate) fn byte_size(&self, exchange: &str, routing_key: &str) -> u64 {
        Envelope::byte_size_of(exchange, routing_key, &self.message)
    }

    /// The message as queues get it: without its BCC header.
    pub(crate) fn into_envelope(self, exchange: Name, routing_key: Name) -> Envelope {
        let mut message = self.message;
        if message.header(bounds::BCC).is_some()
            && let Some(headers) = &mut message.properties_mut().headers
        {
            headers.remove(bounds::BCC);
        }
        Envelope { exchange, routing_key, message }
    }

    /// Gives the message back.
    pub(crate) fn refuse(self, reason: impl Into<PublishReason>) -> PublishError {
        PublishError::new(reason, self.message)
    }
}

impl Found {
    fn new() -> Self {
        Self {
            queues: Vec::new(),
            replies: Replies::default(),
            routes: Routes::new(),
            reached: Vec::new(),
            memo: Memo::default(),
            kept: None,
        }
    }

    /// Puts a message into the queues that were found, and says how many took it: not those that
    /// have been deleted since.
    pub(crate) fn enqueue(&mut self, held: Held) -> u32 {
        if !self.replies.is_empty() {
            self.take_replies().deliver(&held);
        }
        let Some((last, others)) = self.queues.split_last() else { return 0 };
        let mut queues = 0;
        for cell in others {
            queues += u32::from(cell.enqueue(held.clone()).is_ok());
        }
        queues + u32::from(last.enqueue(held).is_ok())
    }

    /// Has those who wait for it as a reply keep room for one.
    pub(crate) fn keep_reply_room(&mut self) -> Result<(), PublishReason> {
        self.replies.keep_room(1)
    }

    /// Takes out who waits for it as a reply.
    pub(crate) fn take_replies(&mut self) -> Replies {
        std::mem::take(&mut self.replies)
    }

    /// Whether nobody takes the message.
    pub(crate) fn is_empty(&self) -> bool {
        self.queues.is_empty() && self.replies.is_empty()
    }

    /// Forgets all targets, for the next message.
    pub(crate) fn clear(&mut self) {
        if let Some((place, at)) = self.kept.take() {
            self.memo.keep(place, at, &mut self.queues);
        } else {
            self.queues.clear();
        }
        self.replies.clear();
        self.routes.clear();
    }
}

impl VhostState {
    /// Finds where a message goes.
    pub(crate) fn route(
        &self,
        source: &Source,
        key: &str,
        checked: &Checked,
        found: &mut Found,
    ) -> Result<(), Error> {
        let headers = checked.message.headers();
        self.route_keys(source, key, &checked.further_keys, headers, found)
    }

    /// Finds where a message with these keys and headers goes.
    pub(crate) fn route_keys(
        &self,
        source: &Source,
        key: &str,
        further_keys: &[Name],
        headers: Option<&Table>,
        found: &mut Found,
    ) -> Result<(), Error> {
        if further_keys.is_empty() && headers.is_none() && !source.is_reply(key) {
            let at = self.stamp.read();
            let from = memo::From { at, exchange: source.slot(), key };
            let (is_known, place) = found.memo.take(from, &mut found.queues);
            found.kept = Some((place, at));
            if is_known {
                return Ok(());
            }
        }
        let keys = std::iter::once(key).chain(further_keys.iter().map(Name::as_str));
        match source {
            Source::Default => self.route_by_queue_name(keys, found),
            Source::Exchange(exchange) => {
                self.route_by_bindings(exchange, &keys, headers, found)?;
            }
        }
        Ok(())
    }

    /// Whether everyone who was found has room for a message of so many bytes. Who waits for it
    /// as a reply keeps it.
    pub(crate) fn check_room(&self, bytes: u64, found: &mut Found) -> Result<(), PublishReason> {
        if !self.context.has_room(bytes.saturating_mul(found.queues.len() as u64)) {
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
