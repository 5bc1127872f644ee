//! A broker as its store remembers it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    Journal,
    topology::{StoredExchange, StoredVhost},
};
use crate::{
    Error, Message, Name, RecoveryReport,
    broker::{
        broker_state::BrokerState, cell::QueueCell, delivery::RETRY_MAX, exchange_cell::Target,
        vhost_state::VhostState,
    },
    engine::{
        definition::{ExchangeDeclaration, QueueDeclaration},
        entity::Endpoint,
        ids::Seq,
        queue::{Held, Kept},
        topology::BindingSpec,
    },
    store::record::{
        Amendment, ENTITIES, End, Entity, ItemId, Record, Recovered, RecoveredBody,
        RecoveredMessage, Serial,
    },
    time::Moment,
};

/// What is being put together again.
pub(crate) struct Restoring<'b> {
    journal: &'b Journal,
    broker: &'b BrokerState,
    vhosts: HashMap<Option<Serial>, Arc<VhostState>>,
    ends: HashMap<Serial, (Option<Serial>, Target)>,
    /// By queue: of which messages nobody knows whether they were handed out, and by which serial
    /// the store knows that.
    used: HashMap<Serial, (Serial, Doubt)>,
    /// Those that messages were put into.
    filled: Vec<Arc<QueueCell>>,
    /// What is in the store and belongs to nothing any more: a crash came while it was removed.
    orphans: Vec<Record>,
    report: RecoveryReport,
}

/// Of which messages nobody knows whether they were handed out.
#[derive(Clone, Copy)]
enum Doubt {
    None,
    Below(u64),
    OfAll,
}

/// What was declared, in the order in which it is declared again.
#[derive(Default)]
struct Declared {
    vhosts: Vec<(Serial, Name)>,
    exchanges: Vec<(Serial, Option<Serial>, Name, ExchangeDeclaration)>,
    queues: Vec<(Serial, Option<Serial>, Name, QueueDeclaration)>,
    bindings: Vec<(Serial, Entity)>,
}

impl<'b> Restoring<'b> {
    pub(crate) fn new(journal: &'b Journal, broker: &'b BrokerState) -> Self {
        Self {
            journal,
            broker,
            vhosts: HashMap::from([(None, Arc::clone(&broker.default))]),
            ends: HashMap::new(),
            used: HashMap::new(),
            filled: Vec::new(),
            orphans: Vec::new(),
            report: RecoveryReport::default(),
        }
    }

    /// Makes everything that was in the store, and says what that was.
    pub(crate) fn restore(mut self, recovered: Recovered) -> Result<RecoveryReport, Error> {
        self.report.was_cut = recovered.was_cut;
        let mut declared = self.sort(recovered.entities);
        declared.drop_predecessors(&mut self.orphans);
        for (serial, name) in declared.vhosts {
            let vhost = self.broker.restore_vhost(name, StoredVhost::new(Some(serial)));
            self.vhosts.insert(Some(serial), vhost);
        }
        for (serial, of, name, declaration) in declared.exchanges {
            self.restore_exchange(serial, of, &name, declaration)?;
        }
        for (serial, of, name, declaration) in declared.queues {
            self.restore_queue(serial, of, &name, declaration)?;
        }
        for (serial, entity) in declared.bindings {
            self.restore_binding(serial, entity)?;
        }
        self.restore_messages(recovered.messages);
        // Not before all are filled: what has expired meanwhile goes to another queue, behind what
        // was there.
        self.filled.iter().for_each(QueueCell::set_going);
        let known: Vec<_> =
            self.used.iter().map(|(queue, (serial, _))| (*queue, *serial)).collect();
        for (queue, serial) in known {
            if !self.ends.contains_key(&queue) {
                self.drop_entity(serial);
            }
        }
        if !self.orphans.is_empty() {
            self.journal.append(&self.orphans);
        }
        Ok(self.report)
    }

