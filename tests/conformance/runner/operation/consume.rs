//! Getting and consuming.

use leveret::{Consume, Flow, Get, Qos};

use super::super::fields::Fields;
use super::super::json::{Json, Object};
use super::super::lane::{delivered_fields, named};
use super::super::player::{Played, Player};

pub(super) fn get(player: &mut Player, fields: &Fields) -> Played {
    let got = player
        .lane(fields)?
        .channel
        .basic_get(Get { queue: fields.text("queue")?, auto_ack: fields.flag("auto_ack")? })?;
    let message = got.map_or(Json::Null, |delivered| {
        let mut message = delivered_fields(&delivered);
        let ready = delivered.message_count.map_or(Json::Null, Json::from);
        message.push(("message_count".to_owned(), ready));
        Json::Object(message)
    });
    Ok(named([("message", message)]))
}

pub(super) fn consume(player: &mut Player, fields: &Fields) -> Played {
    let tag = player.lane(fields)?.channel.basic_consume(Consume {
        queue: fields.text("queue")?,
        consumer_tag: fields.text("consumer_tag")?,
        auto_ack: fields.flag("auto_ack")?,
        exclusive: fields.flag("exclusive")?,
        no_local: fields.flag("no_local")?,
        arguments: fields.table("arguments")?,
    })?;
    if fields.text("consumer_tag")?.is_empty() {
        player.names.meet_tag(&tag);
    }
    tagged(fields, &tag)
}

pub(super) fn cancel(player: &mut Player, fields: &Fields) -> Played {
    let tag = fields.text("consumer_tag")?;
    player.lane(fields)?.channel.basic_cancel(tag)?;
    tagged(fields, tag)
}

pub(super) fn qos(player: &mut Player, fields: &Fields) -> Played {
    player.lane(fields)?.channel.basic_qos(Qos {
        prefetch_size: fields.integer("prefetch_size")?.unwrap_or(0),
        prefetch_count: fields.integer("prefetch_count")?.unwrap_or(0),
        global: fields.flag("global")?,
    })?;
    Ok(Object::new())
}

pub(super) fn flow(player: &mut Player, fields: &Fields) -> Played {
    let active =
        player.lane(fields)?.channel.channel_flow(Flow { active: fields.flag("active")? })?;
    Ok(named([("active", Json::from(active))]))
}

fn tagged(fields: &Fields, tag: &str) -> Played {
    let nowait = fields.flag("nowait")?;
    Ok(if nowait { Object::new() } else { named([("consumer_tag", Json::from(tag))]) })
}
