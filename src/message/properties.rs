//! Twelve of the fourteen properties of AMQP's basic class, as messages share them.
//!
//! The delivery mode and the priority stand in the envelope. Each is absent or present, and present
//! but empty is not absent: both travel to consumers.

use std::fmt;

use crate::{Name, message::Table};

/// How deep [`Properties::byte_size`] looks into headers.
///
/// Far beyond the nesting of real headers, and shallow enough for any thread's stack.
const DEPTH_MEASURED_MAX: u32 = 256;

/// The properties of one message.
#[derive(Clone, Default)]
pub(crate) struct Properties {
    pub(crate) content_type: Option<Name>,
    pub(crate) headers: Option<Table>,
    pub(crate) correlation_id: Option<Name>,
    pub(crate) reply_to: Option<Name>,
    pub(crate) expiration: Option<Name>,
    pub(crate) message_id: Option<Name>,
    pub(crate) timestamp: Option<u64>,
    pub(crate) kind: Option<Name>,
    /// Those seldom used stand apart, so that they cost the others no memory.
    /// Invariant: if it is there, one of its fields is present.
    rare: Option<Box<RareProperties>>,
    /// Further keys that the message was published with and that nobody is shown.
    blind_keys: Option<Box<[Name]>>,
}

/// The properties that few messages carry.
#[derive(Clone, Default, PartialEq)]
struct RareProperties {
    content_encoding: Option<Name>,
    user_id: Option<Name>,
    app_id: Option<Name>,
    cluster_id: Option<Name>,
}

/// What a message says; its blind keys are no part of that.
impl PartialEq for Properties {
    fn eq(&self, other: &Self) -> bool {
        self.texts() == other.texts()
            && self.headers == other.headers
            && self.timestamp == other.timestamp
    }
}

macro_rules! rare {
    ($($get:ident, $set:ident;)*) => {
        impl Properties { $(
            pub(crate) fn $set(&mut self, text: Name) {
                self.rare.get_or_insert_default().$get = Some(text);
            }

            pub(crate) fn $get(&self) -> Option<&Name> {
                self.rare.as_ref()?.$get.as_ref()
            }
        )* }
    };
}

rare! {
    content_encoding, set_content_encoding;
    user_id, set_user_id;
    app_id, set_app_id;
    cluster_id, set_cluster_id;
}

impl Properties {
    pub(crate) fn blind_keys(&self) -> &[Name] {
        self.blind_keys.as_deref().unwrap_or_default()
    }

    pub(crate) fn set_blind_keys(&mut self, keys: Vec<Name>) {
        self.blind_keys = (!keys.is_empty()).then(|| keys.into_boxed_slice());
    }

    /// Bytes as encoded by AMQP 0-9-1, without the flags that say which are present.
    pub(crate) fn byte_size(&self) -> u64 {
        let texts = self.texts().into_iter().filter_map(|(_, text)| text);
        let headers = self.headers.as_ref();
        texts.map(|text| 1 + text.len() as u64).sum::<u64>()
            + headers.map_or(0, |headers| headers.measure(DEPTH_MEASURED_MAX).bytes)
            + if self.timestamp.is_some() { 8 } else { 0 }
    }

    /// The properties that are short strings, by name.
    fn texts(&self) -> [(&'static str, Option<&Name>); 10] {
        [
            ("content_type", self.content_type.as_ref()),
            ("content_encoding", self.content_encoding()),
            ("correlation_id", self.correlation_id.as_ref()),
            ("reply_to", self.reply_to.as_ref()),
            ("expiration", self.expiration.as_ref()),
            ("message_id", self.message_id.as_ref()),
            ("kind", self.kind.as_ref()),
            ("user_id", self.user_id()),
            ("app_id", self.app_id()),
            ("cluster_id", self.cluster_id()),
        ]
    }

    /// Adds the properties that are present to a `Debug` text.
    pub(crate) fn describe(&self, text: &mut fmt::DebugStruct<'_, '_>) {
        for (name, value) in self.texts() {
            describe(text, name, value);
        }
        describe(text, "headers", self.headers.as_ref());
        describe(text, "timestamp", self.timestamp.as_ref());
    }
}

fn describe(text: &mut fmt::DebugStruct<'_, '_>, name: &str, value: Option<&impl fmt::Debug>) {
    if let Some(value) = value {
        text.field(name, value);
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Properties");
        self.describe(&mut text);
        text.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_properties_take_no_room_until_set() {
        let mut properties = Properties::default();
        assert_eq!(properties.app_id(), None);
        assert!(properties.rare.is_none());
        properties.set_app_id(Name::from(""));
        assert_eq!(properties.app_id(), Some(&Name::from("")));
        assert_eq!(properties.user_id(), None);
    }

    #[test]
    fn size_counts_what_is_present() {
        let mut properties = Properties::default();
        assert_eq!(properties.byte_size(), 0);
        properties.content_type = Some(Name::from(""));
        properties.set_user_id(Name::from("guest"));
        assert_eq!(properties.byte_size(), 1 + (1 + 5));
        properties.timestamp = Some(0);
        assert_eq!(properties.byte_size(), 7 + 8);
        properties.headers = Some(Table::from([("k", true)]));
        assert_eq!(properties.byte_size(), 15 + 4 + (1 + 1) + (1 + 1));
    }
}
