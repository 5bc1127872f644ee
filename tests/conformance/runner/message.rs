//! Bodies and properties of messages, in the JSON form of the recordings and back.

use leveret::{Message, Name};

use super::fields::{Fields, mistyped};
use super::hex;
use super::json::{Json, Object};
use super::table;

/// The longest body which is written out although it repeats one letter.
const WRITTEN_OUT_BYTES_MAX: usize = 64;

/// Sets a property which is a short string.
type SetName = fn(Message, Name) -> Message;

/// The fourteen properties, by their names in the recordings.
const PROPERTIES: &[&str] = &[
    "content_type",
    "content_encoding",
    "headers",
    "delivery_mode",
    "priority",
    "correlation_id",
    "reply_to",
    "expiration",
    "message_id",
    "timestamp",
    "type",
    "user_id",
    "app_id",
    "cluster_id",
];

/// A message with this body and these properties.
pub(crate) fn from_json(body: &Json, properties: Option<&Json>) -> Result<Message, String> {
    let message = Message::new(body_from_json(body)?);
    match properties {
        None => Ok(message),
        Some(Json::Object(members)) => with_properties(message, &Fields::new(members.clone())),
        Some(other) => Err(mistyped("properties", "an object", other)),
    }
}

/// The members `body` and `properties` of a message that was received.
pub(crate) fn to_json(message: &Message) -> [(String, Json); 2] {
    [
        ("body".to_owned(), body_to_json(message.body())),
        ("properties".to_owned(), Json::Object(properties_to_json(message))),
    ]
}

fn body_from_json(json: &Json) -> Result<Vec<u8>, String> {
    match json {
        Json::Text(text) => Ok(text.clone().into_bytes()),
        Json::Object(members) => {
            let fields = Fields::new(members.clone());
            match (members.len(), fields.get("hex"), fields.get("repeat")) {
                (1, Some(_), None) => hex::decode(fields.text("hex")?),
                (2, None, Some(_)) => {
                    let count = fields.integer::<usize>("count")?;
                    let count = count.ok_or_else(|| mistyped("body", "repeat and count", json))?;
                    Ok(fields.text("repeat")?.repeat(count).into_bytes())
                }
                _ => Err(mistyped("body", "hex, or repeat and count", json)),
            }
        }
        other => Err(mistyped("body", "a string or an object", other)),
    }
}

fn body_to_json(body: &[u8]) -> Json {
    if let Some(first) = body.first()
        && body.len() > WRITTEN_OUT_BYTES_MAX
        && first.is_ascii_alphanumeric()
        && body.iter().all(|byte| byte == first)
    {
        let count = i128::try_from(body.len()).expect("a length fits into an i128");
        return Json::object([
            ("repeat", Json::Text(char::from(*first).to_string())),
            ("count", Json::Integer(count)),
        ]);
    }
    match std::str::from_utf8(body) {
        Ok(text) => Json::from(text),
        Err(_) => Json::object([("hex", Json::Text(hex::encode(body)))]),
    }
}

fn with_properties(mut message: Message, fields: &Fields) -> Result<Message, String> {
    if let Some(unknown) = fields.unknown(PROPERTIES) {
        return Err(format!("unknown property {unknown:?}"));
    }
    let setters: [(&str, SetName); 10] = [
        ("content_type", Message::with_content_type),
        ("content_encoding", Message::with_content_encoding),
        ("correlation_id", Message::with_correlation_id),
        ("reply_to", Message::with_reply_to),
        ("expiration", Message::with_expiration),
        ("message_id", Message::with_message_id),
        ("type", Message::with_kind),
        ("user_id", Message::with_user_id),
        ("app_id", Message::with_app_id),
        ("cluster_id", Message::with_cluster_id),
    ];
    for (name, set) in setters {
        if fields.get(name).is_some() {
            message = set(message, Name::from(fields.text(name)?));
        }
    }
    if fields.get("headers").is_some() {
        message = message.with_headers(fields.table("headers")?);
    }
    if let Some(mode) = fields.integer("delivery_mode")? {
        message = message.with_delivery_mode(mode);
    }
    if let Some(priority) = fields.integer("priority")? {
        message = message.with_priority(priority);
    }
    if let Some(seconds) = fields.integer("timestamp")? {
        message = message.with_timestamp(seconds);
    }
    Ok(message)
}

