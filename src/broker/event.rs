//! What a broker sends to a channel on its own.

use crate::{Error, Message, Name, ReplyCode};

/// Number of a channel; 0 stands for the connection itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "a number of AMQP")]
pub struct ChannelId(pub u16);

/// Number of a delivery, or of a confirmed publish, on its channel: from 1, and never used twice.
/// Zero with `multiple` means all. Only a direct reply shows the next number without using it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "a number of AMQP")]
pub struct DeliveryTag(pub u64);

/// What the broker sends on its own, in the order in which it happened.
///
/// # Examples
///
/// ```
/// # fn main() -> leveret::Result<()> {
/// use leveret::{Broker, ConnectOptions, Event, Message, Publish, ReplyCode};
///
/// let connection = Broker::new().connect(ConnectOptions::default())?;
/// let channel = connection.open_channel()?;
/// let to = Publish { routing_key: "nowhere", mandatory: true, ..Publish::default() };
/// channel.basic_publish(to, Message::new("lost?"))?;
/// let Some(Event::Return(returned)) = channel.try_event() else { panic!("it is there") };
/// assert_eq!(returned.reply_code, ReplyCode::NO_ROUTE);
/// assert_eq!(returned.message.text(), Some("lost?"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Messages published in confirm mode are in their queues, or reached none.
    Ack {
        /// The number of the publish.
        delivery_tag: DeliveryTag,
        /// Whether all unconfirmed ones before it are meant too.
        multiple: bool,
    },
    /// A consumer has ended because its queue is gone. Sent unless the connection opted out.
    Cancel {
        /// The consumer.
        consumer_tag: Name,
    },
    /// The channel, or with number 0 the connection, was closed by an error. Nothing follows.
    Closed(Error),
    /// A message for a consumer.
    Deliver(Box<Delivered>),
    /// Messages published in confirm mode were not taken by each queue they reached.
    Nack {
        /// The number of the publish.
        delivery_tag: DeliveryTag,
        /// Whether all unconfirmed ones before it are meant too.
        multiple: bool,
    },
    /// A mandatory message that reached no queue.
    Return(Box<Returned>),
    /// There may be room again after a publish on this channel got `Full`, because memory has come
    /// back or events were taken where its reply was to go: trying again makes sense.
    Unblocked,
}

/// A message pushed to a consumer, or got.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Delivered {
    /// The consumer; `None` for one that was got.
    pub consumer_tag: Option<Name>,
    /// The number by which it is settled.
    pub delivery_tag: DeliveryTag,
    /// Whether it was handed out before.
    pub redelivered: bool,
    /// Where it was published to.
    pub exchange: Name,
    /// The key it was published with.
    pub routing_key: Name,
    /// For one that was got: how many are ready behind it.
    pub message_count: Option<u32>,
    /// The message.
    pub message: Message,
}

/// A mandatory message that reached no queue.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Returned {
    /// Always [`ReplyCode::NO_ROUTE`].
    pub reply_code: ReplyCode,
    /// The name of the code.
    pub reply_text: Name,
    /// Where it was published to.
    pub exchange: Name,
    /// The key it was published with.
    pub routing_key: Name,
    /// The message, without its BCC header.
    pub message: Message,
}
