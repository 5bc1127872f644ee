//! What is checked of names, tables and messages before anything happens with them.

use super::{limits::Limits, refusal};
use crate::{Entity, Error, ErrorKind, Message, Name, Result, Table, Value};

/// Headers that name further routing keys; the second is removed before delivery.
pub(crate) const CC: &str = "CC";
pub(crate) const BCC: &str = "BCC";

/// The user of everyone who does not say otherwise.
pub(crate) const DEFAULT_USER: &str = "guest";

/// The largest `expiration`, in milliseconds: ten years of 365 days, as for every TTL.
const EXPIRATION_MS_MAX: u64 = 315_360_000_000;

/// Checks that a name fits AMQP's short string.
#[inline]
pub(crate) fn check_name(entity: Entity, name: &str) -> Result<()> {
    if name.len() > Name::BYTES_MAX {
        return Err(Error::plain(refusal::too_long(entity, name)));
    }
    Ok(())
}

/// A name that fits AMQP's short string.
pub(crate) fn name(entity: Entity, name: &str) -> Result<Name> {
    check_name(entity, name)?;
    Ok(Name::from(name))
}

/// Checks the arguments of a declaration, a binding or a consumer: an entity of this kind, or at
/// the one of this name. `of` says whose they are in full, as in `queue 'q' in vhost '/'`.
pub(crate) fn check_arguments(
    arguments: &Table,
    limits: &Limits,
    (entity, name): (Entity, &Name),
    of: impl FnOnce() -> String,
) -> Result<()> {
    let Some(long) = check_table(arguments, limits)? else { return Ok(()) };
    let text = format!("name of arg '{long}' for {} is longer than 255 bytes", of());
    let (name, argument) = (name.clone(), long);
    Err(Error::plain(ErrorKind::InvalidArgument { entity, name, argument, text }))
}

/// Checks the size of a table. A name in it that does not fit AMQP's short string is found and
/// given out, as much of it as would fit.
fn check_table(table: &Table, limits: &Limits) -> Result<Option<Name>> {
    let size = table.measure(limits.table_depth);
    let found = [
        ("table_depth", u64::from(limits.table_depth), u64::from(size.depth)),
        ("table_entries", limits.table_entries, size.entries),
        ("table_bytes", limits.table_bytes, size.bytes),
    ];
    for (limit, max, found) in found {
        check_limit(limit, max, found)?;
    }
    if size.name_bytes_max <= Name::BYTES_MAX {
        return Ok(None);
    }
    Ok(table.name_of_bytes(size.name_bytes_max).map(|name| refusal::shortened(name)))
}

/// Checks what `RabbitMQ` checks of a message, in its order, and its size.
#[inline]
pub(crate) fn check_message(message: &Message, limits: &Limits, user: &str) -> Result<()> {
    check_limit("message_bytes", limits.message_bytes, message.body().len() as u64)?;
    if message.has_table() {
        return check_properties(message, limits, user);
    }
    check_delivery_mode(message)
}

fn check_properties(message: &Message, limits: &Limits, user: &str) -> Result<()> {
    if let Some(headers) = message.headers()
        && let Some(long) = check_table(headers, limits)?
    {
        return Err(invalid("headers", format!("header name '{long}' is longer than 255 bytes")));
    }
    check_short_properties(message)?;
    if let Some(named) = message.user_id()
        && named != user
    {
        return Err(invalid(
            "user_id",
            format!("user_id property set to '{named}' but authenticated user was '{user}'"),
        ));
    }
    if let Some(expiration) = message.expiration() {
        check_expiration(expiration)?;
    }
    for header in [CC, BCC] {
        if let Some(value) = message.header(header)
            && !matches!(value, Value::Array(_))
        {
            let kind = value.type_name();
            return Err(invalid(
                header,
                format!("invalid message: {{unacceptable_type_in_header,\"{header}\",{kind}}}"),
            ));
        }
    }
    check_delivery_mode(message)
}

#[inline]
fn check_delivery_mode(message: &Message) -> Result<()> {
    match message.delivery_mode() {
        None | Some(1 | 2) => Ok(()),
        Some(mode) => {
            let text = format!("invalid message: {{delivery_mode_unknown,{mode}}}");
            Err(invalid("delivery_mode", text))
        }
    }
}

/// The routing keys of a message beyond its own: the strings in its CC and BCC headers. What else
/// these hold is passed over.
pub(crate) fn further_keys(message: &Message) -> Vec<Name> {
    let Some(headers) = message.headers() else { return Vec::new() };
    let lists = [CC, BCC].into_iter().filter_map(|header| match headers.get(header) {
        Some(Value::Array(items)) => Some(items),
        Some(_) | None => None,
    });
    lists.flatten().filter_map(Value::as_str).map(Name::from).collect()
}

/// The routing keys that consumers are not shown.
pub(crate) fn blind_keys(message: &Message) -> Vec<Name> {
    match message.header(BCC) {
        Some(Value::Array(keys)) => keys.iter().filter_map(Value::as_str).map(Name::from).collect(),
        Some(_) | None => Vec::new(),
    }
}

/// Integers as Erlang reads them: a sign, then digits, nothing else. What follows the digits is
/// reported before their value.
fn check_expiration(expiration: &str) -> Result<()> {
    let unsigned = expiration.strip_prefix(['+', '-']).unwrap_or(expiration);
    let end = unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len());
    let (digits, leftover) = unsigned.split_at(end);
    let refused = |fault: &str| {
        Err(invalid("expiration", format!("invalid expiration '{expiration}': {fault}")))
    };
    if digits.is_empty() {
        return refused("no_integer");
    }
    if !leftover.is_empty() {
        return refused(&format!("{{leftover_string,{leftover:?}}}"));
    }
    let significant = digits.trim_start_matches('0');
    let value = if significant.is_empty() { Ok(0) } else { significant.parse::<u64>() };
    match value {
        Ok(0) => Ok(()),
        Ok(_) if expiration.starts_with('-') => {
            refused(&format!("{{value_negative,-{significant}}}"))
        }
        Ok(value) if value <= EXPIRATION_MS_MAX => Ok(()),
        Ok(_) | Err(_) if expiration.starts_with('-') => {
            refused(&format!("{{value_negative,-{significant}}}"))
        }
        Ok(_) | Err(_) => refused(&format!("{{value_too_large,{significant}}}")),
    }
}

/// Properties that are short strings on the wire.
fn check_short_properties(message: &Message) -> Result<()> {
    let properties = [
        ("content_type", message.content_type()),
        ("content_encoding", message.content_encoding()),
        ("correlation_id", message.correlation_id()),
        ("reply_to", message.reply_to()),
        ("expiration", message.expiration()),
        ("message_id", message.message_id()),
        ("type", message.kind()),
        ("user_id", message.user_id()),
        ("app_id", message.app_id()),
        ("cluster_id", message.cluster_id()),
    ];
    for (property, value) in properties {
        if value.is_some_and(|value| value.len() > Name::BYTES_MAX) {
            return Err(invalid(property, format!("{property} is longer than 255 bytes")));
        }
    }
    Ok(())
}

/// Checks a size or a count against its bound.
#[inline]
pub(crate) fn check_limit(limit: &'static str, max: u64, found: u64) -> Result<()> {
    if found > max { Err(beyond(limit, max, found)) } else { Ok(()) }
}

#[cold]
fn beyond(limit: &'static str, max: u64, found: u64) -> Error {
    Error::plain(ErrorKind::LimitExceeded { limit, max, found })
}

fn invalid(property: &'static str, text: String) -> Error {
    Error::plain(ErrorKind::InvalidMessage { property, text })
}