/// Only what is present appears; what is empty is present.
fn properties_to_json(message: &Message) -> Object {
    let number = |value: Option<u8>| value.map(|value| Json::Integer(value.into()));
    let text = |value: Option<&str>| value.map(Json::from);
    let all = [
        ("content_type", text(message.content_type())),
        ("content_encoding", text(message.content_encoding())),
        ("headers", message.headers().map(|headers| with_any_time(table::to_json(headers)))),
        ("delivery_mode", number(message.delivery_mode())),
        ("priority", number(message.priority())),
        ("correlation_id", text(message.correlation_id())),
        ("reply_to", text(message.reply_to())),
        ("expiration", text(message.expiration())),
        ("message_id", text(message.message_id())),
        ("timestamp", message.timestamp().map(Json::from)),
        ("type", text(message.kind())),
        ("user_id", text(message.user_id())),
        ("app_id", text(message.app_id())),
        ("cluster_id", text(message.cluster_id())),
    ];
    all.into_iter()
        .filter_map(|(name, value)| value.map(|value| (name.to_owned(), value)))
        .collect()
}

/// Replaces the times of death, which no two runs share, as the recordings do. The type stays.
fn with_any_time(mut headers: Json) -> Json {
    if let Some(Json::List(deaths)) = headers.get_mut("x-death") {
        for time in deaths.iter_mut().filter_map(|death| death.get_mut("time")) {
            if time.get("$t").and_then(Json::as_text) == Some("T") {
                *time = Json::object([("$any", Json::from("T"))]);
            }
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text).expect("a test writes good JSON")
    }

    #[track_caller]
    fn check_body(text: &str, bytes: &[u8]) {
        assert_eq!(body_from_json(&json(text)).as_deref(), Ok(bytes), "reading {text}");
        assert_eq!(body_to_json(bytes), json(text), "writing {text}");
    }

    #[test]
    fn bodies_take_the_form_their_bytes_call_for() {
        check_body("\"\"", b"");
        check_body("\"é\"", "é".as_bytes());
        check_body(r#"{"hex":"00ff"}"#, &[0, 0xff]);
        check_body(r#"{"repeat":"x","count":65}"#, &[b'x'; 65]);
        check_body(&format!("{:?}", "x".repeat(64)), &[b'x'; 64]);
        check_body(&format!("{:?}", "-".repeat(65)), &[b'-'; 65]);
        for wrong in ["1", r#"{"repeat":"x"}"#, r#"{"hex":"0"}"#, r#"{"hex":"00","more":1}"#, "{}"]
        {
            assert!(body_from_json(&json(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn properties_come_back_as_they_were_given() {
        let all = json(
            r#"{"content_type":"a","content_encoding":"b","headers":{},"delivery_mode":255,
                "priority":0,"correlation_id":"c","reply_to":"d","expiration":"e",
                "message_id":"","timestamp":18446744073709551615,"type":"f","user_id":"g",
                "app_id":"h","cluster_id":"i"}"#,
        );
        let message = from_json(&Json::from("m"), Some(&all)).expect("these are all known");
        assert_eq!(Json::Object(properties_to_json(&message)), all);
        assert_eq!(properties_to_json(&Message::new("m")), []);
        for wrong in [r#"{"colour":"red"}"#, r#"{"priority":256}"#, r#"{"type":1}"#, "[]"] {
            assert!(from_json(&Json::from("m"), Some(&json(wrong))).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_time_of_a_death_is_any_timestamp() {
        let headers = json(
            r#"{"time":{"$t":"T","v":1},"x-death":[{"time":{"$t":"T","v":1}},{"time":"noon"}]}"#,
        );
        let expected =
            json(r#"{"time":{"$t":"T","v":1},"x-death":[{"time":{"$any":"T"}},{"time":"noon"}]}"#);
        assert_eq!(with_any_time(headers), expected);
    }
}