    fn sort(&mut self, entities: Vec<(Serial, Entity)>) -> Declared {
        let mut declared = Declared::default();
        for (serial, entity) in entities {
            match entity {
                Entity::VirtualHost { name } => declared.vhosts.push((serial, name)),
                Entity::Exchange { vhost, name, declaration } => {
                    declared.exchanges.push((serial, vhost, name, declaration));
                }
                Entity::Queue { vhost, name, declaration } => {
                    declared.queues.push((serial, vhost, name, declaration));
                }
                Entity::Used { queue, below } => {
                    let doubt = below.map_or(Doubt::OfAll, Doubt::Below);
                    self.used.insert(queue, (serial, doubt));
                }
                binding @ Entity::Binding { .. } => declared.bindings.push((serial, binding)),
            }
        }
        declared
    }

    fn restore_exchange(
        &mut self,
        serial: Serial,
        of: Option<Serial>,
        name: &Name,
        declaration: ExchangeDeclaration,
    ) -> Result<(), Error> {
        let Some(vhost) = self.vhosts.get(&of) else {
            self.drop_entity(serial);
            return Ok(());
        };
        let cell = vhost.restore_exchange(name, declaration, StoredExchange::new(serial))?;
        self.ends.insert(serial, (of, Target::Exchange(cell)));
        self.report.exchanges += 1;
        Ok(())
    }

    fn restore_queue(
        &mut self,
        serial: Serial,
        of: Option<Serial>,
        name: &Name,
        declaration: QueueDeclaration,
    ) -> Result<(), Error> {
        let Some(vhost) = self.vhosts.get(&of) else {
            self.drop_entity(serial);
            return Ok(());
        };
        let used = self.used.get(&serial).map(|(serial, _)| *serial);
        let cell = vhost.restore_queue(name, declaration, |definition| {
            self.journal.stored_queue(serial, definition, used)
        })?;
        self.ends.insert(serial, (of, Target::Queue(cell)));
        self.report.queues += 1;
        Ok(())
    }

    fn restore_binding(&mut self, serial: Serial, entity: Entity) -> Result<(), Error> {
        let Entity::Binding { vhost: of, source, destination, key, arguments } = entity else {
            return Ok(());
        };
        let ends = (self.endpoint(of, source), self.endpoint(of, destination));
        let (Some(vhost), (Some(Endpoint::Exchange(source)), Some(destination))) =
            (self.vhosts.get(&of), ends)
        else {
            self.drop_entity(serial);
            return Ok(());
        };
        let spec = BindingSpec::new(source, destination, key, &arguments)
            .map_err(|error| vhost.error(error))?;
        vhost.restore_binding(spec, serial)?;
        self.report.bindings += 1;
        Ok(())
    }

    /// What an end of a binding is called, if it is there.
    fn endpoint(&self, vhost: Option<Serial>, end: End) -> Option<Endpoint> {
        let serial = match end {
            End::Predeclared(name) => return Some(Endpoint::Exchange(name)),
            End::Exchange(serial) | End::Queue(serial) => serial,
        };
        let (of, target) = self.ends.get(&serial)?;
        (*of == vhost).then(|| target.endpoint())
    }

    fn restore_messages(&mut self, messages: Vec<RecoveredMessage>) {
        let mut messages = messages.into_iter().peekable();
        while let Some(first) = messages.peek() {
            let queue = first.id.queue;
            let of_queue = std::iter::from_fn(|| messages.next_if(|next| next.id.queue == queue));
            match self.ends.get(&queue) {
                Some((_, Target::Queue(cell))) => {
                    let cell = Arc::clone(cell);
                    let doubt = self.used.get(&queue).map_or(Doubt::None, |(_, doubt)| *doubt);
                    self.fill(&cell, doubt, of_queue);
                }
                Some((_, Target::Exchange(_))) | None => {
                    of_queue.for_each(drop);
                    self.orphans.push(Record::QueueEnded(queue));
                }
            }
        }
    }

