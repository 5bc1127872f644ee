//! Messages and the values in them: a body of bytes, the AMQP properties, and field tables.
//!
//! A message is immutable and shared: a clone is one more reference to it, and a setter copies it,
//! though not its body, only if somebody else holds it too. Nothing here is checked against the
//! limits of a broker or of AMQP, that is the business of publishing.

mod body;
mod envelope;
#[cfg(feature = "json")]
mod json;
mod outline;
mod properties;
mod table;
mod term;
mod value;

use std::{fmt, str, time::Duration};

use bytes::Bytes;
use triomphe::Arc;

use crate::Name;

#[cfg(feature = "json")]
pub use self::json::JsonError;
pub use self::{
    body::Body,
    table::{Table, TableIter},
    value::Value,
};
use self::{envelope::Envelope, properties::Properties};
pub(crate) use self::{
    envelope::{Address, Label},
    outline::OUTLINE_BYTES,
};

/// A body and its properties, immutable and shared: a clone is one more reference to both.
///
/// Setters take the message and return it. A message without properties, or with none but a
/// delivery mode and a priority, allocates nothing for them. Two messages are equal if their bodies
/// and properties are; a property that is absent differs from one that is present but empty.
///
/// # Examples
///
/// ```
/// use leveret::Message;
///
/// let message = Message::new("{}").with_content_type("application/json").with_header("tries", 1);
/// assert_eq!(message.text(), Some("{}"));
/// assert_eq!(message.content_type(), Some("application/json"));
/// assert_eq!(message.header("tries"), Some(&1.into()));
/// assert_eq!(message.reply_to(), None);
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct Message(Arc<Envelope>);

impl Message {
    /// A message without properties, from bytes or text.
    ///
    /// `Bytes`, `Vec<u8>` and `String` are taken over, slices and arrays are copied.
    pub fn new(body: impl Into<Body>) -> Self {
        Self(Arc::new(Envelope::new(body.into().into_bytes())))
    }

    /// Sets [`delivery_mode`](Self::delivery_mode) to 2: a broker with a store keeps the message
    /// in durable queues.
    ///
    /// # Examples
    ///
    /// ```
    /// let message = leveret::Message::new("paid").persistent();
    /// assert!(message.is_persistent());
    /// assert_eq!(message.delivery_mode(), Some(2));
    /// ```
    pub fn persistent(self) -> Self {
        self.with_delivery_mode(DELIVERY_MODE_PERSISTENT)
    }

    /// Sets [`expiration`](Self::expiration) from a duration.
    ///
    /// AMQP counts whole milliseconds; a fraction is rounded up, so that the message never expires
    /// before its time. Publishing refuses more than ten years.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let message = leveret::Message::new("now").expires_in(Duration::from_micros(1_500));
    /// assert_eq!(message.expiration(), Some("2"));
    /// ```
    pub fn expires_in(self, ttl: Duration) -> Self {
        self.with_expiration(ttl.as_nanos().div_ceil(1_000_000).to_string())
    }

    /// Sets one header, replacing a former value.
    ///
    /// # Examples
    ///
    /// ```
    /// let message = leveret::Message::new("").with_header("tries", 1).with_header("tries", 2);
    /// assert_eq!(message.headers().map(leveret::Table::len), Some(1));
    /// ```
    pub fn with_header(mut self, name: impl Into<Name>, value: impl Into<Value>) -> Self {
        self.properties_mut().headers.get_or_insert_default().insert(name, value);
        self
    }

