//! A broker too simple to be wrong: flat lists, and no thought of speed.

use std::collections::BTreeMap;

use super::{
    channel::{Channel, Mode, Outstanding, Publish, Transaction},
    routing::route,
    step::{
        AUTO_DELETE_QUEUE, Binding, CHANNELS, Call, EXCLUSIVE_QUEUE, Endpoint, KEYS, QUEUES, Step,
        TOPIC, connection_of,
    },
    store::{Consumer, Counts, End, Holder, Standing, Store},
};

/// What a channel is told on its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Ack(u64),
    Cancel(u8),
    Closed(u16),
    Deliver { consumer: u8, tag: u64, content: u32, redelivered: bool },
    Return(u32),
}

/// What a call answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Count(u64),
    Declared {
        ready: u64,
        consumers: u64,
    },
    Done,
    Got {
        tag: u64,
        content: u32,
        redelivered: bool,
        left: u64,
    },
    GotNothing,
    /// The number of a publish, in confirm mode.
    Number(Option<u64>),
    Refused(Refusal),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    pub(crate) closes_connection: bool,
}

const ACCESS_REFUSED: Refusal = Refusal { code: 403, closes_connection: false };
const NOT_FOUND: Refusal = Refusal { code: 404, closes_connection: false };
const LOCKED: Refusal = Refusal { code: 405, closes_connection: false };
const PRECONDITION: Refusal = Refusal { code: 406, closes_connection: false };
const NOT_ALLOWED: Refusal = Refusal { code: 530, closes_connection: true };

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct World {
    exchanges: [bool; 3],
    bindings: Vec<Binding>,
    /// Which store has a name.
    names: [Option<usize>; 3],
    /// Every queue that ever was.
    stores: Vec<Store>,
    channels: [Channel; CHANNELS],
    published: u32,
}

impl World {
    /// The queues that a step would put a message into.
    pub(crate) fn reached(&self, step: Step) -> Vec<usize> {
        let Call::Publish { exchange, key, .. } = step.call else { return Vec::new() };
        let names = match exchange {
            None => (0..QUEUES.len()).filter(|queue| QUEUES[*queue] == KEYS[key]).collect(),
            Some(exchange) if self.exchanges[exchange] => {
                route(exchange, key, self.exchanges, &self.bindings)
            }
            Some(_) => return Vec::new(),
        };
        names.into_iter().filter(|queue| self.names[*queue].is_some()).collect()
    }

    /// Does a step. `order` is in which a message reaches its queues, which nothing promises.
    pub(crate) fn step(&mut self, Step { channel, call, .. }: Step, order: &[usize]) -> Answer {
        let answer = match call {
            Call::Publish { exchange, mandatory, .. } => {
                self.publish(channel, exchange, mandatory, order)
            }
            _ => self.call(channel, call),
        };
        answer.unwrap_or_else(|refusal| {
            self.refuse(channel, refusal);
            Answer::Refused(refusal)
        })
    }

    pub(crate) fn take_events(&mut self, channel: usize) -> Vec<Seen> {
        std::mem::take(&mut self.channels[channel].events)
    }

    pub(crate) fn outstanding(&self, channel: usize) -> Vec<u64> {
        self.channels[channel].outstanding.keys().copied().collect()
    }

    pub(crate) fn is_in_transaction(&self, channel: usize) -> bool {
        matches!(self.channels[channel].mode, Mode::Tx(_))
    }

    /// Which store has the name of a queue.
    pub(crate) fn store_of(&self, queue: usize) -> Option<usize> {
        self.names[queue]
    }

    pub(crate) fn counts(&self, store: usize) -> Counts {
        self.stores[store].counts()
    }

