//! Operations of AMQP's queue class.

use leveret::{QueueBind, QueueDeclare, QueueDelete};

use super::super::fields::Fields;
use super::super::json::{Json, Object};
use super::super::lane::named;
use super::super::player::{Played, Player};

pub(super) fn declare(player: &mut Player, fields: &Fields) -> Played {
    let declared = player.lane(fields)?.channel.queue_declare(QueueDeclare {
        queue: fields.text("queue")?,
        passive: fields.flag("passive")?,
        durable: fields.flag("durable")?,
        exclusive: fields.flag("exclusive")?,
        auto_delete: fields.flag("auto_delete")?,
        arguments: fields.table("arguments")?,
    })?;
    if fields.flag("nowait")? {
        return Ok(Object::new());
    }
    if fields.text("queue")?.is_empty() && !fields.flag("passive")? {
        player.names.meet_queue(&declared.queue);
    }
    Ok(named([
        ("queue", Json::from(&*declared.queue)),
        ("message_count", Json::from(declared.message_count)),
        ("consumer_count", Json::from(declared.consumer_count)),
    ]))
}

pub(super) fn bind(player: &mut Player, fields: &Fields) -> Played {
    player.lane(fields)?.channel.queue_bind(binding(fields)?)?;
    Ok(Object::new())
}

pub(super) fn unbind(player: &mut Player, fields: &Fields) -> Played {
    player.lane(fields)?.channel.queue_unbind(binding(fields)?)?;
    Ok(Object::new())
}

pub(super) fn purge(player: &mut Player, fields: &Fields) -> Played {
    let messages = player.lane(fields)?.channel.queue_purge(fields.text("queue")?)?;
    counted(fields, messages.into())
}

pub(super) fn delete(player: &mut Player, fields: &Fields) -> Played {
    let messages = player.lane(fields)?.channel.queue_delete(QueueDelete {
        queue: fields.text("queue")?,
        if_unused: fields.flag("if_unused")?,
        if_empty: fields.flag("if_empty")?,
    })?;
    counted(fields, messages.into())
}

fn binding(fields: &Fields) -> Result<QueueBind<'_>, String> {
    fields.flag("nowait")?;
    Ok(QueueBind {
        queue: fields.text("queue")?,
        exchange: fields.text("exchange")?,
        routing_key: fields.text("routing_key")?,
        arguments: fields.table("arguments")?,
    })
}

fn counted(fields: &Fields, message_count: Json) -> Played {
    let nowait = fields.flag("nowait")?;
    Ok(if nowait { Object::new() } else { named([("message_count", message_count)]) })
}
