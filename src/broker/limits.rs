//! The bounds of a broker.

/// The bounds of a broker, each with a default that is generous for one process.
///
/// A size or a count beyond its bound is refused as
/// [`LimitExceeded`](crate::ErrorKind::LimitExceeded), which says the bound and what it would have
/// come to; what finds no room now, as [`Full`](crate::ErrorKind::Full), which goes by itself when
/// consumers go on. Nothing is changed either way.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// use leveret::{Broker, Limits, Message};
///
/// let mut limits = Limits::default();
/// limits.message_bytes = 8;
/// let broker = Broker::builder().limits(limits).open()?;
/// let queue = broker.declare_queue("q").declare()?;
/// assert!(queue.send(Message::new("12345678")).is_ok());
/// assert!(queue.send(Message::new("123456789")).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Accounted bytes of all messages in all queues, counted once per queue; each message counts
    /// its body, properties and names and some 200 bytes for its place. Default 4 GiB. In a
    /// transaction they count before the commit as after it. Beyond it publishing gets `Full`;
    /// requeueing is exempt, and consumers are never held back.
    pub memory_bytes: u64,
    /// Accounted bytes of messages that a store was told and has not written. Default 64 MiB.
    /// Beyond it publishing what is to be stored gets `Full`. Without a store it bounds nothing.
    pub unwritten_bytes: u64,
    /// Bytes of one body. Default 16 MiB, at most 512 MiB, both as in `RabbitMQ` 4; more counts as
    /// that.
    pub message_bytes: u64,
    /// Encoded bytes of one table of headers or arguments. Default 128 KiB, a frame of AMQP, at
    /// most 512 MiB; more counts as that.
    pub table_bytes: u64,
    /// Levels of tables and arrays within a table, itself included; an empty one has none. Default
    /// 32, at most 256, and more counts as that: what is deeper takes a stack to read.
    pub table_depth: u32,
    /// Values in one table, nested ones included. Default 4 096.
    pub table_entries: u64,
    /// Virtual hosts, the default one included. Default 1 024.
    pub vhosts: usize,
    /// Exchanges per virtual host, predeclared ones included. Default 65 536.
    pub exchanges: usize,
    /// Queues per virtual host. Default 1 048 576.
    pub queues: usize,
    /// Bindings per virtual host. Default 4 194 304.
    pub bindings: usize,
    /// Consumers per queue. Default 65 536.
    pub consumers: usize,
    /// Connections of the channel tier per broker. Default 65 536.
    pub connections: usize,
    /// Channels per connection. Default 2 047, as in `RabbitMQ`.
    pub channels: u16,
    /// The largest window of a [`Publisher`](crate::Publisher): how many of its messages may be
    /// unconfirmed. Default 65 536. Confirms on a channel are events, which `events` bounds.
    pub unconfirmed: u32,
    /// Untaken events per channel. At this many the broker stops pushing to the channel, and
    /// messages stay ready; nothing is dropped. A publish needs places for the confirm and the
    /// return that it may cause, so two if it is mandatory in confirm mode, and a commit for all
    /// its returns; a direct reply needs one where it goes: else they get `Full`. Only what tells
    /// of an end (of the channel, of a consumer), and one `Unblocked`, come in any case. Default
    /// 65 536.
    pub events: usize,
    /// Publishes and settlements within one transaction. Default 1 048 576.
    pub transaction_steps: usize,
    /// Messages that a [`Subscription`](crate::Subscription) may lag behind before it loses the
    /// oldest. Default 65 536. With zero, subscribing is refused.
    pub subscription_messages: u32,
    /// Messages that [`browse`](crate::Queue::browse) shows at a time. Default 65 536.
    pub browsed_messages: usize,
    /// Replies to [`call`](crate::Exchange::call) that are waited for at a time. Default 65 536.
    pub calls: usize,
}

/// What some bounds are at most, for records whose lengths are 31 bits, and readers that recurse.
const MESSAGE_BYTES_MAX: u64 = 512 << 20;
const TABLE_BYTES_MAX: u64 = 512 << 20;
const TABLE_DEPTH_MAX: u32 = 256;

impl Limits {
    /// The same with no bound that is larger than it may be.
    pub(crate) fn within_reason(mut self) -> Self {
        self.message_bytes = self.message_bytes.min(MESSAGE_BYTES_MAX);
        self.table_bytes = self.table_bytes.min(TABLE_BYTES_MAX);
        self.table_depth = self.table_depth.min(TABLE_DEPTH_MAX);
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        const KIB: u64 = 1 << 10;
        Self {
            memory_bytes: 4 * KIB * KIB * KIB,
            unwritten_bytes: 64 * KIB * KIB,
            message_bytes: 16 * KIB * KIB,
            table_bytes: 128 * KIB,
            table_depth: 32,
            table_entries: 4_096,
            vhosts: 1_024,
            exchanges: 65_536,
            queues: 1_048_576,
            bindings: 4_194_304,
            consumers: 65_536,
            connections: 65_536,
            channels: 2_047,
            unconfirmed: 65_536,
            events: 65_536,
            transaction_steps: 1_048_576,
            subscription_messages: 65_536,
            browsed_messages: 65_536,
            calls: 65_536,
        }
    }
}