    fn call(&mut self, channel: usize, call: Call) -> Result<Answer, Refusal> {
        match call {
            Call::Ack { tag, multiple } => {
                let tag = tag.among(&self.outstanding(channel));
                self.settle_tag(channel, tag, multiple, End::Ack)
            }
            Call::Bind(binding) => self.bind(channel, binding),
            Call::Cancel { consumer } => Ok(self.cancel(channel, consumer)),
            Call::CloseChannel => {
                self.close(&[channel], None);
                Ok(Answer::Done)
            }
            Call::CloseConnection => {
                self.close_connection(channel, None);
                Ok(Answer::Done)
            }
            Call::ConfirmSelect | Call::TxCommit | Call::TxRollback | Call::TxSelect => {
                self.change_mode(channel, call)
            }
            Call::Consume { .. } => self.consume(channel, call),
            Call::DeclareExchange { exchange } => {
                self.exchanges[exchange] = true;
                Ok(Answer::Done)
            }
            Call::DeclareQueue { queue } => self.declare_queue(channel, queue),
            Call::DeleteExchange { exchange, if_unused } => {
                let is_used = self.bindings.iter().any(|binding| binding.source == exchange);
                if if_unused && is_used {
                    return Err(PRECONDITION);
                }
                self.delete_exchange(exchange);
                Ok(Answer::Done)
            }
            Call::DeleteQueue { queue, if_unused, if_empty } => {
                let Some(store) = self.names[queue] else { return Ok(Answer::Count(0)) };
                let store = self.open_store(channel, store)?;
                let Counts { ready, consumers, .. } = self.counts(store);
                if if_unused && consumers > 0 || if_empty && ready > 0 {
                    return Err(PRECONDITION);
                }
                self.delete_store(store);
                Ok(Answer::Count(ready))
            }
            Call::Get { queue, auto_ack } => {
                let store = self.find(channel, queue)?;
                Ok(self.get(channel, store, auto_ack))
            }
            Call::Nack { tag, multiple, requeue } => {
                let tag = tag.among(&self.outstanding(channel));
                self.settle_tag(channel, tag, multiple, not_done(requeue))
            }
            Call::Publish { .. } => unreachable!("it needs an order of queues"),
            Call::Purge { queue } => {
                let store = self.find(channel, queue)?;
                Ok(Answer::Count(self.stores[store].purge()))
            }
            Call::Qos { count, global } => {
                let of = &mut self.channels[channel];
                // The limit of a consumer lifts that of the channel.
                of.set_window(if global { count } else { 0 });
                of.prefetch = if global { of.prefetch } else { count };
                let refused = std::mem::take(&mut of.refused);
                self.resume(&refused);
                Ok(Answer::Done)
            }
            Call::Recover => {
                let taken = self.channels[channel].take(0, true).unwrap_or_default();
                if !taken.is_empty() {
                    self.settle(channel, &taken, End::Requeue);
                }
                Ok(Answer::Done)
            }
            Call::Reject { tag, requeue } => {
                let tag = tag.among(&self.outstanding(channel));
                self.settle_tag(channel, tag, false, not_done(requeue))
            }
            Call::Unbind(binding) => self.unbind(channel, binding),
        }
    }

    // ----- what exists

    fn find(&self, channel: usize, queue: usize) -> Result<usize, Refusal> {
        self.open_store(channel, self.names[queue].ok_or(NOT_FOUND)?)
    }

    fn open_store(&self, channel: usize, store: usize) -> Result<usize, Refusal> {
        let owner = self.stores[store].owner;
        if owner.is_some_and(|owner| owner != connection_of(channel)) {
            return Err(LOCKED);
        }
        Ok(store)
    }

    fn declare_queue(&mut self, channel: usize, queue: usize) -> Result<Answer, Refusal> {
        if self.names[queue].is_none() {
            let owner = (queue == EXCLUSIVE_QUEUE).then_some(connection_of(channel));
            self.names[queue] = Some(self.stores.len());
            self.stores.push(Store::new(queue, owner));
        }
        let store = self.find(channel, queue)?;
        let Counts { ready, consumers, .. } = self.counts(store);
        Ok(Answer::Declared { ready, consumers })
    }

    fn bind(&mut self, channel: usize, binding: Binding) -> Result<Answer, Refusal> {
        if !self.exchanges[binding.source] {
            return Err(NOT_FOUND);
        }
        match binding.to {
            Endpoint::Exchange(exchange) if !self.exchanges[exchange] => return Err(NOT_FOUND),
            Endpoint::Exchange(_) => {}
            Endpoint::Queue(queue) => {
                self.find(channel, queue)?;
            }
        }
        if !self.bindings.contains(&binding) {
            self.bindings.push(binding);
        }
        Ok(Answer::Done)
    }

