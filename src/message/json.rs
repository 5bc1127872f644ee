//! Bodies in JSON. Feature `json`.

use serde::{Serialize, de::DeserializeOwned};

use crate::message::Message;

/// A value that has no JSON form, or a body that is not the JSON of the value asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid json: {0}")]
pub struct JsonError(String);

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// Bodies in JSON; needs the feature `json`.
impl Message {
    /// A message whose body is the JSON of a value, with content type `application/json`.
    ///
    /// # Errors
    ///
    /// [`JsonError`] if the value has no JSON form, such as a map whose keys are not texts.
    ///
    /// # Examples
    ///
    /// ```
    /// use leveret::Message;
    ///
    /// let message = Message::json(&[1, 2])?;
    /// assert_eq!(message.text(), Some("[1,2]"));
    /// assert_eq!(message.content_type(), Some("application/json"));
    /// # Ok::<(), leveret::JsonError>(())
    /// ```
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, JsonError> {
        Ok(Self::new(serde_json::to_vec(value)?).with_content_type("application/json"))
    }

    /// The body read as JSON, whatever the content type says.
    ///
    /// # Errors
    ///
    /// [`JsonError`] if the body is not JSON, or not that of a `T`.
    ///
    /// # Examples
    ///
    /// ```
    /// use leveret::Message;
    ///
    /// let numbers: Vec<u8> = Message::new("[1, 2]").parse_json()?;
    /// assert_eq!(numbers, [1, 2]);
    /// assert!(Message::new("[1").parse_json::<Vec<u8>>().is_err());
    /// # Ok::<(), leveret::JsonError>(())
    /// ```
    pub fn parse_json<T: DeserializeOwned>(&self) -> Result<T, JsonError> {
        Ok(serde_json::from_slice(self.body())?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_value_comes_back() {
        let sent = HashMap::from([("id".to_owned(), 7)]);
        let message = Message::json(&sent).expect("a map with texts as keys has a json form");
        assert_eq!(message.parse_json(), Ok(sent));
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let keyed_by_pairs = HashMap::from([((1, 2), 3)]);
        let error = Message::json(&keyed_by_pairs).expect_err("a pair is no json key");
        assert_eq!(error.to_string(), "invalid json: key must be a string");
        let error = Message::new("\"x\"").parse_json::<u8>().expect_err("a text is no number");
        assert!(error.to_string().starts_with("invalid json: invalid type: string"), "{error}");
    }
}
