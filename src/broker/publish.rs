//! The way of a message: checked, routed, and put into each queue it goes to.
//!
//! Nothing here waits, and nothing is half done: every check comes before the first queue takes
//! the message. Routing works in memory that each thread keeps, so it allocates nothing; nor does
//! publishing, unless somebody else holds the message too: all queues share it as it is.

use std::{cell::Cell, mem, sync::Arc};

use super::{
    bounds,
    cell::QueueCell,
    dead_letters, entrance,
    exchange_cell::{ExchangeCell, ExchangeGone, Target},
    intake::Intake,
    memo::{self, Memo, Place, Stamped, Way},
    publish_error::PublishReason,
    registry::TargetId,
    reply::{self, Replies},
    tx::Mandatory,
    vhost_state::VhostState,
};
use crate::{
    Denial, Entity, Error, ErrorKind, Message, Name, Table,
    engine::{queue::Held, routing::Routes},
    message::{Address, Label},
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
    queues: Vec<Arc<QueueCell>>,
    /// Who waits for it as a direct reply. On a channel replies count as unroutable, as they do in
    /// `RabbitMQ`.
    pub(crate) replies: Replies,
    /// Further queues, which nobody has looked up yet: a message that is refused does without.
    routes: Routes<TargetId>,
    /// How many exchanges there are among them.
    exchanges: usize,
    memo: Memo,
    /// In which state of the topology it was found, if others like it go the same way.
    routed_at: Option<Stamped>,
    /// Whether anything is in here that is to be forgotten.
    is_used: bool,
    /// Where the queues are remembered. Then there are no replies.
    remembered: Option<Place>,
}

impl Source {
    #[inline]
    pub(crate) fn name(&self) -> Name {
        match self {
            Self::Default => Name::default(),
            Self::Exchange(exchange) => exchange.name.clone(),
        }
    }