    fn unbind(&mut self, channel: usize, binding: Binding) -> Result<Answer, Refusal> {
        if self.bindings.contains(&binding) {
            if let Endpoint::Queue(queue) = binding.to {
                self.find(channel, queue)?;
            }
            self.forget(|known| *known == binding);
        }
        Ok(Answer::Done)
    }

    fn delete_exchange(&mut self, exchange: usize) {
        self.exchanges[exchange] = false;
        self.forget(|binding| {
            binding.source == exchange || binding.to == Endpoint::Exchange(exchange)
        });
    }

    fn delete_store(&mut self, store: usize) {
        let queue = self.stores[store].name;
        self.names[queue] = None;
        let mut consumers = self.stores[store].delete();
        consumers.sort_by_key(|consumer| consumer.tag);
        self.forget(|binding| binding.to == Endpoint::Queue(queue));
        for Consumer { channel, tag, .. } in consumers {
            let channel = &mut self.channels[channel];
            if channel.consumers.remove(&tag).is_some() {
                channel.events.push(Seen::Cancel(tag));
            }
        }
    }

    /// Takes bindings away. The topic exchange goes with its last one.
    fn forget(&mut self, is_gone: impl Fn(&Binding) -> bool) {
        let is_source = |of: &[Binding]| of.iter().any(|binding| binding.source == TOPIC);
        let was_source = is_source(&self.bindings);
        self.bindings.retain(|binding| !is_gone(binding));
        if was_source && !is_source(&self.bindings) {
            self.delete_exchange(TOPIC);
        }
    }

    // ----- publishing

    fn publish(
        &mut self,
        channel: usize,
        exchange: Option<usize>,
        mandatory: bool,
        queues: &[usize],
    ) -> Result<Answer, Refusal> {
        let content = self.published;
        self.published += 1;
        if exchange.is_some_and(|exchange| !self.exchanges[exchange]) {
            return Err(NOT_FOUND);
        }
        let publish = Publish { content, queues: queues.to_vec(), mandatory };
        if let Mode::Tx(transaction) = &mut self.channels[channel].mode {
            transaction.publishes.push(publish);
            return Ok(Answer::Number(None));
        }
        self.enqueue(channel, &publish);
        let channel = &mut self.channels[channel];
        let Mode::Confirm(number) = &mut channel.mode else { return Ok(Answer::Number(None)) };
        *number += 1;
        channel.events.push(Seen::Ack(*number));
        Ok(Answer::Number(Some(*number)))
    }

    fn enqueue(&mut self, channel: usize, publish: &Publish) {
        let mut is_taken = false;
        for queue in &publish.queues {
            if let Some(store) = self.names[*queue] {
                is_taken = true;
                self.stores[store].push(publish.content);
                self.dispatch(store);
            }
        }
        if publish.mandatory && !is_taken {
            self.channels[channel].events.push(Seen::Return(publish.content));
        }
    }

    fn change_mode(&mut self, channel: usize, call: Call) -> Result<Answer, Refusal> {
        let mode = &mut self.channels[channel].mode;
        match (call, mode) {
            (Call::ConfirmSelect, mode @ Mode::Plain) => *mode = Mode::Confirm(0),
            (Call::TxSelect, mode @ Mode::Plain) => *mode = Mode::Tx(Transaction::default()),
            (Call::ConfirmSelect, Mode::Confirm(_)) | (Call::TxSelect, Mode::Tx(_)) => {}
            (Call::TxCommit, Mode::Tx(transaction)) => {
                let Transaction { publishes, settlements } = std::mem::take(transaction);
                self.settle_all(channel, &settlements, |end| end == End::Ack);
                for publish in &publishes {
                    self.enqueue(channel, publish);
                }
                self.settle_all(channel, &settlements, |end| end != End::Ack);
            }
            (Call::TxRollback, Mode::Tx(transaction)) => {
                let settlements = std::mem::take(transaction).settlements;
                let taken = settlements.into_iter().flat_map(|(_, taken)| taken);
                self.channels[channel].outstanding.extend(taken);
            }
            _ => return Err(PRECONDITION),
        }
        Ok(Answer::Done)
    }

