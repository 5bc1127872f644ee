//! What a store is told, and what it tells when it is opened again.

use crate::{
    Message, Name, Table,
    engine::{
        definition::{ExchangeDeclaration, QueueDeclaration},
        queue::Reason,
    },
};

/// The number of an entity, unique in a store for ever. A binding refers to its ends by these, so
/// it is never taken for one of a successor that has their names.
pub(crate) type Serial = u64;

/// What an item is known by: something that is in the store until it is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ItemId {
    /// The serial of the queue that the message is in; [`ENTITIES`] for entities.
    pub(crate) queue: Serial,
    /// The place of the message in its queue; the serial of an entity.
    pub(crate) seq: u64,
}

/// The queue that is none: entities are items of it.
pub(crate) const ENTITIES: Serial = 0;

/// One thing that has happened.
#[derive(Clone, Debug)]
pub(crate) enum Record {
    Entity(Serial, Box<Entity>),
    Message(MessageRecord),
    /// The item is gone. It may be told before the item is: whoever adds a message tells the store
    /// without a lock, and somebody may have settled it by then. Then the item is never written.
    Settled(ItemId),
    /// What has become of a message that stays.
    #[cfg_attr(not(test), expect(dead_code, reason = "queues tell of it without a record"))]
    Amended(ItemId, Amendment),
    /// The message has got another place in its queue.
    #[cfg_attr(not(test), expect(dead_code, reason = "queues tell of it without a record"))]
    Moved(ItemId, u64),
    /// The queue is gone with all that is in it. (Its entity is settled apart.)
    QueueEnded(Serial),
}

/// A message that has come into a queue.
#[derive(Clone, Debug)]
pub(crate) struct MessageRecord {
    pub(crate) id: ItemId,
    pub(crate) state: Amendment,
    pub(crate) message: Message,
}

/// What a queue knows of a message, as far as it outlives the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amendment {
    /// How many times a consumer received it and gave it back.
    pub(crate) returns: u32,
    /// Whether it may have been handed out.
    pub(crate) is_redelivered: bool,
    /// When it expires, in milliseconds since 1970.
    pub(crate) end: Option<u64>,
    /// Until when it is delayed, likewise.
    pub(crate) until: Option<u64>,
    /// What it has died of, if it has not arrived where the dead letters of its queue go.
    pub(crate) death: Option<Reason>,
}

/// Something durable that is no message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entity {
    /// The default virtual host is not told.
    VirtualHost {
        name: Name,
    },
    Exchange {
        vhost: Option<Serial>,
        name: Name,
        declaration: ExchangeDeclaration,
    },
    Queue {
        vhost: Option<Serial>,
        name: Name,
        declaration: QueueDeclaration,
    },
    Binding {
        vhost: Option<Serial>,
        source: End,
        destination: End,
        key: Name,
        arguments: Table,
    },
    /// Messages of the queue may have been handed out, whatever is known of each: those with a
    /// lower number, or all.
    Used {
        queue: Serial,
        below: Option<u64>,
    },
}

/// An end of a binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// An exchange that is always there.
    Predeclared(Name),
    Exchange(Serial),
    Queue(Serial),
}

/// What was in a store when it was opened.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// In the order of their serials.
    pub(crate) entities: Vec<(Serial, Entity)>,
    /// By queue and place.
    pub(crate) messages: Vec<RecoveredMessage>,
    /// No entity has a serial as great as this.
    pub(crate) next_serial: Serial,
    /// Whether the last commit was incomplete, as a crash leaves it, and was cut off.
    pub(crate) was_cut: bool,
}

/// A message that was in a store. Small, since there may be many, each for a short time only.
#[derive(Debug)]
pub(crate) struct RecoveredMessage {
    pub(crate) id: ItemId,
    /// What its queue knew of it, if that is anything.
    pub(crate) known: Option<Box<Amendment>>,
    pub(crate) message: RecoveredBody,
}

impl RecoveredMessage {
    /// What its queue knew of it.
    pub(crate) fn state(&self) -> Amendment {
        self.known.as_deref().copied().unwrap_or_default()
    }

    /// Notes what its queue knew of it last.
    pub(crate) fn set_state(&mut self, state: Amendment) {
        self.known = (state != Amendment::default()).then(|| Box::new(state));
    }
}

/// Where a message is that was in a store.
#[derive(Debug)]
pub(crate) enum RecoveredBody {
    /// Read.
    Resident(Message),
    /// On disk still, since what was read before it took all the memory there was for it.
    OnDisk(Outline),
}

/// What has to be known of a message whose body is on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outline {
    pub(crate) body_bytes: u32,
    pub(crate) delivery_mode: Option<u8>,
    pub(crate) priority: Option<u8>,
    /// How long its publisher lets it wait in a queue.
    pub(crate) expiration: Option<Box<Name>>,
}