    /// What a message without headers is routed by here, as of a stamp.
    #[inline]
    pub(crate) fn origin<'k>(&self, at: Stamped, key: &'k str) -> memo::From<'k> {
        memo::From { at, exchange: self.slot(), key }
    }

    /// What a publish with this key puts on the message.
    pub(crate) fn label(&self, key: &str) -> Label {
        Label::new(self.name(), Name::from(key))
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
    #[inline]
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

/// A message, which has its label, as queues get it: without its BCC header, whose keys it keeps
/// for itself.
#[inline]
pub(crate) fn held(mut message: Message) -> Held {
    if message.has_table() {
        let keys = bounds::blind_keys(&message);
        let is_blind = message.header(bounds::BCC).is_some();
        if is_blind || !message.blind_keys().is_empty() {
            let Address { exchange, routing_key } = message.address().clone();
            message.remove_header(bounds::BCC);
            message.set_blind_keys(keys);
            message.put_label(&Label::new(exchange, routing_key));
        }
    }
    Held::Resident(message)
}

impl Found {
    fn new() -> Self {
        Self {
            queues: Vec::new(),
            replies: Replies::default(),
            routes: Routes::new(),
            exchanges: 0,
            memo: Memo::default(),
            routed_at: None,
            is_used: false,
            remembered: None,
        }
    }

    /// The queues that take the message.
    pub(crate) fn queues(&mut self, vhost: &VhostState) -> &[Arc<QueueCell>] {
        self.look_up(vhost);
        self.seen()
    }

    /// How many those are, of which some may turn out to be deleted.
    pub(crate) fn queue_count(&self) -> usize {
        self.seen().len() + self.unseen()
    }

    /// Adds a queue that nobody had to find.
    pub(crate) fn add(&mut self, cell: Arc<QueueCell>) {
        self.is_used = true;
        self.queues.push(cell);
    }

    /// Remembers, for others like it, where the message goes that has this label.
    pub(crate) fn remember(&mut self, vhost: &VhostState, source: &Source, label: Label) {
        self.look_up(vhost);
        // The end of a queue renews the stamp, so a way to one is given up when its host ends.
        if let Some(at) = self.routed_at
            && (1..=memo::QUEUES_MAX).contains(&self.queues.len())
        {
            let place = self.memo.keep((at, source.slot()), label, &mut self.queues);
            self.forget();
            self.remembered = Some(place);
        }
    }

    fn look_up(&mut self, vhost: &VhostState) {
        if self.unseen() > 0 {
            // Nothing is there any more of one that has been deleted since.
            let queues = self.routes.as_slice().iter().filter_map(|id| vhost.registry.queue(*id));
            self.queues.extend(queues);
            self.routes.forget();
            self.exchanges = 0;
        }
    }

    /// How many queues nobody has looked up.
    fn unseen(&self) -> usize {
        self.routes.as_slice().len() - self.exchanges
    }

    fn seen(&self) -> &[Arc<QueueCell>] {
        match self.remembered {
            Some(place) => &self.memo.way(place).queues,
            None => &self.queues,
        }
    }

    /// Where such a message goes, if that is remembered.
    #[inline]
    pub(crate) fn way(&self, from: memo::From<'_>) -> Option<&Way> {
        self.memo.find(from).map(|place| self.memo.way(place))
    }

    /// Looks whether it is remembered where such a message goes, and goes there.
    #[inline]
    pub(crate) fn recall(&mut self, from: memo::From<'_>) -> bool {
        self.remembered = self.memo.find(from);
        self.remembered.is_some()
    }

    /// What a publish with this key puts on the message.
    #[inline]
    pub(crate) fn label(&self, source: &Source, key: &str) -> Label {
        match self.remembered {
            Some(place) => self.memo.way(place).label.clone(),
            None => source.label(key),
        }
    }

    /// Whether a bound that a queue declares may keep a message out.
    pub(crate) fn may_refuse(&self) -> bool {
        self.seen().iter().any(|cell| cell.may_refuse())
    }

    /// Notes that something is in here that is to be forgotten.
    pub(crate) fn note_use(&mut self) {
        self.is_used = true;
    }

    /// Puts a message into the queues that were found, and says what has become of it.
    #[inline]
    pub(crate) fn enqueue(&mut self, held: Held) -> Intake {
        debug_assert_eq!(self.unseen(), 0, "they have been looked up");
        if !self.replies.is_empty() {
            self.take_replies().deliver(&held);
        }
        entrance::enqueue(self.seen(), held)
    }

    /// Puts a message into the queues that were found, as a part of a step that has begun.
    pub(crate) fn enqueue_within(&mut self, held: Held) -> Intake {
        self.take_replies().deliver(&held);
        dead_letters::after(|| entrance::put_one_by_one(self.seen(), held))
    }

    /// Puts messages into the queues that were found, in order and with one lock for each queue,
    /// and says what has become of them.
    pub(crate) fn enqueue_all(&self, messages: impl ExactSizeIterator<Item = Held>) -> Intake {
        debug_assert_eq!(self.unseen(), 0, "they have been looked up");
        match self.seen() {
            [] if self.replies.is_empty() => Intake::default(),
            [cell] if self.replies.is_empty() && cell.stored.is_none() => {
                cell.enqueue_all(messages)
            }
            queues => {
                let messages: Vec<_> = messages.collect();
                for held in &messages {
                    self.replies.deliver(held);
                }
                let is_stored = queues
                    .iter()
                    .all(|cell| messages.iter().all(|held| entrance::keeps(cell, held)));
                entrance::enqueue_batches(queues, || {
                    let mut intake = Intake::default().stored_if(is_stored);
                    for cell in queues {
                        intake.join(cell.enqueue_all(messages.iter().cloned()));
                    }
                    intake
                })
            }
        }
    }

    /// Whether somebody takes the message, if somebody has to.
    #[inline]
    pub(crate) fn check_reached(&self, mandatory: Mandatory) -> Result<(), PublishReason> {
        if mandatory == Mandatory::Yes && self.is_empty() {
            return Err(PublishReason::Unroutable);
        }
        Ok(())
    }

    /// Has those who wait for it as a reply keep room for so many.
    #[inline]
    pub(crate) fn keep_reply_room(&mut self, replies: usize) -> Result<(), PublishReason> {
        if self.replies.is_empty() { Ok(()) } else { self.replies.keep_room(replies) }
    }

    /// Takes out who waits for it as a reply.
    pub(crate) fn take_replies(&mut self) -> Replies {
        mem::take(&mut self.replies)
    }

    /// Whether nobody takes the message.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.queue_count() == 0 && self.replies.is_empty()
    }

    /// Forgets all targets, for the next message.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.remembered = None;
        if mem::take(&mut self.is_used) {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.routed_at = None;
        self.queues.clear();
        self.exchanges = 0;
        self.replies.clear();
        self.routes.clear();
    }
}

