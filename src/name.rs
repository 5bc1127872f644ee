//! A shared string that is cheap to clone: names, keys, tags and short properties.
//!
//! Up to 23 bytes live inside the value, so that cloning the name of an exchange or the key of a
//! message touches no reference count and allocates nothing; longer ones share one allocation.

use std::{borrow::Borrow, fmt, ops::Deref};

use smol_str::SmolStr;

/// A shared string, cheap to clone; used for names, routing keys, tags and short properties.
///
/// A name is any UTF-8 text. Where AMQP bounds it to 255 bytes ([`Name::BYTES_MAX`]), the method
/// that takes it checks that and reports the entity and the argument.
///
/// # Examples
///
/// ```
/// let name = leveret::Name::from("orders");
/// assert_eq!(name, "orders");
/// assert_eq!(name.len(), 6);
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(SmolStr);

impl Name {
    /// The longest short string of AMQP 0-9-1, in bytes: its length travels in one octet.
    pub const BYTES_MAX: usize = 255;

    /// The text of the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        self.0.as_str()
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        self
    }
}

// `Hash` of a `Name` is the hash of its text, as `Borrow` requires.
impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        self
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(SmolStr::new(text))
    }
}

impl From<&String> for Name {
    fn from(text: &String) -> Self {
        Self(SmolStr::new(text))
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Self(SmolStr::from(text))
    }
}

impl From<&Self> for Name {
    fn from(name: &Self) -> Self {
        name.clone()
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}
