//! Settling deliveries.

use leveret::{Ack, DeliveryTag, Nack, Recover, Reject};

use super::super::fields::Fields;
use super::super::json::Object;
use super::super::player::{Played, Player};

pub(super) fn ack(player: &mut Player, fields: &Fields) -> Played {
    let ack = Ack { delivery_tag: tag(fields)?, multiple: fields.flag("multiple")? };
    player.lane(fields)?.channel.basic_ack(ack)?;
    Ok(Object::new())
}

pub(super) fn nack(player: &mut Player, fields: &Fields) -> Played {
    let nack = Nack {
        delivery_tag: tag(fields)?,
        multiple: fields.flag("multiple")?,
        requeue: fields.flag("requeue")?,
    };
    player.lane(fields)?.channel.basic_nack(nack)?;
    Ok(Object::new())
}

pub(super) fn reject(player: &mut Player, fields: &Fields) -> Played {
    let reject = Reject { delivery_tag: tag(fields)?, requeue: fields.flag("requeue")? };
    player.lane(fields)?.channel.basic_reject(reject)?;
    Ok(Object::new())
}

/// Within a process there is no answer to wait for, so `async` makes no difference.
pub(super) fn recover(player: &mut Player, fields: &Fields) -> Played {
    fields.flag("async")?;
    let recover = Recover { requeue: fields.flag("requeue")? };
    player.lane(fields)?.channel.basic_recover(recover)?;
    Ok(Object::new())
}

fn tag(fields: &Fields) -> Result<DeliveryTag, String> {
    let tag = fields.integer("tag")?.ok_or("a settlement needs a tag")?;
    Ok(DeliveryTag(tag))
}