impl VhostState {
    /// What a message is routed by that has no headers, with the present state of the topology.
    #[inline]
    pub(crate) fn origin<'k>(&self, source: &Source, key: &'k str) -> memo::From<'k> {
        source.origin(self.stamp.read(), key)
    }

    /// Finds where a message goes.
    pub(crate) fn route(
        &self,
        source: &Source,
        key: &str,
        message: &Message,
        found: &mut Found,
    ) -> Result<(), Error> {
        self.route_from(source, self.origin(source, key), message, found)
    }

    /// The same as of a stamp that was read before anything was checked: only so may the way be
    /// remembered for others, who do not check again.
    pub(crate) fn route_from(
        &self,
        source: &Source,
        from: memo::From<'_>,
        message: &Message,
        found: &mut Found,
    ) -> Result<(), Error> {
        if message.headers().is_none() && found.recall(from) {
            return Ok(());
        }
        self.find(source, from, message, found)
    }

    /// Finds where a message goes that nobody remembers.
    pub(crate) fn find(
        &self,
        source: &Source,
        from: memo::From<'_>,
        message: &Message,
        found: &mut Found,
    ) -> Result<(), Error> {
        found.is_used = true;
        found.memo.make_place(from);
        let further_keys = bounds::further_keys(message);
        self.search(source, from.key, &further_keys, message.headers(), found)?;
        let is_lasting = message.headers().is_none() && !source.is_reply(from.key);
        found.routed_at = is_lasting.then_some(from.at);
        Ok(())
    }

    /// Looks at the bindings.
    pub(crate) fn search(
        &self,
        source: &Source,
        key: &str,
        further_keys: &[Name],
        headers: Option<&Table>,
        found: &mut Found,
    ) -> Result<(), Error> {
        let keys = std::iter::once(key).chain(further_keys.iter().map(Name::as_str));
        match source {
            Source::Default => {
                self.route_by_queue_name(keys, found);
                Ok(())
            }
            Source::Exchange(exchange) => self.route_by_bindings(exchange, &keys, headers, found),
        }
    }

    /// Whether everyone who was found has room for a message of so many bytes. Who waits for it
    /// as a reply keeps it.
    #[inline]
    pub(crate) fn check_room(
        &self,
        bytes: u32,
        is_persistent: bool,
        found: &mut Found,
    ) -> Result<(), PublishReason> {
        self.check_room_for(bytes.into(), 1, is_persistent, found)
    }

    /// The same for messages of so many bytes together.
    #[inline]
    pub(crate) fn check_room_for(
        &self,
        bytes: u64,
        messages: usize,
        is_persistent: bool,
        found: &mut Found,
    ) -> Result<(), PublishReason> {
        if !self.context.has_room(bytes.saturating_mul(found.queue_count() as u64))
            && !entrance::fits_on_disk(found.queues(self), messages, is_persistent)
        {
            return Err(PublishReason::NO_MEMORY);
        }
        found.keep_reply_room(messages)
    }

    /// Whether those who were found and whom a store knows can have it keep the message.
    #[inline]
    pub(crate) fn check_store(
        &self,
        message: &Message,
        found: &mut Found,
    ) -> Result<(), PublishReason> {
        match &self.context.journal {
            None => Ok(()),
            Some(_) => entrance::check_store(found.queues(self), message),
        }
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
        let gone =
            |ExchangeGone| Error::not_found(Entity::Exchange, start.name.clone(), &self.name);
        let Found { routes, exchanges, .. } = found;
        routes.mark(start.slot());
        let unmatched = visit(start, keys.clone(), headers, routes).map_err(gone)?;
        self.go_instead(unmatched, routes);
        // Usually there are only queues, which is told faster of all at once.
        let mut next = if TargetId::any_exchange(routes.as_slice()) { 0 } else { usize::MAX };
        while let Some(&id) = routes.as_slice().get(next) {
            next += 1;
            if !id.is_exchange() {
                continue;
            }
            *exchanges += 1;
            let unmatched = self.registry.with_exchange(id, |exchange| {
                visit(exchange, keys.clone(), headers, routes).map(Option::<&Name>::cloned)
            });
            // One that is deleted meanwhile routes nothing.
            if let Some(Ok(unmatched)) = unmatched {
                self.go_instead(unmatched.as_ref(), routes);
            }
        }
        Ok(())
    }

    /// Adds the alternate exchange of one where no binding matched.
    fn go_instead(&self, alternate: Option<&Name>, routes: &mut Routes<TargetId>) {
        if let Some(alternate) = alternate
            && let Ok(alternate) = self.exchange(alternate)
            && let Some(id) = self.registry.id(&Target::Exchange(alternate))
        {
            routes.push(&id);
        }
    }
}

/// Adds where the bindings of one exchange lead. If none matches, it answers with the alternate
/// exchange, if there is one.
fn visit<'e, 'k>(
    exchange: &'e ExchangeCell,
    keys: impl Iterator<Item = &'k str>,
    headers: Option<&Table>,
    routes: &mut Routes<TargetId>,
) -> Result<Option<&'e Name>, ExchangeGone> {
    let is_matched = exchange.route(keys, headers, routes)?;
    Ok(if is_matched { None } else { exchange.definition.alternate.as_ref() })
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

#[cfg(all(test, not(loom)))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Broker;

    /// Somebody on this thread checked before the broker closed, and routes afterwards.
    #[test]
    fn a_way_found_in_the_end_is_not_gone_without_asking() {
        let broker = Broker::new();
        let exchange = broker.default_exchange();
        let (vhost, source) = (exchange.vhost().state(), Source::Default);
        broker.close(Duration::ZERO);
        with_found(|found| {
            vhost.route(&source, "nobody", &Message::new(""), found).expect("it is not asked");
            let label = found.label(&source, "nobody");
            found.remember(vhost, &source, label);
        });
        let refused = exchange.publish("nobody", Message::new("")).expect_err("it is closed");
        assert!(matches!(refused.reason(), PublishReason::Closed));
    }
}