    // ----- receiving

    fn consume(&mut self, channel: usize, call: Call) -> Result<Answer, Refusal> {
        let Call::Consume { queue, consumer: tag, auto_ack, exclusive, priority } = call else {
            unreachable!("it is asked to consume")
        };
        if self.channels[channel].consumers.contains_key(&tag) {
            return Err(NOT_ALLOWED);
        }
        let store = self.find(channel, queue)?;
        if self.stores[store].present().any(|other| other.exclusive || exclusive) {
            return Err(ACCESS_REFUSED);
        }
        let prefetch = self.channels[channel].prefetch;
        let consumer = Consumer {
            channel,
            tag,
            auto_ack,
            exclusive,
            priority,
            prefetch,
            standing: Standing::Present,
        };
        let of = &mut self.stores[store];
        of.turns.push(of.consumers.len());
        self.channels[channel].consumers.insert(tag, (store, of.consumers.len()));
        of.consumers.push(consumer);
        self.dispatch(store);
        Ok(Answer::Done)
    }

    fn cancel(&mut self, channel: usize, consumer: u8) -> Answer {
        if let Some((store, consumer)) = self.channels[channel].consumers.remove(&consumer) {
            self.stores[store].remove_consumer(consumer);
            self.dispatch(store);
            self.delete_if_abandoned(store);
        }
        Answer::Done
    }

    fn get(&mut self, channel: usize, store: usize, auto_ack: bool) -> Answer {
        let Some(message) = self.stores[store].hand_out(Holder::Getter, auto_ack) else {
            return Answer::GotNothing;
        };
        let outstanding = Outstanding { store, place: message.place, consumer: None };
        let tag = self.channels[channel].number(Some(outstanding).filter(|_| !auto_ack));
        let (content, redelivered) = (message.content, message.redelivered);
        Answer::Got { tag, content, redelivered, left: self.counts(store).ready }
    }

    fn dispatch(&mut self, store: usize) {
        while self.stores[store].head().is_some() {
            let Some(consumer) = self.stores[store].take_turn() else { return };
            let Consumer { channel, tag: name, auto_ack, .. } =
                self.stores[store].consumers[consumer];
            if !self.stores[store].has_room(consumer) {
                self.stores[store].consumers[consumer].standing = Standing::Full;
                continue;
            }
            if !self.channels[channel].try_take(store, auto_ack) {
                self.stores[store].refused.push(consumer);
                continue;
            }
            self.stores[store].turns.push(consumer);
            let holder = Holder::Consumer(consumer);
            let Some(message) = self.stores[store].hand_out(holder, auto_ack) else { return };
            let outstanding = Outstanding { store, place: message.place, consumer: Some(name) };
            let channel = &mut self.channels[channel];
            let tag = channel.number(Some(outstanding).filter(|_| !auto_ack));
            let (content, redelivered) = (message.content, message.redelivered);
            channel.events.push(Seen::Deliver { consumer: name, tag, content, redelivered });
        }
    }

    fn settle_tag(
        &mut self,
        channel: usize,
        tag: u64,
        multiple: bool,
        end: End,
    ) -> Result<Answer, Refusal> {
        let taken = self.channels[channel].take(tag, multiple).ok_or(PRECONDITION)?;
        match &mut self.channels[channel].mode {
            Mode::Tx(transaction) => transaction.settlements.push((end, taken)),
            Mode::Confirm(_) | Mode::Plain if taken.is_empty() => {}
            Mode::Confirm(_) | Mode::Plain => self.settle(channel, &taken, end),
        }
        Ok(Answer::Done)
    }

    /// Settles what a transaction has collected, as far as it is `wanted`. Those of one kind that
    /// follow one another are one.
    fn settle_all(
        &mut self,
        channel: usize,
        settlements: &[(End, Vec<(u64, Outstanding)>)],
        wanted: impl Fn(End) -> bool,
    ) {
        for same in settlements.chunk_by(|one, other| one.0 == other.0) {
            let end = same[0].0;
            if wanted(end) {
                let taken: Vec<_> = same.iter().flat_map(|(_, taken)| taken).copied().collect();
                self.settle(channel, &taken, end);
            }
        }
    }