    /// The body as bytes.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.0.body
    }

    /// The body as text, if it is UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        str::from_utf8(self.body()).ok()
    }

    /// The value of one header. Names are compared byte by byte.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&Value> {
        self.headers()?.get(name)
    }

    /// Whether [`delivery_mode`](Self::delivery_mode) is 2.
    #[must_use]
    pub fn is_persistent(&self) -> bool {
        self.delivery_mode() == Some(DELIVERY_MODE_PERSISTENT)
    }

    #[allow(dead_code, reason = "only a broker with a store does that")]
    /// Whether it is the same in memory, body, properties, address and all.
    #[inline]
    #[allow(dead_code, reason = "for stores, which come with the feature `persist`")]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether it has properties beside the delivery mode and the priority.
    #[inline]
    pub(crate) fn has_table(&self) -> bool {
        self.0.properties.is_some()
    }

    /// Sets [`reply_to`](Self::reply_to) in place.
    pub(crate) fn set_reply_to(&mut self, address: Name) {
        self.properties_mut().reply_to = Some(address);
    }

    /// Sets one header in place.
    pub(crate) fn put_header(&mut self, name: &'static str, value: impl Into<Value>) {
        self.properties_mut().headers.get_or_insert_default().insert(name, value);
    }

    /// Takes the expiration away, if there is one.
    pub(crate) fn clear_expiration(&mut self) {
        if self.expiration().is_some() {
            self.properties_mut().expiration = None;
        }
    }

    /// Whether it has an expiration.
    #[inline]
    pub(crate) fn expires(&self) -> bool {
        self.properties().is_some_and(|properties| properties.expiration.is_some())
    }

    /// How long it may wait in a queue, if its expiration says so.
    #[inline]
    pub(crate) fn time_to_live(&self) -> Option<Duration> {
        let expiration = self.properties()?.expiration.as_ref()?;
        let digits = expiration.trim_start_matches(['+', '-']);
        // Publishing has checked that it is a number, and not too large.
        let milliseconds = digits.parse().unwrap_or(u64::MAX);
        Some(Duration::from_millis(milliseconds))
    }

    /// The keys of its BCC header, which consumers do not see.
    pub(crate) fn blind_keys(&self) -> &[Name] {
        self.properties().map_or(&[], Properties::blind_keys)
    }

    /// Replaces them; they travel with the message and are no part of what it says.
    pub(crate) fn set_blind_keys(&mut self, keys: Vec<Name>) {
        if !keys.is_empty() || !self.blind_keys().is_empty() {
            self.properties_mut().set_blind_keys(keys);
        }
    }

    /// Takes one header away, if it is there.
    pub(crate) fn remove_header(&mut self, name: &str) {
        if self.header(name).is_some()
            && let Some(headers) = &mut self.properties_mut().headers
        {
            headers.remove(name);
        }
    }

    /// The properties to be changed, after copying what is shared.
    fn properties_mut(&mut self) -> &mut Properties {
        Arc::make_mut(Arc::make_mut(&mut self.0).properties.get_or_insert_default())
    }

    fn properties(&self) -> Option<&Properties> {
        self.0.properties.as_deref()
    }

    /// Bytes of the body and of the properties, as AMQP encodes these.
    #[inline]
    fn content_bytes(&self) -> u64 {
        let Envelope { body, delivery_mode, priority, .. } = &*self.0;
        body.len() as u64
            + u64::from(delivery_mode.is_some())
            + u64::from(priority.is_some())
            + self.properties().map_or(0, Properties::byte_size)
    }
}

/// The delivery mode of messages that a broker is to persist.
const DELIVERY_MODE_PERSISTENT: u8 = 2;