    /// Puts messages where they were.
    fn fill(
        &mut self,
        cell: &Arc<QueueCell>,
        doubt: Doubt,
        messages: impl Iterator<Item = RecoveredMessage>,
    ) {
        let clock = &cell.context().clock;
        let now = Now { unix_ms: clock.unix_milliseconds(), moment: clock.now() };
        let ttl = cell.definition.parsed.message_ttl_ms.map(Duration::from_millis);
        let report = &mut self.report;
        let (mut below, mut outlines) = (0, Outlines::default());
        let restored = messages.map(|found| {
            let Amendment { returns, is_redelivered, end, until, death } = found.state();
            let RecoveredMessage { id, message, .. } = found;
            let (held, on_disk, own) = match message {
                RecoveredBody::Resident(message) => {
                    let own = message.time_to_live();
                    (Held::Resident(message), None, own)
                }
                RecoveredBody::OnDisk(of) => {
                    let held = outlines.of(of.delivery_mode, of.priority);
                    let own = of.expiration.and_then(|ms| ms.parse().ok());
                    (held, Some(of.body_bytes), own.map(Duration::from_millis))
                }
            };
            // Nobody knows whether it was handed out after the use was told.
            let is_doubtful = match doubt {
                Doubt::None => false,
                Doubt::Below(number) => id.seq < number,
                Doubt::OfAll => true,
            };
            let is_redelivered = is_redelivered || is_doubtful;
            if is_doubtful {
                below = id.seq + 1;
            }
            report.messages += 1;
            report.redelivered += u64::from(is_redelivered);
            let longest = ttl.into_iter().chain(own).min().unwrap_or(Duration::ZERO);
            let kept = Kept {
                seq: Seq(id.seq),
                returns,
                is_redelivered,
                ends: end.map(|end| now.moment_of(end, longest)),
                until: until.map(|until| now.moment_of(until, RETRY_MAX)),
                death,
            };
            (kept, held, on_disk)
        });
        cell.restore(restored);
        self.filled.push(Arc::clone(cell));
        if let Some(stored) = &cell.stored {
            stored.note_below(below);
        }
    }

    fn drop_entity(&mut self, serial: Serial) {
        self.orphans.push(Record::Settled(ItemId { queue: ENTITIES, seq: serial }));
    }
}

impl Declared {
    /// Of two that have one name the earlier was being deleted when the crash came.
    fn drop_predecessors(&mut self, orphans: &mut Vec<Record>) {
        let mut newest = HashMap::new();
        for (serial, name) in &self.vhosts {
            newest.insert((0, None, name.clone()), *serial);
        }
        for (serial, vhost, name, _) in &self.exchanges {
            newest.insert((1, *vhost, name.clone()), *serial);
        }
        for (serial, vhost, name, _) in &self.queues {
            newest.insert((2, *vhost, name.clone()), *serial);
        }
        let mut is_newest = |kind: u8, vhost: Option<Serial>, name: &Name, serial: Serial| {
            let is_newest = newest.get(&(kind, vhost, name.clone())) == Some(&serial);
            if !is_newest {
                orphans.push(Record::Settled(ItemId { queue: ENTITIES, seq: serial }));
            }
            is_newest
        };
        self.vhosts.retain(|(serial, name)| is_newest(0, None, name, *serial));
        self.exchanges.retain(|(serial, of, name, _)| is_newest(1, *of, name, *serial));
        self.queues.retain(|(serial, of, name, _)| is_newest(2, *of, name, *serial));
    }
}

/// The outline that was made last, which those that follow mostly share.
#[derive(Default)]
struct Outlines(Option<Message>);

impl Outlines {
    fn of(&mut self, mode: Option<u8>, priority: Option<u8>) -> Held {
        let last =
            self.0.take().filter(|of| (of.delivery_mode(), of.priority()) == (mode, priority));
        let outline = last.unwrap_or_else(|| Message::outline(mode, priority));
        self.0 = Some(outline.clone());
        Held::Resident(outline)
    }
}

/// The present on both clocks.
#[derive(Clone, Copy)]
struct Now {
    unix_ms: u64,
    moment: Moment,
}

impl Now {
    /// A time of day on the broker's clock: not before now, and not later than it could be, however
    /// the host's clock was set meanwhile.
    fn moment_of(self, unix_ms: u64, longest: Duration) -> Moment {
        let left = Duration::from_millis(unix_ms.saturating_sub(self.unix_ms));
        self.moment.after(left.min(longest))
    }
}