    /// Settles by the names of the queues, and within one by the tags of the consumers: what was
    /// got first, one by one. Then those go on that the channel had refused.
    fn settle(&mut self, channel: usize, taken: &[(u64, Outstanding)], end: End) {
        let of = &mut self.channels[channel];
        of.release(taken);
        let refused = std::mem::take(&mut of.refused);
        let mut groups: BTreeMap<_, Vec<u64>> = BTreeMap::new();
        for (tag, Outstanding { store, place, consumer }) in taken {
            let got = Some(*tag).filter(|_| consumer.is_none());
            let key = (self.stores[*store].name, *consumer, got, *store);
            groups.entry(key).or_default().push(*place);
        }
        for ((.., store), places) in groups {
            for place in places {
                self.stores[store].settle(place, end);
            }
            self.dispatch(store);
        }
        self.resume(&refused);
    }

    fn settle_of(&mut self, store: usize, taken: &[(u64, Outstanding)], end: End) {
        for (_, outstanding) in taken.iter().filter(|(_, of)| of.store == store) {
            self.stores[store].settle(outstanding.place, end);
        }
    }

    fn resume(&mut self, stores: &[usize]) {
        for store in stores {
            let of = &mut self.stores[*store];
            of.turns.append(&mut of.refused);
            self.dispatch(*store);
        }
    }

    // ----- closing

    fn refuse(&mut self, channel: usize, refusal: Refusal) {
        if refusal.closes_connection {
            self.close_connection(channel, Some(refusal.code));
        } else {
            self.close(&[channel], Some(refusal.code));
        }
    }

    /// What they had goes back, one queue after the other in the order of their names. None of
    /// them gets what another one returns.
    fn close(&mut self, channels: &[usize], code: Option<u16>) {
        let mut remains = Vec::new();
        for channel in channels {
            let mut of = std::mem::take(&mut self.channels[*channel]);
            let events = &mut self.channels[*channel].events;
            events.append(&mut of.events);
            events.retain(|event| !matches!(event, Seen::Deliver { .. }));
            events.extend(code.map(Seen::Closed));
            self.channels[*channel].is_closed = true;
            remains.push(of);
        }
        for channel in remains {
            self.withdraw(channel);
        }
        for channel in channels {
            let events = std::mem::take(&mut self.channels[*channel].events);
            self.channels[*channel] = Channel { events, ..Channel::default() };
        }
    }

    fn withdraw(&mut self, channel: Channel) {
        let mut outstanding = channel.outstanding;
        if let Mode::Tx(transaction) = channel.mode {
            let settlements = transaction.settlements.into_iter();
            outstanding.extend(settlements.flat_map(|(_, settled)| settled));
        }
        let outstanding: Vec<_> = outstanding.into_iter().collect();
        for store in self.names.into_iter().flatten() {
            let consumers: Vec<usize> = channel
                .consumers
                .values()
                .filter(|(consumed, _)| *consumed == store)
                .map(|(_, consumer)| *consumer)
                .collect();
            for consumer in &consumers {
                self.stores[store].remove_consumer(*consumer);
            }
            self.settle_of(store, &outstanding, End::Requeue);
            self.dispatch(store);
            if !consumers.is_empty() {
                self.delete_if_abandoned(store);
            }
        }
    }

    fn close_connection(&mut self, channel: usize, code: Option<u16>) {
        let connection = connection_of(channel);
        let channels: Vec<usize> =
            (0..CHANNELS).filter(|channel| connection_of(*channel) == connection).collect();
        self.close(&channels, code);
        let store = self.names[EXCLUSIVE_QUEUE];
        if let Some(store) = store.filter(|store| self.stores[*store].owner == Some(connection)) {
            self.delete_store(store);
        }
    }

    fn delete_if_abandoned(&mut self, store: usize) {
        let of = &self.stores[store];
        if of.name == AUTO_DELETE_QUEUE && of.present().next().is_none() {
            self.delete_store(store);
        }
    }
}

fn not_done(requeue: bool) -> End {
    if requeue { End::Requeue } else { End::Reject }
}
