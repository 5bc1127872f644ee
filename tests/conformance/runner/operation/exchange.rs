//! Operations of AMQP's exchange class. None has an answer, so `nowait` only has to be well formed.

use leveret::{ExchangeBind, ExchangeDeclare, ExchangeDelete};

use super::super::fields::Fields;
use super::super::json::Object;
use super::super::player::{Played, Player};

pub(super) fn declare(player: &mut Player, fields: &Fields) -> Played {
    fields.flag("nowait")?;
    player.lane(fields)?.channel.exchange_declare(ExchangeDeclare {
        exchange: fields.text("exchange")?,
        kind: fields.text_or("type", "direct")?,
        passive: fields.flag("passive")?,
        durable: fields.flag("durable")?,
        auto_delete: fields.flag("auto_delete")?,
        internal: fields.flag("internal")?,
        arguments: fields.table("arguments")?,
    })?;
    Ok(Object::new())
}

pub(super) fn delete(player: &mut Player, fields: &Fields) -> Played {
    fields.flag("nowait")?;
    player.lane(fields)?.channel.exchange_delete(ExchangeDelete {
        exchange: fields.text("exchange")?,
        if_unused: fields.flag("if_unused")?,
    })?;
    Ok(Object::new())
}

pub(super) fn bind(player: &mut Player, fields: &Fields) -> Played {
    player.lane(fields)?.channel.exchange_bind(binding(fields)?)?;
    Ok(Object::new())
}

pub(super) fn unbind(player: &mut Player, fields: &Fields) -> Played {
    player.lane(fields)?.channel.exchange_unbind(binding(fields)?)?;
    Ok(Object::new())
}

fn binding(fields: &Fields) -> Result<ExchangeBind<'_>, String> {
    fields.flag("nowait")?;
    Ok(ExchangeBind {
        destination: fields.text("destination")?,
        source: fields.text("source")?,
        routing_key: fields.text("routing_key")?,
        arguments: fields.table("arguments")?,
    })
}
