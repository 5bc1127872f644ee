//! Publishing, confirms and transactions.

use leveret::{DeliveryTag, Error, Message, Publish, PublishError, PublishReason};

use super::super::fields::{Fields, mistyped};
use super::super::json::{Json, Object};
use super::super::lane::Lane;
use super::super::message;
use super::super::player::{Failure, Played, Player};

/// Publishes one message for each body, in order, until an error closes the channel.
pub(super) fn publish(player: &mut Player, fields: &Fields) -> Played {
    let messages = messages(fields)?;
    let to = Publish {
        exchange: fields.text("exchange")?,
        routing_key: fields.text("routing_key")?,
        mandatory: fields.flag("mandatory")?,
        immediate: fields.flag("immediate")?,
    };
    let lane = player.lane(fields)?;
    for message in messages {
        let published = lane.channel.basic_publish(to, message);
        if let Some(DeliveryTag(number)) = published.map_err(|error| refusal(lane, &error))? {
            lane.expect_confirm(number);
        }
    }
    Ok(Object::new())
}

pub(super) fn confirm_select(player: &mut Player, fields: &Fields) -> Played {
    fields.flag("nowait")?;
    player.lane(fields)?.channel.confirm_select()?;
    Ok(Object::new())
}

pub(super) fn tx_select(player: &mut Player, fields: &Fields) -> Played {
    player.lane(fields)?.channel.tx_select()?;
    Ok(Object::new())
}

pub(super) fn tx_commit(player: &mut Player, fields: &Fields) -> Played {
    player.lane(fields)?.channel.tx_commit()?;
    Ok(Object::new())
}

pub(super) fn tx_rollback(player: &mut Player, fields: &Fields) -> Played {
    player.lane(fields)?.channel.tx_rollback()?;
    Ok(Object::new())
}

fn messages(fields: &Fields) -> Result<Vec<Message>, String> {
    let properties = fields.get("properties");
    match (fields.get("body"), fields.get("bodies")) {
        (None, None) => Ok(vec![message::from_json(&Json::from(""), properties)?]),
        (Some(body), None) => Ok(vec![message::from_json(body, properties)?]),
        (None, Some(Json::List(bodies))) => {
            bodies.iter().map(|body| message::from_json(body, properties)).collect()
        }
        (None, Some(other)) => Err(mistyped("bodies", "a list", other)),
        (Some(_), Some(_)) => Err("publish has either body or bodies".to_owned()),
    }
}

/// The error which a refused publish stands for.
fn refusal(lane: &Lane, error: &PublishError) -> Failure {
    let closed_by: Option<Error> = match error.reason() {
        PublishReason::Refused(error) => Some(error.clone()),
        PublishReason::Closed => lane.channel.error(),
        _ => None,
    };
    closed_by.map_or_else(
        || Failure::Unplayable(format!("a publish which did not happen: {:?}", error.reason())),
        Failure::Error,
    )
}