/// The properties that are short strings, each with the way to read and to write it.
macro_rules! texts {
    ($($(#[$doc:meta])+ $get:ident => $set:ident, $read:expr, $write:expr;)*) => {
        impl Message { $(
            $(#[$doc])+
            #[must_use]
            pub fn $get(&self) -> Option<&str> {
                let read: fn(&Properties) -> Option<&Name> = $read;
                read(self.properties()?).map(Name::as_str)
            }

            #[doc = concat!("Sets [`", stringify!($get), "`](Self::", stringify!($get), ").")]
            ///
            /// AMQP allows 255 bytes ([`Name::BYTES_MAX`]), which publishing checks.
            pub fn $set(mut self, text: impl Into<Name>) -> Self {
                let write: fn(&mut Properties, Name) = $write;
                write(self.properties_mut(), text.into());
                self
            }
        )* }
    };
}

texts! {
    /// The MIME type of the body, such as `application/json`.
    content_type => with_content_type,
        |of| of.content_type.as_ref(), |of, text| of.content_type = Some(text);
    /// The MIME encoding of the body, such as `gzip`.
    content_encoding => with_content_encoding,
        Properties::content_encoding, Properties::set_content_encoding;
    /// Which request this message answers.
    correlation_id => with_correlation_id,
        |of| of.correlation_id.as_ref(), |of, text| of.correlation_id = Some(text);
    /// Where replies go, usually the name of a queue.
    reply_to => with_reply_to,
        |of| of.reply_to.as_ref(), |of, text| of.reply_to = Some(text);
    /// How many milliseconds the message may wait in a queue, in AMQP's form: a decimal text.
    ///
    /// Publishing checks it. [`expires_in`](Self::expires_in) sets it from a duration. In a queue
    /// that sets a time as well, the shorter one counts; a dead letter has none.
    expiration => with_expiration,
        |of| of.expiration.as_ref(), |of, text| of.expiration = Some(text);
    /// The id that the application gave the message.
    message_id => with_message_id,
        |of| of.message_id.as_ref(), |of, text| of.message_id = Some(text);
    /// What kind of message it is, to the application.
    ///
    /// # AMQP
    ///
    /// The property `type`, whose name is a keyword of Rust.
    kind => with_kind,
        |of| of.kind.as_ref(), |of, text| of.kind = Some(text);
    /// The user who published the message; publishing checks it against the connection's user.
    user_id => with_user_id, Properties::user_id, Properties::set_user_id;
    /// The application that published the message.
    app_id => with_app_id, Properties::app_id, Properties::set_app_id;
    /// A property that AMQP deprecates; brokers pass it on.
    cluster_id => with_cluster_id, Properties::cluster_id, Properties::set_cluster_id;
}

/// The properties that are not short strings.
impl Message {
    /// The header table.
    #[must_use]
    pub fn headers(&self) -> Option<&Table> {
        self.properties()?.headers.as_ref()
    }

    /// Sets [`headers`](Self::headers), replacing all former ones.
    pub fn with_headers(mut self, headers: impl Into<Table>) -> Self {
        self.properties_mut().headers = Some(headers.into());
        self
    }

    /// 1 for a transient message, 2 for a persistent one.
    #[must_use]
    pub fn delivery_mode(&self) -> Option<u8> {
        self.0.delivery_mode
    }

    /// Sets [`delivery_mode`](Self::delivery_mode); publishing refuses what is neither 1 nor 2.
    pub fn with_delivery_mode(mut self, mode: u8) -> Self {
        Arc::make_mut(&mut self.0).delivery_mode = Some(mode);
        self
    }

    /// The priority, which counts in queues that declare a
    /// [maximum](crate::QueueBuilder::max_priority); higher ones go first, and none is the lowest.
    #[must_use]
    pub fn priority(&self) -> Option<u8> {
        self.0.priority
    }

    /// Sets [`priority`](Self::priority).
    pub fn with_priority(mut self, priority: u8) -> Self {
        Arc::make_mut(&mut self.0).priority = Some(priority);
        self
    }

    /// When the application made the message, in seconds since the beginning of 1970 (UTC).
    #[must_use]
    pub fn timestamp(&self) -> Option<u64> {
        self.properties()?.timestamp
    }

    /// Sets [`timestamp`](Self::timestamp), in seconds since the beginning of 1970 (UTC).
    pub fn with_timestamp(mut self, seconds: u64) -> Self {
        self.properties_mut().timestamp = Some(seconds);
        self
    }
}

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        let properties = match (self.properties(), other.properties()) {
            (Some(left), Some(right)) => left == right,
            (Some(some), None) | (None, Some(some)) => *some == Properties::default(),
            (None, None) => true,
        };
        properties
            && self.delivery_mode() == other.delivery_mode()
            && self.priority() == other.priority()
            && self.body() == other.body()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Message");
        text.field("body", &Excerpt(self.body()));
        if let Some(properties) = self.properties() {
            properties.describe(&mut text);
        }
        if let Some(mode) = self.delivery_mode() {
            text.field("delivery_mode", &mode);
        }
        if let Some(priority) = self.priority() {
            text.field("priority", &priority);
        }
        text.finish()
    }
}

/// The beginning of a body, as text if the body is UTF-8.
struct Excerpt<'a>(&'a [u8]);

impl Excerpt<'_> {
    /// Enough to recognise a message, and few enough bytes for a line of a log.
    const BYTES_MAX: usize = 64;
}

impl fmt::Debug for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = self.0.get(..Self::BYTES_MAX).unwrap_or(self.0);
        match (str::from_utf8(head), str::from_utf8(self.0)) {
            (Ok(text), Ok(_)) => write!(f, "{text:?}")?,
            // The cut goes through a character; what stands before it is whole.
            (Err(cut), Ok(text)) => {
                write!(f, "{:?}", text.get(..cut.valid_up_to()).unwrap_or_default())?;
            }
            (_, Err(_)) => write!(f, "b\"{}\"", head.escape_ascii())?,
        }
        if head.len() < self.0.len() { write!(f, ".. ({} bytes)", self.0.len()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_message_holds_no_properties() {
        let message = Message::new("hello");
        assert!(message.properties().is_none());
        assert_eq!(message.content_bytes(), 5);
        assert_eq!(message.headers(), None);
        assert_eq!(message.text(), Some("hello"));
        assert_eq!(Message::new([0xff]).text(), None);
    }

    #[test]
    fn each_property_is_read_back_and_leaves_the_others_absent() {
        type Get = fn(&Message) -> Option<&str>;
        type Set = fn(Message, &'static str) -> Message;
        let texts: [(Get, Set); 10] = [
            (Message::content_type, Message::with_content_type),
            (Message::content_encoding, Message::with_content_encoding),
            (Message::correlation_id, Message::with_correlation_id),
            (Message::reply_to, Message::with_reply_to),
            (Message::expiration, Message::with_expiration),
            (Message::message_id, Message::with_message_id),
            (Message::kind, Message::with_kind),
            (Message::user_id, Message::with_user_id),
            (Message::app_id, Message::with_app_id),
            (Message::cluster_id, Message::with_cluster_id),
        ];
        for (index, (_, set)) in texts.iter().enumerate() {
            let message = set(Message::new(""), "text");
            assert_eq!(message.content_bytes(), 1 + 4);
            for (other, (get, _)) in texts.iter().enumerate() {
                assert_eq!(get(&message), (index == other).then_some("text"), "{index} {other}");
            }
        }
        let message = Message::new("").with_priority(0).with_timestamp(3).with_delivery_mode(1);
        assert_eq!((message.priority(), message.timestamp()), (Some(0), Some(3)));
        assert_eq!((message.delivery_mode(), message.is_persistent()), (Some(1), false));
        assert_eq!(message.with_headers(Table::new()).headers(), Some(&Table::new()));
    }

    #[test]
    fn setting_a_property_spares_the_clones() {
        let first = Message::new("x").with_header("a", 1);
        let second = first.clone().with_header("a", 2).with_kind("k");
        assert_eq!(first.header("a"), Some(&Value::I32(1)));
        assert_eq!(second.header("a"), Some(&Value::I32(2)));
        assert_eq!(first.kind(), None);
    }

    #[test]
    fn empty_differs_from_absent() {
        let plain = Message::new("x");
        assert_ne!(plain, plain.clone().with_kind(""));
        assert_ne!(plain, plain.clone().with_app_id(""));
        assert_ne!(plain, plain.clone().with_headers([("", 0); 0]));
        let mut emptied = plain.clone().with_expiration("5");
        emptied.properties_mut().expiration = None;
        assert_eq!(emptied, plain);
        assert_eq!(plain, emptied);
        assert_ne!(plain, Message::new("y"));
    }

    #[test]
    fn durations_become_whole_milliseconds() {
        let ttl = |duration| Message::new("").expires_in(duration).expiration().map(String::from);
        assert_eq!(ttl(Duration::ZERO).as_deref(), Some("0"));
        assert_eq!(ttl(Duration::from_nanos(1)).as_deref(), Some("1"));
        assert_eq!(ttl(Duration::from_millis(1_500)).as_deref(), Some("1500"));
        // 2^64 seconds, less a nanosecond that rounding adds.
        assert_eq!(ttl(Duration::MAX).as_deref(), Some("18446744073709551616000"));
    }

    #[test]
    fn debug_shows_a_short_body_and_what_is_present() {
        let message = Message::new("hi").with_priority(3).with_app_id("app").with_header("k", true);
        assert_eq!(
            format!("{message:?}"),
            r#"Message { body: "hi", app_id: "app", headers: {"k": Bool(true)}, priority: 3 }"#
        );
        assert_eq!(format!("{:?}", Excerpt(&[0xff, b'a', 0])), r#"b"\xffa\x00""#);
    }

    #[test]
    fn debug_cuts_a_long_body_between_characters() {
        let exact = "x".repeat(64);
        assert_eq!(format!("{:?}", Excerpt(exact.as_bytes())), format!("\"{exact}\""));
        // 32 letters of 2 bytes fill 64 bytes, of which the letter before them takes one away.
        let text = format!("x{}", "é".repeat(40));
        let shown = format!("\"x{}\".. (81 bytes)", "é".repeat(31));
        assert_eq!(format!("{:?}", Excerpt(text.as_bytes())), shown);
        let binary = format!("b\"{}\".. (65 bytes)", r"\xff".repeat(64));
        assert_eq!(format!("{:?}", Excerpt(&[0xff; 65])), binary);
    }
}
